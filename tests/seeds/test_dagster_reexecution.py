"""The page "Re-execution" of Dagster's manual: its job of three ops, four ways to execute it again, and code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import parslish
from parslish import RecordedRun, UsageError
from tests.seeds.driving import change, command, contents, executed, program, statuses

START, UNRELIABLE, END = "-/start[0]", "-/unreliable[0]", "-/end[0]"


def bad_luck() -> RecordedRun:
    """The run of the page: `unreliable` fails. Luck has turned when this returns."""
    Path("luck").write_text("0.2")
    run = program("unreliable_job.py", ok=False)
    assert executed() == ["start", "unreliable"]
    Path("luck").write_text("0.8")
    return run


def good_luck() -> RecordedRun:
    """A run without failure."""
    Path("luck").write_text("0.8")
    run = program("unreliable_job.py")
    assert executed() == ["start", "unreliable", "end"]
    return run


# -- "All Ops: Re-execute the job from scratch."


def test_all_ops_are_executed_from_scratch() -> None:
    new = bad_luck().rerun(all=True)
    assert executed() == ["start", "unreliable", "end"]
    assert statuses(new) == {START: "done", UNRELIABLE: "done", END: "done"}


# -- "Selected Op(s): Re-execute the selected op(s). Ops can be selected regardless of their op status."


@pytest.mark.parametrize("op", ["start", "unreliable"])
def test_a_selected_op_is_executed_whether_it_had_failed_or_not_and_nothing_else(op: str) -> None:
    new = bad_luck().rerun(only=op)
    assert executed() == [op]
    assert statuses(new) == {f"-/{op}[0]": "done"}


def test_several_ops_are_selected_by_a_list() -> None:
    new = bad_luck().rerun(only=["unreliable", "end"])
    assert executed() == ["unreliable", "end"]
    assert statuses(new) == {UNRELIABLE: "done", END: "done"}


def test_an_op_whose_input_was_never_made_cannot_be_selected_alone() -> None:
    run = bad_luck()
    new = run.rerun(only="end")
    assert executed() == []
    assert new.exit_code == 2


# -- "From Selected: Re-execute the job downstream from the selected ops … regardless of op status."


@pytest.mark.parametrize(
    ("op", "ran"), [("start", ["start", "unreliable", "end"]), ("unreliable", ["unreliable", "end"]), ("end", ["end"])]
)
def test_from_selected_executes_the_op_and_all_downstream_of_it(op: str, ran: list[str]) -> None:
    new = good_luck().rerun(from_=op)
    assert executed() == ran
    assert {path for path, status in statuses(new).items() if status == "done"} == {f"-/{each}[0]" for each in ran}


# -- "From Failure: Re-execute the job, skipping ops completed successfully."


def test_from_failure_skips_what_completed_successfully() -> None:
    new = bad_luck().rerun(from_failure=True)
    assert executed() == ["unreliable", "end"]
    assert statuses(new) == {START: "reused", UNRELIABLE: "done", END: "done"}
    assert new.status == "completed"


def test_from_failure_is_refused_when_nothing_has_failed() -> None:
    run = good_luck()
    with pytest.raises(UsageError, match="no task that failed or was lost"):
        run.rerun(from_failure=True)
    assert executed() == []


def test_a_failed_re_execution_is_one_that_can_be_re_executed() -> None:
    # "… as the failed task has a 50% chance of succeeding on the next run."
    run = bad_luck()
    Path("luck").write_text("0.2")
    failed = run.rerun(from_failure=True)
    assert failed.exit_code == 1
    assert statuses(failed) == {START: "reused", UNRELIABLE: "failed", END: "upstream_failed"}
    Path("luck").write_text("0.8")
    executed()
    assert statuses(failed.rerun(from_failure=True)) == {START: "reused", UNRELIABLE: "done", END: "done"}
    assert executed() == ["unreliable", "end"]


def test_a_run_may_be_re_executed_from_failure_until_luck_has_turned() -> None:
    run = bad_luck()
    Path("luck").write_text("0.2 0.2 0.8")
    new = run.rerun(from_failure=True, retries=2)
    assert executed() == ["unreliable", "unreliable", "unreliable", "end"]
    assert statuses(new) == {START: "reused", UNRELIABLE: "done", END: "done"}
    assert [each.parent and each.parent.id for each in parslish.runs()] == [None, "000", "001", "002"]


# -- "… grouped with the original run … The original job execution metadata is not overwritten"


def test_a_re_execution_is_linked_to_the_original_run() -> None:
    run = bad_luck()
    Path("luck").write_text("0.2")
    first = run.rerun(from_failure=True)
    Path("luck").write_text("0.8")
    second = first.rerun(from_failure=True)
    for new, parent in [(first, run), (second, first)]:
        assert new.parent is not None
        assert new.parent.path == parent.path
        assert new.root.path == run.path
        assert [child.path for child in parent.children()] == [new.path]
    assert run.parent is None
    assert run.root.path == run.path


@pytest.mark.parametrize("how", [{"all": True}, {"only": "start"}, {"from_": "start"}, {"from_failure": True}])
def test_nothing_of_the_original_run_is_overwritten(how: dict[str, object]) -> None:
    run = bad_luck()
    folders = [run.path / "events", run.path / "checkpoint"]
    before, card = contents(folders), (run.path / "run.json").read_bytes()
    run.rerun(**how)  # type: ignore[arg-type]
    assert contents(folders) == before
    assert (run.path / "run.json").read_bytes() == card
    assert statuses(parslish.run(run.id)) == {START: "done", UNRELIABLE: "failed", END: "upstream_failed"}


# -- "If the run succeeded but the underlying code changed, running specific ops to test the differences would be more
#    relevant."


def test_a_changed_op_is_tested_alone_with_the_stored_inputs_of_the_run() -> None:
    run = good_luck()
    change("unreliable_job.py", "return num", "return num + 41")
    new = run.rerun(only="unreliable")
    assert executed() == ["unreliable"]
    assert new.record.task(UNRELIABLE).result == 42
    assert [each.path for each in new.diff(run).changed] == [UNRELIABLE]


# -- "Using Dagster's API … step_selection=["unreliable*"]"


def test_the_code_of_the_page() -> None:
    # re-execute the job, but only the "unreliable" op and all its descendents
    initial_result = bad_luck()
    result = initial_result.rerun(only=["unreliable*"])
    assert executed() == ["unreliable", "end"]
    assert statuses(result) == {UNRELIABLE: "done", END: "done"}


def test_the_subset_selector_of_the_page_selects_in_the_record_too() -> None:
    run = bad_luck()
    assert [task.name for task in run.select("unreliable*").tasks] == ["unreliable", "end"]
    assert [task.name for task in run.select("*unreliable").tasks] == ["start", "unreliable"]
    assert [task.name for task in run.select("++end").tasks] == ["start", "unreliable", "end"]


# -- "To initiate a re-execution from an existing run …", without a page: from the command line.


@pytest.mark.parametrize(
    ("options", "ran"),
    [
        (["--all"], ["start", "unreliable", "end"]),
        (["--only", "unreliable*"], ["unreliable", "end"]),
        (["--from", "start"], ["start", "unreliable", "end"]),
        (["--from-failure"], ["unreliable", "end"]),
    ],
)
def test_the_four_ways_from_the_command_line(options: list[str], ran: list[str]) -> None:
    run = bad_luck()
    done = command("rerun", run.id, *options)
    assert done.returncode == 0, done.stderr
    assert executed() == ran
    new = parslish.run()
    assert new.parent is not None
    assert new.parent.id == run.id


def test_the_command_line_says_in_json_what_it_made() -> None:
    run = bad_luck()
    done = command("rerun", run.id, "--from-failure", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["run"] == parslish.run().id != run.id
    assert said["exit_code"] == 0


# -- "Dagster will figure out the dependencies for you!", and "start again from the second op": beforehand, too.


def test_a_plan_says_beforehand_what_each_way_would_do() -> None:
    run = good_luck()

    def names(ids: object) -> list[str]:
        return [run.record.task(id).name for id in sorted(ids)]  # type: ignore[call-overload]

    plan = run.plan(from_="unreliable")
    assert names(plan.reuse) == ["start"]
    assert names(plan.run) + names(plan.unknown) == ["unreliable", "end"]
    assert names(run.plan(all=True).run) == ["start", "unreliable", "end"]
    assert executed() == [], "a plan runs nothing"
