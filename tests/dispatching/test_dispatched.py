"""The life of runs that were dispatched: several at once, cancelled, killed, and at the end of the program."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import parslish
from parslish import Config, KernelClosed, UsageError, cancel, dispatch, get_result, workflow
from parslish.dispatching.dispatched import Status
from parslish.executors.base import Executor
from tests.dispatching.flows import divided, slow, task_0
from tests.parsl.helpers import PATIENCE_S, ROOT, Gate, run_script

EXECUTORS: dict[str, Callable[[], Executor]] = {
    "threads": lambda: parslish.ThreadPoolExecutor(),
    "processes": lambda: parslish.ProcessPoolExecutor(max_workers=2),
}


def result_of(run_id: str) -> parslish.WorkflowResult:
    return get_result(run_id, wait=True, timeout=PATIENCE_S)


# ------------------------------------------------------------------------------- several


def test_two_runs_go_on_at_once_and_each_is_answered_for_itself() -> None:
    both = threading.Barrier(2, timeout=PATIENCE_S)

    @workflow
    def meets(x: int) -> Any:
        both.wait()
        return task_0(x)

    runs = [dispatch(meets)(x) for x in (1, 2)]
    assert [result_of(run).result for run in runs] == [1, 2]
    assert runs == ["000", "001"]


def test_a_workflow_may_dispatch_another() -> None:
    @workflow
    def outer() -> Any:
        return get_result(dispatch(divided)(1, 2), wait=True).result

    assert result_of(dispatch(outer)()).result == 1.5


def test_a_run_that_has_ended_leaves_no_thread_and_nothing_in_memory() -> None:
    class Tracked(list):  # type: ignore[type-arg]
        alive = 0

        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            Tracked.alive += 1

        def __del__(self) -> None:
            Tracked.alive -= 1

    @workflow
    def gives(x: Any) -> Any:
        return x

    before = threading.active_count()
    result_of(dispatch(gives)(Tracked([1])))
    deadline = time.monotonic() + PATIENCE_S
    while (threading.active_count() > before or Tracked.alive) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (Tracked.alive, threading.active_count() <= before) == (0, True)


# ------------------------------------------------------------------------------- cancelled


@pytest.mark.parametrize("kind", EXECUTORS)
def test_a_run_that_is_cancelled_ends_at_once_whatever_its_tasks_are_at(kind: str) -> None:
    config = Config(executors=[EXECUTORS[kind]()], checkpoint_mode="task_exit")
    run_id = dispatch(slow, config=config)(10, 2.0)
    while not any(node["status"] == "running" for node in get_result(run_id).nodes):
        time.sleep(0.02)
    began = time.monotonic()
    assert cancel(run_id)
    found = result_of(run_id)
    assert time.monotonic() - began < 1.9
    assert (found.status, found.result, found.error, found.record.reason) == ("CANCELLED", None, None, "cancelled")
    assert {node["status"] for node in found.nodes} == {"cancelled"}


def test_what_was_computed_before_it_was_cancelled_is_kept() -> None:
    gate = Gate()

    @workflow
    def waits() -> None:
        task_0(1).result()
        gate.wait()

    run_id = dispatch(waits)()
    gate.await_arrival()
    cancel(run_id)
    gate.open()
    assert get_result(run_id).get_node_result(0)["output"] == 1


def test_a_function_that_goes_on_after_its_run_was_cancelled_can_call_no_app() -> None:
    gate, seen = Gate(), []
    ended = threading.Event()

    @workflow
    def goes_on() -> None:
        gate.wait()
        try:
            task_0(1)
        except KernelClosed as exc:
            seen.append(str(exc))
        finally:
            ended.set()

    run_id = dispatch(goes_on)()
    gate.await_arrival()
    cancel(run_id)
    assert get_result(run_id).status == Status.CANCELLED
    gate.open()
    assert ended.wait(PATIENCE_S)
    assert "was cancelled and takes no more tasks" in seen[0]
    assert get_result(run_id).status == Status.CANCELLED


def test_a_run_that_has_ended_cannot_be_cancelled() -> None:
    run_id = dispatch(divided)(1, 2)
    assert result_of(run_id).result == 1.5
    assert not cancel(run_id)
    assert get_result(run_id).status == Status.COMPLETED


def test_cancelling_twice_is_once() -> None:
    run_id = dispatch(slow)(1, 0.5)
    assert [cancel(run_id), cancel(run_id)] == [True, False]


def test_an_unknown_run_cannot_be_cancelled() -> None:
    with pytest.raises(UsageError, match="there is no run '004'"):
        cancel("004")


def test_a_loaded_kernel_is_not_cancelled_like_a_dispatched_run() -> None:
    with parslish.load() as kernel:
        with pytest.raises(UsageError, match=r"this program's own, not dispatched: end it with parslish\.dfk"):
            cancel(kernel.run_id)
        assert task_0(1).result() == 1


# ------------------------------------------------------------------------------- other processes


class Program:
    """A script in a process of its own, which has dispatched a run when this is made."""

    def __init__(self, text: str) -> None:
        Path("program.py").write_text(textwrap.dedent(text))
        self.process = subprocess.Popen(
            [sys.executable, "-u", "program.py"], env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.run_id = self.line()

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self) -> tuple[int, str]:
        _, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, err


#: Computes one task, says so, and waits.
WAITS = """
    import sys, time
    import parslish
    from parslish import python_app, workflow

    @python_app(cache=True)
    def task(x):
        return x

    @workflow
    def waits(x):
        task(x).result()
        print("waits")
        time.sleep(60)

    print(parslish.dispatch(waits)(3))
"""


@pytest.fixture
def waiting() -> Iterator[Program]:
    program = Program(WAITS)
    assert program.line() == "waits"
    while [node["status"] for node in get_result(program.run_id).nodes] != ["done"]:
        time.sleep(0.01)  # the record is some milliseconds behind
    yield program
    program.process.kill()
    program.end()


def test_another_process_sees_that_it_goes_on_and_what_it_was_given(waiting: Program) -> None:
    found = get_result(waiting.run_id)
    assert (found.status, found.inputs) == (Status.RUNNING, ((3,), {}))
    with pytest.raises(TimeoutError):
        get_result(waiting.run_id, wait=True, timeout=0.1)


def test_a_run_whose_process_is_killed_is_lost_and_keeps_what_was_computed(waiting: Program) -> None:
    waiting.process.kill()
    waiting.end()
    found = result_of(waiting.run_id)
    assert (found.status, found.result, found.error, found.end_time) == (Status.LOST, None, None, None)
    assert found.get_node_result(0)["output"] == 3
    with pytest.raises(UsageError, match="run 000 is not going on: its process was killed"):
        cancel(waiting.run_id)


def test_who_waits_for_a_run_of_another_process_is_told_when_that_is_killed(waiting: Program) -> None:
    killer = threading.Timer(0.2, lambda: (waiting.process.kill(), waiting.process.wait()))
    killer.start()
    assert result_of(waiting.run_id).status == Status.LOST


def test_a_run_of_another_process_is_cancelled_by_ending_that_in_order(waiting: Program) -> None:
    assert cancel(waiting.run_id)
    code, err = waiting.end()
    assert (code, "stopped by SIGTERM" in err) == (128 + signal.SIGTERM, True)
    assert result_of(waiting.run_id).status == Status.CANCELLED
    assert not cancel(waiting.run_id)


def test_who_waits_for_a_run_of_another_process_gets_its_result() -> None:
    program = Program(WAITS.replace("time.sleep(60)", "time.sleep(0.5); return {'x': x}"))
    assert get_result(program.run_id).status == Status.RUNNING
    assert result_of(program.run_id).result == {"x": 3}
    assert program.end()[0] == 0


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"pid": os.getppid()}, "does not write to it"),
        ({"host": "elsewhere", "pid": 1}, "goes on on elsewhere"),
    ],
)
def test_nobody_is_signalled_because_a_card_says_so(waiting: Program, facts: dict[str, Any], words: str) -> None:
    path = Path("runinfo", waiting.run_id, "run.json")
    card = json.loads(path.read_text())
    path.write_text(json.dumps({**card, "host": socket.gethostname(), **facts}))
    with pytest.raises(UsageError, match=words):
        cancel(waiting.run_id)
    assert waiting.process.poll() is None


# ------------------------------------------------------------------------------- the end of the program

ENDS = """
    import sys, time
    import parslish
    from parslish import Config, python_app, workflow

    @python_app
    def task(x):
        time.sleep(0.2)
        return x

    @workflow
    def flow(n):
        first = task(0).result()
        return [first, *(task(i) for i in range(1, n))]

    executor = parslish.{executor}()
    print(parslish.dispatch(flow, config=Config(executors=[executor]))(3))
    {end}
"""


@pytest.mark.parametrize("executor", ["ThreadPoolExecutor", "ProcessPoolExecutor"])
def test_the_end_of_the_program_waits_for_its_runs(executor: str) -> None:
    run_script(ENDS.format(executor=executor, end=""))
    assert get_result("000").result == [0, 1, 2]


def test_a_program_that_says_how_it_ends_waits_too() -> None:
    done = run_script(ENDS.format(executor="ThreadPoolExecutor", end="sys.exit(4)"), ok=False)
    assert done.returncode == 4
    assert get_result("000").result == [0, 1, 2]


def test_a_program_that_an_exception_ends_cancels_its_runs() -> None:
    done = run_script(ENDS.format(executor="ThreadPoolExecutor", end="raise KeyError('mine')"), ok=False)
    assert (done.returncode, done.stderr.rstrip().endswith("KeyError: 'mine'")) == (1, True)
    assert get_result("000").status == Status.CANCELLED


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, -signal.SIGINT)])
def test_a_signal_stops_runs_as_it_does_kernels(number: signal.Signals, code: int) -> None:
    program = Program(WAITS + "\n    time.sleep(60)\n")
    assert program.line() == "waits"
    program.process.send_signal(number)
    returncode, err = program.end()
    assert (returncode, f"stopped by {number.name}" in err) == (code, True)
    assert get_result("000").status == Status.CANCELLED
    assert get_result("000").get_node_result(0)["output"] == 3


def test_a_forked_child_does_not_wait_for_what_its_parent_has_dispatched() -> None:
    script = """
        import os, sys
        import parslish
        from parslish import workflow

        @workflow
        def flow(fd):
            os.read(fd, 1)
            return "done"

        read, write = os.pipe()
        run = parslish.dispatch(flow)(read)
        child = os.fork()
        if child == 0:
            print("child", parslish.get_result(run).status, flush=True)
            sys.exit()
        os.waitpid(child, 0)
        os.write(write, b"x")
        print("parent", parslish.get_result(run, wait=True).result)
    """
    assert run_script(script).stdout == "child RUNNING\nparent done\n"
