"""Owns the exit code of a script whose results could not all be stored: 3 instead of 0, so that a batch system, or a
shell script around it, need not read the warnings. Any other code stays: that of `sys.exit(5)`, an error, a signal.

Python ends as ever, with all handlers, every `__del__` and all buffers written; only then, in C's own `exit`, does the
code become another. (`os._exit` would leave a ZIP file without its directory.)

Which code it would have been nobody tells. `SystemExit` is gone before the first exit handler runs: it calls no hook,
and leaves no `sys.last_value`. C's handlers, which are given the code, come when there is no Python any more. So the
process forks when nothing but memory is left to be given back: with what code the copy ends, it would end itself.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import time
from signal import SIG_DFL, SIGCHLD, SIGKILL

LOST = 3

_COPY_S = 10  # a copy that has not ended by then never will
_lost = False


def results_are_lost() -> None:
    """A run of this process has ended without all its results being stored."""
    global _lost
    _lost = True


def tell() -> None:
    """See that the process ends with exit code 3 where it would end with 0, if results are lost. For its last exit
    handler."""
    # Without a command line Python is part of another program, which goes on. And the copy would end MPI a second time.
    if _lost and sys.orig_argv and "mpi4py" not in sys.modules:
        # Modules are let go before `sys` is, and of that, what came last is the last.
        with contextlib.suppress(ImportError, AttributeError, OSError):  # a Python, or a C, without what it takes
            sys.__dict__["__parslish_end__"] = _End()


def _forget() -> None:
    global _lost
    _lost = False


os.register_at_fork(after_in_child=_forget)  # the parent's


class _End:
    """Decides about the exit code when it is let go. It has all that it needs: its module is empty by then."""

    def __init__(self) -> None:
        self._getpid, self._pid = os.getpid, 0
        import ctypes  # here: few processes need them
        import faulthandler

        # Its functions keep the interpreter's lock, so that in the copy no thread has it that is not there.
        libc = ctypes.PyDLL(None)
        self._flush, self._signal, self._fork, self._at_exit = libc.fflush, libc.signal, libc.fork, libc["__cxa_atexit"]
        self._exit_at_once = ctypes.cast(libc._exit, ctypes.c_void_p)
        self._exit, self._code = ctypes.cast(libc.exit, ctypes.c_void_p), ctypes.c_void_p(LOST)
        self._on_exit = getattr(libc, "on_exit", None)  # glibc's
        self._collect, self._forget_timeout = gc.collect, faulthandler.cancel_dump_traceback_later
        self._listdir, self._close = os.listdir, os.close
        self._waitpid, self._sleep, self._kill = os.waitpid, time.sleep, os.kill
        self._numbers = int(SIG_DFL), int(SIGCHLD), int(SIGKILL), os.WNOHANG, _COPY_S
        self._pid = os.getpid()  # now it is complete

    def __del__(self) -> None:
        if self._getpid() != self._pid:
            return  # a fork of the script's own, which has lost nothing
        self._collect()  # what only the collector finds is finalised here, and not in the copy too
        self._forget_timeout()  # at its end Python waits for the thread of that, which the copy has not
        self._flush(None)
        default, child_ended, *_ = self._numbers
        self._signal(child_ended, default)
        pid = self._fork()
        if pid == 0:
            self._be_copy()
        elif pid > 0 and self._code_of(pid) == 0:
            self._at_exit(self._exit, self._code, None)

    def _be_copy(self) -> None:
        """Touch nothing on the way to the end, and skip what C's handlers do there: that is the original's."""
        if self._on_exit is not None:
            self._on_exit(self._exit_at_once, None)
        try:
            for name in self._listdir("/dev/fd"):
                try:  # noqa: SIM105 - contextlib is gone
                    self._close(int(name))
                except OSError:  # that of the listing
                    pass
        except OSError:
            pass

    def _code_of(self, pid: int) -> int | None:
        """With what the copy has ended; None when nobody knows."""
        *_, kill, at_once, copy_s = self._numbers
        try:
            for _ in range(copy_s * 100):
                ended, status = self._waitpid(pid, at_once)
                if ended:
                    return status
                self._sleep(0.01)
            self._kill(pid, kill)
            self._waitpid(pid, 0)
        except OSError:
            pass
        return None
