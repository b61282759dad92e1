"""What crosses to worker processes, and what does not (behaviour 15)."""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest

import parslish
from parslish import (
    Config,
    ProcessPoolExecutor,
    SerializationError,
    python_app,
)
from tests.parsl.helpers import PATIENCE_S, run_script

# -- what crosses to processes


@pytest.fixture(scope="module")
def pool() -> Any:
    """One pool of two processes for all of these: kernels start and stop it, as with any shared executor."""
    return ProcessPoolExecutor(max_workers=2)


@pytest.fixture
def processes(pool: Any) -> Any:
    with parslish.load(Config(executors=[pool])) as kernel:
        yield kernel


def test_15_closures_lambdas_partials_and_callables_with_state_cross(processes: Any) -> None:
    factor = 3

    class Scale:
        def __init__(self, factor: int) -> None:
            self.factor = factor

        def __call__(self, x: int) -> int:
            return self.factor * x

    def recursive(n: int) -> int:
        return 1 if n == 0 else n * recursive(n - 1)

    apps = [lambda x: factor * x, functools.partial(lambda k, x: k * x, factor), Scale(factor)]
    assert [python_app(app)(5).result(PATIENCE_S) for app in apps] == [15, 15, 15]
    assert python_app(recursive)(5).result(PATIENCE_S) == 120


def test_15_functions_of_unimportable_files_cross_by_value(processes: Any) -> None:
    Path("elsewhere").mkdir()
    path = Path("elsewhere/hidden_module.py")
    path.write_text(
        "K = 4\n"
        "class Point:\n    def __init__(self, x): self.x = x\n"
        "def helper(x): return x * K\n"
        "def main(x): return helper(x)\n"
        "def point(x): return Point(helper(x))\n"
    )
    spec = importlib.util.spec_from_file_location("hidden_module", path)
    assert spec is not None and spec.loader is not None
    module = sys.modules["hidden_module"] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        assert python_app(module.main)(5).result(PATIENCE_S) == 20
        point = python_app(module.point)(5).result(PATIENCE_S)
        assert (point.x, type(point)) == (20, module.Point)
    finally:
        del sys.modules["hidden_module"]


def test_results_and_exceptions_that_cannot_be_pickled_are_told_and_harm_nobody(processes: Any) -> None:
    class Stubborn(Exception):
        def __init__(self, a: int, b: int) -> None:
            super().__init__("of its own kind")  # so pickle makes it again with one argument, and fails

    @python_app
    def generator() -> Any:
        return (i for i in ())

    @python_app
    def stubborn() -> None:
        raise Stubborn(1, 2)

    assert isinstance(generator().exception(PATIENCE_S), SerializationError)
    error = stubborn().exception(PATIENCE_S)
    assert error is not None and "Stubborn" in f"{type(error).__name__} {error}"
    assert isinstance(python_app(len)(i for i in ()).exception(PATIENCE_S), SerializationError)
    assert python_app(lambda: 7)().result(PATIENCE_S) == 7


def test_a_remote_exception_carries_its_traceback(processes: Any) -> None:
    def deep_inside() -> None:
        raise KeyError("remote")

    error = python_app(lambda: deep_inside())().exception(PATIENCE_S)
    assert isinstance(error, KeyError)
    assert "deep_inside" in "".join(traceback.format_exception(error))


def test_system_exit_in_a_worker_is_the_tasks_failure_only(processes: Any) -> None:
    @python_app
    def leave() -> None:
        import sys

        sys.exit(3)

    assert isinstance(leave().exception(PATIENCE_S), SystemExit)
    assert python_app(os.getpid)().result(PATIENCE_S) != os.getpid()


def test_a_task_in_a_process_can_be_cancelled_and_timed_out(processes: Any) -> None:
    @python_app
    def long(path: str) -> None:
        import time
        from pathlib import Path

        Path(path).touch()
        time.sleep(600)

    assert isinstance(long("timed", walltime=0.2).exception(PATIENCE_S), parslish.AppTimeout)
    assert python_app(lambda: 1)().result(PATIENCE_S) == 1


def test_results_of_processes_are_memoized_and_checkpointed(pool: Any) -> None:
    @python_app(cache=True)
    def app(x: int) -> Any:
        with open("ran", "a") as ran:
            ran.write("x")
        return {"x": x}

    for _ in range(2):
        with parslish.load(Config(executors=[pool], checkpoint_mode="task_exit")):
            assert [app(x).result(PATIENCE_S) for x in (1, 2, 1)] == [{"x": 1}, {"x": 2}, {"x": 1}]
    assert Path("ran").read_text() == "xx"


def test_functions_and_classes_of_main_cross_without_a_main_guard() -> None:
    script = """
    import parslish
    from parslish import *

    parslish.load(Config(executors=[ProcessPoolExecutor(max_workers=1)]))
    FACTOR = 2

    class Point:
        def __init__(self, x): self.x = x

    def helper(x): return x * FACTOR

    @python_app
    def double(x): return helper(x)

    @python_app
    def point(x): return Point(helper(x))

    @python_app
    def read(p): return p.x, type(p).__name__

    print(double(4).result(), type(point(1).result()) is Point, read(point(3)).result())
    FACTOR = 5
    print(double(4).result())
    """
    assert run_script(script).stdout == "8 True (6, 'Point')\n20\n"


def test_functions_of_a_notebook_cell_cross() -> None:
    # A cell is compiled under a name of its own, runs in `__main__`, and has its source in linecache.
    script = """
    import linecache
    import parslish
    from parslish import *

    parslish.load(Config(executors=[ProcessPoolExecutor(max_workers=1)], checkpoint_mode="task_exit"))
    CELLS = ["K = 3\\ndef helper(x): return x * K\\n", "@python_app(cache=True)\\ndef app(x): return helper(x)",
             "K = 4\\n"]

    def run(number):
        name = f"<ipython-input-{number}-abcdef>"
        linecache.cache[name] = (len(CELLS[number]), None, CELLS[number].splitlines(True), name)
        exec(compile(CELLS[number], name, "exec"), globals())

    run(0); run(1)
    print(app(5).result())
    run(2)
    print(app(5).result())
    """
    assert run_script(script).stdout == "15\n20\n"
