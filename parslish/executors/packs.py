"""Owns what a Dask worker does with a pack of short jobs: runs them one after the other, and does not let one that
turns out long keep its neighbours waiting. Which jobs make a pack is for `cluster` to say.

The answer to a pack is a list, an entry for each job that was run: (index, status, form, body, started, duration),
with the outcome as `outcome` packs it, so that one result that cannot cross costs only itself. If a job runs
longer than `STALLED_S`, those before it are answered at once, by an event, and those behind it are given back in the
same event, to be run elsewhere. What an event says is said again by the answer: an event may be lost.
"""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from parslish.executors import outcome

STALLED_S = 0.050

Job = tuple[int, Callable[..., Any], tuple[Any, ...], dict[str, Any]]
Answer = tuple[Any, ...]


def run_alone(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, float, float]:
    """Run one job that came alone: its value, when it began and how long it took. Raises what it raises."""
    # Not func(*args) by Dask itself: it would look for tasks and futures of its own inside the arguments.
    started, began = time.time(), time.perf_counter()
    return func(*args, **kwargs), started, time.perf_counter() - began


def run_pack(topic: str, number: int, jobs: Sequence[Job]) -> list[Answer]:
    """Run the jobs of pack `number`, or as many as there are before a long one."""
    pack = _Pack(topic, number, jobs)
    watch = threading.Timer(STALLED_S, pack.stall)
    watch.daemon = True
    watch.start()
    try:
        return pack.run()
    finally:
        watch.cancel()


class _Pack:
    def __init__(self, topic: str, number: int, jobs: Sequence[Job]) -> None:
        from distributed import get_worker

        self._worker = get_worker()  # here: another thread would not be told
        self._topic, self._number = topic, number
        self._answers: list[Answer] = []
        self._waiting = list(reversed(jobs))  # popped from one end and the other: each is atomic

    def run(self) -> list[Answer]:
        while True:
            try:
                job = self._waiting.pop()
            except IndexError:
                return self._answers
            self._answers.append(_run(*job))

    def stall(self) -> None:
        """It takes longer than a pack should: answer what is done, give back what has not begun."""
        given_back = []
        while self._waiting:
            try:
                given_back.append(self._waiting.pop(0)[0])
            except IndexError:
                break
        said = (self._number, self._answers[:], given_back)
        self._worker.log_event(self._topic, pickle.dumps(said, 5))


def _run(index: int, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Answer:
    started, began = time.time(), time.perf_counter()
    ended = outcome.of_call(lambda: (func, args, kwargs))
    duration = time.perf_counter() - began
    status, (form, body, _) = outcome.pack(ended, beside_from=None)
    return index, status, form, body, started, duration
