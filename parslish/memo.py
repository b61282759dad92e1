"""Owns which results are known: key → a result of this run, a task that is running, or a stored record.

It decides reuse, never runs anything. The kernel claims a key before it launches a task and gives it back when
the task has ended, so at most one task runs per key (I4).
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from parslish import codec
from parslish.errors import SerializationError
from parslish.result import EXCEPTION, StoredResult
from parslish.task import Task

if TYPE_CHECKING:
    from parslish.store.reader import Record, Store

logger = logging.getLogger("parslish")


class Known(NamedTuple):
    """A result that can be handed out: a value, or an exception that an app's `remember=` names.

    `stored` tells whether a checkpoint holds it, or is to; `run_number` is None when this run computed it.
    """

    value: Any
    exception: BaseException | None = None
    task_id: int = 0
    completed: float = 0.0
    duration: float = 0.0
    outputs: tuple[tuple[str, int, int], ...] = ()
    stored: bool = False
    run_number: int | None = None
    folder: Path | None = None
    app: str = ""


class Memo:
    """What is known and what is running.

    No lock: `dict.setdefault`, `dict.pop` and `deque.append` are each atomic, and the order of the steps
    in `claim` and `finish` leaves no moment at which a finished key is neither known nor running.

    Args:
        store: loaded checkpoints, or None.
        limit: how many results are kept in memory. The oldest are dropped first; when asked for again, those that
            were loaded are read again, those of this run are computed again.
    """

    def __init__(self, store: Store | None, limit: int) -> None:
        self._store = store
        self._limit = limit
        self._running: dict[bytes, Task] = {}
        # A `Known` each, as a plain tuple: one that holds only atoms is nothing to the garbage collector.
        self._known: dict[bytes, tuple[Any, ...]] = {}
        self._order: deque[bytes] = deque()
        self.dropped_unstored = 0
        self.on_foreign_hit: Callable[[Path], None] = lambda folder: None

    def claim(self, key: bytes, task: Task) -> Task:
        """The task that runs for this key: `task` itself from now on, or the one that was there before."""
        return self._running.setdefault(key, task)

    def release(self, key: bytes, task: Task) -> None:
        """`task` no longer runs for its key."""
        if self._running.get(key) is task:
            del self._running[key]

    def finish(self, key: bytes, task: Task, known: Known) -> None:
        """`task` has ended with a result worth sharing: known first, then no longer running."""
        self._remember(key, known)
        self.release(key, task)

    def find(self, key: bytes, expires_s: float | None) -> Known | None:
        """The result for a key, from this run or the store, unless expired or without its output files."""
        remembered = self._known.get(key)
        if remembered is not None and _is_good(known := Known(*remembered), expires_s):
            return known
        if self._store is None:
            return None
        for known in self._stored(key):
            if _is_good(known, expires_s):
                self._remember(key, known)
                if known.folder is not None:
                    self.on_foreign_hit(known.folder)
                return known
        return None

    def unstored(self) -> Iterator[tuple[bytes, Known]]:
        """The results in memory that no checkpoint holds yet, oldest first."""
        for key, remembered in list(self._known.items()):
            if not (known := Known(*remembered)).stored:
                yield key, known

    def mark_stored(self, key: bytes, known: Known) -> None:
        """A checkpoint holds the result now."""
        if key in self._known:
            self._known[key] = known._replace(stored=True)[:]

    def _remember(self, key: bytes, known: Known) -> None:
        if key not in self._known:
            self._order.append(key)
        self._known[key] = known[:]
        while len(self._order) > self._limit:
            dropped = self._known.pop(self._order.popleft(), None)
            if dropped is not None and not Known(*dropped).stored:
                self.dropped_unstored += 1

    def _stored(self, key: bytes) -> Iterator[Known]:
        assert self._store is not None
        for record in self._store.find(key):
            known = _opened(record)
            if known is not None:
                yield known


def _opened(record: Record) -> Known | None:
    """The result in a record whose signature held (I6); None, with a warning, where it cannot be decoded."""
    try:
        stored = StoredResult.unpack(record.body)
        value = codec.decode(stored.encoded)
    except (SerializationError, ValueError) as exc:
        logger.warning("a stored result in %s is computed again: %s", record.folder, exc)
        return None
    is_failure = stored.kind == EXCEPTION
    return Known(
        value=None if is_failure else value,
        exception=value if is_failure else None,
        task_id=stored.task_id,
        completed=stored.completed,
        duration=stored.duration,
        outputs=tuple(stored.outputs),
        stored=True,
        run_number=record.run_number,
        folder=record.folder,
        app=stored.app,
    )


def _is_good(known: Known, expires_s: float | None) -> bool:
    if expires_s is not None and time.time() - known.completed > expires_s:
        return False
    return all(_is_unchanged(*output) for output in known.outputs)


def _is_unchanged(path: str, size: int, mtime_ns: int) -> bool:
    try:
        status = Path(path).stat()
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) == (size, mtime_ns)


def file_facts(outputs: Sequence[Any]) -> tuple[tuple[str, int, int], ...]:
    """(path, size in bytes, mtime in ns) of the output files that lie on this machine."""
    facts = []
    for output in outputs:
        # ValueError: a remote file that was not staged here.
        with contextlib.suppress(OSError, ValueError):
            path = Path(output).absolute()
            status = path.stat()
            facts.append((str(path), status.st_size, status.st_mtime_ns))
    return tuple(facts)
