"""AppFuture: a real future that knows its task, and when it resolves (behaviour 2)."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from typing import Any

import pytest

import parslish
from parslish import AppFuture, Config, States, python_app
from tests.parsl.helpers import PATIENCE_S, Gate, double, fail, give

pytestmark = pytest.mark.usefixtures("loaded")


# -- a task's future


def test_a_future_knows_its_task() -> None:
    futures = [double(i) for i in range(3)]
    assert [f.tid for f in futures] == [0, 1, 2]
    futures[0].result()
    record = futures[0].task_record
    assert record["id"] == 0
    assert record["func_name"] == "double"
    assert record["func"](4) == 8
    assert record["try_id"] == 0
    assert futures[0].task_status() == "exec_done"
    assert (futures[0].stdout, futures[0].stderr, list(futures[0].outputs)) == (None, None, [])


def test_an_open_task_record_has_the_arguments() -> None:
    gate = Gate()
    held = python_app(lambda x: gate.wait())(1)
    waiting = double(held)
    gate.await_arrival()
    assert held.task_record["args"] == (1,)
    assert held.task_record["kwargs"] == {}
    assert (held.task_status(), waiting.task_status()) == ("running", "pending")
    assert held.running() and not waiting.running()
    gate.open()
    held.result()


def test_a_record_without_such_a_field_raises_key_error() -> None:
    record = double(1).task_record
    with pytest.raises(KeyError):
        record["no_such_field"]
    assert record.get("no_such_field", 7) == 7
    assert "func_name" in record
    assert {name: record[name] for name in record}["id"] == 0


@pytest.mark.parametrize(("call", "state"), [(lambda: double(1), "exec_done"), (lambda: fail(1), "failed")])
def test_task_status_names_the_end(call: Any, state: str) -> None:
    future = call()
    concurrent.futures.wait([future])
    assert future.task_status() == state
    assert States[state] in States


def test_a_future_resolves_as_the_standard_library_says() -> None:
    with pytest.raises(ValueError, match="7 is refused"):
        fail(7).result()
    assert isinstance(fail(7).exception(), ValueError)
    assert double(2).exception() is None
    gate = Gate()
    held = python_app(gate.wait)()
    with pytest.raises(concurrent.futures.TimeoutError):
        held.result(timeout=0.01)
    gate.open()
    assert held.result() is None


def test_wait_and_as_completed() -> None:
    gate = Gate()
    held = python_app(gate.wait)()
    quick = [double(i) for i in range(20)]
    done, waiting = concurrent.futures.wait(quick, timeout=PATIENCE_S)
    assert done == set(quick) and not waiting
    first = next(concurrent.futures.as_completed([held, quick[0]]))
    assert first is quick[0]
    gate.open()
    every = concurrent.futures.as_completed([held, *quick, fail(1)], timeout=PATIENCE_S)
    assert len(list(every)) == 22
    done, _ = concurrent.futures.wait([fail(2), held], return_when=concurrent.futures.FIRST_EXCEPTION)
    assert any(f.exception() for f in done)


def test_futures_can_be_awaited() -> None:
    async def run() -> Any:
        async def slow(x: int) -> int:
            return await double(x)

        together = await asyncio.gather(*(slow(i) for i in range(10)))
        wrapped = await asyncio.wrap_future(double(50))
        item = await give([5, 6])[1]
        with pytest.raises(ValueError, match="8 is refused"):
            await fail(8)
        return together, wrapped, item

    assert asyncio.run(run()) == ([i * 2 for i in range(10)], 100, 6)


def test_callbacks_are_called_once_with_the_future_and_those_that_raise_harm_nobody() -> None:
    called: list[Any] = []
    gate = Gate()
    held = python_app(gate.wait)()

    def leave(future: Any) -> None:
        raise SystemExit("of one callback")

    held.add_done_callback(leave)
    held.add_done_callback(called.append)
    after = give(held)
    gate.open()
    assert after.result(PATIENCE_S) is None
    held.add_done_callback(called.append)
    assert called == [held, held]


# -- cancel


def test_cancel_of_a_task_that_waits_keeps_it_from_running() -> None:
    ran: list[int] = []
    gate = Gate()
    held = python_app(gate.wait)()
    waiting = python_app(lambda x: ran.append(1))(held)
    after = give(waiting)
    assert waiting.cancel() is True
    assert waiting.cancelled() and waiting.done()
    assert waiting.task_status() == "cancelled"
    gate.open()
    held.result()
    with pytest.raises(concurrent.futures.CancelledError):
        waiting.result()
    with pytest.raises(parslish.DependencyError):
        after.result(PATIENCE_S)
    assert ran == []


def test_cancel_of_a_task_in_the_queue_keeps_it_from_running() -> None:
    ran: list[int] = []
    gate = Gate()
    held = [python_app(gate.wait)() for _ in range(4)]
    for _ in held:
        gate.await_arrival()
    queued = python_app(lambda: ran.append(1))()
    assert queued.cancel() is True
    gate.open()
    concurrent.futures.wait(held)
    parslish.wait_for_current_tasks()
    assert queued.cancelled() and ran == []


def test_cancel_of_a_running_or_ended_thread_task_says_no_and_changes_nothing() -> None:
    gate = Gate()
    held = python_app(gate.wait)()
    gate.await_arrival()
    assert held.cancel() is False
    gate.open()
    assert held.result() is None
    assert held.cancel() is False
    assert not held.cancelled()


def test_one_of_two_callers_of_a_key_may_cancel_without_harm_to_the_other() -> None:
    gate = Gate()
    before = python_app(gate.wait)()
    app = python_app(lambda x: "value", cache=True)
    first, second = app(before), app(before)
    assert first.cancel() is True
    gate.open()
    assert second.result(PATIENCE_S) == "value"


# -- who waits for whom


def test_2_a_finished_task_is_gone_from_the_kernel_before_its_result_is_visible(loaded: Any) -> None:
    gate = Gate()
    seen: list[bool] = []

    def look(future: AppFuture) -> None:
        seen.append(future.tid in loaded.tasks)

    held = python_app(gate.wait)()
    futures = [held, give(held), fail(held), give(fail(held))]
    for future in futures:
        future.add_done_callback(look)
    assert held.tid in loaded.tasks
    gate.open()
    parslish.wait_for_current_tasks()
    concurrent.futures.wait(futures)
    assert seen == [False] * 4
    assert dict(loaded.tasks) == {}
    for i in range(200):
        future = double(i)
        future.result()
        assert future.tid not in loaded.tasks


def test_2_with_garbage_collect_off_finished_tasks_stay() -> None:
    parslish.dfk().cleanup()
    with parslish.load(Config(garbage_collect=False)) as dfk:
        future = double(1)
        future.result()
        assert dfk.tasks[future.tid].status is States.exec_done


def test_concurrent_submitters_each_get_their_own_results(loaded: Any) -> None:
    barrier = threading.Barrier(8)
    wrong: list[Any] = []
    app = python_app(lambda x: x * 2, cache=True)

    def submit(thread: int) -> None:
        barrier.wait()
        for i in range(100):
            pair = thread * 1000 + i
            if double(pair).result() != 2 * pair or app(i).result() != 2 * i:
                wrong.append(pair)

    threads = [threading.Thread(target=submit, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert sum(loaded.task_state_counts.values()) == 1600
    assert loaded.task_state_counts[States.exec_done] == 800 + 100
    assert loaded.task_state_counts[States.memo_done] == 700


def test_system_exit_and_keyboard_interrupt_in_an_app_are_its_failure_only() -> None:
    @python_app
    def leave(kind: Any) -> None:
        raise kind("from an app")

    for kind in (SystemExit, KeyboardInterrupt, GeneratorExit):
        assert isinstance(leave(kind).exception(PATIENCE_S), kind)
    assert [double(i).result(PATIENCE_S) for i in range(8)] == [0, 2, 4, 6, 8, 10, 12, 14]
