"""The pools of `concurrent.futures`: what a task costs without anything around it."""

from __future__ import annotations

from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from statistics import median
from typing import Any

from benchmarks.measure import PROCESSES, THREADS, WARM, Figures, memory_of, per_link, rate, results_of, timed


def f(i: int) -> int:
    return i


def w1(n: int) -> Figures:
    with ThreadPoolExecutor(THREADS) as pool:
        return independent(n, pool)


def w2(n: int) -> Figures:
    with ProcessPoolExecutor(PROCESSES) as pool:
        return independent(n, pool)


def w3_threads(n: int) -> Figures:
    with ThreadPoolExecutor(THREADS) as pool:
        return round_trips("thread", n, pool)


def w3_processes(n: int) -> Figures:
    with ProcessPoolExecutor(PROCESSES) as pool:
        return round_trips("process", n, pool)


def w6(n: int) -> Figures:
    with ThreadPoolExecutor(THREADS) as pool:
        return memory_of(n, lambda numbers: _done(pool, numbers))


def w9_independent(n: int) -> Figures:
    """For comparison: a pool slows down too, when more futures are kept."""
    base = [_per_task(min(1000, n)) for _ in range(10)][1:]
    large = _per_task(n)
    return {"growth": large / median(base), "task": large * 1e6}


def independent(n: int, pool: Executor) -> Figures:
    """W1 and W2 of any pool."""
    results_of(lambda i: pool.submit(f, i), range(-WARM, 0))
    return rate(n, lambda: results_of(lambda i: pool.submit(f, i), range(n)))


def round_trips(kind: str, n: int, pool: Executor) -> Figures:
    """Submit and wait: a pool has no tasks that take futures."""
    results_of(lambda i: pool.submit(f, i), range(-WARM, 0))
    return per_link(kind, n, lambda: [pool.submit(f, i).result() for i in range(n)])


def _done(pool: Executor, numbers: range) -> list[Future[Any]]:
    futures = [pool.submit(f, i) for i in numbers]
    for future in futures:
        future.result()
    return futures


def _per_task(n: int) -> float:
    with ThreadPoolExecutor(THREADS) as pool:
        return timed(lambda: results_of(lambda i: pool.submit(f, i), range(n))) / n
