"""Owns the queue before a Dask cluster: which tries go alone, and which in packs; and what comes back.

A Dask task costs about a millisecond of the driver and the scheduler. So tries of functions that were short so far go
in packs, a few for each slot of the cluster, and the rest waits here. One that is long, or asks for resources or a
walltime, goes alone and at once: its place in the queue is Dask's to know. So goes the first of a function, while
others of it wait to hear how long it takes. A pack whose worker died is sent again one by one, each when the one before
has ended, so that Dask blames no other than the one that kills. What a worker does with a pack is in `packs`.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from parslish.codec import why_unreadable
from parslish.errors import SerializationError, WorkerLost
from parslish.executors import batch, outcome
from parslish.executors.base import HOST, Reply
from parslish.executors.packs import Answer, run_alone, run_pack
from parslish.task import Try

if TYPE_CHECKING:
    import distributed

FREE, HOLDING, SUSPECT = range(3)  #: what goes at once · counts among what holds others back · goes one by one

_FAILED = frozenset({"error", "cancelled"})  #: Dask's words for futures without a result

SLOTS_KNOWN_S = 1.0  #: how long the number of slots of a cluster is taken for granted


class Packer:
    """Sends tries to a cluster and delivers their replies.

    Args:
        client: of the cluster.
        label: names the thread, and the worker in the run's record.
    """

    def __init__(self, client: distributed.Client, label: str) -> None:
        self._client = client
        self._worker = f"{HOST}:{label}"
        self._topic = f"parslish-{os.urandom(8).hex()}"
        self._numbers = itertools.count()
        self._lock = threading.Lock()  # guards the next four
        self._queue: deque[Try] = deque()
        self._suspects: deque[Try] = deque()
        self._costs: weakref.WeakKeyDictionary[Callable[..., Any], float] = weakref.WeakKeyDictionary()
        self._out = [0, 0, 0]  # how many of each kind are sent
        self._sent: dict[int, dict[int, Try]] = {}
        self._slots, self._slots_until = 1, 0.0
        # Events come on the client's own thread, which must not be kept.
        self._events = ThreadPoolExecutor(1, thread_name_prefix=f"parslish-{label}")
        client.subscribe_topic(self._topic, self._hear)

    def launch(self, attempt: Try) -> None:
        """Queue a try, whose sink is set; send what may be sent."""
        with self._lock:
            self._queue.append(attempt)
        self._feed()

    def close(self) -> None:
        """Cancel what waits. What is sent is the client's to cancel."""
        with self._lock:
            waiting = [*self._queue, *self._suspects]
            self._queue.clear()
            self._suspects.clear()
        for attempt in waiting:
            attempt.sink.deliver(Reply(attempt, exception=CancelledError()))
        self._events.shutdown(wait=False)

    # ------------------------------------------------------------------------- there

    def _feed(self) -> None:
        while self._queue or self._suspects:
            slots = self._count_slots()
            with self._lock:
                attempts, kind = self._take(slots)
                self._out[kind] += bool(attempts)
            if not attempts:
                return
            self._send(attempts, kind)

    def _take(self, slots: int) -> tuple[list[Try], int]:
        """What to send next, and as what; nothing, if that has to wait."""
        if self._suspects and not self._out[SUSPECT]:
            return [self._suspects.popleft()], SUSPECT
        if self._queue and self._goes_at_once(self._queue[0]):
            return [self._queue.popleft()], FREE
        if not self._queue or self._out[HOLDING] >= 2 * slots + 2:
            return [], HOLDING
        return batch.take(self._queue, self._cost, 0.0, 0, slots), HOLDING

    def _goes_at_once(self, attempt: Try) -> bool:
        known = self._known_cost(attempt)
        return (known is not None and known > batch.TARGET_S) or _asks_for_more(attempt)

    def _cost(self, attempt: Try) -> float:
        known = None if _asks_for_more(attempt) else self._known_cost(attempt)
        return batch.UNKNOWN_S if known is None else known

    def _known_cost(self, attempt: Try) -> float | None:
        try:
            return self._costs.get(attempt.func)
        except TypeError:  # a callable without weak references, or without a hash
            return None

    def _count_slots(self) -> int:
        if time.monotonic() > self._slots_until:
            with contextlib.suppress(Exception):  # the cluster's answer: whatever is wrong, tasks will say it better
                self._slots = max(1, sum(self._client.nthreads().values()))
            self._slots_until = time.monotonic() + SLOTS_KNOWN_S
        return self._slots

    def _send(self, attempts: Sequence[Try], kind: int) -> None:
        wanted = [attempt for attempt in attempts if attempt.sink.started(attempt, self._worker)]
        if not wanted:
            self._release(kind)
            return
        number = next(self._numbers)
        jobs = self._sent[number] = dict(enumerate(wanted))
        try:
            remote = self._submit(number, wanted)
        except Exception as exc:  # what cannot be pickled, and what a closed client says
            del self._sent[number]
            self._release(kind)
            self._not_sent(wanted, exc)
            return
        remote.add_done_callback(partial(self._done, number, jobs, kind))

    def _submit(self, number: int, attempts: list[Try]) -> Any:
        # Dask names tasks by their arguments and would share results; whether to is decided before (`memo`).
        name = f"{getattr(attempts[0].func, '__name__', 'task')}-{self._topic}-{number}"
        if len(attempts) == 1:
            (one,) = attempts
            resources = dict(one.resources) if one.resources else None
            return self._client.submit(
                run_alone, one.func, one.args, one.kwargs, key=name, pure=False, resources=resources
            )
        jobs = [(index, one.func, one.args, one.kwargs) for index, one in enumerate(attempts)]
        return self._client.submit(run_pack, self._topic, number, jobs, key=name, pure=False)

    def _not_sent(self, attempts: Sequence[Try], exc: Exception) -> None:
        for attempt in attempts:
            if len(attempts) == 1:
                attempt.sink.deliver(Reply(attempt, exception=exc))
            else:  # one of them is to blame
                with self._lock:
                    self._out[FREE] += 1
                self._send([attempt], FREE)

    # ------------------------------------------------------------------------- and back

    def _done(self, number: int, jobs: dict[int, Try], kind: int, remote: Any) -> None:
        """Dask has an answer, or none will come."""
        self._sent.pop(number, None)
        self._release(kind)
        if remote.status in _FAILED:
            self._take_failure(jobs, remote)
        else:
            self._fetch(jobs, remote)
        self._feed()

    def _fetch(self, jobs: dict[int, Try], remote: Any) -> None:
        try:
            buffers, answers = remote.result()  # made again, should the worker that holds it have died
        except Exception as exc:  # what Dask says when it cannot be had
            if remote.status in _FAILED:  # no: it had to be made again
                self._take_failure(jobs, remote)
            else:
                self._tell_lost(jobs, exc)
            return
        self._take_answers(jobs, answers, buffers)
        with self._lock:  # what was given back, if the event that says so comes later than the answer, or never
            self._queue.extendleft(reversed(list(_pop_all(jobs))))

    def _take_failure(self, jobs: dict[int, Try], remote: Any) -> None:
        if remote.cancelled():
            self._fail(jobs, CancelledError())
        elif len(jobs) > 1:  # a worker is lost, and one of them has killed it; or one cannot be opened there
            with self._lock:
                self._suspects.extend(_pop_all(jobs))
        else:
            self._fail(jobs, remote.exception())

    def _take_answers(
        self, jobs: dict[int, Try], answers: Sequence[Answer], buffers: Sequence[memoryview] = ()
    ) -> None:
        replies: dict[Any, list[Reply]] = {}
        for answer in answers:
            told = jobs.pop(answer[0], None)
            if told is not None:  # else an event has said it before
                replies.setdefault(told.sink, []).append(self._reply(told, answer, buffers))
        for sink, some in replies.items():
            sink.deliver_all(some)

    def _reply(self, attempt: Try, answer: Answer, buffers: Sequence[memoryview]) -> Reply:
        _, status, form, body, started, duration = answer
        self._learn(attempt, duration)
        value, exception = outcome.unpack(attempt, status, form, body, list(map(_writable, buffers)))
        return Reply(attempt, value, exception, started=started, duration=duration, worker=self._worker)

    def _fail(self, jobs: dict[int, Try], exc: BaseException) -> None:
        for attempt in _pop_all(jobs):
            lost: BaseException = exc
            if type(exc).__name__ == "KilledWorker":
                lost = WorkerLost(str(attempt))
                lost.__cause__ = exc
            attempt.sink.deliver(Reply(attempt, exception=lost))

    def _tell_lost(self, jobs: dict[int, Try], exc: Exception) -> None:
        reason = why_unreadable(exc).partition("\n")[0]  # Dask's may have a traceback in it
        for attempt in _pop_all(jobs):
            error = SerializationError(f"{attempt}: its result cannot be fetched: {reason}")
            error.__cause__ = exc
            attempt.sink.deliver(Reply(attempt, exception=error))

    def _hear(self, event: tuple[Any, Any]) -> None:
        with contextlib.suppress(RuntimeError):  # closed meanwhile
            self._events.submit(self._hear_early, event[1])

    def _hear_early(self, said: bytes) -> None:
        """A pack has met a long job: take what is done, and run elsewhere what has not begun."""
        number, answers, given_back = pickle.loads(said)
        jobs = self._sent.get(number)
        if jobs is None:
            return
        again = [attempt for index in given_back if (attempt := jobs.pop(index, None)) is not None]
        with self._lock:
            self._queue.extendleft(reversed(again))
        self._take_answers(jobs, answers)
        self._feed()

    def _learn(self, attempt: Try, duration: float) -> None:
        with self._lock, contextlib.suppress(TypeError):  # a callable without weak references, or without a hash
            known = self._costs.get(attempt.func, batch.UNKNOWN_S)
            self._costs[attempt.func] = batch.learn(known, duration)

    def _release(self, kind: int) -> None:
        with self._lock:
            self._out[kind] -= 1


def _asks_for_more(attempt: Try) -> bool:
    return attempt.walltime is not None or bool(attempt.resources)


def _pop_all(jobs: dict[int, Try]) -> Iterable[Try]:
    for index in list(jobs):
        if (attempt := jobs.pop(index, None)) is not None:
            yield attempt


def _writable(buffer: memoryview) -> memoryview:
    """Memory for an array that may be changed in place, as its maker could."""
    return memoryview(bytearray(buffer)) if buffer.readonly else buffer
