"""The pools of `concurrent.futures`: what a task costs without anything around it."""

from __future__ import annotations

from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from statistics import median

from benchmarks.drivers import futures
from benchmarks.measure import PROCESSES, THREADS, WARM, Figures, per_link, results_of, timed


def f(i: int) -> int:
    return i


def w1(n: int) -> Figures:
    with ThreadPoolExecutor(THREADS) as pool:
        return futures.independent(n, submit_to(pool))


def w2(n: int) -> Figures:
    with ProcessPoolExecutor(PROCESSES) as pool:
        return futures.independent(n, submit_to(pool))


def w3_threads(n: int) -> Figures:
    with ThreadPoolExecutor(THREADS) as pool:
        return round_trips("thread", n, pool)


def w3_processes(n: int) -> Figures:
    with ProcessPoolExecutor(PROCESSES) as pool:
        return round_trips("process", n, pool)


def w6(n: int) -> Figures:
    with ThreadPoolExecutor(THREADS) as pool:
        return futures.kept(n, submit_to(pool))


def w9_independent(n: int) -> Figures:
    """For comparison: a pool slows down too, when more futures are kept."""
    base = [_per_task(min(1000, n)) for _ in range(10)][1:]
    large = _per_task(n)
    return {"growth": large / median(base), "task": large * 1e6}


def submit_to(pool: Executor) -> futures.Submit:
    return lambda i: pool.submit(f, i)


def round_trips(kind: str, n: int, pool: Executor) -> Figures:
    """Submit and wait: a pool has no tasks that take futures."""
    results_of(submit_to(pool), range(-WARM, 0))
    return per_link(kind, n, lambda: [pool.submit(f, i).result() for i in range(n)])


def _per_task(n: int) -> float:
    with ThreadPoolExecutor(THREADS) as pool:
        return timed(lambda: results_of(submit_to(pool), range(n))) / n
