"""Which kernel an app's call goes to: the loaded one, or that of the thread it is called on."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

import parslish
from parslish import Config, DataFlowKernel, NoDataFlowKernelError, join_app, loader, python_app
from tests.parsl.helpers import PATIENCE_S, double


@pytest.fixture
def other() -> Iterator[DataFlowKernel]:
    kernel = DataFlowKernel(Config(run_dir="other"))
    yield kernel
    kernel.cleanup()


@python_app
def where() -> str:
    return parslish.dfk().run_dir


def test_a_kernel_in_use_goes_before_the_loaded_one_and_only_in_the_block(other: DataFlowKernel) -> None:
    with parslish.load() as loaded:
        with loader.using(other):
            assert parslish.dfk() is other
            assert double(1).task_record.future._kernel is other
        assert parslish.dfk() is loaded


def test_a_kernel_in_use_needs_no_loaded_one(other: DataFlowKernel) -> None:
    with loader.using(other):
        assert double(2).result(PATIENCE_S) == 4
    with pytest.raises(NoDataFlowKernelError):
        parslish.dfk()


def test_blocks_nest(other: DataFlowKernel) -> None:
    with DataFlowKernel(Config(run_dir="third")) as third, loader.using(other):
        with loader.using(third):
            assert parslish.dfk() is third
        assert parslish.dfk() is other


def test_a_kernel_is_in_use_on_its_thread_alone(other: DataFlowKernel) -> None:
    seen = []
    with parslish.load() as loaded, loader.using(other):
        thread = threading.Thread(target=lambda: seen.append(parslish.dfk()))
        thread.start()
        thread.join()
        assert seen == [loaded]


def test_the_body_of_a_join_app_calls_apps_with_the_kernel_of_its_own_task(other: DataFlowKernel) -> None:
    @join_app
    def body(x):  # type: ignore[no-untyped-def]
        return double(x)

    with parslish.load() as loaded, loader.using(other):
        assert body(4).result(PATIENCE_S) == 8
        assert sum(other.task_state_counts.values()) == 2
        assert sum(loaded.task_state_counts.values()) == 0


def test_a_task_on_a_thread_calls_apps_with_its_own_kernel(other: DataFlowKernel) -> None:
    with parslish.load():
        with loader.using(other):
            assert where().result(PATIENCE_S) == other.run_dir
        assert where().result(PATIENCE_S) == parslish.dfk().run_dir


def test_threads_that_are_started_again_belong_to_the_next_kernel() -> None:
    config = Config(executors=[parslish.ThreadPoolExecutor()])
    for _ in range(2):
        with parslish.load(config) as kernel:
            assert where().result(PATIENCE_S) == kernel.run_dir
