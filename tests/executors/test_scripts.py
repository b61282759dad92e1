"""The process pool under programs as people write them: scripts without a guard, `-c`, stdin; and killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.executors.test_processes import await_file, await_gone

ROOT = Path(__file__).parents[2]
ENV = {**os.environ, "PYTHONPATH": str(ROOT)}

SCRIPT = """
import sys
from dataclasses import dataclass
from parslish.executors.processes import ProcessPoolExecutor
from parslish.executors.base import FutureSink
from parslish.task import Try
from parslish import codec

N = 1

@dataclass
class Point:
    x: int

class Odd(Exception):
    pass

def helper(x):
    return x + N

def shift(point):
    return Point(helper(point.x))

def fail():
    raise Odd("odd")

executor = ProcessPoolExecutor(max_workers=2)
back = executor.submit(shift, None, Point(1)).result(30)
assert type(back) is Point and back == Point(2), back
assert isinstance(executor.submit(fail, None).exception(30), Odd)
N = 10
assert executor.submit(shift, None, Point(1)).result(30) == Point(11)

class Keep(FutureSink):
    def deliver(self, reply):
        assert reply.encoded is None  # by value it must not be stored
        super().deliver(reply)

sink = Keep()
executor.launch(Try(None, 1, shift, (Point(1),), {}, encode=True), sink)
assert sink.future.result(30) == Point(11)
assert list(executor.submit(lambda: sys.argv[1:], None).result(30)) == sys.argv[1:]
print("all well")
"""

KILLED = """
import sys, time
from parslish.executors.processes import ProcessPoolExecutor
from tests.executors import jobs
executor = ProcessPoolExecutor(max_workers=2)
executor.submit(jobs.say_and_wait, None, sys.argv[1] + "/python", sys.argv[1] + "/never")
executor.submit(jobs.hold_the_interpreter, None, sys.argv[1] + "/c", 60)
time.sleep(60)
"""


def run(*command: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], env=ENV, capture_output=True, text=True, timeout=60, check=False, **options
    )


def assert_well(run: subprocess.CompletedProcess[str]) -> None:
    assert (run.returncode, run.stdout, run.stderr) == (0, "all well\n", "")


def test_a_script_needs_no_guard_and_its_classes_stay_its_own(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    assert_well(run("-W", "error", str(tmp_path / "script.py"), "an", "argument"))


def test_python_c(tmp_path: Path) -> None:
    assert_well(run("-c", SCRIPT))


def test_a_program_from_stdin(tmp_path: Path) -> None:
    assert_well(run("-", input=SCRIPT))


def test_a_module_run_by_name(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(SCRIPT)
    assert_well(run("-m", "program", cwd=tmp_path))


def test_a_program_that_forgets_to_shut_down_ends_with_its_workers(tmp_path: Path) -> None:
    code = (
        "from parslish.executors.processes import ProcessPoolExecutor; from tests.executors import jobs\n"
        "executor = ProcessPoolExecutor(max_workers=1); print(executor.submit(jobs.pid, None).result(30))\n"
        "executor.submit(jobs.wait_for, None, 'never')\n"
    )
    began = time.monotonic()
    done = run("-c", code)
    assert (done.returncode, done.stderr) == (0, "")
    assert await_gone(int(done.stdout), 5.0)
    assert time.monotonic() - began < 20


def test_a_forked_child_that_exits_normally_leaves_the_parents_workers_alone() -> None:
    code = (
        "import os, sys\n"
        "from parslish.executors.processes import ProcessPoolExecutor; from tests.executors import jobs\n"
        "executor = ProcessPoolExecutor(max_workers=1); pid = executor.submit(jobs.pid, None).result(30)\n"
        "child = os.fork()\n"
        "if child == 0: sys.exit(0)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "assert executor.submit(jobs.pid, None).result(30) == pid\n"
        "print('all well')\n"
    )
    assert_well(run("-W", "ignore", "-c", code))  # of forking with threads, since Python 3.12


def test_ctrl_c_does_not_disturb_workers_even_while_they_start() -> None:
    code = (
        "import os, signal, time; signal.signal(signal.SIGINT, lambda *_: None)\n"
        "from parslish.executors.processes import ProcessPoolExecutor; from tests.executors import jobs\n"
        "executor = ProcessPoolExecutor(max_workers=1); future = executor.submit(jobs.add, None, 1)\n"
        "while not future.done():\n"
        "    os.killpg(0, signal.SIGINT); time.sleep(0.002)\n"
        "assert future.result() == 1\n"
        "executor.shutdown(); print('all well')\n"
    )
    assert_well(run("-c", code, start_new_session=True))


def test_a_killed_driver_leaves_no_orphan(tmp_path: Path) -> None:
    driver = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], env=ENV)
    try:
        pids = [int(await_file(tmp_path / name)) for name in ("python", "c")]
    finally:
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    assert [pid for pid in pids if not await_gone(pid, 5.0)] == []
