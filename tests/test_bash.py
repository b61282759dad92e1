"""Bash apps on the worker: the command, its streams, its end, and everything it leaves behind."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from parslish.bash import AUTO_LOGNAME, BashRunner, auto_logname, run_command
from parslish.errors import (
    AppBadFormatting,
    AppException,
    AppTimeout,
    BadStdStreamFile,
    BashAppNoReturn,
    BashExitFailure,
    MissingOutputs,
)
from parslish.files import File


def run(command: str, **options: Any) -> int:
    return run_command(command, app_name="app", **options)


def eventually(holds: Callable[[], bool], within_s: float = 10) -> bool:
    """Whether something about other processes comes to hold: there is no event of theirs to wait for."""
    end = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def pids_in(path: Path, count: int) -> list[int]:
    """The process ids that a command writes to a file, one a line."""
    assert eventually(lambda: path.exists() and path.read_text().count("\n") >= count)
    return [int(line) for line in path.read_text().split()]


# A shell, and a child of its that outlives it unless the whole group is killed.
def two_processes(pids: Path) -> str:
    return f"sleep 1000 & echo $! >> {pids}; echo $$ >> {pids}; wait"


# ------------------------------------------------------------------------------------- streams


def test_a_command_that_ends_well_returns_0(tmp_path: Path) -> None:
    assert run("echo out; echo err >&2", stdout=f"{tmp_path}/o", stderr=f"{tmp_path}/e") == 0
    assert (tmp_path / "o").read_text() == "out\n"
    assert (tmp_path / "e").read_text() == "err\n"


def test_a_path_appends(tmp_path: Path) -> None:
    for spec in (f"{tmp_path}/o", tmp_path / "o", File(f"{tmp_path}/o")):
        run("echo x", stdout=spec)
    assert (tmp_path / "o").read_text() == "x\nx\nx\n"


def test_a_pair_opens_in_its_mode(tmp_path: Path) -> None:
    for word in ("one", "two"):
        run(f"echo {word}", stdout=(f"{tmp_path}/o", "w"))
    assert (tmp_path / "o").read_text() == "two\n"


def test_folders_of_streams_are_made(tmp_path: Path) -> None:
    run("echo x", stdout=f"{tmp_path}/a/b/o", stderr=f"{tmp_path}/a/c/e")
    assert (tmp_path / "a/b/o").read_text() == "x\n"


@pytest.mark.parametrize("mode", ["w", "a"])
def test_one_file_for_both_streams_loses_nothing(tmp_path: Path, mode: str) -> None:
    spec = (f"{tmp_path}/both", mode)
    run("for i in 1 2 3; do echo out; echo err >&2; done", stdout=spec, stderr=spec)
    assert (tmp_path / "both").read_text() == "out\nerr\n" * 3


def test_without_a_spec_the_streams_are_the_workers(capfd: pytest.CaptureFixture[str]) -> None:
    run("echo out; echo err >&2")
    assert capfd.readouterr() == ("out\n", "err\n")


def test_a_command_that_reads_sees_the_end_at_once(tmp_path: Path) -> None:
    assert run("cat", stdout=f"{tmp_path}/o", walltime=30) == 0
    assert (tmp_path / "o").read_text() == ""


def test_a_stream_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadStdStreamFile, match=r"stdout: .*Is a directory"):
        run("echo x", stdout=str(tmp_path))
    with pytest.raises(BadStdStreamFile, match=r"stderr: .*(Not a directory|File exists)"):
        run("echo x", stderr=f"{tmp_path}/file/e")
    with pytest.raises(BadStdStreamFile, match="AUTO_LOGNAME"):
        run("echo x", stdout=AUTO_LOGNAME)


# ------------------------------------------------------------------------------------- how it ends


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("exit 3", 3),
        ("no-such-program-here", 127),
        ("/etc/passwd", 126),
        ("kill -SEGV $$", 128 + signal.SIGSEGV),
        ("bash -c 'kill -SEGV $$'; exit $?", 128 + signal.SIGSEGV),
        ("if", 2),
    ],
)
def test_another_code_than_0_is_a_failure_with_that_code(tmp_path: Path, command: str, code: int) -> None:
    with pytest.raises(BashExitFailure) as caught:
        run(command, stderr=f"{tmp_path}/e")
    assert (caught.value.app_name, caught.value.exitcode) == ("app", code)
    assert f"{tmp_path}/e" in str(caught.value)


def test_missing_outputs_are_named_and_others_not(tmp_path: Path) -> None:
    there, missing = File(f"{tmp_path}/there"), File(f"{tmp_path}/missing")
    with pytest.raises(MissingOutputs) as caught:
        run(f"touch {there}", outputs=[there, missing, f"{tmp_path}/text"])
    assert caught.value.outputs == [missing, f"{tmp_path}/text"]
    assert run(f"touch {missing}", outputs=[missing, File("http://host/elsewhere")]) == 0


def test_a_failed_command_is_not_asked_for_outputs(tmp_path: Path) -> None:
    with pytest.raises(BashExitFailure):
        run("exit 1", outputs=[File(f"{tmp_path}/missing")])


@pytest.mark.parametrize("command", ["echo \0", "echo \ud800"])
def test_a_command_that_cannot_be_one_is_bad_formatting(command: str) -> None:
    with pytest.raises(AppBadFormatting, match="app made a command that cannot be one"):
        run(command)


def test_a_command_too_long_for_the_system_is_an_app_exception() -> None:
    with pytest.raises(AppException, match="app could not start its command: Argument list too long"):
        run("echo " + "x" * (1 << 22))


# ------------------------------------------------------------------------------------- walltime


def test_walltime_kills_the_whole_group(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    with pytest.raises(AppTimeout, match=r"app ran longer than its walltime of 0\.5 s"):
        run(two_processes(pids), walltime=0.5)
    assert all(eventually(lambda pid=pid: not is_running(pid)) for pid in pids_in(pids, 2))


def test_a_command_within_its_walltime_leaves_no_timer() -> None:
    before = threading.active_count()
    assert run("true", walltime=1000) == 0
    assert threading.active_count() == before


def test_a_command_that_ends_leaves_what_it_put_in_the_background(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    run(f"sleep 1000 & echo $! > {pids}", walltime=60)
    (pid,) = pids_in(pids, 1)
    assert is_running(pid)
    os.kill(pid, signal.SIGKILL)


def test_an_interrupted_wait_kills_the_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pids = tmp_path / "pids"

    def interrupted(*args: Any) -> None:
        pids_in(pids, 2)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "waitid", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(two_processes(pids))
    assert all(eventually(lambda pid=pid: not is_running(pid)) for pid in pids_in(pids, 2))


# ------------------------------------------------------------------------------------- the runner


def echo(*words: str, stdout: Any = None) -> str:
    return f"echo {' '.join(words)}"


def writes(path: str, stdout: Any = None, walltime: float = 60, outputs: Any = ()) -> str:
    return f"echo {walltime} {len(outputs)} > {path}"


def test_the_runner_runs_what_the_function_returns(tmp_path: Path) -> None:
    assert BashRunner(echo)("a", "b", stdout=f"{tmp_path}/o") == 0
    assert (tmp_path / "o").read_text() == "a b\n"


def test_the_command_is_not_formatted_again(tmp_path: Path) -> None:
    BashRunner(echo)("'{braces} {0} %s'", stdout=f"{tmp_path}/o")
    assert (tmp_path / "o").read_text() == "{braces} {0} %s\n"


def test_the_function_gets_only_the_keywords_it_declares(tmp_path: Path) -> None:
    BashRunner(writes)(f"{tmp_path}/o", walltime=7, outputs=[f"{tmp_path}/o"], stderr=f"{tmp_path}/e")
    assert (tmp_path / "o").read_text() == "7 1\n"


def test_a_function_with_any_keywords_gets_them_all(tmp_path: Path) -> None:
    def named(**keywords: Any) -> str:
        return f"echo {' '.join(sorted(keywords))}"

    BashRunner(named)(stdout=f"{tmp_path}/o", walltime=5, other=1)
    assert (tmp_path / "o").read_text() == "other stdout walltime\n"


def test_defaults_in_the_signature_count(tmp_path: Path) -> None:
    def sleeper(pids: Path, walltime: float = 0.3, stderr: str = f"{tmp_path}/e") -> str:
        return "echo waiting >&2; sleep 1000"

    with pytest.raises(AppTimeout):
        BashRunner(sleeper)(tmp_path)
    assert (tmp_path / "e").read_text() == "waiting\n"


def test_streams_given_by_position_count(tmp_path: Path) -> None:
    def named(word: str, stdout: Any = None) -> str:
        return f"echo {word}"

    BashRunner(named)("x", f"{tmp_path}/o")
    assert (tmp_path / "o").read_text() == "x\n"


@pytest.mark.parametrize("value", [None, 0, b"true", ["true"]])
def test_a_function_that_returns_no_text_is_told_so(value: Any) -> None:
    with pytest.raises(BashAppNoReturn, match=rf"mine returned {type(value).__name__}, takes a command line"):
        BashRunner(lambda: value, "mine")()


@pytest.mark.parametrize("template", ["{missing}", "{} {}", "{0.nothing}"])
def test_a_failed_format_is_bad_formatting_with_its_cause(template: str) -> None:
    with pytest.raises(AppBadFormatting, match="mine could not make its command") as caught:
        BashRunner(lambda: template.format(1), "mine")()
    assert isinstance(caught.value.__cause__, KeyError | IndexError | AttributeError)


def test_other_exceptions_of_the_function_are_its_own() -> None:
    with pytest.raises(ZeroDivisionError):
        BashRunner(lambda: str(1 / 0))()


def test_a_runner_crosses_to_another_process() -> None:
    runner = pickle.loads(pickle.dumps(BashRunner(echo, "renamed")))
    assert (runner.__name__, runner.func) == ("renamed", echo)


# ------------------------------------------------------------------------------------- log names


def test_auto_logname_is_itself_after_pickling() -> None:
    assert pickle.loads(pickle.dumps(AUTO_LOGNAME)) is AUTO_LOGNAME
    assert repr(AUTO_LOGNAME) == "AUTO_LOGNAME"


def test_log_files_lie_in_the_run_ten_thousand_a_folder() -> None:
    assert auto_logname("r/000", 17, "relax", None, "stdout") == "r/000/task_logs/0000/task_0017_relax.stdout"
    expected = "r/000/task_logs/0001/task_12345_relax_Si.stderr"
    assert auto_logname("r/000", 12345, "relax", "Si", "stderr") == expected


@pytest.mark.parametrize("label", ["../../etc/passwd", "a/b", "a\0b", "x" * 1000, "é" * 200, "a b\n"])
def test_a_label_never_leaves_the_log_folder(tmp_path: Path, label: str) -> None:
    name = auto_logname(str(tmp_path), 1, "<lambda>", label, "stdout")
    run("echo x", stdout=name)
    assert Path(name).resolve().parent == tmp_path / "task_logs" / "0000"
