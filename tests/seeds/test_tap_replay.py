"""Tap's ticket #194, "Audit Cache/Store (ie Replay and Recovery)", sentence by sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

import parslish
from parslish import Config, DependencyError, ThreadPoolExecutor, python_app
from tests.seeds.driving import command, executed, program, statuses

# -- "… when you unwind a partially-run workflow you can lose information that is within some types of joins, like a
#    theoretical counter … in replay mode, you load a clean workflow … and run the tasks so they use the cached results"


def test_a_replay_on_a_clean_program_rebuilds_the_counter_of_a_join() -> None:
    Path("full").touch()
    run = program("counting.py", ok=False)
    assert executed()[-1] == "c 3 30"
    Path("full").unlink()
    new = run.resume()
    # Of the third item only c was open; the fourth is numbered as if nothing had happened.
    assert executed() == ["c 3 30", "a 3", "b 4", "c 4 40"]
    assert [new.record.task(f"-/c[{i}]").result for i in range(4)] == ["1: 10", "2: 20", "3: 30", "4: 40"]
    assert new.status == "completed"


def test_a_replay_gives_what_a_run_without_a_failure_gives() -> None:
    Path("full").touch()
    replayed = program("counting.py", ok=False)
    Path("full").unlink()
    replayed = replayed.resume()
    whole = replayed.rerun(all=True)
    assert [(task.path, task.result) for task in replayed.record] == [(task.path, task.result) for task in whole.record]


# -- "This should quickly re-create the state at the time of crash, without re-running upstream tasks."


def test_upstream_tasks_are_not_run_again() -> None:
    Path("full").touch()
    run = program("counting.py", ok=False)
    done = {path for path, status in statuses(run).items() if status == "done"}
    Path("full").unlink()
    after = statuses(run.resume())
    assert len(done) == 8
    assert {path for path, status in after.items() if status == "reused"} == done


# -- "Note after unwinding you will also have … a full representation of the workflow … useful for inspection during
#    debugging"


def test_after_a_failure_the_workflow_is_there_to_be_inspected() -> None:
    run = program("enqueuing.py", ok=False)
    (failed,) = run.select("status:failed").tasks
    assert (failed.path, failed.arguments, failed.result) == ("-/d[0]", {"x": -1}, None)
    assert failed.error is not None
    assert (failed.error.type, failed.error.message) == ("ValueError", "no root of -1")
    assert "x**0.5" not in failed.error.traceback
    assert "raise ValueError" in failed.error.traceback
    # b and c are joined by the program, not by a future: the record has the edge that it can know.
    assert [task.name for task in run.select("+d+").tasks] == ["c", "d", "report"]
    assert [task.name for task in run.record] == ["a", "b", "c", "d", "report"]


# -- "set termination/raise termination error · mark the failing task(s) · as you unwind, cache the results"


def test_an_error_ends_the_program_the_failing_tasks_are_marked_and_the_results_are_kept() -> None:
    run = program("enqueuing.py", ok=False)
    assert run.record.reason == f"ended by {DependencyError.__name__}"
    assert list(statuses(run).values()) == ["done", "done", "done", "failed", "upstream_failed"]


def test_with_lazy_errors_off_nothing_is_begun_after_the_first_failure() -> None:
    ran = []

    @python_app
    def task(x: int) -> None:
        ran.append(x)
        raise ValueError(f"no {x}")

    config = Config(lazy_errors=False, executors=[ThreadPoolExecutor(max_threads=1)])
    with pytest.raises(ValueError, match="no 0"), parslish.load(config):
        task(0).exception()
        task(1)
    assert ran == [0]


# -- "Then during debuggin' · the failed task(s) located and manipulated · when the app is restarted the tasks run with
#    cached results, allowing the join state to be recreated"


def test_a_failed_task_is_located_its_arguments_are_edited_and_the_replay_goes_on_with_them() -> None:
    run = program("enqueuing.py", ok=False)
    executed()
    (failed,) = run.select("status:failed").tasks
    run.edit(failed.loc, arguments={"x": 9}, reason="the sign was wrong")
    new = run.resume()
    assert executed() == ["d 9", "report 3.0"]
    assert list(statuses(new).values()) == ["reused", "reused", "reused", "done", "done"]
    assert new.record.task("-/report[0]").result == "the root is 3.0"


def test_a_failed_task_is_given_a_result_and_not_run() -> None:
    run = program("enqueuing.py", ok=False)
    executed()
    run.edit("-/d[0]", result=7.5)
    new = run.resume()
    assert executed() == ["report 7.5"]
    assert new.record.task("-/report[0]").result == "the root is 7.5"
    assert new.status == "completed"


def test_an_edit_is_recorded_as_such_and_counts_in_runs_of_the_chain_only() -> None:
    run = program("enqueuing.py", ok=False)
    run.edit("-/d[0]", result=7.5, reason="from the paper")
    marks = [mark for mark in parslish.run(run.id).record.marks if mark.what == "edit"]
    assert [(mark.facts["path"], mark.facts["reason"]) for mark in marks] == [("-/d[0]", "from the paper")]
    edited = run.resume()
    assert edited.record.task("-/d[0]").forced == "its result was edited"
    assert [reason.kind for reason in edited.why("-/d[0]").reasons] == ["edited"]
    # A chain goes on with it, without being told again; a program that is started by itself has not heard of it.
    assert edited.rerun(all=True).record.task("-/d[0]").result == 7.5
    assert program("enqueuing.py", ok=False).record.task("-/d[0]").status == "failed"


def test_located_and_manipulated_from_the_command_line() -> None:
    program("enqueuing.py", ok=False)
    executed()
    located = command("select", "status:failed")
    assert located.returncode == 0, located.stderr
    assert "-/d[0]" in located.stdout
    edited = command("edit", "-/d[0]", "--argument", "x=9", "--reason", "the sign was wrong")
    assert edited.returncode == 0, edited.stderr
    resumed = command("resume")
    assert resumed.returncode == 0, resumed.stderr
    assert "the root is 3.0" in resumed.stdout
    assert executed() == ["d 9", "report 3.0"]


# -- "a -- b --:q c -- d … c will be enqued after b, then d fails. Replay will enque d c again, leading to duplication.
#    … Don't dispatch if completed."


def test_what_a_join_has_enqueued_is_not_duplicated_by_a_replay() -> None:
    run = program("enqueuing.py", ok=False)
    assert executed() == ["a", "b", "c", "d -1"]
    new = run.resume()
    assert executed() == ["d -1"], "c was enqueued again, and not dispatched"
    assert [task.name for task in new.record] == ["a", "b", "c", "d", "report"]


def test_a_join_that_completed_is_not_run_so_it_enqueues_nothing_again() -> None:
    # "If b doesn't run at all, however, then this model is ok."
    Path("numbers").write_text("1 2 3")
    Path("no-2").touch()
    run = program("dynamic_job.py", ok=False)
    Path("no-2").unlink()
    executed()
    whole = run.resume()
    assert executed() == ["mapped", "subtask 2", "echo 20", "adder"], "it had not completed"
    again = program("dynamic_job.py")
    assert executed() == []
    # What it had enqueued is there, each once.
    assert sorted(statuses(again)) == sorted(statuses(whole))
    assert len(again.record) == 9


# -- "Tasks cannot have side-effect in this case. Result is the only meaningful output"


def test_a_side_effect_of_a_completed_task_is_not_repeated() -> None:
    run = program("enqueuing.py", ok=False)
    Path("executed").unlink()  # the side effects of a, b and c
    run.edit("-/d[0]", result=1.0)
    run.resume()
    assert executed() == ["report 1.0"]


# -- "A similar thing can be accomplished if results are cached along the way, for example to an external data store."


def test_results_of_another_store_are_replayed() -> None:
    Path("full").touch()
    program("counting.py", ok=False)
    executed()
    Path("full").unlink()
    Path("runinfo").rename("elsewhere")
    imported = command("checkpoint", "import", "elsewhere/000", "--yes")
    assert imported.returncode == 0, imported.stderr
    program("counting.py")
    assert executed() == ["c 3 30", "a 3", "b 4", "c 4 40"]
