"""Owns `RecordedRun`: a run of the past in people's hands, to be asked, corrected and executed again."""

from __future__ import annotations

import contextlib
import functools
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, overload

from parslish.errors import UsageError, near
from parslish.history import card, inherited, lineage, marks
from parslish.history.edges import Edges
from parslish.history.folder import CHECKPOINT, EVENTS, numbered
from parslish.history.lineage import DID_NOT_START, PAUSED
from parslish.history.record import RunRecord
from parslish.orders import ONLY, Orders
from parslish.rerun import accepting, entry, invalidation, making
from parslish.rerun.invalidation import Invalidation, Tombstone
from parslish.rerun.making import SELECTED, Expression
from parslish.rerun.replacing import Replacements
from parslish.secret import Keys
from parslish.store.reader import Store
from parslish.utils import user_name

if TYPE_CHECKING:
    from parslish.history.diff import Diff
    from parslish.history.plan import Plan
    from parslish.history.selection import Selection
    from parslish.history.why import Why
    from parslish.rerun.verifying import Verified

_UNSET: Final = object()


class RecordedRun:
    """A run, as its record tells it; nothing is unpickled unless it is said so.

    Selections are expressions as `docs/selection.md` has them, or what `select` gave.

    Args:
        path: its folder.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()
        self._keys = Keys.load()

    def __repr__(self) -> str:
        return f"<run {self.id} in {self.path.parent}>"

    @property
    def id(self) -> str:
        """The name of its folder."""
        return self.path.name

    @functools.cached_property
    def record(self) -> RunRecord:
        """All that was recorded of it until this was first asked for; of a join that was reused, what it had submitted
        where it was computed."""
        return inherited.read(self.path, self._keys)

    @property
    def status(self) -> str:
        """As `RunRecord.status`."""
        return self.record.status

    @property
    def parent(self) -> RecordedRun | None:
        """The run that it continued, or executed again."""
        return RecordedRun(found[-2]) if len(found := lineage.chain(self.path)) > 1 else None

    @property
    def root(self) -> RecordedRun:
        """The first run of its chain."""
        return RecordedRun(lineage.chain(self.path)[0])

    def children(self) -> list[RecordedRun]:
        """The runs beside it that continued it, or executed it again."""
        beside = [path for _, path in numbered(self.path.parent) if (path / EVENTS).is_dir()]
        return [RecordedRun(each) for each in beside if Path(str(card.read(each).get("parent"))).name == self.id]

    # ---------------------------------------------------------------------------------- questions

    def select(self, expression: Expression) -> Selection:
        """The tasks that an expression means.

        Raises:
            UsageError: it is none, or means nothing; with what is near.
        """
        return making.selected_of(self.record, expression)

    def why(self, task: int | str) -> Why:
        """Why a task ran, or did not: part by part. A task is named by its id, loc or path.

        Raises:
            UsageError: there is no such task.
        """
        from parslish.history.why import why

        return why(self.record, self.record.task(task), earlier=self.earlier(), tombstones=self._tombstones)

    def diff(self, other: RecordedRun, *, values: bool = False) -> Diff:
        """What differs between this run and another.

        Args:
            values: open the results that differ too, and tell by how much; that unpickles what is signed.
        """
        from parslish.history.diff import diff

        if not values:
            return diff(self.record, other.record)
        from parslish.compare import ValueDifference

        with _store_of(self) as mine, _store_of(other) as theirs:
            return diff(self.record, other.record, values=ValueDifference(mine, theirs))

    def plan(self, **how: Any) -> Plan:
        """What `rerun` would do with the same arguments, or `resume` without any: which tasks it would reuse, which it
        would run, and of which that cannot be known before."""
        return self._planned(making.make(self.record, self._keys, **how))

    def _planned(self, told: Orders) -> Plan:
        from parslish.rerun.planning import plan  # here: most runs are executed again without

        return plan(self.record, told, self._keys)

    def invalidations(self) -> list[Invalidation]:
        """What was invalidated in this run's name, oldest first."""
        return invalidation.invalidations(self.record, self._keys)

    # ---------------------------------------------------------------------------------- corrections

    def invalidate(self, selection: Expression, reason: str = "", dependents: bool = True) -> Invalidation:
        """Let the stored results of tasks no longer count, for anybody; `undo` takes that back.

        Args:
            reason: kept with it.
            dependents: also those of all tasks that depend on them.

        Raises:
            UsageError: nothing was selected, or nothing of it is stored.
            StoreError: the disk refuses.
        """
        ids = self.select(selection).ids
        vars(self).pop("_tombstones_by_key", None)
        return invalidation.invalidate(self.record, ids, self._keys, reason=reason, dependents=dependents)

    def undo(self, id: str) -> int:
        """Take an invalidation back; returns how many results count again.

        Raises:
            UsageError: there is none of that id.
        """
        vars(self).pop("_tombstones_by_key", None)
        return invalidation.undo(self.path.parent, id, self._keys)

    def restart_task(self, which: int | str) -> list[str]:
        """Have a task, and all that depends on it, run again when this run is resumed; touches nothing stored.

        Returns:
            The locs of these tasks, each behind those that it depends on.

        Raises:
            UsageError: there is no such task.
        """
        edges = Edges(self.record)
        order = edges.topological(edges.descendants([self.record.task(which).id]))
        paths = [self.record.path_of(id) for id in order]
        marks.write(self.path, self._keys, making.RESTART, {"paths": paths, "user": user_name()})
        return [self.record.loc_of(id) for id in order]

    def edit(
        self, which: int | str, arguments: Mapping[str, Any] | None = None, result: Any = _UNSET, reason: str = ""
    ) -> None:
        """Put other arguments, or a result, in a task's place: in the runs that execute this one again.

        Args:
            arguments: by name; those that are not named stay what they are.
            result: what the task gives without being run.
            reason: kept with it.

        Raises:
            UsageError: there is no such task or argument, or not exactly one of the two was given.
            SerializationError: a value cannot be stored.
        """
        task = self.record.task(which)
        has_result = result is not _UNSET
        if (arguments is not None) == has_result:
            raise UsageError(f"edit of {task.path}: give either arguments= or result=")
        for name in arguments or {}:
            if name not in task.app.parameters:
                raise UsageError(
                    f"{task.name} has no argument {name!r}{near(name, task.app.parameters)}; "
                    f"it takes {', '.join(task.app.parameters)}"
                )
        facts = making.edit_facts(task.path, arguments, has_result, result)
        marks.write(self.path, self._keys, making.EDIT, {**facts, "reason": reason, "user": user_name()})

    def accept(self, selection: Expression, reason: str = "") -> list[str]:
        """Let results that were computed by earlier code of the selected tasks' apps count for the code as it is in
        this run: after a change that does no harm.

        Returns:
            The names of the apps.

        Raises:
            UsageError: nothing was selected, or no code of it has changed.
        """
        return accepting.accept(self, self.select(selection), self._keys, reason)

    # ---------------------------------------------------------------------------------- executing again

    def resume(self, **options: Any) -> RecordedRun:
        """Finish what is open: run what failed, was lost, or was marked to run again; reuse the rest. As `rerun`."""
        new: RecordedRun = self.rerun(**options)
        return new

    @overload
    def rerun(
        self,
        *,
        all: bool = False,
        only: Expression | None = None,
        from_: Expression | None = None,
        from_failure: bool = False,
        replace: Replacements | None = None,
        inputs: tuple[tuple[Any, ...], dict[str, Any]] | None = None,
        reuse: bool = True,
        pause: Expression | None = None,
        strict: bool = False,
        retries: int = 0,
        config: Any = None,
        plan: Literal[False] = False,
    ) -> RecordedRun: ...
    @overload
    def rerun(
        self,
        *,
        all: bool = False,
        only: Expression | None = None,
        from_: Expression | None = None,
        from_failure: bool = False,
        replace: Replacements | None = None,
        inputs: tuple[tuple[Any, ...], dict[str, Any]] | None = None,
        reuse: bool = True,
        pause: Expression | None = None,
        strict: bool = False,
        retries: int = 0,
        config: Any = None,
        plan: Literal[True],
    ) -> Plan: ...
    def rerun(
        self,
        *,
        all: bool = False,
        only: Expression | None = None,
        from_: Expression | None = None,
        from_failure: bool = False,
        replace: Replacements | None = None,
        inputs: tuple[tuple[Any, ...], dict[str, Any]] | None = None,
        reuse: bool = True,
        pause: Expression | None = None,
        strict: bool = False,
        retries: int = 0,
        config: Any = None,
        plan: bool = False,
    ) -> RecordedRun | Plan:
        """Execute the run again, and wait for that. The new run is linked to this one, of which nothing is overwritten.

        Args:
            all: compute everything anew.
            only: make just these tasks again, from the record, without the program; what they take from others is what
                was stored.
            from_: compute these tasks anew, and all that depends on them; reuse the rest.
            from_failure: compute what failed or was lost, and what was not run for it; reuse the rest.
            replace: name of an app → function (or "module:function") that runs in its place.
            inputs: (positional, keyword) arguments of a workflow, in the place of those that it had.
            reuse: whether known results are used at all.
            pause: do not begin these tasks; `resume` the new run to go on.
            strict: a selected task that does not come back is an error, not a warning.
            retries: how often to go on from failure, while tasks fail.
            config: of the kernel, where a workflow is executed again; None: the workflow's own.
            plan: only say what that would reuse, run, and cannot know, as `plan` does.

        Raises:
            UsageError: these do not go together, or the program cannot be started again.
            StoreError: orders cannot be written.
        """
        told = making.make(
            self.record,
            self._keys,
            all=all,
            only=only,
            from_=from_,
            from_failure=from_failure,
            replace=replace,
            reuse=reuse,
            pause=pause,
        )
        if plan:
            return self._planned(told)
        new = self._follow(told, inputs, config, strict)
        for _ in range(retries):
            if new.status == PAUSED or not making.has_failures(new.record):
                break
            which = {"from_failure": True} if only is None else {"only": "not status:done|reused"}
            new = new.rerun(**which, replace=replace, config=config)
        return new

    def verify(self, sample: float = 0.05, seed: int = 0) -> list[Verified]:
        """Compute some of the tasks whose results are stored once more, and compare.

        Args:
            sample: which part of them, 0 to 1.
            seed: of the choice.

        Raises:
            UsageError: nothing is stored that could be verified.
        """
        from parslish.rerun import verifying

        return verifying.verify(self, sample, seed, self._keys)

    def _follow(self, told: Orders, inputs: Any, config: Any, strict: bool) -> RecordedRun:
        path, code = entry.start(self.record, told, self._keys, inputs=inputs, config=config)
        new = RecordedRun(path)
        new.exit_code = code
        if new.status == DID_NOT_START:
            raise UsageError(f"run {new.id}, which was to execute {self.id} again, did not start: its program says why")
        wanted = (path for path, reason in told.forced.items() if reason == SELECTED)
        gone = [path for path in wanted if told.style != ONLY and new.record.find(path) is None]
        if gone:
            sentence = f"run {new.id} did not come to {len(gone)} of the selected tasks, such as {gone[0]}"
            if strict:
                raise UsageError(f"{sentence}; its program took another way, see  parslish diff {self.id} {new.id}")
            warnings.warn(sentence, stacklevel=3)
        return new

    exit_code = 0  #: of the program, where this is what `rerun` gave

    def earlier(self) -> list[RunRecord]:
        """The runs before it, the nearest first: those of its chain, then the others."""
        chain = lineage.chain(self.path)[:-1]
        others = [path for number, path in numbered(self.path.parent) if number < self.record.number]
        nearest = [path for path in dict.fromkeys([*reversed(chain), *reversed(others)]) if (path / EVENTS).is_dir()]
        return [inherited.read(path, self._keys) for path in nearest[:_EARLIER]]

    @functools.cached_property
    def _tombstones_by_key(self) -> Mapping[bytes, list[Tombstone]]:
        found: dict[bytes, list[Tombstone]] = {}
        for each in invalidation.tombstones(self.path.parent, self._keys):
            for key in each.facts.get("keys", ()):
                found.setdefault(key, []).append(each)
        return found

    def _tombstones(self, key: bytes) -> Sequence[Tombstone]:
        return self._tombstones_by_key.get(key, ())


_EARLIER: Final = 5  # runs that `why` looks at


def _store_of(run: RecordedRun) -> contextlib.closing[Store]:
    folders = [path / CHECKPOINT for path in lineage.chain(run.path)]
    return contextlib.closing(Store.open([path for path in folders if path.is_dir()], run._keys))
