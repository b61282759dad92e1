"""Owns runs that were dispatched: a kernel each, and the thread that runs the workflow's function with it; leaves how
one asks for what came of it to `outcomes`.

Of a run that has ended nothing is kept in memory, unless it could not be stored.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import enum
import logging
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from parslish import graph, loader
from parslish.errors import UsageError, is_of_pause, near
from parslish.history import alive, card
from parslish.history.folder import CHECKPOINT, EVENTS, numbered
from parslish.history.lineage import COMPLETED as COMPLETED_RUN
from parslish.kernel import DataFlowKernel
from parslish.memo import Known
from parslish.store import folder
from parslish.store.disk import OS_DISK
from parslish.task import FINAL

logger = logging.getLogger("parslish")

RUN_DIR: Final = "runinfo"
CANCELLED_RUN: Final = "cancelled"  # how a run ended, in its record
_TEXT: Final = 16_000  # characters of a traceback that are kept, from the end
_SHOWN: Final = 20  # ids that an error lists

Which = str | int | os.PathLike[str]


class Status(str, enum.Enum):
    """Where a run stands; each is equal to its name, and prints as it."""

    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"  #: the workflow raised, or a task did whose result it gave
    CANCELLED = "CANCELLED"  #: or stopped by a signal
    PAUSED = "PAUSED"  #: it came to a task that it was told to pause before
    LOST = "LOST"  #: killed

    def __str__(self) -> str:
        return self.value

    def __format__(self, spec: str) -> str:
        return format(self.value, spec)


class Outcome(NamedTuple):
    """What a workflow came to, where that is not stored."""

    status: Status
    value: Any
    exception: BaseException | None


class Dispatch:
    """A run of a workflow that goes on beside this program; `begin` makes one.

    Attributes:
        run_id: the name of its folder, `path`.
        outcome: what it came to, when it has ended and that could not be stored.
    """

    def __init__(self, kernel: DataFlowKernel, name: str, call: Callable[[], Any]) -> None:
        self.run_id, self.path = kernel.run_id, Path(os.path.realpath(kernel.run_dir))
        self.outcome: Outcome | None = None
        self._kernel, self._name = kernel, name
        self._call: Callable[[], Any] | None = call
        self._lock = threading.Lock()  # guards _is_decided
        self._is_decided = False  # who finds it so does not end the run
        self._ended = threading.Event()
        self._started = time.time()
        # A daemon: at the exit it is we who decide whether it is waited for.
        self._thread = threading.Thread(target=self._run, name=f"parslish-workflow-{self.run_id}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def has_ended(self) -> bool:
        return self._ended.is_set()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the run has ended; False when it has not in time."""
        return self._ended.wait(timeout_s)

    def cancel(self) -> bool:
        """Cancel the run; False when it has ended, or is about to. What its function, or a thread, is at is not waited
        for and not kept."""
        if not self._decide():
            return False
        try:
            self._kernel.cancel_all(CANCELLED_RUN)
            self._settle(Outcome(Status.CANCELLED, None, None), is_stored=True)
        finally:
            self._ended.set()
        return True

    # ---------------------------------------------------------------------------------- its thread

    def _run(self) -> None:
        value, exc = self._called()
        try:
            self._await_tasks()
            if self._decide():
                self._end(value, exc)
                self._ended.set()
        except BaseException:  # of ours: nobody is to wait for ever
            logger.exception("the run %s could not be ended as it should; please report this", self.path)
            self._ended.set()

    def _called(self) -> tuple[Any, BaseException | None]:
        call, self._call = self._call, None  # the inputs are not kept longer than the function keeps them
        assert call is not None
        try:
            with loader.using(self._kernel):
                return _resolved(call()), None
        except BaseException as exc:  # user code: its SystemExit is its failure too
            return None, exc

    def _await_tasks(self) -> None:
        """Also those that the function does not wait for, and all when it has failed: their results are kept."""
        kernel = self._kernel
        while any(count for state, count in kernel.task_state_counts.items() if state not in FINAL):
            kernel.wait_for_current_tasks()

    def _decide(self) -> bool:
        with self._lock:
            decides, self._is_decided = not self._is_decided, True
        return decides

    def _end(self, value: Any, exc: BaseException | None) -> None:
        kernel, is_stored = self._kernel, None
        is_paused = is_of_pause(exc)
        status = Status.COMPLETED if exc is None else Status.FAILED
        if not is_paused:
            now = time.time()
            known = Known(value, exc, -1, now, now - self._started, app=self._name)
            is_stored = kernel.note_outcome(str(status), known, {} if exc is None else told(exc))
        kernel.end(COMPLETED_RUN if exc is None or is_paused else f"ended by {type(exc).__name__}")
        self._settle(Outcome(status, value, exc), is_stored is not False)

    def _settle(self, outcome: Outcome, is_stored: bool) -> None:
        if is_stored and self._kernel.config.record:
            _dispatched[self.path] = None
        else:
            self.outcome = outcome


def _resolved(value: Any) -> Any:
    """What a workflow gave, with the results of futures in their places."""
    futures = graph.futures_in((value,), {})
    if not futures:
        return value
    concurrent.futures.wait(futures)
    (found,), _ = graph.resolved((value,), {})
    return found


def told(exc: BaseException) -> dict[str, str]:
    """An exception in words: type, message and traceback."""
    try:
        message = str(exc)
    except Exception:  # user code: __str__
        message = "<its message cannot be made>"
    # Without the frame here that called it.
    inner = exc.__traceback__.tb_next if exc.__traceback__ else None
    text = "".join(traceback.format_exception(type(exc), exc, inner))
    return {"type": type(exc).__qualname__, "message": message[-_TEXT:], "traceback": text[-_TEXT:]}


# -------------------------------------------------------------------------------------- all of them


#: By its folder each run that was dispatched here; None when the disk knows all of it.
_dispatched: dict[Path, Dispatch | None] = {}


def begin(kernel: DataFlowKernel, name: str, call: Callable[[], Any]) -> Dispatch:
    """Run a workflow's function with a kernel, which is its own and ends with it."""
    made = Dispatch(kernel, name, call)
    if not _dispatched:
        with contextlib.suppress(RuntimeError):  # the interpreter is ending already
            threading._register_atexit(_at_exit)  # type: ignore[attr-defined]
    _dispatched[made.path] = made
    made.start()
    return made


def of(path: Path) -> Dispatch | None:
    """The run in a folder, where this process knows more of it than the disk."""
    return _dispatched.get(path)


def place_of(run_id: Which, run_dir: str | os.PathLike[str] | None) -> Path:
    """The folder of a run.

    Args:
        run_id: as `dispatch` gave it, its number, or its folder.
        run_dir: the folder that it is in; None: where this process has dispatched it, else "runinfo".

    Raises:
        UsageError: there is no such run; or, without `run_dir`, there are several.
    """
    name = f"{run_id:03d}" if isinstance(run_id, int) else os.fspath(run_id)
    names = (name, name.zfill(3))
    root = Path(os.path.realpath(RUN_DIR if run_dir is None else run_dir))
    mine = [path for path in list(_dispatched) if run_dir is None and path.name in names]
    here = [path for path in mine if path.parent == root]
    if len(here or mine) == 1:
        return (here or mine)[0]
    found = {path.name: path for _, path in numbered(root)}
    if mine and found.keys().isdisjoint(names):
        folders = ", ".join(repr(str(path.parent)) for path in mine[-_SHOWN:])
        raise UsageError(f"run {name!r} was dispatched more than once: name one of {folders} with run_dir=")
    for each in names:
        if each in found:
            return found[each]
    if card.read(Path(name)):
        return Path(os.path.realpath(name))
    known = ", ".join(list(found)[-_SHOWN:])
    raise UsageError(
        f"there is no run {name!r} in {str(root)!r}{near(name, found)}; "
        f"{f'there are {known}' if known else 'there are none: name their folder with run_dir='}"
    )


def cancel(run_id: Which, run_dir: str | os.PathLike[str] | None = None) -> bool:
    """Cancel a run that was dispatched: its tasks are cancelled, and it ends at once.

    A run of another process of this machine is cancelled by SIGTERM, which ends that process in order.

    Args:
        run_id: as `dispatch` gave it.
        run_dir: the folder of runs; None: where this process has dispatched it, else "runinfo".

    Returns:
        False when it had ended before.

    Raises:
        UsageError: there is no such run, or it is out of reach.
    """
    path = place_of(run_id, run_dir)
    mine = of(path)
    if mine is not None:
        return mine.cancel()
    facts = card.read(path)
    if facts.get("ended") is not None:
        return False
    if not alive.run(path):
        raise UsageError(
            f"run {path.name} is not going on: its process was killed; parslish.run({path.name!r}).resume() goes on"
        )
    _terminate(path, facts)
    return True


def is_own(facts: Mapping[str, Any]) -> bool:
    """Whether a run's card says that it is a run of this very process."""
    return facts.get("pid") == os.getpid() and facts.get("host") == socket.gethostname()


def _terminate(path: Path, facts: Mapping[str, Any]) -> None:
    host, pid = facts.get("host"), facts.get("pid")
    if alive.is_in_another_container(facts):
        raise UsageError(f"run {path.name} goes on in another container on {host}: cancel it there")
    if is_own(facts):
        raise UsageError(f"run {path.name} is this program's own, not dispatched: end it with parslish.dfk().cleanup()")
    if host != socket.gethostname() or not isinstance(pid, int):
        raise UsageError(f"run {path.name} goes on on {host}, and this is {socket.gethostname()}: cancel it there")
    # A card may lie, and a number may be another process' by now: the one that writes the run's record is the one.
    segments = [each for name in (EVENTS, CHECKPOINT) for each in _segments(path / name) if f"-{pid}-" in each.name]
    if not any(alive.segment(each) for each in segments):
        raise UsageError(
            f"run {path.name} goes on no more: process {pid} does not write to it; its status will be LOST"
        )
    os.kill(pid, signal.SIGTERM)


def _segments(path: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return folder.segments(OS_DISK, path)
    return []


def _at_exit() -> None:
    """A script that ends before its workflows do waits for them; one that an exception or a signal ended does not."""
    has_failed = getattr(sys, "last_value", None) is not None
    while left := [each for each in list(_dispatched.values()) if each is not None and not each.has_ended]:
        for each in left:
            # What a signal has stopped: its function may not have heard of it.
            if has_failed or card.read(each.path).get("ended") is not None:
                each.cancel()
            each.wait()


# What a forked child inherits goes on in its parent.
os.register_at_fork(after_in_child=_dispatched.clear)
