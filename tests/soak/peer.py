"""T18: SIGKILL, a full disk and truncation, on parslish and on Parsl alike; `RESULTS.md` has what came of it.

    python -m tests.soak.peer [--scale X]

Parsl gets an environment of its own, as the benchmarks make it.
"""

from __future__ import annotations

import argparse
import functools
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.environments import HOME, python_of
from benchmarks.peers import REQUIREMENTS
from tests.faults import machine
from tests.faults.stores import SEED

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("peer_driver.py")
RESULTS = Path(__file__).with_name("RESULTS.md")
OURS, PARSL = "parslish", "parsl"
COUNT, SIZE = 100, 2_000
PATIENCE_S = 30
#: rows of the table: what is counted → how it is said
ROWS = {
    "kills": "SIGKILL at a random result: times",
    "kill lost": "results that the script had seen and that are lost: computed again, or not loaded",
    "kill refused": "checkpoints that did not load any more",
    "kill wrong": "wrong values",
    "cuts": "checkpoint cut off at a random byte: times",
    "cut refused": "that did not load any more",
    "cut lost": "whole results before the cut that are lost: computed again, or not loaded",
    "cut wrong": "wrong values",
    "fills": "disk full from some result to the end, then a run with room: times",
    "fill failed": "tasks that failed",
    "fill hung": "scripts that hung or crashed",
    "fill refused": "checkpoints that did not load any more",
    "fill seen": "results that the script had seen",
    "fill lost": "of which are lost: computed again, or not loaded",
    "fill wrong": "wrong values",
}


@dataclass
class Run:
    """What one run of the script said. `code` is None when it hung."""

    code: int | None
    facts: Counter[str] = field(default_factory=Counter)
    numbers: dict[str, list[int]] = field(default_factory=dict)

    def of(self, kind: str) -> list[int]:
        return self.numbers.get(kind, [])


class Library:
    """One of the two, in folders of its own.

    Args:
        name: `OURS` or `PARSL`.
        python: its interpreter.
    """

    def __init__(self, name: str, python: str) -> None:
        self.name, self._python = name, python
        self.figures: Counter[str] = Counter()
        self._env = {**os.environ, "PYTHONPATH": str(ROOT), "PARSLISH_KEY_FILE": str(HOME / "key")}

    def start(self, folder: Path, under: Sequence[str] = ()) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*under, self._python, str(SCRIPT), self.name, str(COUNT), str(SIZE)],
            cwd=folder,
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # to be killed with all that it started
        )

    def run(self, folder: Path, under: Sequence[str] = ()) -> Run:
        """To its end."""
        process = self.start(folder, under)
        try:
            out, _ = process.communicate(timeout=2 * PATIENCE_S)
            code: int | None = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, _ = process.communicate()
            code = None
        return read(code, out)

    @functools.cache  # noqa: B019 - there are two of them
    def disk_bytes(self) -> int:
        """What a whole run leaves on the disk, in blocks."""
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch, "case")
            folder.mkdir()
            self.run(folder)
            return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())

    def resume(self, folder: Path, seen: set[int], fault: str) -> None:
        """Go on from what is left, and count what that costs."""
        executed = Path(folder, "executed")
        executed.unlink(missing_ok=True)
        after = self.run(folder)
        again = {int(line) for line in executed.read_text().split()} if executed.exists() else set()
        if not after.facts["loaded"]:
            self.figures[f"{fault} refused"] += 1
            again = seen  # none of them can be had
        self.figures[f"{fault} lost"] += len(seen & again)
        self.figures[f"{fault} wrong"] += len(after.of("wrong"))


def read(code: int | None, out: str) -> Run:
    """What the script's lines say."""
    run = Run(code)
    for line in out.splitlines():
        kind, _, number = line.partition(" ")
        run.facts[kind] += 1
        if number:
            run.numbers.setdefault(kind, []).append(int(number))
    return run


# -------------------------------------------------------------------------------------- the three faults


def kill(library: Library, rng: random.Random, folder: Path) -> None:
    """SIGKILL at a random result; every result that was seen by then is to be there."""
    process, moment, lines = library.start(folder), rng.randrange(1, COUNT), []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if len(lines) > moment:
            break
    process.send_signal(signal.SIGKILL)
    rest, _ = process.communicate()
    library.figures["kills"] += 1
    whole = "".join([*lines, rest]).rpartition("\n")[0]
    library.resume(folder, set(read(0, whole).of("seen")), "kill")


def cut(library: Library, rng: random.Random, folder: Path) -> None:
    """The checkpoint of a whole run, cut off: what lies before the cut is to be there.

    How much that is, both formats being sequences of records of one size, is taken from where it was cut.
    """
    library.run(folder)
    (checkpoint,) = [
        path
        for path in folder.glob("runinfo/*/checkpoint/*")
        if path.suffix in (".seg", ".pkl") and path.stat().st_size
    ]
    whole = checkpoint.stat().st_size
    length = rng.randrange(1, whole)
    os.truncate(checkpoint, length)
    library.figures["cuts"] += 1
    before = library.figures["cut lost"]
    library.resume(folder, set(range(COUNT)), "cut")
    gone = -(-(whole - length) * COUNT // whole)  # rounded up
    library.figures["cut lost"] = before + max(0, library.figures["cut lost"] - before - gone - 1)


def fill(library: Library, rng: random.Random, folder: Path) -> None:
    """A small file system, full from some result on; then a run on its content, with room around it."""
    small, kept = folder / "small", folder / "kept"
    small.mkdir()
    size = int(library.disk_bytes() * rng.uniform(0.3, 0.8))
    script = f'mount -t tmpfs -o size={size} none "$0"; cd "$0"; timeout -s KILL {PATIENCE_S} "$@"; cp -r . "{kept}"'
    command = machine.own_mounts()
    if command is None:
        return
    run = library.run(folder, [*command, "sh", "-c", script, str(small)])
    library.figures["fills"] += 1
    library.figures["fill seen"] += len(run.of("seen"))
    library.figures["fill failed"] += len(run.of("failed"))
    library.figures["fill hung"] += not run.facts["done"]
    library.resume(kept, set(run.of("seen")), "fill")


FAULTS: dict[Callable[[Library, random.Random, Path], None], int] = {kill: 60, cut: 100, fill: 10}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.peer", description="The same faults on Parsl.")
    parser.add_argument("--scale", type=float, default=1.0, help="part of the cases")
    scale = parser.parse_args().scale
    libraries = [Library(OURS, sys.executable), Library(PARSL, python_of(PARSL))]
    for library in libraries:
        for fault, cases in FAULTS.items():
            for case in range(max(1, round(cases * scale))):
                with tempfile.TemporaryDirectory() as scratch:
                    folder = Path(scratch, "case")
                    folder.mkdir()
                    fault(library, random.Random(f"{SEED} {fault.__name__} {case}"), folder)
    text = report(libraries)
    print(text)
    RESULTS.write_text(text)


def report(libraries: Sequence[Library]) -> str:
    """The table."""
    (version,) = REQUIREMENTS[PARSL]
    rows = [
        f"| {said} | {' | '.join(f'{library.figures[row]:,}' for library in libraries)} |" for row, said in ROWS.items()
    ]
    return "\n".join(
        [
            "# The same faults on Parsl",
            "",
            f"`./scripts/soak T18`, seed {SEED}, Python {platform.python_version()}: {COUNT} memoized tasks on two",
            f'threads, {SIZE:,} bytes each, `checkpoint_mode="task_exit"`.',
            "",
            f"| | parslish | {version.replace('==', ' ')} |",
            "|---|---:|---:|",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    main()
