"""`parslish select`."""

from __future__ import annotations

import pytest

from tests.cli import made
from tests.cli.conftest import Call


def test_the_tasks_that_an_expression_means_are_listed_and_it_is_said_how_it_was_understood(call: Call) -> None:
    made.make()
    done = call("select", "relax")
    assert done.code == 0
    assert done.out.splitlines()[0] == "2 tasks of run 000: relax"
    assert [line.split()[:4] for line in done.out.splitlines()[2:]] == [
        ["6", "-.N0.N1", "-/scf[1]/scan[0]/relax[m0]", "done"],
        ["8", "-.N0.N3", "-/scf[1]/scan[0]/relax[m1]", "done"],
    ]
    assert call("select", " status:failed or  relax[m0]").out.startswith(
        "2 tasks of run 000: status:failed or relax[m0]\n"
    )


def test_a_task_may_be_selected_by_what_looks_like_an_option(call: Call) -> None:
    made.make()
    assert call("select", "-/fail[0]", "--paths").out == "-/fail[0]\n"
    assert call("select", "-.N3+", "--locs").out == "-.N3\n-.N4\n"


def test_for_pipes_there_are_paths_and_locs_alone(call: Call) -> None:
    made.make()
    assert call("select", "prep", "--locs").out == "-.N0.N0\n-.N0.N2\n"
    assert call("select", "prep", "--paths", "--limit", "1") == (0, "-/scf[1]/scan[0]/prep[0]\n", "")


def test_json_counts_all_and_lists_as_many_as_are_wanted(call: Call) -> None:
    made.make()
    found = call("select", "prep", "--json", "--limit", "1").json
    assert (found["run"], found["expression"], found["count"]) == ("000", "prep", 2)
    (task,) = found["tasks"]
    assert (task["task"], task["loc"], task["app"], task["status"]) == (5, "-.N0.N0", "prep", "done")


def test_of_many_tasks_people_see_the_first(call: Call) -> None:
    made.make(30)
    lines = call("select", "*").out.splitlines()
    assert lines[0] == "65 tasks of run 000: *" and lines[-1] == "and 15 more" and len(lines) == 53
    assert len(call("select", "*", "--limit", "0").out.splitlines()) == 67
    assert call("select", "*", "--limit", "1").out.splitlines()[-1] == "and 64 more"


def test_that_it_means_nothing_is_no_mistake_but_an_answer(call: Call) -> None:
    made.make()
    done = call("select", "status:lost", "--json")
    assert (done.code, done.json["count"], done.json["tasks"]) == (1, 0, [])
    assert done.err.startswith("parslish: run 000: no task is meant by  status:lost; there are done, failed")
    assert call("select", "status:lost", "--paths").out == ""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["relx"],
            "run 000: there is no app 'relx' (did you mean 'relax'?); there are echo, fail, prep, relax, scan, ",
        ),
        (["relax[9]"], "run 000: there is no relax[9]; relax has m0, m1"),
        (["-/fale[0]"], "run 000: there is no task -/fale[0] (did you mean '-/fail[0]'?)"),
        (["status:faild"], "selection: 'faild' is no status (did you mean 'failed'?)"),
        (["statsu:failed"], "selection: there is no statsu: (did you mean 'status'?)"),
        (["relax", "9"], "there is no run '9' in 'runinfo'"),
        (["relax", "--paths", "--json"], "--paths, --locs and --json exclude each other: give one"),
        ([], "missing argument 'EXPR'; see  parslish select --help"),
    ],
)
def test_mistakes_are_told_with_what_is_near(call: Call, arguments: list[str], sentence: str) -> None:
    made.make()
    done = call("select", *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"parslish: {sentence}"), done.err


def test_a_mistake_in_an_expression_is_pointed_at(call: Call) -> None:
    made.make()
    said, expression, pointer = call("select", "relax and )").err.splitlines()
    assert said.startswith("parslish: selection: ")
    assert expression[pointer.index("^")] == ")"
