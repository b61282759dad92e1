"""Owns waiting before an exclusive task is launched: for room among the few leases that its executor is given at a
time, and for other kernels. A task is launched when its kernel has the lease of its key, and not at all when the result
of another kernel is there first.
"""

from __future__ import annotations

import enum
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from parslish.leases import Leases
    from parslish.store.reader import Store

FIRST_PAUSE_S: Final = 0.05  #: from one look at what others do to the next
LAST_PAUSE_S: Final = 1.0
CLOSER_S: Final = 2.0  #: and between two looks at whether leases still count
LINE_SHARE: Final = 0.05  #: of a core, at most, goes into looking whether what is in line has been stored
MOST_UNKNOWN: Final = 1000  #: leases at a time, for an executor that does not say how many workers it has

Step = Callable[[], None]


class Turn(enum.Enum):
    """Whose turn it is at a key."""

    OURS = enum.auto()
    THEIRS = enum.auto()  #: another kernel's
    LATER = enum.auto()  #: nobody has been asked: the executor has leases enough


class _Line:
    """What waits for room among the leases of one executor."""

    def __init__(self, most: int) -> None:
        self.most, self.taken = most, 0
        self.waiting: OrderedDict[bytes, Step] = OrderedDict()

    @property
    def has_room(self) -> bool:
        return self.taken < self.most


class Turns:
    """Whose turn it is at a key, among the kernels on a run folder. Who has to wait is called: no thread of its own,
    but one for all.

    Kernels that have the same to do share it, since none holds more leases than its workers will soon need. The line of
    each executor is therefore without files.

    Args:
        held: this kernel's.
        follow: gives the store of what other kernels have stored, and may raise.
        executors: by their labels.
    """

    def __init__(self, held: Leases, follow: Callable[[], Store], executors: Mapping[str, Any]) -> None:
        self._leases, self._follow, self._executors = held, follow, executors
        held.on_release = self.leave
        self._condition = threading.Condition()  # guards the next seven
        self._lines: dict[str, _Line] = {}
        self._taken: dict[bytes, _Line] = {}  # who takes part of the room
        self._theirs: dict[bytes, tuple[_Line, Step]] = {}
        self._growths = 0  # how often the store was found to have grown
        self._thread: threading.Thread | None = None
        self._closed = False
        self._seen = self._seen_in_line = 0  # growths; of the thread alone, as what follows
        self._closer_at = self._line_at = 0.0  # when to look next

    def take(self, key: bytes, label: str) -> Turn:
        """Whose turn it is. If it is ours, the store has on return all that was stored before that was decided."""
        store = self._follow()
        if not self._enter(key, label):
            return Turn.LATER
        try:
            if not self._leases.take(key):
                return Turn.THEIRS
            self._refresh(store)
            return Turn.OURS
        finally:
            if key not in self._leases.held:
                self.leave(key)

    def leave(self, key: bytes) -> None:
        """A key needs no room any more. That of a join is given up before its lease is: what it waits for may be in
        the same line."""
        with self._condition:
            line = self._taken.pop(key, None)
            if line is not None:
                line.taken -= 1
                if line.waiting:
                    self._condition.notify()

    def wait(self, key: bytes, label: str, turn: Turn, step: Step) -> bool:
        """Have `step` called when the key is stored, or it may be our turn; False when nobody would call it."""
        with self._condition:
            if self._closed or not self._has_thread():
                return False
            line = self._line(label)
            if turn is Turn.THEIRS:
                self._theirs[key] = line, step
            else:
                line.waiting[key] = step
            self._condition.notify()
            return True

    def close(self) -> None:
        """End the thread; who still waits is called."""
        with self._condition:
            self._closed = True
            self._condition.notify()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    # ---------------------------------------------------------------------------------- room

    def _line(self, label: str) -> _Line:
        if label not in self._lines:
            self._lines[label] = _Line(_most(self._executors[label]))
        return self._lines[label]

    def _enter(self, key: bytes, label: str) -> bool:
        with self._condition:
            if key in self._taken:  # it was called for that
                return True
            line = self._line(label)
            if line.waiting or not line.has_room:
                return False
            self._occupy(line, key)
            return True

    def _occupy(self, line: _Line, key: bytes) -> None:
        if key not in self._taken:
            self._taken[key] = line
            line.taken += 1

    def _admitted(self) -> list[Step]:
        """Who comes in where there is room."""
        steps = []
        with self._condition:
            for line in self._lines.values():
                while line.waiting and line.has_room:
                    key, step = line.waiting.popitem(last=False)
                    self._occupy(line, key)
                    steps.append(step)
        return steps

    # ---------------------------------------------------------------------------------- the thread

    def _has_thread(self) -> bool:
        if self._thread is None:
            thread = threading.Thread(target=self._watch, name="parslish-turns", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the interpreter is ending
                return False
            self._thread = thread
        return True

    def _watch(self) -> None:
        pause_s = FIRST_PAUSE_S
        look_at = time.monotonic() + pause_s
        try:
            while self._sleep(look_at):
                _call(self._admitted())
                if time.monotonic() >= look_at:
                    pause_s = FIRST_PAUSE_S if self._look() else min(1.5 * pause_s, LAST_PAUSE_S)
                    look_at = time.monotonic() + pause_s
        finally:  # whatever ends this thread: nobody is to wait for ever (I2)
            with self._condition:
                self._closed = True
                keys = [*self._theirs, *self._in_line()]
            _call(self._called_off(keys))

    def _sleep(self, look_at: float) -> bool:
        """Wait until there is room for who waits, or it is time for a look; False when closed."""
        with self._condition:
            self._condition.wait_for(lambda: self._closed or self._theirs or self._has_line())
            self._condition.wait_for(self._has_work, max(0.0, look_at - time.monotonic()))
            return not self._closed

    def _has_line(self) -> bool:
        return any(line.waiting for line in self._lines.values())

    def _has_work(self) -> bool:
        return self._closed or any(line.waiting and line.has_room for line in self._lines.values())

    def _in_line(self) -> list[bytes]:
        return [key for line in self._lines.values() for key in line.waiting]

    # ---------------------------------------------------------------------------------- looks

    def _look(self) -> bool:
        """Find what is stored by now, and what nobody holds any more; whether there is any."""
        self._refresh(self._follow())
        with self._condition:
            theirs, growths = list(self._theirs), self._growths
        stored = self._stored(theirs) if growths != self._seen else set()
        self._seen = growths
        _call(self._called_off(stored))
        free = self._free([key for key in theirs if key not in stored])
        with self._condition:
            for key in reversed(free):  # the first of them is to be the first in line
                if key in self._theirs:
                    line, step = self._theirs.pop(key)
                    line.waiting[key] = step
                    line.waiting.move_to_end(key, last=False)
        return self._look_along_lines(growths) or bool(stored or free)

    def _free(self, theirs: Collection[bytes]) -> list[bytes]:
        if not theirs:
            return []
        now = time.monotonic()
        closer = now >= self._closer_at
        if closer:
            self._closer_at = now + CLOSER_S
        free = self._leases.free(theirs, closer=closer)
        return [key for key in theirs if key in free]

    def _look_along_lines(self, growths: int) -> bool:
        """Call who is in line for what is stored: there may be much in line, so this is done less often."""
        began = time.monotonic()
        if growths == self._seen_in_line or began < self._line_at:
            return False
        with self._condition:
            in_line = self._in_line()
        stored = self._stored(in_line)
        self._seen_in_line = growths
        _call(self._called_off(stored))
        ended = time.monotonic()
        self._line_at = ended + max(LAST_PAUSE_S, (ended - began) / LINE_SHARE)
        return bool(stored)

    def _stored(self, keys: Collection[bytes]) -> set[bytes]:
        store = self._follow()
        return {key for key in keys if key in store}

    def _refresh(self, store: Store) -> None:
        if store.refresh():
            with self._condition:
                self._growths += 1

    def _called_off(self, keys: Collection[bytes]) -> list[Step]:
        """The steps of who waits for these keys, and no longer does."""
        steps = []
        with self._condition:
            for key in keys:
                if key in self._theirs:
                    steps.append(self._theirs.pop(key)[1])
                steps += [line.waiting.pop(key) for line in self._lines.values() if key in line.waiting]
        return steps


def _call(steps: Collection[Step]) -> None:
    for step in steps:
        step()


def _most(executor: Any) -> int:
    """How many leases an executor is given at a time: for what its workers run, and will run next."""
    counts = [getattr(executor, name, None) for name in ("max_threads", "max_workers")]
    workers = next((count for count in counts if isinstance(count, int) and count > 0), None)
    return MOST_UNKNOWN if workers is None else 2 * workers + 2
