"""Owns `NodeResult`: what one is told of a task of a run that was dispatched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from parslish import codec
from parslish.errors import UsageError
from parslish.history import previews
from parslish.history.record import GOOD, TaskRecord
from parslish.result import EXCEPTION

if TYPE_CHECKING:
    from parslish.dispatching.outcomes import WorkflowResult


class NodeResult(Mapping[str, Any]):
    """One task of a run, as a read-only dict. "output" is opened when it is asked for.

    Its keys: "node_id", "loc", "path", "name", "status" (as `TaskRecord.status`), "start_time" and "end_time" (seconds
    since the epoch, None for what has not happened; equal for a reused task), "output" (None when there is none),
    "error" (text, or None), "origin" (of a reused task: where it was computed, with "run", "task", "start_time" and
    "end_time").

    Raises:
        UsageError: from ["output"], when the result was not stored.
    """

    def __init__(self, run: WorkflowResult, task: TaskRecord) -> None:
        self._run, self._task = run, task
        self._opened: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name in _TOLD:
            return _TOLD[name](self._task)
        if name not in self._opened:
            self._opened[name] = _OPENED[name](self)
        return self._opened[name]

    def __iter__(self) -> Iterator[str]:
        return iter((*_TOLD, *_OPENED))

    def __len__(self) -> int:
        return len(_TOLD) + len(_OPENED)

    def __repr__(self) -> str:
        return f"<node {self._task.id} {self._task.path} {self._task.status}>"

    def _output(self) -> Any:
        task = self._task
        if task.status not in GOOD:
            return None
        found = None if task.key is None else self._run.stored(task.key)
        if found is not None and found[1].kind != EXCEPTION:
            record, stored = found
            return codec.decode(stored.encoded, record.folder)
        if previews.is_exact(task.result):
            return task.result
        raise UsageError(
            f"the result of {task.path} in run {self._run.run_id} was not stored: give its app cache=True, and its run "
            f"a checkpoint_mode; what it looked like: {previews.text(task.result)}"
        )

    def _origin(self) -> dict[str, Any] | None:
        task = self._task
        if task.origin is None:
            return None
        number, id = task.origin
        started, ended = self._times_of_origin(number, id)
        return {"run": f"{number:03d}", "task": id, "start_time": started, "end_time": ended}

    def _times_of_origin(self, number: int, id: int) -> tuple[float | None, float | None]:
        record = self._run.record_of(number)
        if record is not None and 0 <= id < len(record):
            origin = TaskRecord(record, id)
            return origin.started or None, origin.ended or None
        found = None if self._task.key is None else self._run.stored(self._task.key)
        if found is None:
            return None, None
        return found[1].completed - found[1].duration, found[1].completed


#: What the record tells, and what takes looking elsewhere.
_TOLD: Final[Mapping[str, Callable[[TaskRecord], Any]]] = {
    "node_id": lambda task: task.id,
    "loc": lambda task: task.loc,
    "path": lambda task: task.path,
    "name": lambda task: task.name,
    "status": lambda task: task.status,
    "start_time": lambda task: task.started or None,
    "end_time": lambda task: task.ended or None,
    "error": lambda task: task.error.traceback if task.error else None,
}
_OPENED: Final[Mapping[str, Callable[[NodeResult], Any]]] = {
    "output": NodeResult._output,
    "origin": NodeResult._origin,
}
