"""How long a lone task of 1 ms takes while 10,000 no-ops are queued: `./scripts/bench latency`.

Two warm processes each, ours and loky's, which has no batches: each in a Python of its own, in turn. The lone task is
submitted while the workers are at the no-ops, again and again until enough have been measured; and, for comparison, on
an idle pool.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from benchmarks import environments, machine

NO_OPS, LONE_S, PROCESSES = 10_000, 0.001, 2
SYSTEMS = ("parslish", "loky")
Submit = Callable[..., "Future[Any]"]
Millis = dict[str, list[float]]


def no_op(i: int) -> int:
    return i


def lone(i: int) -> int:
    """Keeps a CPU for a millisecond."""
    end = time.perf_counter() + LONE_S
    while time.perf_counter() < end:
        pass
    return i


@contextmanager
def _parslish() -> Any:
    import parslish
    from parslish import Config, ProcessPoolExecutor, python_app

    with parslish.load(Config([ProcessPoolExecutor(max_workers=PROCESSES)])):
        yield python_app(no_op), python_app(lone)


@contextmanager
def _loky() -> Any:
    import loky

    with loky.ProcessPoolExecutor(PROCESSES) as pool:
        yield (lambda i: pool.submit(no_op, i)), (lambda i: pool.submit(lone, i))


def latencies(pool: AbstractContextManager[tuple[Submit, Submit]], samples: int, no_ops: int) -> Millis:
    """Milliseconds from the submission of the lone task to its result."""
    with pool as (submit, submit_lone):
        wait([submit(-i) for i in range(200)])
        wait([submit_lone(-i) for i in range(200)])
        idle = [_one(submit_lone, i) for i in range(samples)]
        queued = []
        for i in range(samples, 2 * samples):
            waiting = [submit(i * no_ops + k) for k in range(no_ops)]
            queued.append(_one(submit_lone, i))
            wait(waiting)
    return {"idle": idle, "queued": queued}


def _one(submit: Submit, i: int) -> float:
    began = time.perf_counter()
    submit(i).result()
    return (time.perf_counter() - began) * 1e3


def quantile(values: list[float], share: float) -> float:
    """The value that `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def table(measured: dict[str, Millis]) -> str:
    lines = ["| ms | idle pool, p50 | p99 | no-ops queued, p50 | p99 | samples |", "|---|" + "---:|" * 5]
    for name, millis in measured.items():
        cells = [quantile(millis[when], share) for when in ("idle", "queued") for share in (0.5, 0.99)]
        lines.append(f"| {name} | {' | '.join(f'{c:,.2f}' for c in cells)} | {len(millis['queued'])} |")
    return "\n".join(lines)


def measured(systems: list[str], python_of: Callable[[str], str], rounds: int, samples: int, no_ops: int) -> Any:
    """The latencies of each system, which take turns; each turn is a process of its own."""
    together: dict[str, Millis] = {name: {"idle": [], "queued": []} for name in systems}
    for _ in range(rounds):
        for name in systems:
            for when, values in _turn(python_of(name), name, samples, no_ops).items():
                together[name][when] += values
    return together


def _turn(python: str, name: str, samples: int, no_ops: int) -> Millis:
    command = [python, "-m", "benchmarks.latency", "--one", name, "--samples", str(samples), "--queued", str(no_ops)]
    with tempfile.TemporaryDirectory() as folder:
        environ = {**os.environ, "PYTHONPATH": str(environments.ROOT), "PARSLISH_KEY_FILE": f"{folder}/key"}
        subprocess.run(command, cwd=folder, env=environ, check=True)
        millis: Millis = json.loads(Path(folder, "latencies.json").read_text())
    return millis


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="./scripts/bench latency", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="turns of each system (3)")
    parser.add_argument("--samples", type=int, default=40, help="lone tasks a turn (40)")
    parser.add_argument("--queued", type=int, default=NO_OPS, help="no-ops that are queued (10,000)")
    parser.add_argument("--here", action="store_true", help="in the Python that runs this, which has both installed")
    parser.add_argument("--one", choices=SYSTEMS, help=argparse.SUPPRESS)
    given = parser.parse_args(words)
    if given.one:
        pool = {"parslish": _parslish, "loky": _loky}[given.one]()
        Path("latencies.json").write_text(json.dumps(latencies(pool, given.samples, given.queued)))
        return
    python_of = (lambda _: sys.executable) if given.here else environments.python_of
    print(", ".join(machine.describe().values()), f"{given.queued:,} no-ops", sep="; ")
    print("", table(measured(list(SYSTEMS), python_of, given.rounds, given.samples, given.queued)), sep="\n")


if __name__ == "__main__":
    # As a module: what a script's own functions cost to send is not what is measured.
    from benchmarks.latency import main as main_of_module

    main_of_module()
