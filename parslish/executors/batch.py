"""Owns how many short jobs go to a worker at once; knows no process, clock or lock, only numbers.

Sending one job costs about 100 µs of both sides, which is nothing for a second of work and everything for a
microsecond. So jobs of functions known to be short are packed to some milliseconds of work, and the next pack
is sent before the last is done. A job that is long, or of a function that has not run yet, goes alone to an idle
worker, and nothing is sent behind it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TypeVar

UNKNOWN_S = 1.0  #: the cost of a job whose function has not run yet: goes alone
TARGET_S = 0.010  #: seconds of work that one worker may hold
ROOM_S = 0.005  #: it gets more when it holds less than this
MOST = 512  #: jobs that one worker may hold
PACK = 256  #: jobs in one message
OVERHEAD_S = 20e-6  #: what any job costs a worker beside its own duration

Job = TypeVar("Job")


def learn(cost_s: float, duration_s: float) -> float:
    """The new cost of a function's jobs, after one that took `duration_s`.

    It rises at once and falls by and by: a function that is sometimes long must not be packed, while one late
    wake-up of the machine must not spoil packing for more than some dozen jobs.
    """
    cost = duration_s + OVERHEAD_S
    if cost >= cost_s or cost_s >= UNKNOWN_S:
        return min(cost, UNKNOWN_S)
    return cost_s + 0.2 * (cost - cost_s)


def has_room(load_s: float, held: int) -> bool:
    """Whether a worker that holds `held` jobs of `load_s` seconds in all should get more."""
    return load_s < ROOM_S and held <= MOST - PACK


def take(queue: deque[Job], cost: Callable[[Job], float], load_s: float, held: int, workers: int) -> list[Job]:
    """Pop the jobs to send to one worker next, in order.

    Args:
        queue: the waiting jobs; others may append to it meanwhile.
        cost: seconds that a job is expected to take.
        load_s, held: what the worker has already: expected seconds, and how many jobs.
        workers: among how many the queue will be shared: nobody takes more than an even share, so that the last
            jobs of a queue do not all wait behind one worker.
    """
    share = min(PACK, -(-len(queue) // workers))
    taken: list[Job] = []
    while queue and len(taken) < share:
        load_s += cost(queue[0])
        if (taken or held) and load_s > TARGET_S:
            break
        taken.append(queue.popleft())
    return taken
