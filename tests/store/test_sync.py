from __future__ import annotations

import threading

import pytest

from parslish.store.sync import MODES, Syncer


@pytest.mark.parametrize(
    ("mode", "records", "size_bytes", "delay_s"),
    [
        ("always", 1, 10, 0.0),
        ("always", 5, 10, 0.0),
        ("batch", 1, 10, 0.2),
        ("batch", 2, 10, None),
        ("batch", 64, 10, 0.0),
        ("batch", 2, 8 << 20, 0.0),
        ("manual", 1, 10, None),
        ("manual", 10**6, 10, None),
        ("manual", 2, 64 << 20, 0.0),
    ],
)
def test_a_mode_says_within_which_time_to_sync(mode: str, records: int, size_bytes: int, delay_s: float | None) -> None:
    assert MODES[mode].delay(records, size_bytes, first=records == 1) == delay_s


def test_no_thread_runs_before_it_is_asked_for() -> None:
    before = set(threading.enumerate())
    syncer = Syncer(lambda: None)
    assert set(threading.enumerate()) <= before
    syncer.close()


def test_a_request_is_met_and_a_later_one_again() -> None:
    calls = threading.Semaphore(0)
    syncer = Syncer(calls.release)
    for delay_s in (0.0, 0.001):
        syncer.request(delay_s)
        assert calls.acquire(timeout=30)
    syncer.close()


def test_an_earlier_request_overtakes_a_later_one() -> None:
    called = threading.Event()
    syncer = Syncer(called.set)
    syncer.request(3600)
    syncer.request(0)
    assert called.wait(30)
    syncer.close()


def test_closing_ends_the_thread_and_requests_are_ignored_from_then_on() -> None:
    called = threading.Event()
    syncer = Syncer(called.set)
    before = set(threading.enumerate())
    syncer.request(3600)
    (thread,) = set(threading.enumerate()) - before
    assert thread.name == "parslish-sync"
    syncer.close()
    assert not thread.is_alive()
    syncer.request(0)
    assert not called.is_set()


def test_it_may_be_closed_from_within_a_sync() -> None:
    done = threading.Event()

    def close() -> None:
        syncer.close()
        done.set()

    syncer = Syncer(close)
    syncer.request(0)
    assert done.wait(30)
