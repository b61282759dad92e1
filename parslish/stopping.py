"""Owns what happens when the process is told to end: signals and the interpreter's exit, for all live kernels.

A signal handler runs between any two instructions of the main thread, perhaps inside a lock that a checkpoint
needs. So the handler only wakes a thread, which was started for this beforehand; that thread stops dispatch,
writes, closes, says how to go on, and lets the process end: by exit code 128 + n for SIGTERM, by
KeyboardInterrupt in the main thread for SIGINT, so that the script's own `finally` blocks run.
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
    if not _kernels:
        _signals.install()
    _kernels.append(kernel)


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

    def install(self) -> None:
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

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._stopped_by is not None and number == signal.SIGINT:
            raise KeyboardInterrupt  # the second time, or when all is written: the script's turn
        if self._stopped_by is None:
            self._stopped_by = number
            assert self._pipe is not None
            os.write(self._pipe[1], bytes([number]))

    def _watch(self) -> None:
        assert self._pipe is not None
        while True:
            number = os.read(self._pipe[0], 1)[0]
            name = signal.Signals(number).name
            lines = [kernel.stop(f"stopped by {name}") for kernel in list(_kernels)]
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write("".join(f"parslish: {line}\n" for line in lines))
                sys.stderr.flush()
            if number != signal.SIGINT:
                with contextlib.suppress(OSError, ValueError):
                    sys.stdout.flush()
                os._exit(128 + number)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


_signals = _Signals()


def _at_exit() -> None:
    # A script that ends before its tasks do waits for them, as with concurrent.futures; one that an exception
    # or a signal ended does not.
    ended_well = getattr(sys, "last_value", None) is None and _signals._stopped_by is None
    for kernel in list(_kernels):
        if ended_well:
            kernel.wait_for_current_tasks()
        kernel.cleanup()


def _after_fork() -> None:
    for kernel in _kernels:
        kernel.disown()
    _kernels.clear()
    _signals.__init__()  # type: ignore[misc]


atexit.register(_at_exit)
os.register_at_fork(after_in_child=_after_fork)
