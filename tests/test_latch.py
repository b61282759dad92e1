"""A latch excludes, lets nobody sleep in its queue, and survives an interrupt at any instruction."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time

from parslish.latch import Latch, wait_for

SEED = int(os.environ.get("PARSLISH_SEED", "1"))


def guarded(latch: Latch, inside: list[int], most: list[int]) -> None:
    try:
        latch.acquire(False) or wait_for(latch)
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        inside[0] -= 1
    finally:
        latch.release()


def test_one_thread_at_a_time() -> None:
    latch, inside, most = Latch(), [0], [0]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [
            threading.Thread(target=lambda: [guarded(latch, inside, most) for _ in range(2000)]) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert inside == [0] and most == [1]


def test_who_comes_too_early_gets_it_in_the_end() -> None:
    latch, taken = Latch(), threading.Event()

    def hold() -> None:
        try:
            latch.acquire(False)
            taken.set()
            time.sleep(0.01)
        finally:
            latch.release()

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait(30)
    assert wait_for(latch)
    latch.release()
    thread.join()


def test_an_interrupt_leaves_it_free() -> None:
    latch, inside, most = Latch(), [0], [0]
    rng = random.Random(SEED)
    print("PARSLISH_SEED =", SEED)
    former = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        for _ in range(500):
            try:
                signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-6, 4e-4))
                while True:
                    guarded(latch, inside, most)
            except KeyboardInterrupt:
                pass
            assert is_free(latch)
            latch = Latch()  # which that thread has kept
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


def is_free(latch: Latch) -> bool:
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(latch.acquire(False)))
    thread.start()
    thread.join()
    return found[0]
