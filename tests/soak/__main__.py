"""Runs the plan of faults at its large sizes: `python -m tests.soak`, or `./scripts/soak`.

One run of pytest for each fault, with `PARSLISH_SOAK` as the plan has it; for each a line with seed, count and verdict.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from tests.faults.plan import PLAN
from tests.faults.stores import SEED

ROOT = Path(__file__).resolve().parents[2]
PEER = "T18"  # on request only
LINE = "{:4} {:>12} {:>12} {:>12}  {:>8}  {}"


def main() -> int:
    options = _options()
    print(LINE.format("id", "seed", "cases", "of", "took", "verdict"), flush=True)
    failed = [name for name in options.faults if not _soak(name, options.scale, options.seed)]
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./scripts/soak", description="The tests of faults at their large sizes.")
    known = [*PLAN, PEER]
    parser.add_argument(
        "faults", nargs="*", metavar="ID", help=f"which: {', '.join(known)}; without any all but {PEER}"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="part of the cases, as 0.1; 1 by default")
    parser.add_argument("--seed", type=int, default=SEED, help="another seed gives other cases; %(default)s by default")
    options = parser.parse_args()
    if unknown := [fault for fault in options.faults if fault not in known]:
        parser.error(f"there is no fault {unknown[0]!r}; the ids are {', '.join(known)}")
    if not options.scale > 0:
        parser.error(f"--scale is a number above 0, not {options.scale:g}")
    options.faults = options.faults or [*PLAN]
    return options


def _soak(name: str, scale: float, seed: int) -> bool:
    """Run one fault, and print its line; what it said is printed, too, unless all is well."""
    began = time.monotonic()
    if name == PEER:
        command, times, wanted = ["tests.soak.peer", "--scale", str(scale)], 1, 0
    else:
        fault = PLAN[name]
        times = math.ceil(fault.times * scale)
        wanted = max(fault.here, round(fault.soak * scale)) if fault.times > 1 else fault.here
        command = ["pytest", "-rs", "--timeout", "0", "-p", "no:cacheprovider", *map(str, fault.paths)]
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env={**os.environ, "PARSLISH_SOAK": str(times), "PARSLISH_SEED": str(seed)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    counted = re.search(rf"^cases of faults: .*\b{name} ([\d,]+)", done.stdout, re.MULTILINE)
    cases = int(counted[1].replace(",", "")) if counted else 0
    verdict = "FAILED" if done.returncode else "too few: see what was skipped" if cases < wanted else "passed"
    if verdict != "passed" or " skipped" in done.stdout or name == PEER:
        print(done.stdout)
    took = time.strftime("%H:%M:%S", time.gmtime(time.monotonic() - began))
    print(LINE.format(name, seed, f"{cases:,}", f"{wanted:,}", took, verdict), flush=True)
    return verdict == "passed"


if __name__ == "__main__":
    sys.exit(main())
