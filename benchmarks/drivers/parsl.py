"""Parsl: its threads, and its high-throughput executor with two processes on this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import parsl
from parsl import python_app
from parsl.config import Config
from parsl.dataflow.memoization import BasicMemoizer
from parsl.dataflow.states import States
from parsl.executors import HighThroughputExecutor, ThreadPoolExecutor
from parsl.providers import LocalProvider
from parsl.utils import get_all_checkpoints

from benchmarks.measure import (
    PREPARED,
    PROCESSES,
    THREADS,
    WARM,
    Figures,
    disk_bytes,
    expect,
    memory_of,
    peak_rss,
    per_link,
    rate,
    results_of,
    timed,
)


@python_app(cache=True)
def cached(i: int) -> int:
    return i


@python_app
def plain(i: int) -> int:
    return i


@python_app
def plain_next(i: int) -> int:
    return i + 1


def load(**options: Any) -> Any:
    options.setdefault("executors", [ThreadPoolExecutor(max_threads=THREADS)])
    return parsl.load(Config(**options))


def task_exit(files: Sequence[str] = ()) -> BasicMemoizer:
    return BasicMemoizer(checkpoint_mode="task_exit", checkpoint_files=files)


def htex() -> list[Any]:
    provider = LocalProvider(init_blocks=1, max_blocks=1)
    return [HighThroughputExecutor(address="127.0.0.1", max_workers_per_node=PROCESSES, provider=provider)]


def w1(n: int) -> Figures:
    return _independent(n)


def w1_quiet(n: int) -> Figures:
    return _independent(n, initialize_logging=False)


def w2(n: int) -> Figures:
    return _independent(n, executors=htex())


def w4(n: int) -> Figures:
    return _independent(n, memoizer=task_exit())


def w4_quiet(n: int) -> Figures:
    return _independent(n, memoizer=task_exit(), initialize_logging=False)


def _independent(n: int, **options: Any) -> Figures:
    with load(**options):
        results_of(cached, range(-WARM, 0))
        return rate(n, lambda: results_of(cached, range(n)))


def w3_threads(n: int) -> Figures:
    return _linked("thread", n)


def w3_htex(n: int) -> Figures:
    return _linked("process", n, executors=htex())


def _linked(kind: str, n: int, **options: Any) -> Figures:
    with load(**options):
        results_of(plain, range(-WARM, 0))
        return per_link(kind, n, lambda: _chain(n, plain_next))


def _chain(n: int, app: Callable[[Any], Any]) -> None:
    link: Any = 0
    for _ in range(n):
        link = app(link)
    assert link.result() == n


def w5_prepare(n: int) -> None:
    with load(memoizer=task_exit()):
        results_of(cached, range(n))


def w5(n: int) -> Figures:
    kernels: list[Any] = []
    files = get_all_checkpoints(str(PREPARED / "runinfo"))
    open_s = timed(lambda: kernels.append(load(memoizer=task_exit(files))))
    with kernels[0]:
        replay_s = timed(lambda: results_of(cached, range(n)))
        expect(kernels[0].task_state_counts[States.exec_done], n)
    disk = sum(disk_bytes(folder) for folder in PREPARED.glob("runinfo/*/checkpoint")) / n
    return {"open": open_s, "replay": n / replay_s, "disk": disk, "peak": peak_rss() / 1e6}


def w6(n: int) -> Figures:
    def kept(numbers: range) -> list[Any]:
        futures = [plain(i) for i in numbers]
        for future in futures:
            future.result()
        return futures

    with load():
        return memory_of(n, kept)
