"""Breakpoints: tasks that are not begun, and going on from there."""

from __future__ import annotations

from pathlib import Path

import pytest

from parslish import UsageError
from tests.rerun.program import NESTED, NESTED_CALLS, again, executed, first, forced, statuses

APPS = """
@python_app(cache=True)
def one(x):
    note("one", x)
    return x

@python_app(cache=True)
def two(x):
    note("two", x)
    return x
"""


def test_a_selected_task_is_not_begun_and_what_waits_for_it_neither() -> None:
    run = first(APPS, "two(one(1)).exception(); one(2).result()")
    executed()
    new = run.rerun(all=True, pause="one[0]")
    assert executed() == ["one 2"]
    assert new.status == "paused"
    assert statuses(new)["-/two[0]"] == "upstream_failed"


def test_resume_goes_on_from_there() -> None:
    run = first(APPS, "two(one(1)).exception(); one(2).result()")
    paused = run.rerun(all=True, pause="one[0]")
    executed()
    new = paused.resume()
    assert executed() == ["one 1", "two 1"]
    assert new.status == "completed"
    new.resume()
    assert executed() == []


def test_before_something_nested() -> None:
    run = first(NESTED, NESTED_CALLS)
    executed()
    paused = run.rerun(all=True, pause="-/nested[0]/times[2]")
    assert sorted(executed()) == ["nested", "start", "times 1 2", "times 1 3"]
    assert paused.status == "paused"
    new = paused.resume()
    assert executed() == ["nested", "times 2 3", "unreliable 6", "end 6"]
    assert new.status == "completed"


def test_before_something_nested_in_a_join_that_is_computed_anew_in_part() -> None:
    run = first(NESTED, NESTED_CALLS)
    executed()
    paused = run.rerun(from_="-/nested[0]/times[0]", pause="-/nested[0]/times[2]")
    assert executed() == ["nested", "times 1 2"]
    paused.resume()
    assert executed() == ["nested", "times 2 3", "unreliable 6", "end 6"]


def test_before_a_join() -> None:
    run = first(NESTED, NESTED_CALLS)
    executed()
    paused = run.rerun(all=True, pause="nested")
    assert executed() == ["start"]
    paused.resume()
    assert sorted(executed()) == ["end 6", "nested", "times 1 2", "times 1 3", "times 2 3", "unreliable 6"]


def test_several_breakpoints_one_after_the_other() -> None:
    run = first(NESTED, NESTED_CALLS)
    executed()
    first_stop = run.rerun(all=True, pause="unreliable")
    assert "unreliable 6" not in executed()
    second_stop = first_stop.resume(pause="end")
    assert executed() == ["unreliable 6"]
    second_stop.resume()
    assert executed() == ["end 6"]


def test_what_is_edited_at_a_breakpoint_holds() -> None:
    run = first(NESTED, NESTED_CALLS)
    paused = run.rerun(all=True, pause="unreliable")
    paused.edit("-/unreliable[0]", arguments={"n": 50})
    executed()
    paused.resume()
    assert executed() == ["unreliable 50", "end 50"]


def test_arguments_decide_for_tasks_that_come_for_the_first_time() -> None:
    run = first(APPS, "[one(i).exception() for i in range(3)]")
    executed()
    paused = run.rerun(all=True, pause="one and arg:x=1")
    assert executed() == ["one 0", "one 2"]
    assert paused.status == "paused"


@pytest.mark.parametrize("guarded", ["result()", "exception()"])
def test_a_program_that_minds_and_one_that_does_not_are_both_paused(guarded: str) -> None:
    run = first(APPS, f"two(one(1)).{guarded}")
    paused = run.rerun(all=True, pause="one")
    assert paused.status == "paused"
    executed()
    assert paused.resume().status == "completed"
    assert executed() == ["one 1", "two 1"]


def test_retries_do_not_go_on_behind_a_breakpoint() -> None:
    run = first(APPS, "two(one(1)).exception()")
    executed()
    paused = run.rerun(all=True, pause="two", retries=2)
    assert executed() == ["one 1"]
    assert paused.status == "paused"


def test_nothing_is_stored_of_a_pause() -> None:
    run = first(
        APPS.replace("(cache=True)\ndef two", "(cache=True, remember=[Exception])\ndef two"), "two(one(1)).exception()"
    )
    run.rerun(all=True, pause="two")
    executed()
    again()
    assert executed() == []


def test_a_run_that_never_comes_there_is_completed() -> None:
    Path("branch").touch()
    run = first(APPS, "one(1).result(); two(1).result() if os.path.exists('branch') else None")
    Path("branch").unlink()
    assert run.rerun(all=True, pause="two").status == "completed"


def test_a_breakpoint_nowhere_is_told() -> None:
    run = first(APPS, "one(1).result()")
    with pytest.raises(UsageError, match="tow"):
        run.rerun(pause="tow")


def test_uncached_apps_and_several_executors_stop_too() -> None:
    run = first(
        APPS.replace("(cache=True)\ndef two", "(executors=['far'])\ndef two"),
        "two(one(1)).exception()",
        ", executors=[parslish.ThreadPoolExecutor(label='near'), parslish.ProcessPoolExecutor(label='far')]",
    )
    executed()
    paused = run.rerun(from_="one", pause="two")
    assert executed() == ["one 1"]
    assert paused.status == "paused"
    new = paused.resume()
    assert executed() == ["two 1"]
    assert "-/one[0]" not in forced(new)
