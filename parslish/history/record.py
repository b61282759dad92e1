"""Owns `RunRecord`: a run as its events tell it, in the terms that people ask in. It unpickles nothing.

The events are folded by `columns`; a `TaskRecord` is a view of one row, and `places` knows where it is. What depends on
what is `edges`' to say, which tasks an expression means `selection`'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from parslish.errors import UsageError, near
from parslish.history import alive, app_record, card, columns, event
from parslish.history.app_record import AppRecord
from parslish.history.columns import Columns
from parslish.history.event import FIELDS, Kind
from parslish.history.folder import EVENTS, MARKS
from parslish.history.places import Places
from parslish.history.task_record import STATUSES, Failure, TaskRecord
from parslish.secret import Keys
from parslish.store.frame import Type
from parslish.store.reader import read_frames
from parslish.store.report import Report

__all__ = ["GOOD", "STATUSES", "AppRecord", "Failure", "Mark", "RunRecord", "TaskRecord", "count_of", "read"]

#: Those statuses of tasks that have a result.
GOOD: Final = frozenset({"done", "reused"})
#: What each status is once the run is dead.
_ONCE_DEAD: Final = bytes.maketrans(
    bytes((columns.WAITING, columns.RUNNING, columns.RETRYING)), bytes((STATUSES.index("lost"),)) * 3
)
_COMPARED: Final = 10_000  # paths with a wrong one
_FEW: Final = 1 << 16
_NO_RECORD: Final = "it kept no record (record=False)"
_LEAST_BYTES: Final = 16  # of a record a task: ten times less than a task takes


class Mark(NamedTuple):
    """What was said of a run later on: "restart", "invalidate", "undo", "edit", "accept", "plan"."""

    time: float
    what: str
    facts: Mapping[str, Any]


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
        #: What the run said of where and how it ran. Not what its card says, which anybody may have written: by these
        #: a program is started again.
        self.facts: Mapping[str, Any] = start.get("facts", {})
        self.started: float = start.get("time", 0.0)
        self.ended: float = end.get("time", 0.0)  #: 0.0 when it has not, or was killed
        self.reason: str = end.get("reason", "")  #: how it ended: "completed", "ended by KeyError", …
        #: How many of its results could not be stored.
        self.lost_results = count_of(end.get("lost_results", self.card.get("lost_results")))
        self.alive = not end and alive.run(self.path)
        #: Whether it has ended in order, and the disk did not take all that is to be read here.
        self.is_cut = bool(start) and not end and isinstance(self.card.get("ended"), str)
        if not self.alive:
            self.columns.status[:] = self.columns.status.translate(_ONCE_DEAD)
        self.apps: dict[int, AppRecord] = app_record.of_events(self.columns.apps)
        self.workers: Mapping[int, str] = self.columns.workers
        self._places = Places(self.columns, self.apps)

    @property
    def id(self) -> str:
        """The name of its folder."""
        return self.path.name

    @property
    def number(self) -> int:
        return int(self.id) if self.id.isdecimal() else -1

    @property
    def parent(self) -> Path | None:
        """The folder of the run that it continued: beside this one, where the run folder was moved or copied."""
        parent = self._said("parent")
        if not isinstance(parent, str):
            return None
        there = Path(parent)
        found = [each for each in (self.path.parent / (there.name or "?"), there) if each.is_dir()]
        of_chain = [each for each in found if card.read(each).get("root") == self.root]
        return (of_chain or found or [there])[0]

    @property
    def root(self) -> str:
        """The id that it shares with all runs of its chain."""
        return str(self._said("root") or "")

    @property
    def status(self) -> str:
        """ "running", "completed", "failed" (completed, with failed tasks), "lost" (killed), or how else it ended."""
        if self.alive:
            return "running"
        reason = str(self.card["ended"]) if self.is_cut else self.reason
        failed = columns.FAILED in self.columns.status
        return "failed" if failed and reason == "completed" else reason or "lost"

    @property
    def degraded(self) -> bool:
        """Whether the disk refuses its results or its record for now; of a run that was killed, whether it did then."""
        return not self.reason and self.card.get("degraded") is True

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
        return self._places.ids()

    def task(self, which: int | str) -> TaskRecord:
        """A task by its id, its loc `-.N3.N5` or its path `-/scan[2]/relax[Si]`.

        Raises:
            UsageError: there is no such task.
        """
        id = self._places.find(which)
        if id is None:
            raise UsageError(f"run {self.id} has no task {which!r}{self._near(which)}; {self._how_to_name()}")
        return TaskRecord(self, id)

    def find(self, path: str) -> TaskRecord | None:
        """The task with a path; None when there is none."""
        id = self._places.by_path.get(path)
        return None if id is None else TaskRecord(self, id)

    def path_of(self, id: int) -> str:
        return self._places.path_of(id)

    def loc_of(self, id: int) -> str:
        return self._places.loc_of(id)

    def scope_of(self, id: int) -> str:
        """The place that a task is in: the path of its scope or its parent, "-" for the script itself."""
        return self._places.path_around(self.columns.parent[id], self.columns.scope[id])

    def _near(self, which: int | str) -> str:
        is_path = isinstance(which, str) and which.startswith("-/")
        return near(which, sorted(self._places.by_path, key=len)[:_COMPARED]) if is_path else ""

    def _how_to_name(self) -> str:
        some = next(iter(self), None)
        if some is None:
            return "it has none yet" if self.alive else "it has none"
        return f"name one by its id (0 to {len(self) - 1}), its loc such as {some.loc} or its path such as {some.path}"

    # ---------------------------------------------------------------------------------- the run

    def _one(self, found: Sequence[event.Event], kind: Kind) -> dict[str, Any]:
        return dict(zip(FIELDS[kind], found[-1][1:], strict=False)) if found else {}

    def _said(self, what: str) -> Any:
        return self.facts.get(what, self.card.get(what))


def read(path: Path, keys: Keys, *, report: Report | None = None, shared: bool = False) -> Columns:
    """Fold the record of the run in a folder.

    Raises:
        UsageError, BadCheckpoint: as `RunRecord`.
    """
    if not (path / EVENTS).is_dir():
        raise UsageError(f"{str(path)!r} is no run to be read: {_why_none(path)}; see  parslish runs")
    found = Columns()
    for folder in (EVENTS, MARKS):
        if (path / folder).is_dir():
            frames = read_frames(path / folder, keys, types={Type.EVENT}, report=report, shared=shared)
            found.fold((event.rows(frame.body) for frame in frames), _most_tasks(path / folder))
    return found


def _why_none(path: Path) -> str:
    if not path.is_dir():
        return "there is no such folder"
    return "it was imported, and has no record of tasks" if "imported" in card.read(path) else _NO_RECORD


def count_of(found: object) -> int:
    """A number of things, as far as it is one: anybody may have written it."""
    return found if type(found) is int and found > 0 else 0


def _most_tasks(folder: Path) -> int:
    """How many tasks there may be in a record of that size, most of which may be lost."""
    return _FEW + sum(each.stat().st_size for each in folder.iterdir()) // _LEAST_BYTES
