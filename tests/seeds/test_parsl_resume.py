"""Parsl's page "Checkpointing" once more, for its promise: a run that was cut off goes on where it stopped.

`test_parsl_checkpointing.py` has the page sentence by sentence, with a user who starts the script again. Here the run
that was cut off is resumed from outside, by its record.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import parslish
from parslish import RecordedRun, UsageError
from tests.seeds.driving import begun, command, executed, statuses


def cut_off(mode: str = "task_exit") -> RecordedRun:
    """A run that was killed in its fourth call of five."""
    wanted = [[*([first] * 3), "running", "waiting"] for first in ("done", "reused")]
    before = len(parslish.runs())
    Path("slow").touch()
    process = begun(
        "slow_double.py",
        mode,
        until=lambda: len(parslish.runs()) > before and list(statuses(parslish.run()).values()) in wanted,
    )
    process.kill()
    process.communicate()
    Path("slow").unlink()
    return parslish.run()


# -- "Parsl's support for checkpointing provides workflow resilience and fault tolerance."


def test_a_run_that_was_killed_is_recognised_and_its_open_tasks_are_lost() -> None:
    run = cut_off()
    assert run.status == "lost"
    assert list(statuses(run).values()) == ["done", "done", "done", "lost", "lost"]
    assert [task.path for task in run.select("status:lost").tasks] == ["-/slow_double[3]", "-/slow_double[4]"]


def test_resume_runs_what_was_lost_and_reuses_the_rest() -> None:
    run = cut_off()
    assert executed() == ["0", "1", "2", "3"]
    new = run.resume()
    assert executed() == ["3", "4"]
    assert list(statuses(new).values()) == ["reused"] * 3 + ["done"] * 2
    assert [task.result for task in new.record] == [0, 2, 4, 6, 8]
    assert new.status == "completed"
    assert new.parent is not None
    assert new.parent.path == run.path


def test_from_failure_is_for_lost_tasks_too() -> None:
    run = cut_off()
    executed()
    run.rerun(from_failure=True)
    assert executed() == ["3", "4"]


def test_resume_from_the_command_line_prints_what_the_script_prints() -> None:
    cut_off()
    executed()
    resumed = command("resume")
    assert resumed.returncode == 0, resumed.stderr
    assert "[0, 2, 4, 6, 8]" in resumed.stdout
    assert executed() == ["3", "4"]


def test_a_run_may_be_cut_off_again_and_again() -> None:
    run = cut_off()
    executed()
    again = cut_off()
    assert executed() == ["3"]
    assert again.parent is not None
    assert again.parent.path == run.path
    assert again.resume().root.path == run.path
    assert executed() == ["3", "4"]


# -- "… in this mode, checkpoints are created when the DataFlowKernel is about to exit. … there's still some likelihood
#    that information might be lost if the workflow is terminated abruptly (machine failure, SIGKILL etc)"


@pytest.mark.parametrize(("mode", "again"), [("task_exit", ["3", "4"]), ("dfk_exit", list("01234"))])
def test_what_is_resumed_is_what_the_mode_has_not_kept(mode: str, again: list[str]) -> None:
    run = cut_off(mode)
    executed()
    new = run.resume()
    assert executed() == again
    assert new.status == "completed"


# -- "there is no need for users to modify their Parsl script in any way"


def test_the_script_is_started_as_it_was_with_its_arguments_in_its_folder() -> None:
    run = cut_off()
    executed()
    home = os.getcwd()
    Path("elsewhere").mkdir()
    os.chdir("elsewhere")
    new = RecordedRun(run.path).resume()
    os.chdir(home)
    assert new.path.parent == run.path.parent
    assert new.record.facts["argv"] == run.record.facts["argv"]
    assert executed() == ["3", "4"]


def test_a_script_that_is_gone_is_told_so() -> None:
    run = cut_off()
    Path("slow_double.py").rename("moved.py")
    with pytest.raises(UsageError, match=r"slow_double\.py"):
        run.resume()
    told = command("resume")
    assert told.returncode == 2
    assert "slow_double.py" in told.stderr
    assert "Traceback" not in told.stderr
    assert len(parslish.runs()) == 1
