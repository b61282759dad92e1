"""Owns which results are known: key → a result of this run, a task that is running, or a stored record.

It decides reuse, never runs anything. The kernel claims a key before it launches a task and gives it back when
the task has ended, so at most one task runs per key (I4).
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from parslish import codec, result
from parslish.errors import SerializationError, StoreCorrupt
from parslish.result import EXCEPTION
from parslish.task import Task

if TYPE_CHECKING:
    from parslish.leases import Leases
    from parslish.store.reader import Record, Store

#: Why a result that is there is not used.
EXPIRED, OUTPUT_MISSING, OUTPUT_CHANGED, UNREADABLE = "expired", "output missing", "output changed", "unreadable"


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
    app: str = ""


#: The fields of a `Known`, as a plain tuple: one that holds only atoms is nothing to the garbage collector.
Facts = tuple[Any, ...]


class Memo:
    """What is known and what is running.

    No lock but for dropping: `dict.setdefault` and the setting of an item are each atomic, and the order of the steps
    in `claim` and `finish` leaves no moment at which a finished key is neither known nor running.

    Results are kept in two generations, so that a run of any length lays out no table anew: when half of `limit` are
    in the young one, it becomes the old one, and what was in that is dropped.

    Args:
        store: loaded checkpoints, or None.
        limit: how many results are kept in memory, at most; the latest half of them always are. A result that was
            dropped and is asked for again is read again if it was loaded, and computed again if it is of this run.
    """

    def __init__(self, store: Store | None, limit: int) -> None:
        self.store = store
        self.leases: Leases | None = None  # given back with the claim
        self._generation = (limit + 1) // 2
        self._running: dict[bytes, Task] = {}
        self._young: dict[bytes, Facts] = {}
        self._old: dict[bytes, Facts] = {}
        self._dropping = threading.Lock()
        self.dropped_unstored = 0
        #: key → why a result that is there was not used at the last look, and the details.
        self.refused: dict[bytes, tuple[str, str]] = {}
        self.on_foreign_hit: Callable[[Path], None] = lambda folder: None
        self._hit_folder: Path | None = None

    def claim(self, key: bytes, task: Task) -> Task:
        """The task that runs for this key: `task` itself from now on, or the one that was there before."""
        return self._running.setdefault(key, task)

    def release(self, key: bytes, task: Task) -> None:
        """`task` no longer runs for its key."""
        if self._running.get(key) is task:
            del self._running[key]
            if self.leases is not None and key in self.leases.held:
                self.leases.release(key)

    def finish(self, key: bytes, task: Task, known: Facts) -> None:
        """`task` has ended with a result worth sharing: known first, then no longer running."""
        self._remember(key, known)
        self.release(key, task)

    def find(self, key: bytes, expires_s: float | None) -> Known | None:
        """The result for a key, from this run or the store, unless expired or without its output files."""
        remembered = self._young.get(key) or (self._old.get(key) if self._old else None)
        known = None if remembered is None else Known(*remembered)
        if known is not None and self._is_good(key, known, expires_s):
            return known
        if self.store is None:
            return None
        for record in self.store.find(key):
            known = self._opened(key, record)
            if known is not None and self._is_good(key, known, expires_s):
                self._remember(key, known[:])
                if record.folder is not self._hit_folder:  # nearly always that of the hit before
                    self._hit_folder = record.folder
                    self.on_foreign_hit(record.folder)
                return known
        return None

    def find_stored(self, key: bytes) -> Known | None:
        """The result for a key that was loaded; None when there is none."""
        records = () if self.store is None else self.store.find(key)
        return next((known for record in records if (known := self._opened(key, record)) is not None), None)

    def unstored(self) -> Iterator[tuple[bytes, Known]]:
        """The results in memory that no checkpoint holds yet, oldest first."""
        for key, remembered in {**self._old, **self._young}.items():
            if not (known := Known(*remembered)).stored:
                yield key, known

    def mark_stored(self, key: bytes, known: Known) -> None:
        """A checkpoint holds the result now."""
        for generation in (self._old, self._young):
            if key in generation:
                generation[key] = known._replace(stored=True)[:]

    def _remember(self, key: bytes, known: Facts) -> None:
        self._young[key] = known
        if len(self._young) >= self._generation:
            self._drop_old()

    def _drop_old(self) -> None:
        with self._dropping:
            if len(self._young) < self._generation:  # another thread was here
                return
            dropped = self._old
            # In this order: what is young stays known, and who still has it in hand writes to what is known.
            self._old = self._young if self._generation else {}
            self._young = {}
        self.dropped_unstored += sum(not Known(*one).stored for key, one in dropped.items() if key not in self._old)

    def _is_good(self, key: bytes, known: Known, expires_s: float | None) -> bool:
        if expires_s is None and not known.outputs:
            return True
        why_not = _why_not(known, expires_s)
        if why_not is not None:
            self.refused[key] = why_not
        return why_not is None

    def _opened(self, key: bytes, record: Record) -> Known | None:
        """The result in a record whose signature held (I6); None, and that is noted, when it cannot be decoded."""
        try:
            kind, app, task_id, completed, duration, outputs, encoded = result.unpack(record.body)
            value = codec.decode(encoded, record.folder)
        except (SerializationError, StoreCorrupt, ValueError) as exc:
            assert self.store is not None
            self.store.report.add_unopened(record.folder, record.name, str(exc))
            self.refused[key] = UNREADABLE, f"it cannot be opened: {exc}"
            return None
        value, exception = (None, value) if kind == EXCEPTION else (value, None)
        # By position, for speed: names would cost as much again as the value.
        return Known(value, exception, task_id, completed, duration, tuple(outputs), True, record.run_number, app)


def _why_not(known: Known, expires_s: float | None) -> tuple[str, str] | None:
    """Why a result is of no use any more, and the details; None when it is good."""
    age_s = time.time() - known.completed
    if expires_s is not None and age_s > expires_s:
        return EXPIRED, f"it is {age_s:.0f} s old, and good for {expires_s:.0f} s"
    return next((why for output in known.outputs if (why := _why_changed(*output))), None)


def _why_changed(path: str, size: int, mtime_ns: int) -> tuple[str, str] | None:
    try:
        status = Path(path).stat()
    except OSError:
        return OUTPUT_MISSING, path
    return None if (status.st_size, status.st_mtime_ns) == (size, mtime_ns) else (OUTPUT_CHANGED, path)


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
