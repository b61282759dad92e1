"""Owns what the dispatcher knows of a launched try, from when it is first looked at for sending to its one reply."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from parslish.task import Try

if TYPE_CHECKING:
    from parslish.executors.functions import Carried
    from parslish.executors.remote import RemoteWorker


class Cost(NamedTuple):
    """What a job took: wall clock at its start, wall and CPU seconds, peak bytes of its worker."""

    started: float = 0.0
    duration: float = 0.0
    cpu: float = 0.0
    peak_memory: int = 0


NO_COST = Cost()


class Job:
    """A try on its way. Only the dispatcher's thread changes it."""

    __slots__ = ("attempt", "cancelled", "carried", "cost_s", "number", "resent", "unlucky", "worker")

    def __init__(self, number: int, attempt: Try, carried: Carried) -> None:
        self.number = number  #: its name on the wire; above 0
        self.attempt = attempt
        self.carried = carried  #: its function
        self.worker: RemoteWorker | None = None  #: who has it; None while it waits
        self.cost_s = 0.0  #: seconds it was expected to take when it was sent
        self.cancelled = False
        self.resent = False  #: sent a second time, by value
        self.unlucky = 0  #: how often it was lost with a worker and nobody knows by whom

    def __str__(self) -> str:
        return self.attempt.subject
