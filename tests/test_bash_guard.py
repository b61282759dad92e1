"""No bash command outlives the worker that started it, however the worker dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from parslish import bash_guard
from parslish.bash import run_command
from tests.test_bash import eventually, is_running, pids_in, two_processes

ROOT = Path(__file__).parent.parent


def worker(script: str, *arguments: object) -> subprocess.Popen[bytes]:
    """Another interpreter that runs a script."""
    command = [sys.executable, "-W", "error", "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE)


def end(process: subprocess.Popen[bytes]) -> bytes:
    """What the interpreter complained about until its end."""
    return process.communicate(timeout=60)[1]


def all_gone(pids: list[int]) -> bool:
    return all(eventually(lambda pid=pid: not is_running(pid), within_s=5) for pid in pids)  # type: ignore[misc]


RUN = "import sys; from parslish.bash import run_command; run_command(sys.argv[1], app_name='app')"


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGSEGV])
def test_a_command_dies_with_its_worker(tmp_path: Path, sign: signal.Signals) -> None:
    pids = tmp_path / "pids"
    process = worker(RUN, two_processes(pids))
    group = pids_in(pids, 2)
    process.send_signal(sign)
    end(process)
    assert all_gone(group)


IN_THREADS = """
import sys, threading
from parslish.bash import run_command
for command in sys.argv[1:]:
    threading.Thread(target=run_command, args=(command,), kwargs={"app_name": "app"}, daemon=True).start()
sys.stdin.readline()
"""


@pytest.mark.parametrize("sign", [None, signal.SIGKILL])
def test_all_commands_of_all_threads_die_with_the_worker(tmp_path: Path, sign: signal.Signals | None) -> None:
    files = [tmp_path / str(i) for i in range(5)]
    command = [sys.executable, "-W", "error", "-c", IN_THREADS, *map(two_processes, files)]
    process = subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    pids = [pid for file in files for pid in pids_in(file, 2)]
    if sign:
        process.send_signal(sign)
    complaints = process.communicate(b"\n", timeout=60)[1]
    assert all_gone(pids)
    assert complaints == b""


def test_a_guard_that_was_killed_is_replaced_and_knows_the_running_groups(tmp_path: Path) -> None:
    script = """
import os, signal, subprocess, sys, threading
from parslish import bash_guard
from parslish.bash import run_command
run = lambda command: run_command(command, app_name="app")
threading.Thread(target=run, args=(sys.argv[1],), daemon=True).start()
while not os.path.exists(sys.argv[2]) or bash_guard._guard._shell is None:
    pass
bash_guard._guard._shell.kill()
bash_guard._guard._shell.wait()
run(sys.argv[3])
"""
    first, second = tmp_path / "first", tmp_path / "second"
    process = worker(script, two_processes(first), first, two_processes(second))
    pids = pids_in(first, 2) + pids_in(second, 2)
    process.kill()
    end(process)
    assert all_gone(pids)


def test_a_forked_child_neither_holds_nor_kills_its_parents_commands(tmp_path: Path) -> None:
    script = """
import os, signal, sys
from parslish.bash import run_command
run_command("true", app_name="app")
child = os.fork()
if child == 0:
    if sys.argv[2] == "stay":
        signal.pause()
    run_command("true", app_name="app")
    sys.exit()
with open(sys.argv[3], "w") as forked:
    forked.write(f"{child}\\n")
if sys.argv[2] == "leave":
    assert os.waitpid(child, 0)[1] == 0
run_command(sys.argv[1], app_name="app")
"""
    for child in ("stay", "leave"):
        pids, forked = tmp_path / f"{child}.pids", tmp_path / f"{child}.forked"
        process = worker(script, two_processes(pids), child, forked)
        group, (child_pid,) = pids_in(pids, 2), pids_in(forked, 1)
        assert all(map(is_running, group))
        process.kill()
        assert all_gone(group)
        if child == "stay":
            os.kill(child_pid, signal.SIGKILL)
        assert end(process) == b""


def test_what_an_ended_command_left_in_the_background_is_let_go(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    assert end(worker(RUN, f"sleep 1000 2>&- & echo $! > {pids}")) == b""
    (pid,) = pids_in(pids, 1)
    assert is_running(pid)
    os.kill(pid, signal.SIGKILL)


def test_many_commands_share_one_guard_and_it_is_left_with_nothing() -> None:
    run_command("true", app_name="app")
    shell = bash_guard._guard._shell
    for _ in range(20):
        run_command("true", app_name="app")
    assert bash_guard._guard._shell is shell
    assert bash_guard._guard._groups == set()
