"""Owns what a Dask worker does with jobs: runs those of a pack one after the other, and does not let one that
turns out long keep its neighbours waiting. Which jobs make a pack is for `packer` to say.

The answers are a list, an entry for each job that was run: (index, status, form, body, started, duration), with the
outcome as `outcome` packs it, so that one result that cannot cross costs only itself, and Dask, whose threads and loops
would end at a SystemExit, sees none of what a job raises there or its result here. If a job of a pack runs longer than
`STALLED_S`, those before it are answered at once, by an event, and those behind it are given back in the same event, to
be run elsewhere. What an event says is said again by the answer: an event may be lost.
"""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from parslish.executors import outcome, parcel

STALLED_S = 0.050

Job = tuple[int, Callable[..., Any], tuple[Any, ...], dict[str, Any]]
Answer = tuple[Any, ...]
#: What comes back: memory that lies beside the one answer, if there is any; the answers.
Answers = tuple[list[memoryview], list[Answer]]


def run_alone(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Answers:
    """Run one job that came alone. The large memory of its result goes beside its answer, uncopied."""
    # Not func(*args) by Dask itself: it would look for tasks and futures of its own inside the arguments.
    answer, buffers = _run(0, func, args, kwargs, beside_from=parcel.BESIDE_FROM)
    # As views, which Dask sends as they are; of a PickleBuffer it may ask a protocol that has none.
    return [buffer.raw() for buffer in buffers], [answer]


def run_pack(topic: str, number: int, jobs: Sequence[Job]) -> Answers:
    """Run the jobs of pack `number`, or as many as there are before a long one."""
    pack = _Pack(topic, number, jobs)
    watch = threading.Timer(STALLED_S, pack.stall)
    watch.daemon = True
    watch.start()
    try:
        return [], pack.run()
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
            self._answers.append(_run(*job)[0])

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


def _run(
    index: int,
    func: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    beside_from: int | None = None,
) -> tuple[Answer, Sequence[pickle.PickleBuffer]]:
    started, began = time.time(), time.perf_counter()
    ended = outcome.of_call(lambda: (func, args, kwargs))
    duration = time.perf_counter() - began
    status, (form, body, buffers) = outcome.pack(ended, beside_from)
    return (index, status, form, body, started, duration), buffers
