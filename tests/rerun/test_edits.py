"""Arguments and results that somebody puts in a task's place."""

from __future__ import annotations

from pathlib import Path

import pytest

import parslish
from parslish import RecordedRun, SerializationError, UsageError
from tests.rerun.program import NESTED, NESTED_CALLS, again, executed, first, forced, results, statuses

CALL = """
@python_app(cache=True)
def call(a, b=2, *rest, c=3, **more):
    note("call", a, b, rest, c, sorted(more.items()))
    return [a, b, c]

@python_app(cache=True)
def after(x):
    note("after", x)
    return x
"""


def resumed(run: RecordedRun) -> RecordedRun:
    executed()
    return run.resume()


@pytest.mark.parametrize(
    ("arguments", "ran"),
    [
        ({"a": 9}, "call 9 2 () 3 []"),
        ({"b": 9}, "call 1 9 () 3 []"),
        ({"c": 9}, "call 1 2 () 9 []"),
        ({"a": 7, "c": [8]}, "call 7 2 () [8] []"),
    ],
)
@pytest.mark.parametrize("call", ["call(1)", "call(a=1)", "call(1, 2, c=3)"])
def test_an_argument_that_was_positional_a_keyword_or_a_default(
    call: str, arguments: dict[str, object], ran: str
) -> None:
    run = first(CALL, f"after({call}).result()")
    run.edit("-/call[0]", arguments=arguments)
    resumed(run)
    done = executed()
    assert done[0] == ran and done[1].startswith("after"), done


def test_it_is_recorded_as_such_with_the_reason() -> None:
    run = first(CALL, "after(call(1)).result()")
    run.edit("-/call[0]", arguments={"a": 5}, reason="typo")
    assert [(mark.what, mark.facts["path"], mark.facts["reason"]) for mark in parslish.run("000").record.marks] == [
        ("edit", "-/call[0]", "typo")
    ]


def test_it_is_carried_along_the_chain_and_not_repeated() -> None:
    run = first(CALL, "after(call(1)).result()")
    run.edit("-/call[0]", arguments={"a": 5})
    new = resumed(run)
    assert executed() == ["call 5 2 () 3 []", "after [5, 2, 3]"]
    newer = resumed(resumed(new))
    assert executed() == []
    assert results(newer) == results(new)


def test_a_plain_new_run_knows_nothing_of_it() -> None:
    run = first(CALL, "after(call(1)).result()")
    run.edit("-/call[0]", arguments={"a": 5})
    run.edit("-/after[0]", result="edited")
    resumed(run)
    executed()
    new = again()
    assert executed() == []
    assert results(new)["-/after[0]"] == {"repr": "[1, 2, 3]"}


def test_a_result_stands_for_the_task_which_does_not_run() -> None:
    run = first(CALL, "after(call(1)).result()")
    run.edit("-/call[0]", result=77)
    new = resumed(run)
    assert executed() == ["after 77"]
    assert new.record.task("-/call[0]").result == 77
    assert "edited" in forced(new)["-/call[0]"]


def test_a_result_may_be_none() -> None:
    run = first(CALL, "after(call(1)).result()")
    run.edit("-/call[0]", result=None)
    resumed(run)
    assert executed() == ["after None"]


def test_the_result_of_a_failed_task_lets_what_waits_for_it_go_on() -> None:
    Path("broken").touch()
    run = first(NESTED, NESTED_CALLS)
    run.edit("-/unreliable[0]", result=6, reason="measured by hand")
    new = resumed(run)
    assert executed() == ["end 6"]
    assert new.status == "completed"
    newer = resumed(new)
    assert executed() == []
    assert newer.status == "completed"


def test_the_arguments_of_a_failed_task_are_put_right() -> None:
    apps = "@python_app(cache=True)\ndef f(x):\n    note('f', x)\n    return 1 / x\n"
    run = first(apps, "f(0).exception()")
    run.edit("-/f[0]", arguments={"x": 4})
    new = resumed(run)
    assert executed() == ["f 4"]
    assert new.record.task("-/f[0]").result == 0.25


def test_the_last_edit_of_a_task_counts() -> None:
    run = first(CALL, "after(call(1)).result()")
    run.edit("-/call[0]", arguments={"a": 5})
    run.edit("-/call[0]", result=6)
    resumed(run)
    assert executed() == ["after 6"]


def test_an_edit_of_a_later_run_replaces_that_of_an_earlier_one() -> None:
    run = first(CALL, "after(call(1)).result()")
    run.edit("-/call[0]", result=6)
    new = resumed(run)
    new.edit("-/call[0]", result=7)
    resumed(new)
    assert executed() == ["after 7"]


def test_edits_hold_in_every_way_to_execute_again() -> None:
    run = first(CALL, "after(call(1)).result()")
    run.edit("-/call[0]", result=6)
    executed()
    run.rerun(all=True)
    assert executed() == ["after 6"]
    run.rerun(from_="after")
    assert executed() == ["after 6"]


def test_a_child_of_a_join_that_is_reused_is_reached() -> None:
    run = first(NESTED, NESTED_CALLS)
    run.edit("-/nested[0]/times[0]", result=10)
    new = resumed(run)
    assert executed() == ["nested", "times 10 3", "unreliable 30", "end 30"]
    assert statuses(new)["-/nested[0]/times[1]"] == "reused"
    newer = resumed(new)
    assert executed() in ([], ["nested"])
    assert results(newer)["-/end[0]"] == 30
    again()
    executed()
    assert results(again())["-/end[0]"] == 6, "nothing of it is left in what others reuse"


def test_arguments_of_a_child_of_a_join_in_a_join_are_reached() -> None:
    apps = NESTED + "\n@join_app(cache=True)\ndef outer(x):\n    note('outer')\n    return nested(x)\n"
    run = first(apps, "end(outer(1)).result()")
    run.edit("-/outer[0]/nested[0]/times[1]", arguments={"b": 5})
    resumed(run)
    assert executed() == ["outer", "nested", "times 1 5", "times 2 5", "end 10"]


def test_unknown_arguments_are_told_with_what_is_near() -> None:
    run = first("@python_app(cache=True)\ndef f(basis, cutoff): return 1\n", "f(1, 2).result()")
    with pytest.raises(UsageError, match=r"f has no argument 'bassis' .did you mean 'basis'"):
        run.edit("-/f[0]", arguments={"bassis": 1})
    assert not Path("runinfo/000/marks").exists()


def test_an_unknown_task_is_told() -> None:
    run = first(NESTED, NESTED_CALLS)
    with pytest.raises(UsageError, match=r"no task '-/edn\[0\]' .did you mean '-/end\[0\]'"):
        run.edit("-/edn[0]", result=1)


@pytest.mark.parametrize("both", [{}, {"arguments": {"n": 1}, "result": 1}])
def test_it_takes_exactly_one_of_the_two(both: dict[str, object]) -> None:
    run = first(NESTED, NESTED_CALLS)
    with pytest.raises(UsageError, match="give either arguments= or result="):
        run.edit("-/end[0]", **both)  # type: ignore[arg-type]


def test_a_value_that_cannot_be_stored_is_told_at_once() -> None:
    run = first(NESTED, NESTED_CALLS)
    with pytest.raises(SerializationError):
        run.edit("-/end[0]", result=(i for i in range(3)))
    assert not Path("runinfo/000/marks").exists()


def test_a_value_of_a_class_of_the_script_is_one_of_its_class_there() -> None:
    apps = """
class Molecule:
    def __init__(self, name):
        self.name = name
    def __eq__(self, other):
        return type(self) is type(other) and self.name == other.name
    __hash__ = None

@python_app(cache=True)
def make(name):
    note("make")
    return Molecule(name)

@python_app(cache=True)
def show(molecule):
    note("show", molecule.name, isinstance(molecule, Molecule))
    return molecule == Molecule("H2O")
"""
    first(apps, "show(make('H2')).result()")
    Path("edit.py").write_text(
        """
import parslish, sys
class Molecule:
    def __init__(self, name):
        self.name = name
parslish.run("last").edit("-/make[0]", result=Molecule("H2O"))
parslish.run("last").resume()
"""
    )
    executed()
    import subprocess
    import sys

    subprocess.run([sys.executable, "edit.py"], check=True)
    assert executed() == ["show H2O True"]
    assert parslish.run("last").record.task("-/show[0]").result is True


def test_an_argument_that_the_app_no_longer_takes_fails_the_task_with_a_sentence() -> None:
    run = first(CALL, "after(call(1)).exception()")
    run.edit("-/call[0]", arguments={"c": 9})
    from tests.rerun.program import changed

    changed("c=3, **more", "d=3")
    changed("rest, c, sorted(more.items()))\n    return [a, b, c]", "rest, d, [])\n    return [a, b, d]")
    new = resumed(run)
    error = new.record.task("-/call[0]").error
    assert error is not None and "takes no argument 'c'" in error.message


def test_an_edited_task_that_is_restarted_runs_with_what_was_edited() -> None:
    run = first(CALL, "after(call(1)).result()")
    run.edit("-/call[0]", arguments={"a": 5})
    new = resumed(run)
    new.restart_task("-/call[0]")
    resumed(new)
    assert executed() == ["call 5 2 () 3 []", "after [5, 2, 3]"]


def test_an_uncached_app_is_edited_too() -> None:
    run = first(CALL.replace("(cache=True)", ""), "after(call(1)).result()")
    run.edit("-/call[0]", result=3)
    resumed(run)
    assert executed() == ["after 3"]


def test_the_result_of_a_join_stands_for_all_that_it_would_submit() -> None:
    run = first(NESTED, NESTED_CALLS)
    run.edit("-/nested[0]", result=5)
    new = resumed(run)
    assert executed() == ["unreliable 5", "end 5"]
    assert "-/nested[0]/times[0]" not in statuses(new)


def test_an_edit_is_counted_in_the_plan() -> None:
    run = first(CALL, "after(call(1)).result()")
    run.edit("-/call[0]", arguments={"a": 5})
    plan = run.plan()
    assert run.record.task("-/call[0]").id in plan.run
    assert run.record.task("-/after[0]").id in plan.unknown


def test_an_edited_result_is_not_run_by_the_plan() -> None:
    run = first(CALL, "after(call(1)).result()")
    run.edit("-/call[0]", result=5)
    plan = run.plan()
    assert run.record.task("-/call[0]").id in plan.reuse
    assert run.record.task("-/after[0]").id in plan.unknown
