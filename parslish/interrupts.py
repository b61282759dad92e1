"""Owns Ctrl-C that hits the main thread inside parslish, where a step cut in half would leave futures unresolved:
the step ends, as a failure of its task, and the script gets its KeyboardInterrupt a moment later.

What a signal means for the run is `stopping`'s.
"""

from __future__ import annotations

import signal
import threading

AGAIN_S = 0.02


def give_to_script(exc: BaseException) -> None:
    """See that the script gets `exc`, which was caught in its place, if it is an interrupt of the main thread."""
    # Its context: an error that came of the interrupt, on the way (see `latch`).
    interrupted = isinstance(exc, KeyboardInterrupt) or isinstance(exc.__context__, KeyboardInterrupt)
    if interrupted and threading.current_thread() is threading.main_thread():
        # Not raised from here: we may be in a callback of a future that is not ours, which would call no other.
        again = threading.Timer(AGAIN_S, _interrupt)
        again.name, again.daemon = "parslish-interrupt", True
        again.start()


def _interrupt() -> None:
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
