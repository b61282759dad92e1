"""Results of earlier code that are accepted for the code as it is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import parslish
from parslish import RecordedRun, UsageError
from parslish.history import marks
from parslish.secret import Keys
from tests.rerun.program import again, changed, executed, first, results, statuses, written

APPS = """
def helper(x):
    total = x + 1
    return total

@python_app(cache=True)
def work(x):
    note("work", x)
    return helper(x)

@python_app(cache=True)
def other(x):
    note("other", x)
    return x

@join_app(cache=True)
def join(x):
    note("join", x)
    return work(x)
"""
CALLS = "work(1).result(); work(2).result(); other(3).result()"


def renamed() -> None:
    """A change that does no harm: a variable of a helper is called otherwise."""
    match = re.search(r"    (total\w*) = x \+ 1\n", Path("script.py").read_text())
    assert match
    changed(f"{match[1]} = x + 1\n    return {match[1]}", f"{match[1]}s = x + 1\n    return {match[1]}s")


def begun(calls: str = CALLS) -> RecordedRun:
    """A run of changed code, after one of the code as it was; what it computed itself is thrown away."""
    first(APPS, calls)
    renamed()
    run = again()
    shutil.rmtree("runinfo/001/checkpoint")
    executed()
    return run


def test_without_it_changed_code_is_computed_again() -> None:
    begun()
    again()
    assert executed() == ["work 1", "work 2"]


@pytest.mark.parametrize("how", ["a plain new run", "resume"])
def test_results_of_the_code_before_are_reused(how: str) -> None:
    run = begun()
    assert run.accept("work", reason="only a name") == ["work"]
    new = again() if how == "a plain new run" else run.resume()
    assert executed() == []
    assert set(statuses(new).values()) == {"reused"}
    assert results(new) == results(run)


def test_who_and_why_are_kept() -> None:
    run = begun()
    run.accept("work", reason="only a name")
    (mark,) = marks.read(Path("runinfo"), Keys.load())
    assert (mark.what, mark.facts["app"], mark.facts["reason"]) == ("accept", "work", "only a name")
    assert mark.facts["user"]


def test_no_stored_result_is_changed() -> None:
    run = begun()
    before = {path: path.read_bytes() for path in Path("runinfo/000").rglob("*") if path.is_file()}
    run.accept("work")
    again()
    assert before == {path: path.read_bytes() for path in Path("runinfo/000").rglob("*") if path.is_file()}


def test_several_changes_in_a_row() -> None:
    run = begun()
    run.accept("work")
    renamed()
    run = again()
    assert sorted(executed()) == ["work 1", "work 2"]
    shutil.rmtree(run.path / "checkpoint")
    run.accept("work")
    renamed()
    run = again()
    assert len(executed()) == 2
    shutil.rmtree(run.path / "checkpoint")
    run.accept("work")
    new = again()
    assert executed() == []
    assert {task.origin[0] for task in new.record if task.origin} == {0}


def test_the_code_before_is_not_given_results_of_the_code_after() -> None:
    first(APPS, CALLS)
    renamed()
    changed("work(2)", "work(5)")
    run = again()
    run.accept("work")
    changed("totals = x + 1\n    return totals", "total = x + 1\n    return total")
    executed()
    again()
    assert executed() == ["work 5"]


def test_a_change_and_back_again() -> None:
    run = begun()
    run.accept("work")
    again()
    changed("totals = x + 1\n    return totals", "total = x + 1\n    return total")
    again()
    assert executed() == []


def test_only_the_apps_that_are_selected() -> None:
    first(
        APPS + "\n@python_app(cache=True)\ndef third(x):\n    note('third')\n    return helper(x)\n",
        "work(1).result(); third(1).result()",
    )
    renamed()
    run = again()
    shutil.rmtree("runinfo/001/checkpoint")
    executed()
    assert run.accept("third") == ["third"]
    again()
    assert executed() == ["work 1"]


def test_code_that_has_not_changed_is_told() -> None:
    first(APPS, CALLS)
    run = again()
    with pytest.raises(UsageError, match="the code of work is the same as in the runs before it"):
        run.accept("work")


def test_a_first_run_has_nothing_to_accept() -> None:
    run = first(APPS, CALLS)
    with pytest.raises(UsageError, match="there is nothing to accept"):
        run.accept("work")


@pytest.mark.parametrize("options", ["cache=False", "cache=True, version='1'"])
def test_code_that_is_in_no_key_is_told(options: str) -> None:
    first(APPS.replace("(cache=True)\ndef work", f"({options})\ndef work"), CALLS)
    renamed()
    run = again()
    with pytest.raises(UsageError, match="is no part of a key"):
        run.accept("work")


def test_an_app_of_another_script_with_the_same_name_is_not_accepted_for_it() -> None:
    written(APPS.replace("x + 1", "x + 1000"), CALLS, name="theirs.py")
    again(name="theirs.py")
    run = first(APPS, CALLS)
    with pytest.raises(UsageError, match="nothing to accept"):
        run.accept("work")
    renamed()
    run = again()
    shutil.rmtree("runinfo/001/checkpoint")
    shutil.rmtree("runinfo/002/checkpoint")
    run.accept("work")
    assert results(again())["-/work[0]"] == 2, "never what another script's function gave"


def test_two_apps_of_one_name_in_a_program_are_not_accepted_for_each_other() -> None:
    apps = """
def make(factor):
    @python_app(cache=True)
    def work(x):
        note("work", factor, x)
        total = factor * x
        return total
    return work

a, b = make(1), make(10)
"""
    first(apps, "a(1).result(); b(1).result()")
    changed("total = factor * x\n        return total", "totals = factor * x\n        return totals")
    run = again()
    shutil.rmtree("runinfo/001/checkpoint")
    executed()
    try:
        run.accept("work")
    except UsageError as exc:
        assert "work" in str(exc)
    new = again()
    assert results(new) == {"-/work[0]": 1, "-/work[1]": 10}


def test_a_join_is_accepted_with_what_it_calls() -> None:
    run = begun("join(1).result()")
    assert sorted(run.accept(["join", "work"])) == ["join", "work"]
    new = again()
    assert executed() == []
    assert statuses(new)["-/join[0]"] == "reused"
    executed()
    new.rerun(from_="-/join[0]/work[0]")
    assert executed() == ["join 1", "work 1"], "what it had submitted is known"


def test_replay_apps_are_accepted_in_their_lineage() -> None:
    apps = APPS.replace("(cache=True)\ndef work", "(cache='replay')\ndef work")
    Path("broken").touch()
    first(apps, CALLS + "\nassert not os.path.exists('broken')", ok=False)
    renamed()
    run = parslish.run("last").resume()
    assert run.exit_code == 1
    shutil.rmtree("runinfo/001/checkpoint")
    run.accept("work")
    Path("broken").unlink()
    executed()
    run.resume()
    assert executed() == []


def test_why_says_that_it_was_accepted_or_where_it_is_from() -> None:
    run = begun()
    run.accept("work", reason="only a name")
    new = again()
    assert new.why("-/work[0]").sentence


def test_marks_of_another_key_accept_nothing() -> None:
    run = begun()
    facts = {"app": "work", "code": run.record.task("-/work[0]").app.code, "earlier": ""}
    facts["earlier"] = parslish.run("000").record.task("-/work[0]").app.code
    program = (
        "from pathlib import Path; from parslish.history import marks; from parslish.secret import Keys;"
        f"marks.write(Path('runinfo'), Keys.load(), 'accept', {facts!r})"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, "PARSLISH_KEY_FILE": "other-key"})
    again()
    assert sorted(executed()) == ["work 1", "work 2"]


def test_a_mark_that_lies_is_no_trouble() -> None:
    run = begun()
    for facts in (
        {},
        {"app": "work"},
        {"app": 1, "code": 2, "earlier": 3},
        {"app": "work", "code": "zz", "earlier": "zz"},
    ):
        marks.write(Path("runinfo"), Keys.load(), "accept", facts)
    code = run.record.task("-/work[0]").app.code
    marks.write(Path("runinfo"), Keys.load(), "accept", {"app": "work", "code": code, "earlier": "no hexadecimal"})
    again()
    assert sorted(executed()) == ["work 1", "work 2"]
