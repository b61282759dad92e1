"""Owns counting: calls of functions, those of them that enter the system, and locks that are taken, each by the side
of a task on which that happens. What runs meanwhile is for `runs` to know.
"""

from __future__ import annotations

import _thread
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SYSTEM_MODULES = frozenset({"posix", "select"})
SYSTEM_TYPES = frozenset({"socket", "epoll", "poll", "eventfd"})
SYSTEM_CLOCKS = frozenset({"thread_time", "process_time", "sleep"})  # time() and perf_counter() do not enter it
NOT_SYSTEM = frozenset({"fspath", "fsencode", "register", "fileno"})


class Counters:
    """What has been counted, as "side: what" → how often."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._here = threading.local()

    def on_side(self, side: str) -> None:
        """What follows on this thread belongs to this side, "" being none."""
        self._here.side = side

    # As `budget_held.side_of`, whose own calls would be counted: those of this file are not.
    @contextmanager
    def side(self, name: str) -> Iterator[None]:
        """The side of what happens inside the `with`."""
        self.on_side(name)
        try:
            yield
        finally:
            self.on_side("")

    def note(self, what: str) -> None:
        if side := getattr(self._here, "side", ""):
            self.counts[f"{side}: {what}"] += 1

    def taken(self) -> dict[str, int]:
        """What has been counted since this was last asked."""
        counts, self.counts = dict(sorted(self.counts.items())), Counter()
        return counts


class Calls(Counters):
    """Counts calls on the thread that says `on_side`, by way of the interpreter's profiling hook."""

    def on_side(self, side: str) -> None:
        sys.setprofile(None)
        super().on_side(side)
        if side:
            sys.setprofile(self._hook)

    def _hook(self, frame: FrameType, event: str, arg: Any) -> None:
        if event == "call":
            # The first calls after switching on are the way back from there.
            if frame.f_code.co_filename != __file__:
                self.note("Python calls")
        elif event == "c_call" and arg is not sys.setprofile and frame.f_code.co_filename != __file__:
            self.note("C calls")
            if enters_system(arg):
                self.note("system calls")


def enters_system(function: Any) -> bool:
    """Whether a C function asks the kernel for something, as far as its name tells."""
    name, owner = function.__name__, getattr(function, "__self__", None)
    if name in NOT_SYSTEM:
        return False
    module = getattr(function, "__module__", None) or getattr(owner, "__name__", "")
    if module in SYSTEM_MODULES:
        return True
    if module == "time":
        return name in SYSTEM_CLOCKS
    return any(base.__name__ in SYSTEM_TYPES for base in type(owner).__mro__)


class Locks(Counters):
    """Counts how often locks are taken that are made after `install`."""

    def install(self) -> None:
        """To be called before parslish is imported, whose modules have locks of their own."""
        lock, rlock = _counted(_thread.allocate_lock, self), _counted(_thread.RLock, self)
        threading.Lock = lock
        threading.RLock = rlock
        threading._allocate_lock = lock  # type: ignore[attr-defined]


def _counted(make: Callable[[], Any], counters: Counters) -> Any:
    class Counted:
        """A lock that counts; in all else what `make` makes."""

        def __init__(self) -> None:
            self._inner = make()

        def acquire(self, *args: Any, **kwargs: Any) -> bool:
            taken: bool = self._inner.acquire(*args, **kwargs)
            if taken:
                counters.note("locks")
            return taken

        __enter__ = acquire

        def __exit__(self, *_: object) -> None:
            self._inner.release()

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

    return Counted
