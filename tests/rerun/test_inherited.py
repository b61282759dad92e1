"""What a run has of the runs before it: the tasks that a reused join had submitted."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import parslish
from parslish import Config, RecordedRun, join_app, python_app
from parslish.history import inherited
from parslish.history.edges import Edges
from parslish.history.record import RunRecord
from parslish.secret import Keys
from tests.rerun.program import NESTED, NESTED_CALLS, again, changed, executed, first, forced, statuses, written

CHILDREN = ["-/nested[0]/times[0]", "-/nested[0]/times[1]", "-/nested[0]/times[2]"]


def read(path: str) -> RunRecord:
    return inherited.read(Path(path), Keys.load())


def generations(count: int) -> RecordedRun:
    first(NESTED, NESTED_CALLS)
    for _ in range(count):
        again()
    return parslish.run("last")


@pytest.mark.parametrize("count", [1, 3])
def test_they_are_at_their_places_through_generations(count: int) -> None:
    run = generations(count)
    assert [task.path for task in run.record if task.parent] == CHILDREN
    assert [task.loc for task in run.record if task.parent] == ["-.N1.N0", "-.N1.N1", "-.N1.N2"]
    task = run.record.task(CHILDREN[2])
    there = parslish.run("000").record.task(CHILDREN[2])
    assert (task.status, task.result, task.origin) == ("reused", 6, (0, there.id))
    assert task.started == task.ended == run.record.task("-/nested[0]").ended


def test_they_depend_on_each_other_as_they_did() -> None:
    record = generations(2).record
    at = {task.path: task.id for task in record}
    assert sorted(record.task(CHILDREN[2]).dependencies) == sorted([at[CHILDREN[0]], at[CHILDREN[1]]])
    assert record.task(CHILDREN[2]).given == {"a": {"task": at[CHILDREN[0]]}, "b": {"task": at[CHILDREN[1]]}}
    edges = Edges(record)
    assert edges.descendants([at[CHILDREN[0]]]) == {
        at[each] for each in (CHILDREN[0], CHILDREN[2], "-/nested[0]", "-/unreliable[0]", "-/end[0]")
    }


def test_scopes_below_them_are_places() -> None:
    apps = (
        NESTED
        + """
@join_app(cache=True)
def outer(x):
    found = []
    for i in range(2):
        with parslish.scope("loop", i):
            with parslish.scope("inner"):
                found.append(nested(x + i))
    return end(found)
"""
    )
    before = first(apps, "outer(1).result()")
    again()
    run = again()
    assert sorted(statuses(run)) == sorted(statuses(before))
    assert "-/outer[0]/loop[1]/inner[0]/nested[0]/times[2]" in statuses(run)
    executed()
    new = run.rerun(from_="-/outer[0]/loop[1]/inner[0]/nested[0]/times[1]")
    assert executed() == ["nested", "times 2 3", "times 4 6", "end [6, 24]"]
    assert sorted(statuses(new)) == sorted(statuses(before))


def test_joins_that_were_computed_in_different_runs() -> None:
    calls = "nested(1).result()"
    first(NESTED, calls)
    changed("nested(1)", "nested(2)")
    again()
    changed("nested(2)", "nested(1).result(); nested(2)")
    run = again()
    origins = {task.path: task.origin for task in run.record if task.parent}
    assert len(origins) == 6
    assert {path[:11]: origin[0] for path, origin in origins.items() if origin} == {"-/nested[0]": 0, "-/nested[1]": 1}
    executed()
    run.rerun(from_="-/nested[1]/times[0]")
    assert executed() == ["nested", "times 2 2", "times 4 6"]


def test_a_join_in_a_join_that_was_computed_earlier() -> None:
    apps = NESTED + "\n@join_app(cache=True)\ndef outer(x):\n    note('outer')\n    return end(nested(x))\n"
    first(apps, "nested(1).result()")
    changed("nested(1).result()", "outer(1).result()")
    again()
    run = again()
    assert sorted(statuses(run)) == [
        "-/outer[0]",
        "-/outer[0]/end[0]",
        "-/outer[0]/nested[0]",
        *(f"-/outer[0]/nested[0]/times[{i}]" for i in range(3)),
    ]
    assert {task.origin[0] for task in run.record if "times" in task.path and task.origin} == {0}
    executed()
    only = run.rerun(only="-/outer[0]/nested[0]/times[2]")
    assert executed() == ["times 2 3"] and only.exit_code == 0
    run.rerun(only="-/outer[0]/end[0]")
    assert executed() == ["end 6"]


def test_a_join_that_is_reused_twice_has_them_twice() -> None:
    first(NESTED, "nested(1).result(); nested(1).result()")
    run = again()
    assert len([path for path in statuses(run) if "times" in path]) == 6
    executed()
    run.rerun(only=["-/nested[1]/times[2]", "-/nested[0]/times[1]"])
    assert sorted(executed()) == ["times 1 3", "times 2 3"]


def test_a_join_that_is_reused_in_the_same_run_has_them_once() -> None:
    run = first(NESTED, "nested(1).result(); nested(1).result()")
    assert [path for path in statuses(run) if "times" in path] == CHILDREN
    assert run.record.task("-/nested[1]").origin == (0, run.record.task("-/nested[0]").id)


def test_of_a_run_whose_record_is_gone_nothing_is_known() -> None:
    run = generations(1)
    shutil.rmtree("runinfo/000/events")
    assert [task for task in read("runinfo/001") if task.parent] == []
    assert parslish.run(run.id).why("-/nested[0]").sentence
    executed()
    new = parslish.run(run.id).rerun(from_="unreliable")
    assert executed() == ["unreliable 6", "end 6"]
    assert new.status == "completed"


def test_of_a_run_that_was_removed_nothing_is_known() -> None:
    generations(1)
    shutil.rmtree("runinfo/000")
    assert [task for task in read("runinfo/001") if task.parent] == []


def test_a_run_of_the_same_number_in_another_folder_is_not_taken_for_it() -> None:
    other = NESTED.replace("times(x, 3)", "times(x, 30)")
    written(NESTED, "nested(1).result()", ", run_dir='elsewhere'")
    subprocess.run([sys.executable, "script.py"], check=True)
    first(other, "nested(1).result()")
    written(NESTED, "nested(1).result()", ", checkpoint_files=['elsewhere/000/checkpoint']")
    run = again()
    assert run.record.task("-/nested[0]").status == "reused"
    assert [task for task in run.record if task.parent] == [], "better none than wrong ones"


def test_what_failed_in_a_join_that_did_not_mind_is_told_as_it_was() -> None:
    Path("broken").touch()
    first(
        NESTED + "\n@join_app(cache=True)\ndef careless():\n    unreliable(1).exception()\n    return times(2, 2)\n",
        "careless().result()",
    )
    run = again()
    assert statuses(run) == {
        "-/careless[0]": "reused",
        "-/careless[0]/unreliable[0]": "failed",
        "-/careless[0]/times[0]": "reused",
    }
    Path("broken").unlink()
    executed()
    new = run.rerun(from_failure=True)
    assert executed() == ["unreliable 1"]
    assert new.status == "completed"


def test_a_restart_of_a_child_reaches_it_through_generations() -> None:
    run = generations(3)
    executed()
    assert run.restart_task(CHILDREN[1]) == ["-.N1.N1", "-.N1.N2", "-.N1", "-.N2", "-.N3"]
    new = run.resume()
    assert executed() == ["nested", "times 1 3", "times 2 3", "unreliable 6", "end 6"]
    assert forced(new)[CHILDREN[1]] == "restarted"


def test_a_run_that_says_it_is_its_own_origin_ends() -> None:
    generations(1)
    shutil.copytree("runinfo/001/events", "runinfo/000/events", dirs_exist_ok=True)
    assert len(read("runinfo/000")) >= 4


@python_app(cache=True)
def leaf(i: int) -> int:
    return i


@join_app(cache=True)
def wide(n: int) -> object:
    return [leaf(i) for i in range(n)]


@join_app(cache=True)
def deep(n: int) -> object:
    return leaf(n) if n == 0 else deep(n - 1)


def test_a_chain_of_many_runs_each_of_which_reused_a_part_of_the_one_before() -> None:
    for n in range(40):
        with parslish.load(Config(checkpoint_mode="task_exit")):
            deep(n).result()
    record = read("runinfo/039")
    assert len(record) == 41
    assert record.task("-" + "/deep[0]" * 40 + "/leaf[0]").origin == (0, 1)


def test_ten_thousand_are_had_at_once() -> None:
    for _ in range(2):
        with parslish.load(Config(checkpoint_mode="task_exit")):
            wide(10_000).result()
    began = time.perf_counter()
    record = read("runinfo/001")
    took = time.perf_counter() - began
    assert len(record) == 10_001
    assert took < 2.0
