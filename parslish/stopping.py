"""Owns what happens when the process is told to end: signals and the interpreter's exit, for all live kernels.

A signal handler runs between any two instructions of the main thread, perhaps inside a lock that a checkpoint
needs, or much later, when the main thread is inside a library. So a signal only wakes a thread, which was started for
this beforehand. Another one then stops dispatch, writes, closes, says how to go on, and lets the process end: by exit
code 128 + n for SIGTERM, by KeyboardInterrupt in the main thread for SIGINT, so that the script's own `finally` blocks
run. A second SIGINT raises it at once; what is being written is written all the same before the process ends.
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

from parslish import exit_code

if TYPE_CHECKING:
    from parslish.kernel import DataFlowKernel

_HEARD = (signal.SIGTERM, signal.SIGINT)
_kernels: list[DataFlowKernel] = []


def watch(kernel: DataFlowKernel) -> None:
    """See that `kernel` is stopped in order when the process ends."""
    _signals.install()
    _kernels.append(kernel)
    # What was registered last runs first: before any pool's own end, which would cancel what is waited for.
    with contextlib.suppress(RuntimeError):  # the interpreter is ending already
        threading._register_atexit(_before_exit)  # type: ignore[attr-defined]
    _be_first_at_exit()


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
    """The handlers, and the thread that they wake, which alone decides what a signal means."""

    def __init__(self) -> None:
        self._previous: dict[int, object] = {}
        self._ours: set[int] = set()
        self._pipe: tuple[int, int] | None = None
        self._stopped_by: int | None = None
        self._lock = threading.Lock()  # guards the three below
        self._told = False  # the script has had its KeyboardInterrupt
        self._raises = False  # the main thread has still to raise it
        self._echoes = 0  # SIGINTs that we have sent ourselves and not yet read
        self.seen_to = threading.Event()  # clear while a signal is being seen to
        self.seen_to.set()

    @property
    def is_ending(self) -> bool:
        """Whether the process is about to end by SIGTERM."""
        return self._stopped_by == signal.SIGTERM

    @property
    def has_stopped(self) -> bool:
        """Whether a signal has stopped the kernels."""
        return self._stopped_by is not None

    # ---------------------------------------------------------------- main thread

    def install(self) -> None:
        if not self.is_ending:
            self._stopped_by, self._told = None, False  # a script that lived on and loads anew is stopped anew
        if threading.current_thread() is not threading.main_thread() or self._previous:
            return
        # In a notebook or at a prompt an interrupt ends a cell, not the run.
        interactive = hasattr(sys, "ps1") or "ipykernel" in sys.modules
        wanted = _HEARD[:1] if interactive else _HEARD
        for number in wanted:
            # A handler of the script's own stays: it knows better what its signal means.
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                self._previous[number] = signal.signal(number, self._handle)
        self._ours = set(self._previous)
        if self._previous:
            self._listen()

    def uninstall(self) -> None:
        if threading.current_thread() is not threading.main_thread() or self._pipe is None:
            return
        for number, previous in self._previous.items():
            if signal.getsignal(number) == self._handle:
                signal.signal(number, previous)  # type: ignore[arg-type]
        self._previous.clear()
        if self._is_wakeup_ours():
            signal.set_wakeup_fd(-1)

    def _listen(self) -> None:
        if self._pipe is None:
            self._pipe = os.pipe()
            os.set_blocking(self._pipe[1], False)
            threading.Thread(target=self._watch, name="parslish-signals", daemon=True).start()
        # Python's own handler runs when the main thread next runs Python: after a long call into a library, or,
        # where the signal came just before it began to wait for a result, never. This wakes us at once.
        taken = signal.set_wakeup_fd(self._pipe[1])
        if taken != -1:
            signal.set_wakeup_fd(taken)  # an event loop's: it keeps it, and `_handle` wakes us

    def _is_wakeup_ours(self) -> bool:
        descriptor = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(descriptor)
        return self._pipe is not None and descriptor == self._pipe[1]

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._is_wakeup_ours():
            assert self._pipe is not None
            os.write(self._pipe[1], bytes([number]))
        if number == signal.SIGINT and self._raises:
            self._raises = False
            raise KeyboardInterrupt

    # ---------------------------------------------------------------- the thread that they wake

    def _watch(self) -> None:
        assert self._pipe is not None
        while True:
            number = os.read(self._pipe[0], 1)[0]
            if number in self._ours and not self._is_echo(number):  # others' signals wake us too
                self._decide(number)

    def _is_echo(self, number: int) -> bool:
        with self._lock:
            is_echo = number == signal.SIGINT and self._echoes > 0
            self._echoes -= is_echo
        return is_echo

    def _decide(self, number: int) -> None:
        if self.is_ending:
            return
        if number == signal.SIGINT and self.has_stopped:
            self._interrupt(again=True)
            return
        self._stopped_by = number
        try:
            # On a thread of its own: this one has to hear the next signal, however slow the disk is.
            threading.Thread(target=self._see_to, args=(number,), name="parslish-stop", daemon=True).start()
        except RuntimeError:  # the interpreter is ending, and starts no threads any more
            self._see_to(number)

    def _see_to(self, number: int) -> None:
        self.seen_to.clear()
        kernels = list(_kernels)
        try:
            _stop(kernels, signal.Signals(number).name)
        finally:  # whatever fails: a process that does not heed SIGTERM is worse
            if number != signal.SIGINT:
                _exit(128 + number)
            self._interrupt(again=False)
            self.seen_to.set()
        for kernel in kernels:
            kernel.abandon()

    def _interrupt(self, *, again: bool) -> None:
        """Have the main thread raise KeyboardInterrupt, once or again."""
        with self._lock:
            if self._told and not again:
                return
            self._told = self._raises = True
            self._echoes += 1
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def _stop(kernels: list[DataFlowKernel], name: str) -> None:
    lines = [kernel.stop(f"stopped by {name}") for kernel in kernels]
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write("".join(f"parslish: {line}\n" for line in lines))
        sys.stderr.flush()


def _exit(code: int) -> None:
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    os._exit(code)


_signals = _Signals()


def _wait_at_exit() -> None:
    """A script that ends before its tasks do waits for them, as with concurrent.futures; one that an exception or a
    signal ended does not.

    While the interpreter still allows new threads, which the tasks may need. Threads of the script that go on
    submitting are waited for by Python, after this and before `_at_exit`.
    """
    if getattr(sys, "last_value", None) is None and not _signals.has_stopped:
        for kernel in list(_kernels):
            kernel.wait_for_current_tasks()


def _before_exit() -> None:
    _wait_at_exit()
    _be_first_at_exit()  # also before what was registered since


def _be_first_at_exit() -> None:
    atexit.unregister(_at_exit)
    atexit.register(_at_exit)


def _at_exit() -> None:
    _wait_at_exit()
    if _signals.is_ending:
        threading.Event().wait()  # the exit code is the signal's, which is being seen to
    for kernel in list(_kernels):
        kernel.cleanup()
    atexit.unregister(_at_exit)
    exit_code.tell()


# Around a fork no signal is heard: before the child has let go of the handlers, it would tell the parent's thread.
_masks = threading.local()


def _before_fork() -> None:
    _masks.before = signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)


def _after_fork_in_parent() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _masks.before)


def _after_fork() -> None:
    for kernel in _kernels:
        kernel.disown()
    _kernels.clear()
    _signals.uninstall()  # nobody here would hear them
    _signals.__init__()  # type: ignore[misc]
    _after_fork_in_parent()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork)
