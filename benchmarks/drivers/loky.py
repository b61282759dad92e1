"""loky's process pool."""

from __future__ import annotations

from loky import ProcessPoolExecutor

from benchmarks.drivers import arrays, futures, stdlib
from benchmarks.measure import PROCESSES, Figures


def w2(n: int) -> Figures:
    with ProcessPoolExecutor(PROCESSES) as pool:
        return futures.independent(n, stdlib.submit_to(pool))


def w3(n: int) -> Figures:
    with ProcessPoolExecutor(PROCESSES) as pool:
        return stdlib.round_trips("process", n, pool)


def w7_processes(n: int) -> Figures:
    with ProcessPoolExecutor(PROCESSES) as pool:
        return arrays.there_and_back(n, lambda array: pool.submit(arrays.same, array))
