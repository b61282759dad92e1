"""Owns what one is told of a run that was dispatched: `get_result`, whose answer opens what is stored when asked to.

It works from the run's record and store alone, in any process; of a run of this process that could not be stored, from
memory.
"""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from parslish import codec
from parslish.dispatching import dispatched, workflows
from parslish.dispatching.dispatched import Dispatch, Status, Which
from parslish.dispatching.nodes import NodeResult
from parslish.errors import ParslishError, UsageError
from parslish.history import alive, card, inherited
from parslish.history.folder import CHECKPOINT, numbered
from parslish.history.lineage import COMPLETED
from parslish.history.record import RunRecord
from parslish.live_run import OUTCOME
from parslish.result import StoredResult
from parslish.secret import Keys
from parslish.store.reader import Record, Store

_FIRST_LOOK_S: Final = 0.02  # at a run of another process, and how much later the next ones come
_LAST_LOOK_S: Final = 1.0
_UNWRITTEN_S: Final = 2.0  # for how long a run that has just begun may have no record yet


def get_result(
    run_id: Which,
    wait: bool = False,
    run_dir: str | os.PathLike[str] | None = None,
    timeout: float | None = None,
) -> WorkflowResult:
    """What is known of a run that was dispatched, by this process or another.

    Args:
        run_id: as `dispatch` gave it.
        wait: until it has ended, well or not.
        run_dir: the folder of runs; None: where this process has dispatched it, else "runinfo".
        timeout: seconds to wait at most; None: as long as it takes.

    Raises:
        UsageError: there is no such run, or it kept no record; or waiting would be for oneself.
        TimeoutError: it has not ended in time.
    """
    path = dispatched.place_of(run_id, run_dir)
    mine = dispatched.of(path)
    if wait and not (_awaited(path, timeout) if mine is None else mine.wait(timeout)):
        raise TimeoutError(f"run {path.name} has not ended after {timeout} s; it goes on")
    return WorkflowResult(path, mine)


def _awaited(path: Path, timeout: float | None) -> bool:
    """Wait for a run of another process; False when it has not ended in time."""
    until = None if timeout is None else time.monotonic() + timeout
    pause_s = _FIRST_LOOK_S
    while alive.run(path):
        if dispatched.is_own(card.read(path)):
            raise UsageError(
                f"run {path.name} is of this program, and not dispatched: it ends with that; wait for its futures"
            )
        if until is not None and time.monotonic() >= until:
            return False
        time.sleep(pause_s if until is None else min(pause_s, max(until - time.monotonic(), 0.0)))
        pause_s = min(1.5 * pause_s, _LAST_LOOK_S)
    return True


class WorkflowResult:
    """A run, as it was when `get_result` was called. Results are opened when they are asked for, which runs the code of
    their classes; only what was signed with a key of ours is.

    Args:
        path: the run's folder.
        mine: the run itself, where this process knows more of it than the disk.
    """

    def __init__(self, path: Path, mine: Dispatch | None = None) -> None:
        self.path = path
        self._keys = Keys.load()
        self._known = None if mine is None else mine.outcome
        self._runs_here = mine is not None and not mine.has_ended
        self._records: dict[int, RunRecord | None] = {}
        self.status = self._find_status()

    def __repr__(self) -> str:
        return f"<run {self.run_id} {self.status}>"

    @property
    def run_id(self) -> str:
        """The name of the run's folder."""
        return self.path.name

    @property
    def root(self) -> str:
        """The id that all runs of its chain share."""
        return self.record.root

    @property
    def parent(self) -> str | None:
        """The id of the run that it executes again; None for the first of its chain."""
        return None if self.record.parent is None else self.record.parent.name

    @property
    def start_time(self) -> float:
        """When it began, in seconds since the epoch."""
        return self.record.started

    @property
    def end_time(self) -> float | None:
        """When it ended; None when it has not, or was killed."""
        return self.record.ended or None

    @property
    def inputs(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The positional and keyword arguments that it was dispatched with.

        Raises:
            UsageError: it is a run of no workflow, or they were not kept.
        """
        return workflows.inputs_of(self.record)

    @functools.cached_property
    def result(self) -> Any:
        """What the workflow gave; None while it goes on, and when it came to nothing.

        Raises:
            UsageError: it was not stored, or is stored no more.
            SerializationError: a class that it needs is not there.
        """
        if self.status != Status.COMPLETED:
            return None
        if self._known is not None:
            return self._known.value
        return self._stored_outcome() if self._outcome else None

    @functools.cached_property
    def exception(self) -> BaseException | None:
        """What the workflow raised; None when it did not. Raises as `result`."""
        if self.status != Status.FAILED:
            return None
        found = self._known.exception if self._known is not None else self._stored_outcome()
        assert isinstance(found, BaseException)
        return found

    @property
    def error(self) -> str | None:
        """What the workflow raised, as text with the traceback; None when it did not."""
        if self.status != Status.FAILED:
            return None
        if self._known is not None and self._known.exception is not None:
            return dispatched.told(self._known.exception)["traceback"]
        text = self._outcome.get("traceback")
        return text if isinstance(text, str) else None

    @functools.cached_property
    def nodes(self) -> list[NodeResult]:
        """Its tasks, in the order of their ids."""
        return [NodeResult(self, task) for task in self.record]

    def get_node_result(self, which: int | str) -> NodeResult:
        """One of its tasks, by its id, its loc `-.N3.N5` or its path `-/scan[2]/relax[Si]`.

        Raises:
            UsageError: there is no such task.
        """
        return NodeResult(self, self.record.task(which))

    # ---------------------------------------------------------------------------------- record and store

    @functools.cached_property
    def record(self) -> RunRecord:
        """All that was recorded of the run."""
        until = time.monotonic() + _UNWRITTEN_S
        while True:
            record = inherited.read(self.path, self._keys, known=self._records)
            if record.facts or not record.alive or time.monotonic() > until:
                return record
            time.sleep(_FIRST_LOOK_S)

    def record_of(self, number: int) -> RunRecord | None:
        """The record of another run beside this one; None when there is none that can be read."""
        if number not in self._records:
            self._records[number] = None
            path = dict(numbered(self.path.parent)).get(number)
            if path is not None:
                with contextlib.suppress(ParslishError):  # it kept none, or is another account's
                    self._records[number] = RunRecord(path, self._keys)
        return self._records[number]

    def stored(self, key: bytes) -> tuple[Record, StoredResult] | None:
        """What is stored under a key, by this run or those that it builds upon; nothing of it is unpickled."""
        found = next(self._store.find(key), None)
        return None if found is None else (found, StoredResult.unpack(found.body))

    @functools.cached_property
    def _store(self) -> Store:
        return Store.open([self.path / CHECKPOINT], self._keys)

    @functools.cached_property
    def _outcome(self) -> Mapping[str, Any]:
        """What was noted when the workflow had ended; empty when it has not, or was no workflow."""
        return next((mark.facts for mark in reversed(self.record.marks) if mark.what == OUTCOME), {})

    def _find_status(self) -> Status:
        if self._runs_here:
            return Status.RUNNING
        if self._known is not None:
            return self._known.status
        record = self.record
        if record.alive:
            return Status.RUNNING
        if self._outcome.get("status") in list(Status):
            return Status(self._outcome["status"])
        return _of_reason(record.reason)

    def _stored_outcome(self) -> Any:
        key = self._outcome.get("key")
        found = self.stored(key) if isinstance(key, bytes) else None
        if found is None:
            raise UsageError(
                f"what run {self.run_id} came to is not stored: it could not be, or was removed; `error`, `nodes` and "
                f"the log in {str(self.path)!r} tell what is known"
            )
        record, stored = found
        return codec.decode(stored.encoded, record.folder)


def _of_reason(reason: str) -> Status:
    """Where a run stands that has ended without noting what a workflow came to."""
    if not reason:
        return Status.LOST
    if reason == COMPLETED:
        return Status.COMPLETED
    if reason == "paused":
        return Status.PAUSED
    return Status.FAILED if reason.startswith(("ended by", "did not start")) else Status.CANCELLED
