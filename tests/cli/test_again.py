"""`parslish plan`, `rerun` and `resume`: scripts that are executed again from outside, unmodified."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli import made
from tests.cli.conftest import Call, Done
from tests.cli.test_base import start


def failed_run(*arguments: str) -> None:
    """Run the script as far as it comes: of its tasks -/f[2] fails, and -/g[0] does not run."""
    done = subprocess.run([sys.executable, made.script(), *arguments], timeout=60, capture_output=True)
    assert done.returncode == 3


def mend() -> None:
    Path("mended").touch()


def computed(run: str) -> list[str]:
    """The paths of the tasks that a run computed, or tried to."""
    return sorted(task.path for task in made.record(run) if task.status not in ("reused", "upstream_failed"))


def outside(*arguments: str) -> Done:
    """Call a command in a process of its own, as a shell does."""
    with start(*arguments) as process:
        out, err = process.communicate(timeout=60)
    return Done(process.returncode, out, err)


def test_a_plan_says_what_would_run_and_why_and_runs_nothing(call: Call) -> None:
    failed_run()
    done = call("plan")
    assert done.code == 0
    assert done.out.startswith("run 000 again: 2 to run (")
    rows = [line.split()[:3] for line in done.out.splitlines()]
    assert ["f", "3", "1"] in rows and ["g", "1", "?"] in rows
    assert [row[:2] for row in rows[-2:]] == [["-.N2", "-/f[2]"], ["-.N4", "-/g[0]"]]
    assert len(call("runs", "--json").json) == 1


def test_a_plan_in_json_counts_groups(call: Call) -> None:
    failed_run()
    groups = call("plan", "--from", "f", "--json").json["groups"]
    assert {name: each["tasks"] for name, each in groups.items()} == {"reuse": 0, "run": 5, "unknown": 0}


def test_a_dry_run_is_the_plan(call: Call) -> None:
    failed_run()
    assert call("rerun", "--all", "--dry-run") == call("plan", "--all")
    assert call("resume", "--dry-run", "--json") == call("plan", "--json")
    assert len(call("runs", "--json").json) == 1


def test_a_rerun_from_failure_ends_as_its_script_does_and_names_the_new_run() -> None:
    failed_run("an argument")
    again = outside("rerun", "--from-failure")
    assert (again.code, again.out) == (3, "printed an argument\n")
    first, last = again.err.splitlines()
    assert first.startswith("parslish: run 000: 2 to run (") and last == "parslish: run 001: failed"
    assert computed("001") == ["-/f[2]"]
    mend()
    again = outside("rerun", "--from-failure")
    assert (again.code, again.err.splitlines()[-1]) == (0, "parslish: run 002: completed")
    assert computed("002") == ["-/f[2]", "-/g[0]"]
    assert made.record("002").parent == Path("runinfo/001").absolute()


def test_resume_finishes_what_is_open() -> None:
    failed_run()
    mend()
    assert outside("resume").code == 0
    assert computed("001") == ["-/f[2]", "-/g[0]"]


def test_with_json_standard_output_has_nothing_else() -> None:
    failed_run()
    mend()
    done = outside("rerun", "0", "--from", "-/f[1]", "--json")
    assert done.code == 0 and "printed" in done.err
    found = done.json
    assert (found["run"], found["parent"], found["status"], found["exit_code"]) == ("001", "000", "completed", 0)
    assert found["plan"]["run"]["tasks"] == 3
    assert computed("001") == ["-/f[1]", "-/f[2]", "-/g[0]"]


def test_all_computes_everything_anew_and_only_just_the_named_tasks() -> None:
    mend()
    failed = subprocess.run([sys.executable, made.script()], timeout=60, capture_output=True)
    assert failed.returncode == 0
    assert outside("rerun", "--all").code == 0
    assert len(computed("001")) == 5
    only = outside("rerun", "0", "--only", "f[1], f[3]")
    assert (only.code, only.out) == (0, "")
    assert [task.name for task in made.record("002")] == ["f", "f"]


def test_an_app_is_replaced_by_a_function_of_a_module_that_lies_here() -> None:
    mend()
    os.mkdir("scripts")
    subprocess.run([sys.executable, made.script(name="scripts/script.py")], timeout=60, capture_output=True)
    Path("better.py").write_text("def f2(x):\n    return x + 100.5\n\ndef two(x, y):\n    return x\n")
    assert outside("rerun", "--replace", "f=better:f2").code == 0
    assert made.record("001").task("-/g[0]").result == 408.0
    wrong = outside("rerun", "--replace", "f=better:two")
    assert wrong.code == 2 and "f(x) cannot be replaced by a function that takes (x, y)" in wrong.err
    assert "better:f3' cannot be imported" in outside("rerun", "--replace", "f=better:f3").err


def test_retries_go_on_while_tasks_fail() -> None:
    failed_run()
    done = outside("rerun", "--from-failure", "--retries", "2")
    assert (done.code, done.err.splitlines()[-1]) == (3, "parslish: run 003: failed")


def test_a_pause_is_a_breakpoint_and_resume_goes_on(call: Call) -> None:
    mend()
    subprocess.run([sys.executable, made.script()], timeout=60, capture_output=True)
    paused = outside("rerun", "--from", "f", "--pause", "g")
    assert (paused.code, paused.err.splitlines()[-1]) == (3, "parslish: run 001: paused")
    assert [task.status for task in made.record("001")] == ["done"] * 4 + ["failed"]
    assert "is not begun: the run pauses before g" in call("show", "g[0]").out
    assert outside("resume").code == 0
    assert [task.status for task in made.record("002")] == ["reused"] * 4 + ["done"]


def test_an_interrupt_is_the_scripts_to_answer() -> None:
    Path("slow.py").write_text(
        "import os, time, parslish\n"
        "wait = parslish.python_app(lambda: time.sleep(60))\n"
        "try:\n"
        "    parslish.load()\n"
        "    wait()\n"
        "    time.sleep(0.5)\n"  # the record is written every tenth of a second
        "    open('begun', 'w').close()\n"
        "    if os.path.exists('again'): time.sleep(60)\n"
        "except KeyboardInterrupt:\n"
        "    time.sleep(0.5)\n"
        "    print('put in order', flush=True)\n"
        "    os._exit(7)\n"
        "os._exit(0)\n"
    )
    subprocess.run([sys.executable, "slow.py"], timeout=60)
    os.remove("begun")
    Path("again").touch()
    with start("resume", start_new_session=True) as process:
        deadline = time.monotonic() + 30
        while not os.path.exists("begun") and time.monotonic() < deadline:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (7, "put in order\n"), err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["rerun"],
            "say what is to run again: --all, --only EXPR, --from EXPR, --from-failure; to finish what is open",
        ),
        (["rerun", "--all", "--from", "f"], "--all and --from exclude each other: give one of --all, --only EXPR, --f"),
        (["rerun", "--from", "fff"], "run 000: there is no app 'fff'"),
        (["rerun", "--from"], "option '--from' requires an argument; see  parslish rerun --help"),
        (["rerun", "--form-failure"], "there is no option '--form-failure' (did you mean '--from-failure'?); see  "),
        (["rerun", "--replace", "f"], "--replace 'f': takes NAME=MODULE:FUNC, as --replace relax=better:relax"),
        (["rerun", "--replace", "h=a:b"], "run 000 has no app 'h' to replace"),
        (["rerun", "7", "--all"], "there is no run '7' in 'runinfo'"),
        (["rerun", "--all", "--retries", "x"], "invalid value for '--retries': 'x' is not a valid integer range"),
        (["plan", "--only", "g["], "selection: "),
        (["plan", "--all", "--only", "g"], "--all and --only exclude each other"),
        (["plan", "--dry-run"], "there is no option '--dry-run'"),
        (["plan", "003"], "there is no run '003' in 'runinfo'"),
        (["plan", "--pause", "ff"], "run 000: there is no app 'ff'"),
        (["resume", "--all"], "there is no option '--all'"),
        (["resume", "9"], "there is no run '9' in 'runinfo'"),
        (
            ["resume", "-/f[0]"],
            "'-/f[0]' is a task, and here a run is named: by its id (000 to 000), last or its folder",
        ),
        (["resume", "--retries", "-1"], "invalid value for '--retries': -1 is not in the range x>=0"),
        (["resume", "--run-dir", "x"], "the run folder 'x' is not there"),
    ],
)
def test_mistakes_are_told_in_a_sentence_and_nothing_runs(call: Call, arguments: list[str], sentence: str) -> None:
    failed_run()
    done = call(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"parslish: {sentence}"), done.err
    assert len(list(Path("runinfo").iterdir())) == 1


def test_that_there_is_no_failure_to_go_on_from_is_said(call: Call) -> None:
    mend()
    subprocess.run([sys.executable, made.script()], timeout=60, capture_output=True)
    sentence = "parslish: no task of run 000 failed or was lost: there is no failure to go on from\n"
    assert call("rerun", "--from-failure") == call("plan", "--from-failure") == (2, "", sentence)


def test_advice_names_options_not_arguments_of_python(call: Call) -> None:
    mend()
    path = made.script()
    path.write_text(path.read_text().replace("x + 0.5", "x[0] + 0.5").replace("f(i) for", "f([i] * 9_999) for"))
    subprocess.run([sys.executable, path], timeout=60, capture_output=True)
    done = call("rerun", "--only", "f[1]")
    assert done.code == 2
    assert "use --from '-/f[1]', which runs the program" in done.err, done.err
