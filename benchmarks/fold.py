"""What it takes to ask a run of N tasks: `./scripts/bench fold`.

Every other task takes the future of the one before it; all are cached, recorded, and stored at the end. The run is made
by one process and asked by another, which has seen nothing of it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import machine
from benchmarks.measure import Figures, settled_rss, timed

#: What is asked, by the name of its figure: of a run that has been folded, and the task in the middle.
QUESTIONS: dict[str, Callable[[Any, int], Any]] = {
    "first select, s": lambda run, task: run.select("following+ and not status:failed"),
    "select by name, s": lambda run, task: run.select("same"),
    "select by argument, s": lambda run, task: run.select(f"arg:i={task}"),
    "first why, s": lambda run, task: run.why(task),
    "why, s": lambda run, task: run.why(task + 1),
    "plan, s": lambda run, task: run.plan(),
}


def make(n: int) -> None:
    """Leave a run of `n` tasks in this folder."""
    import parslish
    from parslish import Config, python_app

    @python_app(cache=True)
    def same(i: int) -> int:
        return i

    @python_app(cache=True)
    def following(i: int) -> int:
        return i + 1

    with parslish.load(Config(checkpoint_mode="dfk_exit")):
        for i in range(0, n, 2):
            following(same(i))
        parslish.dfk().wait_for_current_tasks()


def ask(n: int) -> Figures:
    """What the questions take, of the run in this folder."""
    import parslish
    from parslish.history import inherited  # noqa: F401 — so that its memory does not count

    run = parslish.run("last")
    before = settled_rss()
    figures = {"fold, s": timed(lambda: run.record)}
    assert len(run.record) == n
    figures["bytes a task"] = (settled_rss() - before) / n
    for name, question in QUESTIONS.items():
        figures[name] = timed(lambda question=question: question(run, n // 2))  # type: ignore[misc]
    return figures


def measured(n: int, rounds: int) -> Figures:
    """The medians for a run of `n` tasks."""
    with tempfile.TemporaryDirectory() as folder:
        _child(folder, "make", n)
        size = sum(path.stat().st_size for path in Path(folder, "runinfo/000/events").iterdir())
        found = [json.loads(_child(folder, "ask", n)) for _ in range(rounds)]
    return {"on disk, bytes a task": size / n, **{name: median(each[name] for each in found) for name in found[0]}}


def _child(folder: str, what: str, n: int) -> str:
    root = str(Path(__file__).resolve().parents[1])
    environ = {**os.environ, "PYTHONPATH": root, "PARSLISH_KEY_FILE": f"{folder}/key"}
    command = [sys.executable, "-m", "benchmarks.fold", "--part", what, str(n)]
    done = subprocess.run(command, cwd=folder, env=environ, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def table(sizes: Sequence[int], columns: Sequence[Figures]) -> str:
    heads = " | ".join(f"{n:,}" for n in sizes)
    rows = [f"| tasks in a run | {heads} |", "|---|" + "---:|" * len(sizes)]
    for name in columns[0]:
        values = (f"{each[name]:,.0f}" if "bytes" in name else f"{each[name]:.2g}" for each in columns)
        rows.append(f"| {name} | {' | '.join(values)} |")
    return "\n".join(rows)


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="./scripts/bench fold", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="how often each run is asked (3)")
    parser.add_argument("--most", type=int, default=10**5, help="tasks at most (100,000; the last size has 1,000,000)")
    parser.add_argument("--part", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args(words)
    if given.part:
        what, n = given.part[0], int(given.part[1])
        print(json.dumps(ask(n)) if what == "ask" else make(n) or "")
        return
    print(", ".join(machine.describe().values()), f"median of {given.rounds} rounds", sep="; ")
    sizes = [n for n in (10**4, 10**5, 10**6) if n <= given.most]
    print("", table(sizes, [measured(n, given.rounds) for n in sizes]), sep="\n")


if __name__ == "__main__":
    main()
