"""Owns the exit code of a script whose results could not all be stored: 3, so that a batch system, or a shell script
around it, need not read the warnings. A script that an exception ends keeps its own."""

from __future__ import annotations

import atexit
import contextlib
import gc
import io
import os
import sys

LOST = 3

_lost = False


def results_are_lost() -> None:
    """A run of this process has ended without all its results being stored."""
    global _lost
    _lost = True


def tell() -> None:
    """End the process with exit code 3 if results are lost. For the first of the handlers that run at its exit, when
    it is registered no more.

    Python asks nobody for an exit code at that point, so what it would still do is done here: all other handlers, and
    writing what is in the buffers of files.
    """
    if not _lost or getattr(sys, "last_value", None) is not None:
        return
    atexit._run_exitfuncs()
    for thing in gc.get_objects():
        if isinstance(thing, io.IOBase):
            with contextlib.suppress(Exception):  # user code: a file of any kind, perhaps closed, or with a full disk
                thing.flush()
    os._exit(LOST)
