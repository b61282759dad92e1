"""`parslish invalidate`, `undo` and `invalidations`."""

from __future__ import annotations

import pytest

from tests.cli import made
from tests.cli.conftest import Call


def reused(run: str) -> list[str]:
    return [task.path for task in made.record(run) if task.status == "reused"]


def test_invalidated_results_are_computed_again_and_count_when_that_is_undone(call: Call) -> None:
    made.make()
    done = call("invalidate", "prep[0]", "--reason", "wrong basis")
    assert done.code == 0
    lines = done.out.splitlines()
    assert [line.split()[2] for line in lines[1:5]] == [
        "-/scf[1]/scan[0]/prep[0]",
        "-/scf[1]/scan[0]/relax[m0]",
        "-/scf[1]/scan[0]",
        "-/total[0]",
    ]
    assert lines[5] == "2 results of 4 tasks no longer count; to take that back:"
    made.make()
    assert reused("001") == ["-/scf[1]/scan[0]/prep[1]", "-/scf[1]/scan[0]/relax[m1]"]
    assert call(*lines[6].split()[1:]) == (0, "2 results count again\n", "")
    (listed,) = call("invalidations", "000", "--json").json
    assert listed["undone"] is True


def test_only_these_leaves_what_depends_on_them(call: Call) -> None:
    made.make()
    found = call("invalidate", "prep[0]", "--reason", "x", "--only-these", "--json").json
    assert (found["paths"], found["records"], found["done"]) == (["-/scf[1]/scan[0]/prep[0]"], 1, True)


def test_a_dry_run_changes_nothing(call: Call) -> None:
    made.make()
    done = call("invalidate", "prep[0]", "--reason", "x", "--dry-run")
    assert done.code == 0 and done.out.splitlines()[-1] == "4 tasks; nothing was changed"
    found = call("invalidate", "prep[0]", "--reason", "x", "--dry-run", "--only-these", "--json").json
    assert found["paths"] == ["-/scf[1]/scan[0]/prep[0]"] and found["done"] is False
    assert call("invalidations") == (0, "", "parslish: nothing was invalidated in the name of run 000\n")


def test_invalidations_are_listed_with_reason_and_who(call: Call) -> None:
    made.make()
    first = call("invalidate", "prep[0]", "--reason", "wrong \x1b[2Jbasis", "--json").json
    second = call("invalidate", "prep[1]", "--reason", "and this", "--json").json
    shown = call("invalidations").out
    assert "wrong basis" in shown and "-/scf[1]/scan[0]/prep[0] and 3 more" in shown
    listed = call("invalidations", "--json").json
    assert [(each["id"], each["reason"], each["user"]) for each in listed] == [
        (each["id"], each["reason"], each["user"]) for each in (first, second)
    ]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["invalidate", "prep"], "missing option '--reason'; see  parslish invalidate --help"),
        (["invalidate", "perp", "--reason", "x"], "run 000: there is no app 'perp' (did you mean 'prep'?)"),
        (["invalidate", "status:lost", "--reason", "x"], "run 000: no task is meant by  status:lost"),
        (["invalidate", "fail", "--reason", "x"], "run 000: none of these 2 tasks has a stored result to invalidate"),
        (["invalidate", "prep", "2", "--reason", "x"], "there is no run '2' in 'runinfo'"),
        (
            ["invalidate", "prep", "--reason", "x", "--only"],
            "there is no option '--only' (did you mean '--only-these'?)",
        ),
        (["undo"], "missing argument 'ID'; see  parslish undo --help"),
        (["undo", "12345678"], "there is no invalidation '12345678' in "),
        (["undo", "12345678", "9"], "there is no run '9' in 'runinfo'"),
        (["undo", "1", "--runs"], "there is no option '--runs'"),
        (["undo", "1", "0", "0"], "got unexpected extra argument (0); see  parslish undo --help"),
        (["invalidations", "5"], "there is no run '5' in 'runinfo'"),
        (["invalidations", "--jso"], "there is no option '--jso' (did you mean '--json'?)"),
        (["invalidations", "--run-dir", "no"], "the run folder 'no' is not there"),
        (["invalidations", "-.N0"], "'-.N0' is a task, and here a run is named"),
        (["invalidations", "0", "1"], "got unexpected extra argument (1)"),
    ],
)
def test_mistakes_are_told_in_a_sentence(call: Call, arguments: list[str], sentence: str) -> None:
    made.make()
    done = call(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"parslish: {sentence}"), done.err


def test_an_invalidation_that_was_undone_cannot_be_undone_again(call: Call) -> None:
    made.make()
    id = call("invalidate", "prep[0]", "--reason", "x", "--json").json["id"]
    near = call("undo", id[:-1])
    assert near.code == 2 and f"(did you mean '{id}'?)" in near.err
    assert call("undo", id, "--json").json == {"id": id, "run": "000", "records": 2}
    assert call("undo", id).err == f"parslish: the invalidation '{id}' was undone before; its results count\n"
