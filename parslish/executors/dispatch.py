"""Owns the jobs of a process pool from launch to end: one thread that feeds workers, reads answers, and finds
new workers for the jobs of the dead.

    launch (any thread) → queue ─→ dispatcher's thread ─→ socket ─→ worker
                                       │      ↑                       │
                       sink.deliver ←──┘      └─────── answers ←──────┘

One thread touches workers, functions and the fate of jobs, so none of it needs a lock. Other threads only append
to two deques, and ring when there is a worker to spare.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import Any

from parslish.errors import InternalError, SerializationError, WorkerLost, WorkersUnavailable
from parslish.executors import batch, functions, outcome, parcel
from parslish.executors import worker as far
from parslish.executors.base import Reply, Sink
from parslish.executors.crew import Bell, Crew, News
from parslish.executors.job import NO_COST, Cost, Job
from parslish.executors.remote import RemoteWorker
from parslish.task import Try

STALLED_S = 0.010  #: short jobs behind one that runs longer than this are called back
SILENT_S = 0.25  #: a worker that has closed its channel gets this long to die by itself, and say how
TICK_S = 0.005  #: how often that is looked at, while it can happen
UNLUCKY = 3  #: losses after which a job is taken for their cause, when nobody can tell


class Dispatcher:
    """The queue, the workers, and the thread between them."""

    def __init__(self, max_workers: int, name: str) -> None:
        self.sent_functions = 0  #: how many function bodies have crossed, over all workers
        self._numbers = itertools.count(1)
        # Every try that has not ended; with its job once it was looked at, for most of a long queue not yet.
        self._live: dict[Try, Job | None] = {}
        self._queue: deque[Try] = deque()
        self._orders: deque[Callable[[], None]] = deque()  # what other threads want done on ours
        self._replies: dict[Sink, list[Reply]] = {}  # to be delivered, by our thread
        self._hungry = True  # there is, or may be made, a worker to spare: a launch must ring
        self._stopping = False
        self._ended = False
        self._bell = Bell()
        self._crew = Crew(max_workers, self._bell)
        self._functions = functions.Functions()
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.thread.start()

    # ------------------------------------------------------------------------- any thread

    def launch(self, attempt: Try, sink: Sink) -> None:
        """Queue a try. It is answered exactly once, whatever happens."""
        attempt.sink = sink
        self._live[attempt] = None
        self._queue.append(attempt)
        if self._hungry:
            self._hungry = False
            self._bell.ring()
        if self._ended:
            self._end_all(CancelledError())

    def cancel(self, attempt: Try) -> bool:
        """End a try with CancelledError, wherever it is; False when it has ended."""
        if attempt not in self._live:
            return False
        self._orders.append(lambda: self._cancel(attempt))
        self._bell.ring()
        return True

    def stop(self) -> None:
        """End all jobs with CancelledError and let the thread end; join it to see the workers gone."""
        self._stopping = True
        self._bell.ring()

    def forsake(self) -> None:
        """In a forked child: close our copies of the descriptors; jobs and workers are the parent's."""
        self._crew.forsake()

    # ------------------------------------------------------------------------- the thread

    def _run(self) -> None:
        try:
            while not self._stopping:
                while self._orders:
                    self._orders.popleft()()
                self._hungry = True  # before looking at the queue: what comes after the look, rings
                self._feed()
                self._tell()
                self._hungry = self._hungry and self._crew.can_take_more()
                for worker, news in self._crew.wait(self._look_after()):
                    if news is News.DIED:
                        self._bury(worker)
                    else:
                        self._listen(worker)
                    self._tell()
        finally:  # also when we are at fault: nobody may wait for ever
            self._ended = True
            fault = None if self._stopping else InternalError("the dispatcher of a process pool has failed")
            try:
                self._crew.disband()
            finally:
                self._tell()
                self._end_all(fault or CancelledError())

    def _end_all(self, exception: BaseException) -> None:
        # By pop, because a launch that comes too late may do the same on its own thread.
        with contextlib.suppress(KeyError):
            while True:
                attempt, _ = self._live.popitem()
                attempt.sink.deliver(Reply(attempt, exception=exception))

    def _look_after(self) -> float | None:
        """Stop running jobs that are cancelled, call back those that wait behind a long one; return the seconds
        until that must be looked at again, None when nothing has to."""
        now = time.perf_counter()
        watched = False
        for worker in self._crew.workers:
            jobs = worker.jobs
            if len(jobs) > 1 or worker.silent_s or any(job.cancelled for job in jobs.values()):
                watched = True
                self._look_at(worker, now)
        return TICK_S if watched else None

    def _look_at(self, worker: RemoteWorker, now: float) -> None:
        running = worker.jobs.get(worker.cell.job)
        if worker.silent_s and now - worker.silent_s > SILENT_S:
            worker.kill()  # a job has closed its descriptors
        elif running is not None and running.cancelled:
            self._condemn(worker)
        elif running is not None and len(worker.jobs) > 1 and now - worker.cell.since_s > STALLED_S:
            worker.recall()

    # ------------------------------------------------------------------------- down: jobs to workers

    def _feed(self) -> None:
        """Give what waits to the workers that have room, the idle first; start more when that is not enough."""
        queue, crew = self._queue, self._crew
        while queue and (worker := crew.roomiest()) is not None:
            taken = batch.take(queue, self._cost, worker.load_s, len(worker.jobs), crew.most)
            if not taken:
                break
            self._send(worker, taken)
        if queue and (hopeless := crew.grow(len(queue))):
            self._give_up(hopeless)

    def _cost(self, attempt: Try) -> float:
        job = self._job(attempt)
        if job is None:
            return 0.0
        # A walltime counts from when the worker has the try, so none may run before it.
        job.cost_s = job.carried.cost_s if attempt.walltime is None else batch.UNKNOWN_S
        return job.cost_s

    def _job(self, attempt: Try) -> Job | None:
        """The job of a try, made when it is first asked for; None for a try that has ended."""
        if attempt not in self._live:
            return None
        job = self._live[attempt]
        if job is None:
            job = self._live[attempt] = Job(next(self._numbers), attempt, self._functions.find(attempt.func))
        return job

    def _send(self, worker: RemoteWorker, attempts: list[Try]) -> None:
        packed = []
        fresh: set[functions.Carried] = set()  # looked at in this round
        for attempt in attempts:
            job = self._job(attempt)
            if job is None:
                continue
            try:
                if job.carried not in fresh:
                    self._functions.refresh(job.carried, attempt.func)
                    fresh.add(job.carried)
                args = parcel.pack_call(attempt.args, attempt.kwargs)
            except SerializationError as exc:
                self._settle(job, exception=_about(job, exc))
                continue
            job.worker = worker
            job.cancelled = job.cancelled or not attempt.sink.started(attempt, worker.name)
            if job.cancelled:
                self._settle(job)
            else:
                packed.append((job, args))
        self._dispatch(worker, packed)

    def _dispatch(self, worker: RemoteWorker, packed: list[Any]) -> None:
        if packed:
            self.sent_functions += worker.send_jobs(packed)
            self._crew.watch(worker)
        if numbers := self._functions.forgotten():
            for other in self._crew.workers:
                other.forget(numbers)
                self._crew.watch(other)

    # ------------------------------------------------------------------------- up: answers

    def _listen(self, worker: RemoteWorker) -> None:
        for verb, what in worker.channel.receive():
            if verb == far.ANSWERS:
                for answer in what:
                    self._take_answer(worker, *answer)
            elif verb == far.RETURNED:
                self._requeue([worker.release(number) for number in what])
            else:
                assert verb == far.READY
                self._crew.born(worker, what)

    def _take_answer(
        self, worker: RemoteWorker, number: int, status: int, form: int, body: Any, buffers: list[Any], *costs: Any
    ) -> None:
        cost = Cost(*costs)
        job = worker.release(number)
        job.carried.cost_s = batch.learn(job.carried.cost_s, cost.duration)
        if status == outcome.BROKEN and self._send_by_value(job, body):
            return
        if form == parcel.DIRECT and status == outcome.DONE:
            self._settle(job, body, cost=cost)
            return
        value, exception = outcome.unpack(job, status, form, body, buffers)
        is_stored_form = job.attempt.encode and status == outcome.DONE and form == parcel.PLAIN and not buffers
        encoded = bytes(body) if is_stored_form else None
        self._settle(job, value, exception, encoded, cost)

    def _requeue(self, jobs: list[Job]) -> None:
        """Queue jobs again, before all others."""
        for job in jobs:
            job.worker = None
        self._queue.extendleft(job.attempt for job in reversed(jobs))

    # ------------------------------------------------------------------------- ends

    def _settle(
        self,
        job: Job,
        value: Any = None,
        exception: BaseException | None = None,
        encoded: bytes | None = None,
        cost: Cost = NO_COST,
    ) -> None:
        """End a job. All ways lead here, and only the first one counts (I2)."""
        if self._live.pop(job.attempt, None) is None:
            return
        if job.cancelled:
            value, exception, encoded = None, CancelledError(), None
        started, duration, cpu, peak = cost
        worker = job.worker.name if job.worker is not None else ""
        reply = Reply(
            job.attempt, value, exception, encoded=encoded, started=started, duration=duration, cpu=cpu,
            peak_memory=peak, worker=worker,
        )  # fmt: skip
        self._replies.setdefault(job.attempt.sink, []).append(reply)

    def _tell(self) -> None:
        """Deliver the replies to all that has ended meanwhile, together."""
        while self._replies:
            sink, replies = self._replies.popitem()
            sink.deliver_all(replies)

    def _cancel(self, attempt: Try) -> None:
        job = self._job(attempt)
        if job is None:
            return
        job.cancelled = True
        worker = job.worker
        if worker is not None and worker.cell.job == job.number:
            self._condemn(worker)  # the job ends with it
            return
        self._settle(job)
        if worker is not None:
            worker.recall()  # should it have begun meanwhile, the next look finds it

    def _condemn(self, worker: RemoteWorker) -> None:
        worker.condemned = True
        worker.kill()

    def _send_by_value(self, job: Job, body: Any) -> bool:
        """Queue a job again whose worker could not import a module that only we have; once."""
        module = sys.modules.get(outcome.missing_module(body))
        if job.resent or module is None or functions.importable(module):
            return False
        job.resent = True
        self._requeue([job])
        return True

    def _bury(self, worker: RemoteWorker) -> None:
        """A worker has died: take its last answers, end the job that killed it, and queue the others again."""
        self._listen(worker)
        exitcode, peak = self._crew.bury(worker)
        guilty = worker.jobs.get(worker.cell.job)
        innocent = []
        for job in worker.jobs.values():
            job.unlucky += guilty is None and not worker.condemned
            if job.cancelled:
                self._settle(job)
            elif job.unlucky >= UNLUCKY or (job is guilty and not worker.condemned):
                self._lose(job, worker, exitcode, peak)
            else:
                innocent.append(job)
        worker.jobs.clear()
        self._requeue(innocent)
        if not worker.ready:
            why = f"the last one ended with exit code {exitcode}; what it wrote to stderr says more"
            if hopeless := self._crew.stillbirth(why):
                self._give_up(hopeless)

    def _lose(self, job: Job, worker: RemoteWorker, exitcode: int | None, peak: int) -> None:
        lost = WorkerLost(str(job), pid=worker.pid, exitcode=exitcode, peak_memory=peak or None)
        ran_s = time.perf_counter() - worker.cell.since_s if worker.cell.job else 0.0
        self._settle(job, exception=lost, cost=Cost(time.time() - ran_s, ran_s, 0.0, peak))

    def _give_up(self, why: str) -> None:
        """No worker comes to life: end what waits, so that nobody waits for ever."""
        while self._queue:
            job = self._job(self._queue.popleft())
            if job is not None:
                self._settle(job, exception=WorkersUnavailable(str(job), why))


def _about(job: Job, exc: SerializationError) -> SerializationError:
    """The error with the job's name before it, and its own cause."""
    named = SerializationError(f"{job}: {exc}")
    named.__cause__ = exc
    return named
