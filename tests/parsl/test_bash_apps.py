"""Bash apps in a kernel: what they return, how they fail, and what a script can catch."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

import parslish
from parslish import (
    AppBadFormatting,
    AppException,
    AppTimeout,
    BashAppNoReturn,
    BashExitFailure,
    Config,
    File,
    MissingOutputs,
    ProcessPoolExecutor,
    bash_app,
    python_app,
)
from tests.parsl.helpers import PATIENCE_S, Counted

pytestmark = pytest.mark.usefixtures("loaded")


def test_the_result_is_the_exit_code_0() -> None:
    assert bash_app(lambda: "true")().result(PATIENCE_S) == 0


@pytest.mark.parametrize(
    ("command", "code"), [("exit 7", 7), ("false", 1), ("no_such_command_here", 127), ("kill -9 $$", 137)]
)
def test_another_exit_code_is_an_error_that_has_it(command: str, code: int) -> None:
    @bash_app
    def failing(stderr: Any = "err.txt") -> str:
        return command

    error = failing().exception(PATIENCE_S)
    assert isinstance(error, BashExitFailure) and isinstance(error, AppException)
    assert (error.app_name, error.exitcode) == ("failing", code)
    assert f"failing failed with unix exit code {code}" in str(error) and "err.txt" in str(error)


@pytest.mark.parametrize("returned", [None, 5, b"true", ["true"]])
def test_an_app_that_returns_no_command_is_an_error(returned: Any) -> None:
    error = bash_app(lambda: returned)().exception(PATIENCE_S)
    assert isinstance(error, BashAppNoReturn)


@pytest.mark.parametrize(("command", "arguments"), [("{absent}", []), ("{0.absent}", [1]), ("{}{}", [1])])
def test_a_command_that_cannot_be_formatted_is_an_error(command: str, arguments: list[Any]) -> None:
    assert isinstance(bash_app(lambda: command.format(*arguments))().exception(PATIENCE_S), AppBadFormatting)


def test_another_exception_of_the_function_stays_what_it_is() -> None:
    assert isinstance(bash_app(lambda: 1 / 0)().exception(PATIENCE_S), ZeroDivisionError)


def test_missing_outputs_are_named() -> None:
    @bash_app
    def half(outputs: Any = ()) -> str:
        return f"touch {outputs[0]}"

    error = half(outputs=[File("there.txt"), File("not_there.txt"), "nor_this.txt"]).exception(PATIENCE_S)
    assert isinstance(error, MissingOutputs)
    assert sorted(str(each) for each in error.outputs) == ["nor_this.txt", "not_there.txt"]
    assert "not_there.txt" in str(error)


def test_a_command_is_not_formatted_a_second_time() -> None:
    @bash_app
    def braces(x: int, stdout: Any = "out.txt") -> str:
        return "echo '{x} {0} {undefined} %s' ${HOME:+set}; awk 'BEGIN { print 1 }'"

    assert braces(5).result(PATIENCE_S) == 0
    assert Path("out.txt").read_text() == "{x} {0} {undefined} %s set\n1\n"


def test_walltime_ends_the_command_and_leaves_no_timer_behind() -> None:
    error = bash_app(lambda: "sleep 60; touch late")(walltime=0.1).exception(PATIENCE_S)
    assert isinstance(error, AppTimeout)
    assert not Path("late").exists()


@pytest.mark.parametrize("kind", ["bash", "python"])
def test_a_walltime_that_was_not_needed_leaks_no_timer(kind: str) -> None:
    app = bash_app(lambda i: "true") if kind == "bash" else python_app(lambda i: i)
    futures = [app(i, walltime=3600) for i in range(50)]
    for future in futures:
        future.result(PATIENCE_S)
    clocks = [t for t in threading.enumerate() if isinstance(t, threading.Timer) or "deadline" in t.name]
    assert len(clocks) == (0 if kind == "bash" else 1), "the kernel has one clock for all python apps"
    parslish.dfk().cleanup()
    assert not set(clocks) & set(threading.enumerate())


def test_a_failed_command_is_retried() -> None:
    parslish.dfk().cleanup()
    count = Counted()
    with parslish.load(Config(retries=2)):

        @bash_app
        def flaky() -> str:
            return f"exit {3 - count()}"

        assert flaky().result(PATIENCE_S) == 0
    assert len(count) == 3


def test_bash_failures_keep_their_facts_across_processes() -> None:
    parslish.dfk().cleanup()
    with parslish.load(Config(executors=[ProcessPoolExecutor(max_workers=1)])):

        @bash_app
        def failing(stdout: Any = None, stderr: Any = None, outputs: Any = ()) -> str:
            return "echo out; echo err >&2; exit 9"

        error = failing(stdout="o.txt", stderr="e.txt").exception(PATIENCE_S)
        assert isinstance(error, BashExitFailure)
        assert (error.app_name, error.exitcode) == ("failing", 9)
        assert Path("o.txt").read_text() == "out\n"
        assert Path("e.txt").read_text() == "err\n"
        missing = bash_app(lambda outputs=(): "true")(outputs=[File("x.txt")]).exception(PATIENCE_S)
        assert isinstance(missing, MissingOutputs)
        assert isinstance(bash_app(lambda: "sleep 60")(walltime=0.1).exception(PATIENCE_S), AppTimeout)
        assert bash_app(lambda: "true")().result(PATIENCE_S) == 0


def test_a_bash_app_takes_futures_and_files() -> None:
    @bash_app
    def save(x: int, inputs: Any = (), outputs: Any = ()) -> str:
        return f"echo {x} {inputs[0]} > {outputs[0]}"

    task = save(python_app(lambda: 5)(), inputs=[python_app(lambda: 6)()], outputs=[File("sum.txt")])
    assert Path(task.outputs[0].result(PATIENCE_S)).read_text() == "5 6\n"
