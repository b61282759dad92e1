"""A script that runs for long, and says now and then what it holds.

    long_run.py SHAPE EXECUTOR COUNT

Lines: `held RSS DESCRIPTORS` after each tenth of COUNT tasks, in bytes and in number; `executed N` at the end.
"""

from __future__ import annotations

import collections
import gc
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import parslish
from parslish import Config, ProcessPoolExecutor, ThreadPoolExecutor, python_app

PARTS = 10
AT_ONCE = 1_000  # futures that are held
KEPT = 1_000  # results in memory
EXECUTORS: dict[str, Callable[[], Any]] = {
    "threads": lambda: ThreadPoolExecutor(max_threads=2),
    "processes": lambda: ProcessPoolExecutor(max_workers=2),
}
PATIENCE_S = 600.0


@python_app
def more(x: int) -> int:
    return x + 1


@python_app(cache=True)
def cached(x: int) -> int:
    return x + 1


@python_app
def total(numbers: list[int]) -> int:
    return sum(numbers)


def _independent(app: Any, first: int, count: int) -> None:
    held: collections.deque[Any] = collections.deque()
    for number in range(first, first + count):
        held.append((number, app(number)))
        if len(held) == AT_ONCE:
            _see(*held.popleft())
    for each in held:
        _see(*each)


def _see(number: int, future: Any) -> None:
    assert future.result(PATIENCE_S) == number + 1, "a wrong value"


def plain(first: int, count: int) -> None:
    """Tasks that know nothing of each other, and are not kept."""
    _independent(more, first, count)


def kept(first: int, count: int) -> None:
    """The same, each result stored."""
    _independent(cached, first, count)


def chain(first: int, count: int) -> None:
    """Each task waits for the one before it."""
    last: Any = first
    for _ in range(count):
        last = more(last)
    assert last.result(PATIENCE_S) == first + count


def fan(first: int, count: int) -> None:
    """One task waits for all others."""
    assert total([more(number) for number in range(count)]).result(PATIENCE_S) == count * (count + 1) // 2


def main(shape: str, executor: str, count: int) -> None:
    with parslish.load(Config([EXECUTORS[executor]()], checkpoint_mode="task_exit", memo_entries=KEPT)) as kernel:
        while not os.listdir(f"{kernel.run_dir}/events"):  # its file is opened by a thread, when that comes to it
            time.sleep(0.01)
        for part in range(PARTS):
            globals()[shape](part * count // PARTS, count // PARTS)
            gc.collect()
            with open("/proc/self/statm") as statm:
                pages = int(statm.read().split()[1])
            print("held", pages * os.sysconf("SC_PAGESIZE"), len(os.listdir("/proc/self/fd")), flush=True)
        print("executed", kernel.task_state_counts[parslish.States.exec_done])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
