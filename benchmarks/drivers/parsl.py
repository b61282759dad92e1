"""Parsl: its threads, and its high-throughput executor with two processes on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import parsl
from parsl import python_app
from parsl.config import Config
from parsl.dataflow.memoization import BasicMemoizer
from parsl.dataflow.states import States
from parsl.executors import HighThroughputExecutor, ThreadPoolExecutor
from parsl.providers import LocalProvider
from parsl.utils import get_all_checkpoints

from benchmarks.drivers import futures
from benchmarks.measure import PREPARED, PROCESSES, THREADS, Figures, disk_bytes, peak_rss, results_of


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
        return futures.independent(n, cached)


def w3_threads(n: int) -> Figures:
    return _linked("thread", n)


def w3_htex(n: int) -> Figures:
    return _linked("process", n, executors=htex())


def _linked(kind: str, n: int, **options: Any) -> Figures:
    with load(**options):
        return futures.linked(kind, n, plain, plain_next)


def w5_prepare(n: int) -> None:
    with load(memoizer=task_exit()):
        results_of(cached, range(n))


def w5(n: int) -> Figures:
    files = get_all_checkpoints(str(PREPARED / "runinfo"))
    figures = futures.reopened(n, lambda: load(memoizer=task_exit(files)), cached, States.exec_done)
    disk = sum(disk_bytes(folder) for folder in PREPARED.glob("runinfo/*/checkpoint")) / n
    return figures | {"disk": disk, "peak": peak_rss() / 1e6}


def w6(n: int) -> Figures:
    with load():
        return futures.kept(n, plain)
