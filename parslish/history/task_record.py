"""Owns `TaskRecord`: one task of a run, as a view of a row of `columns`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from parslish.history.app_record import AppRecord
from parslish.history.previews import Preview

if TYPE_CHECKING:
    from parslish.history.record import RunRecord

#: Where a task stands, by its number in `columns`. A task that had not ended when its run died is lost.
STATUSES: Final = (
    "waiting", "running", "done", "reused", "failed", "upstream_failed", "cancelled", "retrying", "lost",
)  # fmt: skip


class Failure(NamedTuple):
    """A try that failed: what was raised, and where. `time` in seconds since the epoch."""

    time: float
    number: int
    type: str
    message: str
    traceback: str


class TaskRecord:
    """One task of a run. Times are seconds since the epoch, 0.0 for what has not happened; durations are seconds."""

    __slots__ = ("id", "run")

    def __init__(self, run: RunRecord, id: int) -> None:
        self.run = run
        self.id = id

    def __repr__(self) -> str:
        return f"<task {self.id} {self.path} {self.status}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TaskRecord) and (self.run, self.id) == (other.run, other.id)

    def __hash__(self) -> int:
        return self.id

    @property
    def app(self) -> AppRecord:
        return self.run.apps[self.run.columns.app[self.id]]

    @property
    def name(self) -> str:
        """The app's name."""
        return self.app.name

    @property
    def label(self) -> str | None:
        return self.run.columns.label.get(self.id)

    @property
    def path(self) -> str:
        """The task's place in its run: `-/scan[2]/relax[Si]`."""
        return self.run.path_of(self.id)

    @property
    def loc(self) -> str:
        """Its short address in this run: `-.N3.N5`."""
        return self.run.loc_of(self.id)

    @property
    def parent(self) -> TaskRecord | None:
        """The join task whose body submitted it."""
        parent = self.run.columns.parent[self.id]
        return None if parent < 0 else TaskRecord(self.run, parent)

    @property
    def status(self) -> str:
        """One of `STATUSES`."""
        return STATUSES[self.run.columns.status[self.id]]

    @property
    def submitted(self) -> float:
        return self.run.columns.submitted[self.id]

    @property
    def started(self) -> float:
        return self.run.columns.started[self.id]

    @property
    def ended(self) -> float:
        """When it ended; for a reused task, when it was reused, as `started` is."""
        return self.run.columns.ended[self.id]

    @property
    def duration(self) -> float:
        return self.run.columns.duration[self.id]

    @property
    def cpu(self) -> float:
        """CPU seconds."""
        return self.run.columns.cpu[self.id]

    @property
    def peak_memory(self) -> int:
        """Bytes; 0 where that says nothing about the task."""
        return self.run.columns.peak_memory[self.id]

    @property
    def worker(self) -> str:
        """`host:pid` or `host:pid:thread`; "" when none had it."""
        return self.run.workers.get(self.run.columns.worker[self.id], "")

    @property
    def host(self) -> str:
        return self.worker.partition(":")[0]

    @property
    def tries(self) -> int:
        return self.run.columns.tries[self.id]

    @property
    def key(self) -> bytes | None:
        """What its result is filed under; None for a task that is not memoized, or never got that far."""
        return self.run.columns.key[self.id]

    @property
    def dependencies(self) -> Sequence[int]:
        """The ids of the tasks whose futures were among its arguments."""
        return self.run.columns.dependencies.get(self.id, ())

    @property
    def arguments(self) -> dict[str, Preview]:
        """Its arguments by parameter, as previews; of futures what they gave, where that is known. Those that have no
        parameter of their own are called `*0`, `*1`, …"""
        return dict(zip(*self._bound(), strict=False))

    @property
    def given(self) -> dict[str, Preview]:
        """Its arguments by parameter as the call gave them: a future is `{"task": id}`."""
        return dict(zip(*self._submitted(), strict=False))

    @property
    def digests(self) -> dict[str, bytes]:
        """What stands for those arguments that are no plain number or text; empty for the others."""
        found = self.run.columns.bound.get(self.id)
        pairs = () if found is None else zip(found[2], found[3], strict=True)
        return {name: digest for name, digest in pairs if digest}

    def _bound(self) -> tuple[Sequence[str], Sequence[Preview]]:
        found = self.run.columns.bound.get(self.id)
        return self._submitted() if found is None else (found[2], found[4])

    def _submitted(self) -> tuple[Sequence[str], Sequence[Preview]]:
        found = self.run.columns
        given, keywords = found.arguments[self.id] or (), found.keywords.get(self.id, {})
        parameters = self.app.parameters
        names = [parameters[i] if i < len(parameters) else f"*{i}" for i in range(len(given))]
        return [*names, *keywords], [*given, *keywords.values()]

    @property
    def result(self) -> Preview:
        """A preview of its result; None too where there is none."""
        found: Preview = self.run.columns.result[self.id]
        return found

    @property
    def inputs(self) -> Sequence[str]:
        """The paths of files among its arguments."""
        return self.run.columns.inputs.get(self.id, ())

    @property
    def outputs(self) -> Sequence[str]:
        """The paths of files that it writes."""
        return self.run.columns.outputs.get(self.id, ())

    @property
    def call(self) -> bytes | None:
        """The arguments in the form that `recorded.opened` opens; None where they were not kept so."""
        return self.run.columns.call.get(self.id)

    @property
    def failures(self) -> Sequence[Failure]:
        """The tries that failed, and at last the task itself where it did."""
        found = self.run.columns.failures.get(self.id, ())
        return [Failure(*each[2:4], *each[5:8]) for each in found if each[4] != "cancelled"]

    @property
    def failed_call(self) -> bytes | None:
        """The arguments of a task that failed, with the results that it was given; as `call`."""
        failures = self.run.columns.failures.get(self.id, ())
        call = failures[-1][10] if failures and len(failures[-1]) > 10 else None
        return call if isinstance(call, bytes) else None

    @property
    def error(self) -> Failure | None:
        """Why the task failed; None when it did not."""
        return self.failures[-1] if self.status in ("failed", "upstream_failed") and self.failures else None

    @property
    def origin(self) -> tuple[int, int] | None:
        """The number of the run and the id of the task that computed what this one reused; None for others."""
        found = self.run.columns.origin.get(self.id)
        return None if found is None else (self.run.number if found[0] is None else found[0], found[1])

    @property
    def missed(self) -> tuple[str, str] | None:
        """Why a result that was there was not used, and the details; None when there was none."""
        return self.run.columns.missed.get(self.id)

    @property
    def forced(self) -> str | None:
        """Why it was computed whatever was known; None when it was not so."""
        return self.run.columns.forced.get(self.id)
