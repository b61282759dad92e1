"""What it takes to execute a run of N tasks again, and to correct it: `./scripts/bench resume`.

The tasks do nothing, and are cached, recorded and stored as they end, in two threads. Programs say themselves how long
they took from `load` to the last result; what is asked and written around them is measured in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks import machine
from benchmarks.measure import Figures, timed

if TYPE_CHECKING:
    from parslish import RecordedRun

ROOT = Path(__file__).resolve().parent.parent
CHAIN = 10  # tasks that follow each other


def program(n: int) -> None:
    """A program of calls that have nothing to do with each other."""
    import time

    import parslish
    from parslish import Config, python_app

    @python_app(cache=True)
    def same(i: int) -> int:
        return i

    began = time.perf_counter()
    with parslish.load(Config(checkpoint_mode="task_exit")):
        for future in [same(i) for i in range(n)]:
            future.result()
        took = time.perf_counter() - began
    Path("took").write_text(str(took))


def chains(n: int) -> None:
    """A program of chains."""
    import parslish
    from parslish import Config, python_app

    @python_app(cache=True)
    def step(i: Any, chain: int) -> int:
        return int(i) + 1

    with parslish.load(Config(checkpoint_mode="task_exit")):
        ends = []
        for chain in range(n // CHAIN):
            link: Any = 0
            for _ in range(CHAIN):
                link = step(link, chain)
            ends.append(link)
        for end in ends:
            end.result()


def joins(n: int) -> None:
    """A program of one join that submits all."""
    import parslish
    from parslish import Config, join_app, python_app

    @python_app(cache=True)
    def same(i: int) -> int:
        return i

    @join_app(cache=True)
    def wide(n: int) -> list[object]:
        return [same(i) for i in range(n)]

    with parslish.load(Config(checkpoint_mode="task_exit")):
        wide(n).result()


def ask(n: int) -> Figures:
    """The figures of runs of `n` tasks, in this folder."""
    import parslish

    run = _started("program", n)
    figures = {"all computed, tasks/s": n / _took()}
    new = run.resume()
    figures["resume that reuses all, tasks/s"] = n / _took()
    figures["what that takes beside the program, s"] = timed(new.resume) - _took()
    new.rerun(from_="same[0]")
    figures["rerun from one that reuses all others, tasks/s"] = n / _took()
    run = parslish.run("last")
    figures["record of what was reused, s"] = timed(lambda: run.record)
    figures["plan of a resume, s"] = timed(run.plan)
    figures["plan from all, s"] = timed(lambda: run.plan(from_="same"))
    run = _started("chains", n, "chains")
    assert len(run.record) == n
    figures["restart one that a chain depends on, s"] = timed(lambda: run.restart_task(0))
    tenth = f"arg:chain<{n // CHAIN // 10}"
    figures["plan from a tenth, of chains, s"] = timed(lambda: run.plan(from_=tenth))
    figures["rerun from a tenth, of chains, s"] = timed(lambda: run.rerun(from_=tenth))
    figures["invalidate one, s"] = timed(lambda: run.invalidate("step[5]"))
    figures["invalidate all, s"] = timed(lambda: run.invalidate("step"))
    figures["undo that, s"] = timed(lambda: run.invalidations()[-1].undo())
    _started("joins", n, "joins")
    run = _started("joins", n, "joins")
    figures["record of all that a reused join had submitted, s"] = timed(lambda: run.record)
    assert len(run.record) == n + 1
    return figures


def _took() -> float:
    return float(Path("took").read_text())


def _started(what: str, n: int, folder: str = ".") -> RecordedRun:
    """The run of one of the programs, in a folder of its own."""
    import parslish

    Path(folder).mkdir(exist_ok=True)
    subprocess.run([sys.executable, "-m", "benchmarks.resume", what, str(n)], check=True, cwd=folder)
    return parslish.run("last", Path(folder, "runinfo"))


def table(sizes: Sequence[int], rounds: int, python: Sequence[str]) -> str:
    """The medians of some rounds, each in a new folder."""
    columns = [[_round(n, python) for _ in range(rounds)] for n in sizes]
    cells = {name: [_shown([each[name] for each in column]) for column in columns] for name in columns[0][0]}
    rows = [f"| {name} | {' | '.join(shown)} |" for name, shown in cells.items()]
    return "\n".join([f"| tasks | {' | '.join(f'{n:,}' for n in sizes)} |", "|---|" + "---:|" * len(sizes), *rows])


def _round(n: int, python: Sequence[str]) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "PARSLISH_KEY_FILE": f"{folder}/key"}
        done = subprocess.run([*python, "ask", str(n)], cwd=folder, env=environ, check=True, stdout=subprocess.PIPE)
    found: Figures = json.loads(done.stdout.splitlines()[-1])
    return found


def _shown(values: Sequence[float]) -> str:
    return f"{median(values):,.3g}" if median(values) < 1000 else f"{median(values):,.0f}"


PROGRAMS = {"program": program, "chains": chains, "joins": joins}


def main(words: list[str] | None = None) -> None:
    words = sys.argv[1:] if words is None else words
    if words and words[0] in PROGRAMS:
        PROGRAMS[words[0]](int(words[1]))
        return
    if words and words[0] == "ask":
        print(json.dumps(ask(int(words[1]))))
        return
    parser = argparse.ArgumentParser(prog="./scripts/bench resume", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (3)")
    parser.add_argument("--most", type=int, default=10**5, help="tasks at most (100,000)")
    given = parser.parse_args(words)
    print(", ".join(machine.describe().values()), f"median of {given.rounds} rounds", sep="; ")
    sizes = [n for n in (10**3, 10**4, 10**5, 10**6) if n <= given.most]
    print("", table(sizes, given.rounds, [sys.executable, "-m", "benchmarks.resume"]), sep="\n", flush=True)


if __name__ == "__main__":
    main()
