"""Calls that return futures: what is run alike of every peer that has them.

A peer is given as `submit`, its app or its pool's: it takes a number and returns the future of a number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.measure import WARM, Figures, expect, memory_of, per_link, rate, results_of, timed

Submit = Callable[[Any], Any]


def independent(n: int, submit: Submit) -> Figures:
    """W1, W2 and W4."""
    results_of(submit, range(-WARM, 0))
    return rate(n, lambda: results_of(submit, range(n)))


def linked(kind: str, n: int, warm: Submit, following: Submit) -> Figures:
    """W3, of apps that take futures: each call is given the future of the one before."""
    results_of(warm, range(-WARM, 0))
    return per_link(kind, n, lambda: chain(n, following))


def chain(n: int, following: Submit) -> None:
    link: Any = 0
    for _ in range(n):
        link = following(link)
    assert link.result() == n


def reopened(n: int, load: Callable[[], Any], submit: Submit, computed: Any) -> Figures:
    """W5, of a kernel that continues an earlier run.

    Args:
        computed: the state of tasks that were run, as its `task_state_counts` names it.
    """
    kernels: list[Any] = []
    open_s = timed(lambda: kernels.append(load()))
    with kernels[0]:
        replay_s = timed(lambda: results_of(submit, range(n)))
        expect(kernels[0].task_state_counts[computed], n)
    return {"open": open_s, "replay": n / replay_s}


def kept(n: int, submit: Submit) -> Figures:
    """W6."""

    def done(numbers: range) -> list[Any]:
        futures = [submit(i) for i in numbers]
        for future in futures:
            future.result()
        return futures

    return memory_of(n, done)
