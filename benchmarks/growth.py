"""How the cost of a task grows with N, depth, fan-in and the size of its argument: `./scripts/bench growth`.

Cached tasks that do nothing, recorded, in two threads; each measurement in a new kernel.
"""

from __future__ import annotations

import argparse
import gc
import os
import tempfile
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import numpy

import parslish
from benchmarks import machine
from benchmarks.measure import results_of, timed
from parslish import Config, python_app

Run = Callable[[int], float]  #: size → seconds a task


@python_app(cache=True)
def same(i: int) -> int:
    return i


@python_app(cache=True)
def following(i: int) -> int:
    return i + 1


@python_app(cache=True)
def count(numbers: Sequence[int]) -> int:
    return len(numbers)


@python_app(cache=True)
def size(value: Any) -> int:
    return len(value)


def tasks(n: int) -> float:
    return timed(lambda: results_of(same, range(n))) / n


def depth(n: int) -> float:
    def chain() -> None:
        link: Any = 0
        for _ in range(n):
            link = following(link)
        assert link.result() == n

    return timed(chain) / n


def fan_in(n: int) -> float:
    """Seconds for each of the futures that one task takes, their own tasks included."""
    return timed(lambda: count([same(i) for i in range(n)]).result()) / n


def bytes_argument(n: int) -> float:
    return _argument([bytes([i]) * n for i in range(_repetitions(n))])


def array_argument(n: int) -> float:
    return _argument([numpy.full(n, i, dtype=numpy.uint8) for i in range(_repetitions(n))])


def _argument(values: list[Any]) -> float:
    return timed(lambda: results_of(size, values)) / len(values)


def _repetitions(size_bytes: int) -> int:
    return max(3, min(200, 100_000_000 // size_bytes))


#: Title, what is run, sizes, what a size is.
AXES: dict[str, tuple[Run, Sequence[int], str]] = {
    "tasks in a run": (tasks, (10**3, 10**4, 10**5, 10**6), ""),
    "depth of a chain": (depth, (10**2, 10**3, 10**4, 10**5), ""),
    "fan-in of one task": (fan_in, (10, 10**2, 10**3, 10**4, 10**5), ""),
    "argument, bytes": (bytes_argument, (10, 10**3, 10**5, 10**7, 10**8), "B"),
    "argument, numpy array": (array_argument, (10, 10**3, 10**5, 10**7, 10**8), "B"),
}
QUICK = 300  # tasks that a small size is repeated to, so that it lasts


def per_task(run: Run, n: int, rounds: int) -> float:
    """Microseconds a task in a new kernel, after a first that is not counted; a small size is run more often."""
    values = []
    for _ in range(rounds * max(1, QUICK // n) + 1):
        with tempfile.TemporaryDirectory() as folder, parslish.load(Config(run_dir=folder)):
            gc.collect()
            values.append(run(n) * 1e6)
    return median(values[1:])


def table(sizes: Sequence[int], values: Sequence[float], title: str, unit: str) -> str:
    heads = [f"{n:,} {unit}".rstrip() for n in sizes]
    return "\n".join(
        [
            f"| {title} | {' | '.join(heads)} |",
            "|---|" + "---:|" * len(sizes),
            "| µs a task | " + " | ".join(f"{value:,.1f}" for value in values) + " |",
            "| times the first | " + " | ".join(f"{value / values[0]:,.2f}" for value in values) + " |",
        ]
    )


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="./scripts/bench growth", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured, after a first (3)")
    parser.add_argument("--most", type=int, default=10**5, help="tasks at most (100,000; the last size has 1,000,000)")
    parser.add_argument("--bytes", type=int, default=10**8, help="bytes of an argument at most (100,000,000)")
    given = parser.parse_args(words)
    print(", ".join(machine.describe().values()), f"median of {given.rounds} rounds", sep="; ")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PARSLISH_KEY_FILE"] = f"{folder}/key"
        for title, (run, all_sizes, unit) in AXES.items():
            sizes = [n for n in all_sizes if n <= (given.bytes if unit else given.most)]
            if sizes:
                values = [per_task(run, n, given.rounds) for n in sizes]
                print("", table(sizes, values, title, unit), sep="\n", flush=True)


if __name__ == "__main__":
    main()
