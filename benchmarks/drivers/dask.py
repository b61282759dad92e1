"""Dask: `dask.delayed` in threads, and dask.distributed on this machine, in threads and in processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dask
from dask.distributed import Client, LocalCluster, wait

from benchmarks.drivers.stdlib import f
from benchmarks.measure import PROCESSES, THREADS, WARM, Figures, memory_of, per_link, rate


def next_of(i: int) -> int:
    return i + 1


@contextmanager
def client(in_processes: bool) -> Iterator[Client]:
    workers = PROCESSES if in_processes else 1
    threads = 1 if in_processes else THREADS
    options = {"n_workers": workers, "threads_per_worker": threads, "processes": in_processes}
    with LocalCluster(dashboard_address=None, **options) as cluster, Client(cluster) as opened:
        opened.gather(opened.map(f, range(-WARM, 0)))
        yield opened


def w1_delayed(n: int) -> Figures:
    def run(numbers: range) -> Any:
        lazy = dask.delayed(f)
        return dask.compute(*[lazy(i) for i in numbers], scheduler="threads", num_workers=THREADS)

    run(range(-WARM, 0))
    return rate(n, lambda: run(range(n)))


def w1_distributed(n: int) -> Figures:
    return _independent(n, in_processes=False)


def w2(n: int) -> Figures:
    return _independent(n, in_processes=True)


def _independent(n: int, in_processes: bool) -> Figures:
    with client(in_processes) as c:
        return rate(n, lambda: c.gather([c.submit(f, i) for i in range(n)]))


def w3(n: int) -> Figures:
    with client(in_processes=True) as c:
        return per_link("process", n, lambda: _chain(n, c))


def _chain(n: int, c: Client) -> None:
    link: Any = 0
    for _ in range(n):
        link = c.submit(next_of, link)
    assert link.result() == n


def w6(n: int) -> Figures:
    """Client and scheduler, which share this process; what the workers hold is not counted."""

    def kept(numbers: range) -> list[Any]:
        futures = [c.submit(f, i) for i in numbers]
        wait(futures)
        return futures

    with client(in_processes=True) as c:
        return memory_of(n, kept)
