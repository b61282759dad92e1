"""Owns `RunRecord`: a run as its events tell it, in the terms that people ask in. It unpickles nothing.

The events are folded by `columns`; a `TaskRecord` is a view of one row. What depends on what is `edges`' to say, which
tasks an expression means `selection`'s.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from parslish.errors import UsageError, near
from parslish.history import alive, card, columns, event
from parslish.history.columns import Columns
from parslish.history.event import FIELDS, Kind
from parslish.history.folder import EVENTS
from parslish.history.previews import Preview
from parslish.secret import Keys
from parslish.store.frame import Type
from parslish.store.reader import read_frames
from parslish.store.report import Report

#: Where a task stands. A task that had not ended when its run died is lost.
STATUSES: Final = (
    "waiting", "running", "done", "reused", "failed", "upstream_failed", "cancelled", "retrying", "lost",
)  # fmt: skip
#: Those of tasks that have a result.
GOOD: Final = frozenset({"done", "reused"})
MARKS: Final = "marks"  # the folder of what is said of a run later on
_LOST: Final = STATUSES.index("lost")
_OPEN: Final = frozenset({columns.WAITING, columns.RUNNING, columns.RETRYING})
_LOC: Final = re.compile(r"-(?:\.N\d+)+")


class AppRecord(NamedTuple):
    """An app, as it was when it was first called.

    Args:
        kind: "python", "bash" or "join"; `cache`: "True", "False" or "replay".
        code: what stands for its code in keys, in hexadecimal; "" for one that is not cached.
        file, line: where it is written.
        parameters: their names, in order.
        parts: what its code is made of: (kind, name, digest, text), as `identity.code.Part`; 8 bytes of the digest.
    """

    number: int
    name: str
    module: str
    code: str = ""
    kind: str = "python"
    cache: str = ""
    version: str | None = None
    file: str = ""
    line: int = 0
    parameters: Sequence[str] = ()
    parts: Sequence[tuple[str, str, bytes, str]] = ()


class Failure(NamedTuple):
    """A try that failed: what was raised, and where. `time` in seconds since the epoch."""

    time: float
    number: int
    type: str
    message: str
    traceback: str


class Mark(NamedTuple):
    """What was said of a run later on: "restart", "invalidate", "undo", "edit", "accept", "plan"."""

    time: float
    what: str
    facts: Mapping[str, Any]


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
        columns = self.run.columns
        given, keywords = columns.arguments[self.id] or (), columns.keywords.get(self.id, {})
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
        return [Failure(each[2], each[3], *map(str, each[5:8])) for each in found if each[4] != "cancelled"]

    @property
    def failed_call(self) -> bytes | None:
        """The arguments of a task that failed, with the results that it was given; as `call`."""
        failures = self.run.columns.failures.get(self.id, ())
        return failures[-1][10] if failures and len(failures[-1]) > 10 else None

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


class RunRecord:
    """A run, as it was recorded until now.

    Args:
        path: the run's folder.
        keys: whose signatures count.
        disk, shared, report: as for stores.

    Raises:
        UsageError: there is no run, or it kept no record.
        BadCheckpoint: the record is not to be trusted, or of a later version.
    """

    def __init__(self, path: Path, keys: Keys, *, report: Report | None = None, shared: bool = False) -> None:
        self.path = path.absolute()
        self.report = report or Report()
        self.columns = read(self.path, keys, report=self.report, shared=shared)
        start = self._one(self.columns.starts, Kind.RUN_START)
        end = self._one(self.columns.ends, Kind.RUN_END)
        self.card = card.read(self.path)
        #: What the run said of where and how it ran.
        self.facts: Mapping[str, Any] = {**self.card, **(start.get("facts") or {})}
        self.started: float = start.get("time", 0.0)
        self.ended: float = end.get("time", 0.0)  #: 0.0 when it has not, or was killed
        self.reason: str = end.get("reason", "")  #: how it ended: "completed", "ended by KeyError", …
        self.alive = not end and alive.run(self.path)
        if not self.alive:
            self._note_lost()
        self.apps: Mapping[int, AppRecord] = {
            number: AppRecord(*found[1:12]) for number, found in self.columns.apps.items()
        }
        self.workers: Mapping[int, str] = self.columns.workers
        self._prefixes: dict[tuple[int, int], str] = {(-1, -1): "-"}

    @property
    def id(self) -> str:
        """The name of its folder."""
        return self.path.name

    @property
    def number(self) -> int:
        return int(self.id) if self.id.isdecimal() else -1

    @property
    def parent(self) -> Path | None:
        """The folder of the run that it continued."""
        parent = self.facts.get("parent")
        return self._beside(parent) if isinstance(parent, str) else None

    @property
    def root(self) -> str:
        """The id that it shares with all runs of its chain."""
        return str(self.facts.get("root", ""))

    @property
    def status(self) -> str:
        """ "running", "completed", "failed" (completed, with failed tasks), "lost" (killed), or how else it ended."""
        if self.alive:
            return "running"
        if not self.reason:
            return "lost"
        failed = columns.FAILED in self.columns.status[: self.columns.count]
        return "failed" if failed and self.reason == "completed" else self.reason

    @property
    def marks(self) -> Sequence[Mark]:
        """What was said of it later on, in the order in which that was written."""
        return [Mark(*found[1:4]) for found in self.columns.marks]

    # ---------------------------------------------------------------------------------- tasks

    def __len__(self) -> int:
        return self.columns.count

    def __iter__(self) -> Iterator[TaskRecord]:
        return (TaskRecord(self, id) for id in self.ids())

    def ids(self) -> Iterator[int]:
        """The ids of its tasks, in order."""
        apps = self.columns.app
        return (id for id in range(self.columns.count) if apps[id] != columns.UNKNOWN)

    def task(self, which: int | str) -> TaskRecord:
        """A task by its id, its loc `-.N3.N5` or its path `-/scan[2]/relax[Si]`.

        Raises:
            UsageError: there is no such task.
        """
        id = self._find(which)
        if id is None:
            shown = sorted(self._by_path, key=len)[:10_000] if isinstance(which, str) and which.startswith("-/") else ()
            raise UsageError(
                f"run {self.id} has no task {which!r}{near(which, shown)}; name one by its id (0 to {len(self) - 1}), "
                f"its loc such as -.N3 or its path such as -/{self._some_name()}[0]"
            )
        return TaskRecord(self, id)

    def find(self, path: str) -> TaskRecord | None:
        """The task with a path; None when there is none."""
        id = self._by_path.get(path)
        return None if id is None else TaskRecord(self, id)

    def path_of(self, id: int) -> str:
        found = self.columns
        label = found.label.get(id)
        which = found.occurrence[id] if label is None else label
        return f"{self._prefix(found.parent[id], found.scope[id])}/{self.apps[found.app[id]].name}[{which}]"

    def loc_of(self, id: int) -> str:
        found, parts = self.columns, []
        while id >= 0:
            parts.append(f".N{found.position[id]}")
            id = found.parent[id]
        return "-" + "".join(reversed(parts))

    def scope_of(self, id: int) -> str:
        """The place that a task is in: the path of its scope or its parent, "-" for the script itself."""
        return self._prefix(self.columns.parent[id], self.columns.scope[id])

    def _prefix(self, parent: int, scope: int) -> str:
        found = self._prefixes.get((parent, scope))
        if found is None:
            if scope < 0:
                found = self.path_of(parent)
            else:
                _, _, parent, outer, name, label = self.columns.scopes[scope][:6]
                found = f"{self._prefix(parent, outer)}/{name}[{label}]"
            self._prefixes[parent, scope] = found
        return found

    def _find(self, which: int | str) -> int | None:
        if isinstance(which, str) and which.isdecimal():
            which = int(which)
        if isinstance(which, int):
            known = 0 <= which < len(self) and self.columns.app[which] != columns.UNKNOWN
            return which if known else None
        return self._by_loc.get(which) if _LOC.fullmatch(which) else self._by_path.get(which)

    @functools.cached_property
    def _by_path(self) -> Mapping[str, int]:
        return {self.path_of(id): id for id in self.ids()}

    @functools.cached_property
    def _by_loc(self) -> Mapping[str, int]:
        return {self.loc_of(id): id for id in self.ids()}

    def _some_name(self) -> str:
        return next((app.name for app in self.apps.values()), "app")

    # ---------------------------------------------------------------------------------- the run

    def _note_lost(self) -> None:
        status = self.columns.status
        for id in range(self.columns.count):
            if status[id] in _OPEN:
                status[id] = _LOST

    def _one(self, found: Sequence[event.Event], kind: Kind) -> dict[str, Any]:
        return dict(zip(FIELDS[kind], found[-1][1:], strict=False)) if found else {}

    def _beside(self, path: str) -> Path:
        """Another run's folder: beside this one, where the run folder was moved meanwhile."""
        beside = self.path.parent / Path(path).name
        return beside if not Path(path).exists() and beside.exists() else Path(path)


def read(path: Path, keys: Keys, *, report: Report | None = None, shared: bool = False) -> Columns:
    """Fold the record of the run in a folder.

    Raises:
        UsageError, BadCheckpoint: as `RunRecord`.
    """
    if not (path / EVENTS).is_dir():
        why = "it kept no record (record=False)" if path.is_dir() else "there is no such folder"
        raise UsageError(f"{str(path)!r} is no run to be read: {why}; see  parslish runs")
    found = Columns()
    for folder in (EVENTS, MARKS):
        if (path / folder).is_dir():
            frames = read_frames(path / folder, keys, types={Type.EVENT}, report=report, shared=shared)
            found.fold(event.rows(frame.body) for frame in frames)
    return found
