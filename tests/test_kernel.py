"""The way of a call: futures, dependencies, retries, joins, sharing, cancelling, closing."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from concurrent.futures import CancelledError, Future
from typing import Any

import pytest

import parslish
from parslish import Config, DataFlowKernel, States, ThreadPoolExecutor, join_app, python_app


@python_app
def double(x: int) -> int:
    return 2 * x


@python_app
def total(numbers: list[int]) -> int:
    return sum(numbers)


@python_app
def fail(message: str) -> None:
    raise ValueError(message)


@pytest.fixture
def kernel() -> DataFlowKernel:
    return parslish.load()


@pytest.mark.usefixtures("kernel")
class TestFutures:
    def test_a_call_returns_a_standard_future(self) -> None:
        future = double(4)
        assert isinstance(future, concurrent.futures.Future)
        assert future.result() == 8 and future.done() and not future.running()

    def test_wait_and_as_completed_take_them(self) -> None:
        futures = [double(i) for i in range(20)]
        assert {f.result() for f in concurrent.futures.as_completed(futures)} == set(range(0, 40, 2))
        assert not concurrent.futures.wait(futures).not_done

    def test_await_gives_the_result(self) -> None:
        async def main() -> list[int]:
            return await asyncio.gather(*[_awaited(double(i)) for i in range(5)])

        async def _awaited(future: Any) -> int:
            return await future

        assert asyncio.run(main()) == [0, 2, 4, 6, 8]

    def test_callbacks_run_even_after_one_that_raises_system_exit(self) -> None:
        release, seen = threading.Event(), threading.Event()

        @python_app
        def wait() -> int:
            release.wait(30)
            return 1

        future = wait()

        def leave(_: Any) -> None:
            raise SystemExit

        future.add_done_callback(leave)
        future.add_done_callback(lambda f: seen.set())
        release.set()
        assert future.result() == 1
        assert double(future).result() == 2
        assert seen.wait(30)

    def test_items_and_attributes_of_a_future_are_futures(self) -> None:
        @python_app
        def made() -> dict[str, complex]:
            return {"z": 1 + 2j}

        assert made()["z"].imag.result() == 2.0
        with pytest.raises(KeyError):
            made()["nothing"].result()

    def test_a_future_cannot_be_iterated_over(self) -> None:
        with pytest.raises(TypeError):
            iter(double(1))

    def test_probing_a_future_makes_no_task(self, kernel: DataFlowKernel) -> None:
        future = double(1)
        future.result()
        before = sum(kernel.task_state_counts.values())
        assert not hasattr(future, "__array__") and hasattr(future, "anything")
        assert sum(kernel.task_state_counts.values()) == before


@pytest.mark.usefixtures("kernel")
class TestDependencies:
    def test_results_replace_futures_at_any_depth(self) -> None:
        assert total([double(1), double(double(2))]).result() == 10

    def test_plain_futures_are_dependencies_too(self) -> None:
        plain: Future[int] = Future()
        waiting = double(plain)
        assert not waiting.done()
        plain.set_result(21)
        assert waiting.result() == 42

    def test_a_failed_dependency_is_named_with_its_chain_and_root(self, kernel: DataFlowKernel) -> None:
        first = fail("root of all")
        second = double(first)
        third = total([second, double(1)])
        with pytest.raises(parslish.DependencyError, match=f"task {second.tid}.*root of all") as caught:
            third.result()
        assert isinstance(caught.value.__cause__, ValueError)
        assert caught.value.dependent_exceptions_tids[0][1] == f"task {second.tid}"
        assert kernel.task_state_counts[States.dep_fail] == 2

    def test_a_cancelled_dependency_is_a_failed_one(self) -> None:
        plain: Future[int] = Future()
        waiting = double(plain)
        plain.cancel()
        plain.set_running_or_notify_cancel()
        with pytest.raises(parslish.DependencyError):
            waiting.result()


class TestFailures:
    def test_an_apps_exception_is_its_futures(self) -> None:
        parslish.load()
        with pytest.raises(ValueError, match="no"):
            fail("no").result()

    def test_an_exit_in_an_app_is_its_result(self) -> None:
        parslish.load()

        @python_app
        def leave() -> None:
            raise SystemExit(3)

        with pytest.raises(SystemExit):
            leave().result()
        assert double(1).result() == 2, "the thread lives on"

    def test_retries_stop_at_the_first_success(self) -> None:
        parslish.load(Config(retries=3))
        tries: list[int] = []

        @python_app
        def third_time() -> int:
            tries.append(1)
            if len(tries) < 3:
                raise OSError("again")
            return len(tries)

        assert third_time().result() == 3

    def test_retries_are_spent(self) -> None:
        kernel = parslish.load(Config(retries=2))
        tries: list[int] = []

        @python_app
        def never() -> None:
            tries.append(1)
            raise OSError("again")

        with pytest.raises(OSError, match="again"):
            never().result()
        assert len(tries) == 3
        assert kernel.task_state_counts[States.failed] == 1

    def test_costs_of_the_retry_handler_may_be_fractions(self) -> None:
        parslish.load(Config(retries=1, retry_handler=lambda exc, task: 0.4))
        tries: list[int] = []

        @python_app
        def never() -> None:
            tries.append(1)
            raise OSError

        with pytest.raises(OSError):
            never().result()
        assert len(tries) == 3  # 0.4, 0.8, 1.2 > 1

    def test_an_exception_of_the_retry_handler_is_the_result(self) -> None:
        def handler(exc: BaseException, task: Any) -> float:
            raise LookupError("handler")

        parslish.load(Config(retries=1, retry_handler=handler))
        with pytest.raises(LookupError, match="handler"):
            fail("app").result()

    def test_eager_errors_stop_launching_and_raise_at_the_next_call(self) -> None:
        parslish.load(Config(lazy_errors=False))
        gate: Future[int] = Future()
        waiting = double(gate)
        with pytest.raises(ValueError, match="first"):
            fail("first").result()
        with pytest.raises(ValueError, match="first"):
            double(1)
        gate.set_result(1)
        with pytest.raises(CancelledError):
            waiting.result()

    def test_lazy_errors_go_on(self) -> None:
        parslish.load(Config(lazy_errors=True))
        with pytest.raises(ValueError):
            fail("first").result()
        assert double(1).result() == 2

    def test_walltime_gives_up_on_a_thread(self) -> None:
        parslish.load()
        release = threading.Event()

        @python_app
        def stuck() -> None:
            release.wait(60)

        with pytest.raises(parslish.AppTimeout, match=r"walltime of 0\.05 s"):
            stuck(walltime=0.05).result()
        release.set()


@pytest.mark.usefixtures("kernel")
class TestJoins:
    def test_a_join_gives_its_futures_result(self) -> None:
        @join_app
        def twice(x: int) -> Any:
            return double(double(x))

        assert twice(3).result() == 12

    def test_a_join_of_a_list_gives_a_list(self) -> None:
        @join_app
        def each(n: int) -> Any:
            return [double(i) for i in range(n)]

        assert each(3).result() == [0, 2, 4]
        assert each(0).result() == []

    def test_joins_recurse_without_deadlock(self) -> None:
        @join_app
        def fib(n: int) -> Any:
            return total([fib(n - 1), fib(n - 2)]) if n > 1 else total([n])

        assert fib(12).result() == 144

    def test_a_join_deeper_than_the_stack(self) -> None:
        @join_app
        def down(n: int) -> Any:
            return down(n - 1) if n else double(1)

        assert down(3_000).result() == 2

    def test_a_failed_child_is_a_join_error_with_its_root(self) -> None:
        @join_app
        def child() -> Any:
            return [double(1), fail("inside")]

        with pytest.raises(parslish.JoinError, match="inside") as caught:
            child().result()
        assert isinstance(caught.value.__cause__, ValueError)

    def test_a_join_that_returns_no_future_says_what_it_returned(self) -> None:
        @join_app
        def wrong() -> Any:
            return 5

        with pytest.raises(TypeError, match="join_app wrong returned int"):
            wrong().result()

    def test_children_have_their_place_under_the_join(self) -> None:
        seen: list[tuple[str, str]] = []

        @join_app
        def scan() -> Any:
            children = [double(0), total([1]), double(2, label="Si")]
            seen.extend((c.task_record.path, c.task_record.loc) for c in children)
            return children

        double(9).result()
        scan().result()
        assert seen == [
            ("-/scan[0]/double[0]", "-.N1.N0"),
            ("-/scan[0]/total[0]", "-.N1.N1"),
            ("-/scan[0]/double[Si]", "-.N1.N2"),
        ]


class TestSharing:
    def test_one_task_runs_per_key_and_all_callers_get_its_object(self) -> None:
        parslish.load(Config(executors=[ThreadPoolExecutor(max_threads=8)]))
        release, runs = threading.Event(), []

        @python_app(cache=True)
        def slow(x: int) -> list[int]:
            runs.append(x)
            release.wait(30)
            return [x]

        futures = [slow(1) for _ in range(50)]
        release.set()
        results = [f.result() for f in futures]
        assert len(runs) == 1
        assert all(r is results[0] for r in results)
        assert slow(1).result() is results[0]

    def test_copies_are_handed_out_on_request(self) -> None:
        parslish.load(Config(copy_results=True))

        @python_app(cache=True)
        def made(x: int) -> list[int]:
            return [x]

        first, second = made(1).result(), made(1).result()
        assert first == second and first is not second

    def test_a_failure_is_shared_with_those_who_wait_and_not_replayed(self) -> None:
        parslish.load(Config(executors=[ThreadPoolExecutor(max_threads=4)]))
        release, runs = threading.Event(), []

        @python_app(cache=True)
        def flaky(x: int) -> None:
            runs.append(x)
            release.wait(30)
            raise OSError("once")

        waiting = [flaky(1) for _ in range(5)]
        release.set()
        assert {type(f.exception()) for f in waiting} == {OSError}
        assert len(runs) == 1
        assert isinstance(flaky(1).exception(), OSError)
        assert len(runs) == 2

    def test_a_remembered_failure_is_a_result(self) -> None:
        parslish.load()
        runs = []

        @python_app(cache=True, remember=[ArithmeticError])
        def divide(x: int) -> float:
            runs.append(x)
            return 1 / x

        for _ in range(3):
            assert isinstance(divide(0).exception(), ZeroDivisionError)
        assert len(runs) == 1

    def test_when_the_caller_who_runs_a_key_cancels_another_runs_it(self) -> None:
        parslish.load(Config(executors=[ThreadPoolExecutor(max_threads=1)]))
        release = threading.Event()

        @python_app
        def block() -> None:
            release.wait(30)

        cached = python_app(double.func, cache=True)
        block()
        first, second = cached(1), cached(1)
        assert first.cancel()
        release.set()
        assert second.result() == 2
        assert first.cancelled()


class TestCancelling:
    def test_a_waiting_task_is_cancelled_and_its_dependents_fail(self) -> None:
        parslish.load()
        gate: Future[int] = Future()
        waiting = double(gate)
        after = double(waiting)
        assert waiting.cancel() and waiting.cancelled()
        with pytest.raises(CancelledError):
            waiting.result()
        with pytest.raises(parslish.DependencyError):
            after.result()

    def test_a_queued_task_never_runs(self) -> None:
        parslish.load(Config(executors=[ThreadPoolExecutor(max_threads=1)]))
        release, runs = threading.Event(), []

        @python_app
        def block() -> None:
            release.wait(30)

        @python_app
        def note() -> None:
            runs.append(1)

        block()
        queued = note()
        assert queued.cancel()
        release.set()
        double(1).result()
        assert not runs

    def test_a_running_thread_and_a_done_task_cannot_be_cancelled(self) -> None:
        parslish.load()
        began, release = threading.Event(), threading.Event()

        @python_app
        def busy() -> int:
            began.set()
            release.wait(30)
            return 5

        future = busy()
        began.wait(30)
        assert not future.cancel()
        release.set()
        assert future.result() == 5
        assert not future.cancel()


class TestLife:
    def test_several_executors_are_chosen_by_label(self) -> None:
        parslish.load(Config(executors=[ThreadPoolExecutor("one"), ThreadPoolExecutor("two")]))

        def where() -> str:
            return threading.current_thread().name

        one, two = python_app(where, executors=["one"]), python_app(where, executors="two")
        assert one().result().startswith("one") and two().result().startswith("two")

    def test_an_unknown_label_is_named_with_the_near_one(self) -> None:
        parslish.load(Config(executors=[ThreadPoolExecutor("threads")]))
        app = python_app(double.func, executors=["thread"])
        with pytest.raises(parslish.UsageError, match=r"'thread' \(did you mean 'threads'\?\)"):
            app(1)

    def test_several_kernels_live_side_by_side(self) -> None:
        first, second = DataFlowKernel(), DataFlowKernel()
        on_first = python_app(double.func, data_flow_kernel=first)
        on_second = python_app(double.func, data_flow_kernel=second)
        first.cleanup()
        with pytest.raises(parslish.KernelClosed):
            on_first(1)
        assert on_second(1).result() == 2

    def test_a_call_without_a_kernel_says_what_to_do(self) -> None:
        with pytest.raises(parslish.NoDataFlowKernelError, match="Must first load config"):
            double(1)

    def test_loading_twice_is_refused_and_clearing_allows_it(self) -> None:
        first = parslish.load()
        with pytest.raises(parslish.ConfigurationError, match="loaded already"):
            parslish.load()
        first.cleanup()
        parslish.load()
        assert double(1).result() == 2

    def test_leaving_by_wait_waits_and_by_exception_does_not(self) -> None:
        gate: Future[int] = Future()
        with pytest.raises(RuntimeError), parslish.load(Config(exit_mode="wait")):
            future = double(gate)
            raise RuntimeError
        assert future.cancelled()
        release = threading.Event()

        @python_app
        def slow() -> int:
            release.wait(0.05)
            return 1

        with parslish.load(Config(exit_mode="wait")):
            last = double(slow())
        assert last.result() == 2

    def test_finished_tasks_leave_the_table_before_their_result_is_seen(self) -> None:
        kernel = parslish.load()
        for i in range(200):
            future = double(i)
            future.result()
            assert future.tid not in kernel.tasks

    def test_max_pending_makes_callers_wait(self) -> None:
        kernel = parslish.load(Config(max_pending=3))
        most = 0
        futures = []
        for i in range(100):
            futures.append(double(i))
            most = max(most, len(kernel.tasks))
        assert [f.result() for f in futures] == list(range(0, 200, 2))
        assert most <= 3

    def test_concurrent_submitters_each_get_their_own(self) -> None:
        kernel = parslish.load(Config(executors=[ThreadPoolExecutor(max_threads=4)]))
        wrong: list[int] = []

        def submit(start: int) -> None:
            futures = [(i, double(i)) for i in range(start, start + 300)]
            wrong.extend(i for i, f in futures if f.result() != 2 * i)

        threads = [threading.Thread(target=submit, args=(1000 * n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
        assert kernel.task_state_counts[States.exec_done] == 1800
