"""Items and attributes of a future are futures (behaviour 15); so are a task's files."""

from __future__ import annotations

import concurrent.futures
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

import parslish
from parslish import DataFuture, File, bash_app, python_app
from tests.parsl.helpers import PATIENCE_S, Gate, double, fail, give

pytestmark = pytest.mark.usefixtures("loaded")


# -- 15: lifted items and attributes

Point = namedtuple("Point", "x y")


def test_15_items_and_attributes_of_a_future_are_futures() -> None:
    future = give({"a": [1, 2, {"b": Point(3, 4)}]})
    assert future["a"][0].result() == 1
    assert future["a"][2]["b"].y.result() == 4
    assert give([1, 2, 3])[-1].result() == 3
    assert give([1, 2, 3])[1:].result() == [2, 3]
    assert isinstance(future["a"], concurrent.futures.Future)


def test_15_lifting_never_blocks() -> None:
    gate = Gate()

    @python_app
    def held() -> Any:
        gate.wait()
        return {"k": Point(1, 2)}

    future = held()
    lifted = future["k"].y
    assert not lifted.done()
    plus = double(lifted)
    gate.open()
    assert plus.result(PATIENCE_S) == 4


def test_15_lifting_launches_no_task(loaded: Any) -> None:
    future = give([Point(1, 2)])
    future[0].x.result()
    assert sum(loaded.task_state_counts.values()) == 1


@pytest.mark.parametrize(
    ("lift", "error"),
    [(lambda f: f["absent"], KeyError), (lambda f: f.absent, AttributeError), (lambda f: f[0].real, KeyError)],
)
def test_15_an_absent_item_or_attribute_is_the_lifted_futures_exception(lift: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        lift(give({})).result()


def test_15_a_failure_passes_through_lifted_futures_to_dependents() -> None:
    lifted = fail(3)["a"].b
    assert isinstance(lifted.exception(), ValueError)
    with pytest.raises(parslish.DependencyError) as caught:
        double(lifted).result()
    assert "is refused" in str(caught.value)


def test_hasattr_and_iteration_launch_no_tasks_without_end(loaded: Any) -> None:
    future = give([1, 2])
    for name in ("__array__", "_repr_html_", "_ipython_display_", "__len__", "__deepcopy__", "__getstate_x__"):
        assert not hasattr(future, name)
    assert hasattr(future, "real") is True  # a lifted future, which costs no task
    for use in (iter, list, tuple, lambda f: [*f], lambda f: 1 in f, lambda f: max(*f)):
        with pytest.raises(TypeError):
            use(future)
    assert sum(loaded.task_state_counts.values()) == 1


def test_a_cancelled_future_cancels_or_fails_its_items_and_they_resolve() -> None:
    gate = Gate()
    waiting = give(python_app(gate.wait)())
    lifted = waiting["x"]
    waiting.cancel()
    gate.open()
    with pytest.raises(concurrent.futures.CancelledError):
        lifted.result(PATIENCE_S)


# -- DataFuture


@bash_app
def write(text: str, outputs: Any = ()) -> str:
    return f"echo {text} > {outputs[0]}"


def test_a_data_future_is_a_future_whose_result_is_the_callers_own_file() -> None:
    file = File("out.txt")
    task = write("hello", outputs=[file])
    (output,) = task.outputs
    assert isinstance(output, DataFuture) and isinstance(output, concurrent.futures.Future)
    assert output.result() is file
    assert Path(output.result()).read_text() == "hello\n"
    assert output.file_obj is file
    assert (output.filepath, output.tid) == ("out.txt", task.tid)
    assert output.parent is task
    assert output.done() and task.done()


def test_a_data_future_is_a_dependency() -> None:
    @python_app
    def read(inputs: Any = ()) -> str:
        return Path(inputs[0]).read_text()

    assert read(inputs=[write("hello", outputs=[File("out.txt")]).outputs[0]]).result() == "hello\n"


def test_a_data_future_fails_with_its_task() -> None:
    @bash_app
    def broken(outputs: Any = ()) -> str:
        return "exit 3"

    task = broken(outputs=[File("out.txt")])
    error = task.outputs[0].exception()
    assert isinstance(error, parslish.BashExitFailure)
    assert error.exitcode == 3


def test_a_data_future_cannot_be_cancelled_by_itself() -> None:
    assert write("x", outputs=[File("y")]).outputs[0].cancel() is False
