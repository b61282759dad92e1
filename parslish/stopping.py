"""Owns what happens when the process is told to end: signals and the interpreter's exit, for all live kernels.

A signal handler runs between any two instructions of the main thread, perhaps inside a lock that a checkpoint
needs. So the handler only wakes a thread, which was started for this beforehand; that thread stops dispatch,
writes, closes, says how to go on, and lets the process end: by exit code 128 + n for SIGTERM, by
KeyboardInterrupt in the main thread for SIGINT, so that the script's own `finally` blocks run. A second SIGINT raises
it at once; what is being written is written all the same before the process ends.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parslish.kernel import DataFlowKernel

_kernels: list[DataFlowKernel] = []


def watch(kernel: DataFlowKernel) -> None:
    """See that `kernel` is stopped in order when the process ends."""
    _signals.install()
    _kernels.append(kernel)
    # What was registered last runs first: before an executor's own end, which would cancel what is waited for.
    atexit.unregister(_at_exit)
    atexit.register(_at_exit)


def await_end() -> None:
    """For the main thread where it meets a stopped kernel: wait while the signal that stopped it is seen to.

    SIGTERM ends the process meanwhile; SIGINT becomes the KeyboardInterrupt that the script is to see, rather than
    an error that follows from it.
    """
    if threading.current_thread() is threading.main_thread():
        _signals.seen_to.wait()


def forget(kernel: DataFlowKernel) -> None:
    """`kernel` has been cleaned up."""
    if kernel in _kernels:
        _kernels.remove(kernel)
    if not _kernels:
        _signals.uninstall()


def live_kernels() -> list[DataFlowKernel]:
    """The kernels that have not been cleaned up."""
    return list(_kernels)


class _Signals:
    """The handlers, and the thread that they wake."""

    def __init__(self) -> None:
        self._previous: dict[int, object] = {}
        self._pipe: tuple[int, int] | None = None
        self._stopped_by: int | None = None
        self._interrupted = False  # the script has had its KeyboardInterrupt
        self.seen_to = threading.Event()  # clear while a signal is being seen to
        self.seen_to.set()

    def install(self) -> None:
        if not self.is_ending:
            self._stopped_by = None  # a script that lived on and loads anew is stopped anew
        if threading.current_thread() is not threading.main_thread() or self._previous:
            return
        # In a notebook or at a prompt an interrupt ends a cell, not the run.
        interactive = hasattr(sys, "ps1") or "ipykernel" in sys.modules
        wanted = [signal.SIGTERM] if interactive else [signal.SIGTERM, signal.SIGINT]
        for number in wanted:
            # A handler of the script's own stays: it knows better what its signal means.
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                self._previous[number] = signal.signal(number, self._handle)
        if self._previous and self._pipe is None:
            self._pipe = os.pipe()
            threading.Thread(target=self._watch, name="parslish-signals", daemon=True).start()

    def uninstall(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        for number, previous in self._previous.items():
            if signal.getsignal(number) == self._handle:
                signal.signal(number, previous)  # type: ignore[arg-type]
        self._previous.clear()

    @property
    def is_ending(self) -> bool:
        """Whether the process is about to end by SIGTERM."""
        return self._stopped_by == signal.SIGTERM

    @property
    def has_stopped(self) -> bool:
        """Whether a signal has stopped the kernels."""
        return self._stopped_by is not None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.is_ending:
            return
        if number == signal.SIGINT and self.has_stopped:
            self._interrupted = True
            raise KeyboardInterrupt  # the second time, or when all is written: the script's turn
        self._stopped_by, self._interrupted = number, False
        assert self._pipe is not None
        os.write(self._pipe[1], bytes([number]))

    def _watch(self) -> None:
        assert self._pipe is not None
        while True:
            number = os.read(self._pipe[0], 1)[0]
            self.seen_to.clear()
            kernels = list(_kernels)
            try:
                _stop(kernels, signal.Signals(number).name)
            finally:  # whatever fails: a process that does not heed SIGTERM is worse
                self._let_go(number)
            # On a thread of its own, for it calls callbacks of users, and this one has to hear the next signal.
            threading.Thread(target=_abandon, args=(kernels,), name="parslish-abandon", daemon=True).start()

    def _let_go(self, number: int) -> None:
        if number != signal.SIGINT:
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
            os._exit(128 + number)
        if not self._interrupted:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        self.seen_to.set()


def _stop(kernels: list[DataFlowKernel], name: str) -> None:
    lines = [kernel.stop(f"stopped by {name}") for kernel in kernels]
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write("".join(f"parslish: {line}\n" for line in lines))
        sys.stderr.flush()


def _abandon(kernels: list[DataFlowKernel]) -> None:
    for kernel in kernels:
        kernel.abandon()


_signals = _Signals()


def _at_exit() -> None:
    if _signals.is_ending:
        threading.Event().wait()  # the exit code is the signal's, which is being seen to
    # A script that ends before its tasks do waits for them, as with concurrent.futures; one that an exception
    # or a signal ended does not.
    ended_well = getattr(sys, "last_value", None) is None and not _signals.has_stopped
    for kernel in list(_kernels):
        if ended_well:
            kernel.wait_for_current_tasks()
        kernel.cleanup()


def _after_fork() -> None:
    for kernel in _kernels:
        kernel.disown()
    _kernels.clear()
    _signals.uninstall()  # nobody here would hear them
    _signals.__init__()  # type: ignore[misc]


atexit.register(_at_exit)
os.register_at_fork(after_in_child=_after_fork)
