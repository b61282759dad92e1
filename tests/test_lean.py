"""A lean future behaves as the standard library's, whose own functions are used on it."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import warnings
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, InvalidStateError, as_completed, wait
from typing import Any

import pytest

from parslish import lean
from parslish.lean import LeanFuture

SEED = int(os.environ.get("PARSLISH_SEED", "1"))


@pytest.fixture(params=[False, True], ids=["bare", "with parts"])
def future(request: pytest.FixtureRequest) -> LeanFuture:
    made = LeanFuture()
    if request.param:
        made._make_parts()
    return made


def test_a_result_is_handed_out(future: LeanFuture) -> None:
    assert not future.done()
    future.set_result(7)
    assert future.done() and future.result() == 7 and future.exception() is None
    assert not future.cancelled() and not future.running() and not future.cancel()


def test_an_exception_is_raised(future: LeanFuture) -> None:
    future.set_exception(ValueError("no"))
    assert future.done() and isinstance(future.exception(), ValueError)
    with pytest.raises(ValueError, match="no"):
        future.result()


def test_a_future_resolves_once(future: LeanFuture) -> None:
    future.set_result(1)
    with pytest.raises(InvalidStateError):
        future.set_result(2)
    with pytest.raises(InvalidStateError):
        future.set_exception(ValueError())
    assert future.result() == 1


def test_a_cancelled_future_takes_no_result(future: LeanFuture) -> None:
    assert future.cancel() and future.cancelled() and future.done()
    with pytest.raises(InvalidStateError):
        future.set_result(2)
    with pytest.raises(CancelledError):
        future.result()


def test_nobody_waits_longer_than_asked(future: LeanFuture) -> None:
    with pytest.raises(TimeoutError):
        future.result(0.001)
    with pytest.raises(TimeoutError):
        future.exception(0.001)


def test_a_callback_is_called_once_before_or_after_the_end(future: LeanFuture) -> None:
    called: list[Any] = []
    future.add_done_callback(called.append)
    future.set_result(1)
    future.add_done_callback(called.append)
    assert called == [future, future]


def test_callbacks_come_in_order_though_parts_are_made_in_between() -> None:
    called: list[int] = []
    future = LeanFuture()
    future.add_done_callback(lambda _: called.append(1))
    future._make_parts()
    future.add_done_callback(lambda _: called.append(2))
    future.set_result(None)
    assert called == [1, 2]


def test_a_callback_that_raises_stops_no_other(future: LeanFuture, caplog: pytest.LogCaptureFixture) -> None:
    called: list[Any] = []
    future.add_done_callback(lambda _: 1 / 0)
    future.add_done_callback(called.append)
    future.set_result(None)
    future.add_done_callback(lambda _: 1 / 0)
    assert called == [future] and caplog.text.count("ZeroDivisionError: ") == 2


def test_a_callback_of_a_cancelled_future_is_called(future: LeanFuture) -> None:
    called: list[Any] = []
    future.add_done_callback(called.append)
    future.cancel()
    assert called == [future]


def test_a_coroutine_awaits_it() -> None:
    async def waits() -> Any:
        future = LeanFuture()
        threading.Timer(0.001, future.set_result, [5]).start()
        return await asyncio.wrap_future(future)

    assert asyncio.run(waits()) == 5


def test_its_result_costs_no_lock_when_nobody_has_waited() -> None:
    future = LeanFuture()
    future.set_result(1)
    assert future.result() == 1 and future.done() and future.exception() is None
    assert future._parts is None


@pytest.mark.parametrize("how", ["result", "exception", "wait", "first", "as_completed", "callback"])
def test_who_comes_while_it_is_resolved_finds_it_resolved(how: str) -> None:
    print("PARSLISH_SEED =", SEED)
    rng = random.Random(SEED)
    for _ in range(400):
        futures = [LeanFuture() for _ in range(3)]
        threads = [threading.Thread(target=resolve, args=(f, rng.randrange(60))) for f in futures]
        for thread in threads:
            thread.start()
        come_by(how, futures)
        for thread in threads:
            thread.join()


def resolve(future: LeanFuture, spins: int) -> None:
    for _ in range(spins):
        pass
    future.set_result(1)


def come_by(how: str, futures: list[LeanFuture]) -> None:
    if how == "result":
        assert [f.result(30) for f in futures] == [1, 1, 1]
    elif how == "exception":
        assert [f.exception(30) for f in futures] == [None, None, None]
    elif how == "wait":
        assert wait(futures, 30).done == set(futures)
    elif how == "first":
        assert wait(futures, 30, FIRST_COMPLETED).done
    elif how == "as_completed":
        assert set(as_completed(futures, 30)) == set(futures)
    else:
        seen: list[Future[Any]] = []
        done = threading.Semaphore(0)
        for future in futures:
            future.add_done_callback(lambda f: (seen.append(f), done.release()))
        assert all(done.acquire(timeout=30) for _ in futures)
        assert set(seen) == set(futures)


def test_a_forked_child_is_not_held_by_a_thread_of_the_parent() -> None:
    taken, over = threading.Event(), threading.Event()

    def hold() -> None:
        with lean._passing:
            taken.set()
            over.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    taken.wait(60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads, which is what this is about
        pid = os.fork()
    if pid == 0:
        future = LeanFuture()
        future.set_result(7)
        os._exit(future.result())
    over.set()
    holder.join()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
