"""An interrupt of the main thread that was caught in the script's place reaches the script; nothing else does."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from types import SimpleNamespace

import pytest

import parslish
from parslish import Config, interrupts, python_app
from parslish import latch as latch_module
from parslish.latch import Latch, wait_for
from tests.faults.executor import InlineExecutor

PATIENCE_S = 30


@pytest.fixture
def timers(monkeypatch: pytest.MonkeyPatch) -> list[threading.Timer]:
    """The timers that are started; none of them ever fires."""
    started: list[threading.Timer] = []
    monkeypatch.setattr(threading.Timer, "start", lambda timer: started.append(timer))
    return started


def following(exc: BaseException, cause: BaseException) -> BaseException:
    """`exc` as it is when it was raised while `cause` was being handled."""
    exc.__context__ = cause
    return exc


def interrupted_in_contended_latch(monkeypatch: pytest.MonkeyPatch) -> BaseException:
    """What comes out of a latch that another thread holds, when Ctrl-C comes while one waits for it."""
    latch, taken, leave = Latch(), threading.Event(), threading.Event()

    def hold() -> None:
        with latch:
            taken.set()
            leave.wait(PATIENCE_S)

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    holder = threading.Thread(target=hold)
    holder.start()
    assert taken.wait(PATIENCE_S)
    try:
        with monkeypatch.context() as patch, pytest.raises(BaseException) as caught:
            patch.setattr(latch_module, "time", SimpleNamespace(sleep=interrupt))
            try:
                latch.acquire(False) or wait_for(latch)
            finally:
                latch.release()
    finally:
        leave.set()
        holder.join()
    return caught.value


def test_an_interrupt_is_sent_again_by_a_thread_of_its_own(timers: list[threading.Timer]) -> None:
    interrupts.give_to_script(KeyboardInterrupt())  # and is not raised from there
    (timer,) = timers
    assert timer.daemon  # it keeps no script from ending
    assert timer.name == "parslish-interrupt"
    assert timer.interval == interrupts.AGAIN_S


def test_so_is_an_error_that_came_of_an_interrupt(timers: list[threading.Timer]) -> None:
    interrupts.give_to_script(following(RuntimeError(), KeyboardInterrupt()))
    assert len(timers) == 1


def test_so_is_what_an_interrupt_in_a_contended_latch_becomes(
    timers: list[threading.Timer], monkeypatch: pytest.MonkeyPatch
) -> None:
    exc = interrupted_in_contended_latch(monkeypatch)
    assert isinstance(exc, RuntimeError)  # else it needs no looking for
    interrupts.give_to_script(exc)
    assert len(timers) == 1


@pytest.mark.parametrize(
    "exc",
    [ValueError(), SystemExit(), GeneratorExit(), following(ValueError(), SystemExit())],
    ids=["error", "exit", "generator exit", "error after exit"],
)
def test_nothing_else_is(exc: BaseException, timers: list[threading.Timer]) -> None:
    interrupts.give_to_script(exc)
    assert not timers


@pytest.mark.parametrize("exc", [KeyboardInterrupt(), following(RuntimeError(), KeyboardInterrupt())])
def test_an_interrupt_that_another_thread_raised_is_its_own(exc: BaseException, timers: list[threading.Timer]) -> None:
    thread = threading.Thread(target=interrupts.give_to_script, args=(exc,))
    thread.start()
    thread.join()
    assert not timers


def test_the_script_gets_it_also_where_it_sleeps() -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupts.give_to_script(KeyboardInterrupt())
        threading.Event().wait(PATIENCE_S)


def test_a_done_callback_that_it_hits_keeps_the_others_from_nothing(timers: list[threading.Timer]) -> None:
    called: list[Future[int]] = []
    gate: Future[int] = Future()

    def hit(future: Future[int]) -> None:
        try:
            raise KeyboardInterrupt
        finally:
            Latch().release()  # which is not ours

    with parslish.load(Config([InlineExecutor()])):
        future = python_app(lambda x: x)(gate)
        future.add_done_callback(hit)
        future.add_done_callback(called.append)
        gate.set_result(1)
    assert called == [future] and future.result() == 1
    assert len(timers) == 1
