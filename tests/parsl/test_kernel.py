"""The kernel's own names, several kernels side by side, and executors chosen by label."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import parslish
from parslish import (
    BasicMemoizer,
    Config,
    ConfigurationError,
    DataFlowKernel,
    NoDataFlowKernelError,
    States,
    ThreadPoolExecutor,
    join_app,
    python_app,
)
from tests.faults.executor import InlineExecutor
from tests.parsl.helpers import double

# -- the kernel's names


def test_the_kernels_attributes_are_there_and_mean_what_they_say() -> None:
    config = Config(run_dir="elsewhere")
    with parslish.load(config) as dfk:
        assert dfk.config is config
        assert dfk.cleanup_called is False
        assert "threads" in dfk.executors
        assert Path(dfk.run_dir).samefile("elsewhere/000")
        assert isinstance(dfk.memoizer, BasicMemoizer)
        assert dict(dfk.tasks) == {}
        double(1).result()
        assert dfk.task_state_counts[States.exec_done] == 1
        assert sum(dfk.task_state_counts.values()) == 1
        dfk.wait_for_current_tasks()
    assert dfk.cleanup_called is True


def test_cleanup_twice_is_once() -> None:
    executor = InlineExecutor()
    dfk = DataFlowKernel(executors=[executor])
    dfk.cleanup()
    dfk.cleanup()
    assert (executor.starts, executor.stops) == (1, 1)


def test_a_submit_after_cleanup_is_an_error_that_says_so() -> None:
    dfk = parslish.load()
    app = python_app(lambda: 1, data_flow_kernel=dfk)
    dfk.cleanup()
    for kind in (parslish.KernelClosed, NoDataFlowKernelError):  # the latter is what Parsl raises
        with pytest.raises(kind, match="cleaned up"):
            app()


def test_kernels_stand_side_by_side_and_cleaning_one_leaves_the_others_alone() -> None:
    kernels = [DataFlowKernel(executors=[ThreadPoolExecutor(label=f"pool{i}")]) for i in range(3)]
    apps = [python_app(lambda x, i=i: (i, x), data_flow_kernel=kernel) for i, kernel in enumerate(kernels)]
    assert [app(5).result() for app in apps] == [(0, 5), (1, 5), (2, 5)]
    assert len({kernel.run_dir for kernel in kernels}) == 3
    kernels[1].cleanup()
    assert apps[0](6).result() == (0, 6)
    assert apps[2](6).result() == (2, 6)
    with pytest.raises(parslish.ParslishError):
        apps[1](6)
    kernels[0].cleanup()
    kernels[2].cleanup()


def test_a_kernel_may_take_the_future_of_another() -> None:
    with DataFlowKernel() as one, DataFlowKernel() as other:
        first = python_app(lambda: 20, data_flow_kernel=one)()
        assert python_app(lambda x: x + 1, data_flow_kernel=other)(first).result() == 21


def test_children_of_a_join_app_run_on_the_kernel_that_they_name() -> None:
    with DataFlowKernel() as one, DataFlowKernel() as other:
        inner = python_app(lambda: 1, data_flow_kernel=other)
        outer = join_app(lambda: inner(), data_flow_kernel=one)
        assert outer().result() == 1
        assert other.task_state_counts[States.exec_done] == 1


def test_add_executors_gives_apps_more_to_choose_from() -> None:
    with parslish.load(Config(executors=[InlineExecutor("first")])) as dfk:
        dfk.add_executors([InlineExecutor("second")])
        assert python_app(lambda: 1, executors=["second"])().result() == 1
        with pytest.raises(ConfigurationError, match="second"):
            dfk.add_executors([InlineExecutor("second")])


# -- labels


def test_duplicate_labels_are_refused_before_anything_starts() -> None:
    pair = [InlineExecutor("same"), InlineExecutor("same")]
    with pytest.raises(ConfigurationError, match="same"):
        parslish.load(Config(executors=pair))
    assert [executor.starts for executor in pair] == [0, 0]


def test_an_unknown_label_is_an_error_at_the_call_that_names_those_there_are() -> None:
    with parslish.load(Config(executors=[InlineExecutor("left"), InlineExecutor("right")])) as dfk:
        with pytest.raises(parslish.UsageError, match=r"'rigth'.*'right'.*'left', 'right'"):
            python_app(lambda: 1, executors=["rigth"])()
        assert sum(dfk.task_state_counts.values()) == 0, "a refused call is no task"


@pytest.mark.parametrize("executors", [["right"], "right"])
def test_an_app_runs_on_the_executor_that_it_names(executors: Any) -> None:
    pools = [ThreadPoolExecutor(label="left"), ThreadPoolExecutor(label="right")]
    with parslish.load(Config(executors=pools)):

        @python_app(executors=executors)
        def where() -> str:
            import threading

            return threading.current_thread().name

        assert {where().result().rpartition("-")[0] for _ in range(20)} == {"right"}


def test_an_app_without_labels_uses_all_executors() -> None:
    pools = [ThreadPoolExecutor(label="left"), ThreadPoolExecutor(label="right")]
    with parslish.load(Config(executors=pools)):

        @python_app
        def where() -> str:
            import threading

            return threading.current_thread().name.rpartition("-")[0]

        assert {where().result() for _ in range(50)} == {"left", "right"}
