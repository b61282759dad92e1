"""The budget of one call, station by station: `./scripts/bench budget`, or `python -m benchmarks.budget`.

Tasks that do nothing, in a kernel as its user gets it, cached and recorded. Sides that run beside each other for a user
run one after the other here (`budget_held`), so that a side's time is its work and not its waiting.
"""

from __future__ import annotations

import argparse
import gc
import os
import tempfile
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from benchmarks import machine
from benchmarks.budget_held import (
    HeldPacks,
    HeldThreads,
    OnSide,
    Side,
    held_kernel,
    held_processes,
    held_side_of_work,
    side_of,
)
from benchmarks.budget_stations import OF_PROCESSES, STATIONS, Stopwatch
from parslish import python_app

WARM = 500
MOMENT = 1_000  # tasks that are run with the stopwatch at a time
SHORT = 5  # of these runs for one with the collector
#: (side, heading of what of it is in no station)
SIDES = {
    "submit": "script: the way between stations",
    "work": "worker: takes, calls, reads clocks",
    "dispatcher": "dispatcher: the way between stations",
    "worker": "worker: takes, calls, reads clocks",
    "result": "script: `result()`",
    "record": "events: framed, written",
}
Run = Callable[[int, Side, OnSide], None]
Budget = dict[tuple[str, str], float]  #: (side, station) → µs a task


@python_app(cache=True)
def same(i: int) -> int:
    return i


def threads(n: int, side: Side, on_side: OnSide) -> None:
    _computed(HeldThreads(), n, side)


def task_exit(n: int, side: Side, on_side: OnSide) -> None:
    _computed(HeldThreads(), n, side, checkpoint_mode="task_exit")


def task_exit_groups(n: int, side: Side, on_side: OnSide) -> None:
    _computed(HeldPacks(), n, side, checkpoint_mode="task_exit")


def hit(n: int, side: Side, on_side: OnSide) -> None:
    executor = HeldThreads()
    with held_kernel(executor) as (_, recorder):
        for _ in range(2):
            kept = [same(i) for i in range(n)]
            executor.work()
            recorder._write_gathered()
        _called(n, side, kept)
        with side("record"):
            recorder._write_gathered()


def processes(n: int, side: Side, on_side: OnSide) -> None:
    side, on_side = held_side_of_work(side, on_side)
    with held_processes(on_side) as executor:
        _computed(executor, n, side)


def _computed(executor: Any, n: int, side: Side, **options: Any) -> None:
    with held_kernel(executor, **options) as (_, recorder):
        kept: list[Any] = [same(i) for i in range(-WARM, 0)]
        executor.work()
        recorder._write_gathered()
        _called(n, side, kept)
        with side("work"):
            executor.work()
        with side("result"):
            for future in kept:
                future.result()
        with side("record"):
            recorder._write_gathered()


def _called(n: int, side: Side, kept: list[Any]) -> None:
    with side("submit"):
        kept += [same(i) for i in range(n)]


COLUMNS: tuple[Run, ...] = (threads, task_exit_groups, task_exit, hit)

# ------------------------------------------------------------------------------------------- measuring


def stations(run: Run, n: int, watch: Stopwatch) -> Budget:
    """The time in each station, without garbage collections."""
    watch.clear()
    gc.collect()
    gc.disable()
    try:
        with watch.watching(STATIONS | OF_PROCESSES):
            run(n, side_of(watch.on_side), watch.on_side)
    finally:
        gc.enable()
    return {at: watch.us(*at, n) for at in watch.ns}


def whole(run: Run, n: int, collects: bool) -> float:
    """CPU microseconds a task, of all sides together and without a stopwatch in between."""
    spent = 0.0
    began: float | None = None

    def on_side(name: str) -> None:
        nonlocal spent, began
        now = time.thread_time()
        spent += 0.0 if began is None else now - began
        began = now if name else None

    gc.collect()
    gc.enable() if collects else gc.disable()
    try:
        run(n, side_of(on_side), on_side)
    finally:
        gc.enable()
    return spent / n * 1e6


def measured(run: Run, n: int, rounds: int, watch: Stopwatch) -> tuple[Budget, float, float]:
    """The time in each station, the whole without garbage collections, and what those take on top.

    The stopwatch, unlike the CPU clock, runs on while another process has the core: so it runs for moments only, and of
    each station the least of many rounds counts. Collections are those of `n` futures that are kept.
    """
    few = min(n, MOMENT)
    each = [stations(run, few, watch) for _ in range(SHORT * rounds)]
    least = {at: min(one.get(at, 0.0) for one in each) for at in each[0]}
    without = min(whole(run, few, collects=False) for _ in range(SHORT * rounds))
    collector = median(whole(run, n, collects=True) - whole(run, n, collects=False) for _ in range(rounds))
    return least, without, collector


# ---------------------------------------------------------------------------------------------- tables


def table(columns: dict[str, tuple[Budget, float, float]]) -> str:
    """A row for each station of each side that takes a hundredth of a microsecond in any column."""
    lines = [f"| µs a task | {' | '.join(columns)} |", "|---|" + "---:|" * len(columns)]
    budgets = [budget for budget, _, _ in columns.values()]
    for side, rest in SIDES.items():
        for station in ("", *STATIONS, *OF_PROCESSES):
            values = [budget.get((side, station), 0.0) for budget in budgets]
            if max(values) >= 0.01:
                lines.append(_row(f"{_who(side)}: {station}" if station else rest, values))
    lines.append(_row("**sum**", [sum(budget.values()) for budget in budgets]))
    lines.append(_row("**whole, measured apart**", [without for _, without, _ in columns.values()]))
    lines.append(_row("garbage collector, on top", [max(0.0, on_top) for _, _, on_top in columns.values()]))
    return "\n".join(lines)


def _who(side: str) -> str:
    return {"submit": "script", "work": "worker", "result": "script", "record": "events"}.get(side, side)


def _heading(run: Run) -> str:
    return run.__name__.replace("_groups", ", in groups")


def _row(name: str, values: list[float]) -> str:
    return f"| {name} | " + " | ".join(f"{value:.2f}" if value else "" for value in values) + " |"


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="./scripts/bench budget", description=__doc__.partition("\n")[0])
    parser.add_argument("--n", type=int, default=20_000, help="tasks that the collector sees (20,000)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each run is made (5)")
    given = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PARSLISH_KEY_FILE"] = f"{folder}/key"
        watch = Stopwatch()
        one = {_heading(run): measured(run, given.n, given.rounds, watch) for run in COLUMNS}
        other = {"processes": measured(processes, given.n, given.rounds, watch)}
    print(", ".join(machine.describe().values()), f"{given.n:,} tasks", sep="; ")
    print("", table(one), "", table(other), sep="\n")


if __name__ == "__main__":
    main()
