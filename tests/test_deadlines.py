"""Walltimes expire in their order, once, and not after the end."""

from __future__ import annotations

import threading

from parslish.deadlines import Deadlines
from parslish.task import Try


def attempts(n: int) -> list[Try]:
    return [Try(None, i, abs, (), {}) for i in range(n)]


def test_the_earliest_deadline_expires_first_whatever_came_first() -> None:
    expired: list[int] = []
    done = threading.Event()

    def on_expiry(attempt: Try) -> None:
        expired.append(attempt.number)
        if len(expired) == 3:
            done.set()

    deadlines = Deadlines(on_expiry)
    late, middle, early = attempts(3)
    deadlines.add(late, 0.2)
    deadlines.add(middle, 0.1)
    deadlines.add(early, 0.02)
    assert done.wait(30)
    assert expired == [2, 1, 0]
    deadlines.close()


def test_no_thread_without_deadlines_and_none_after_close() -> None:
    before = threading.active_count()
    deadlines = Deadlines(lambda attempt: None)
    assert threading.active_count() == before
    deadlines.add(attempts(1)[0], 1000)
    assert threading.active_count() == before + 1
    deadlines.close()
    assert threading.active_count() == before
    deadlines.add(attempts(1)[0], 0.001)
    assert threading.active_count() == before
