"""Owns locks that guard a few instructions each and are taken several times a task.

A thread that sleeps in a lock's own queue is given the lock before it has the interpreter; the running thread then
finds it taken at its next step and goes to sleep too, and so on: every step costs a switch of threads, for as long as
there is work (a convoy). So nobody sleeps there. Who holds the lock has lost the interpreter in between; letting it
have that back is all that is needed.

    try:
        latch.acquire(False) or wait_for(latch)
        …
    finally:
        latch.release()

Not `with`, whose lock sleeps. The first line is inside, because Ctrl-C may come between the lock being taken and what
follows it. Should it come in the moment after the lock was found taken, it shows as the RuntimeError of `release`.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Latch = threading.RLock
else:
    Latch = type(threading.RLock())  # the function of that name looks for a debug option at each call


def wait_for(latch: Latch) -> bool:
    """Take a latch that was found taken."""
    while not latch.acquire(False):
        time.sleep(0)
    return True
