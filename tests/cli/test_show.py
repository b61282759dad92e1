"""`parslish show`."""

from __future__ import annotations

import pytest

from parslish.history import marks
from parslish.secret import Keys
from tests.cli import made
from tests.cli.conftest import Call
from tests.cli.stores import make_run, three
from tests.cli.test_output import on_terminal


def test_a_run_is_shown_with_its_facts_and_its_totals_by_app(call: Call) -> None:
    made.make(2)
    done = call("show")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0].startswith("run 000: failed, ") and lines[0].endswith(", 9 tasks")
    rows = {words[0]: words for words in map(str.split, lines) if words}
    assert rows["app"] == ["app", "tasks", "done", "reused", "failed", "upstream", "lost", "time"]
    assert rows["relax"][:3] == ["relax", "2", "2"] and rows["fail"][:3] == ["fail", "1", "1"]
    assert rows["all"][:5] == ["all", "9", "7", "1", "1"]
    assert rows["-/fail[0]:"] == ["-/fail[0]:", "ValueError:", "told", "so:", "red"]
    assert "\x1b" not in done.out


def test_a_run_in_json_has_the_same(call: Call) -> None:
    made.make(2)
    made.make(2)
    found = call("show", "1", "--json").json
    assert (found["run"], found["status"], found["tasks"]) == ("001", "failed", 9)
    assert found["counts"] == {"done": 3, "reused": 4, "failed": 1, "upstream_failed": 1}
    (relax,) = [each for each in found["apps"] if each["app"] == "relax"]
    assert (relax["tasks"], relax["counts"], relax["time_s"]) == (2, {"reused": 2}, 0.0)
    assert 0 < found["took_s"] < 60
    assert found["facts"]["python"].startswith("3.")


def test_what_was_said_of_a_run_is_shown_without_what_re_executions_are_told(call: Call) -> None:
    made.make()
    path = made.record().path
    marks.write(path, Keys.load(), "orders", {"id": "abc", "body": b"\x80"})
    marks.write(
        path, Keys.load(), "edit", {"path": "-/fail[0]", "result": b"\x80", "reason": "by\x1b[2J hand", "user": "me"}
    )
    shown = call("show").out
    assert "by hand; -/fail[0]; a result" in shown and "orders" not in shown
    (mark,) = call("show", "--json").json["marks"]
    assert (mark["what"], mark["facts"]["reason"]) == ("edit", "by\x1b[2J hand")


def test_a_task_is_shown_with_what_it_was_given_and_what_it_depends_on(call: Call) -> None:
    made.make()
    shown = call("show", "-/scf[1]/scan[0]/relax[m1]").out
    assert shown.startswith("task 8 of run 000: done\n")
    for text in (
        "why        ran, because ",
        "loc        -.N0.N3",
        "by         task 0 -/scf[1]/scan[0]",
        "p      {'a': 1}  (of task 7)",
        "scale  0.5",
        "result\n  0.625\n",
        "depends on\ntask  path                      status  edge\n   7  -/scf[1]/scan[0]/prep[1]  done    data\n",
    ):
        assert text in shown, shown


def test_an_argument_that_is_a_future_is_shown_with_its_value(call: Call) -> None:
    made.make()
    assert "xs  [0.125, 0.625]  (of task 0)" in call("show", "-/total[0]").out
    assert "needed by\ntask  path        status  edge\n   1  -/total[0]  done    data\n" in call("show", "-.N0").out
    assert "submitted\n" in call("show", "-.N0").out


def test_a_failed_task_is_shown_with_each_try_and_its_traceback(call: Call) -> None:
    made.make()
    shown = call("show", "-/fail[0]").out
    assert "try 1 failed at " in shown and "try 2 failed at " in shown
    assert shown.count("  Traceback (most recent call last):\n") == 2
    assert shown.endswith("  ValueError: told so:\n  red\n")
    failures = call("show", "-/fail[0]", "--json").json["failures"]
    assert [(each["try"], each["type"], each["message"]) for each in failures] == [
        (1, "ValueError", "told so:\n\x1b[31mred"),
        (2, "ValueError", "told so:\n\x1b[31mred"),
    ]


def test_a_reused_task_says_where_its_result_is_from(call: Call) -> None:
    made.make()
    made.make()
    found = call("show", "-/scf[1]/scan[0]/prep[0]", "--json").json
    assert (found["status"], found["origin"]) == ("reused", {"run": 0, "task": 5})
    assert "was reused, because run 000 had computed it" in found["why"]
    assert (found["arguments"], found["result"]) == ({"x": 0}, {"repr": "{'a': 0}"})


def test_a_task_in_json_names_its_neighbours(call: Call) -> None:
    made.make()
    found = call("show", "0", "0", "--json").json
    assert found["children"] == [5, 6, 7, 8]
    assert found["dependents"] == [{"task": 1, "kinds": ["data"]}]
    assert call("show", "0", "1", "--json").json["dependencies"] == [{"task": 0, "kinds": ["data"]}]


def test_a_number_that_json_has_not_is_a_text(call: Call) -> None:
    with made.parslish.load(made.Config()):
        made.python_app(lambda x: x)(float("nan")).result()
    assert call("show", "0", "0", "--json").json["result"] == {"repr": "nan"}


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("arguments", [["runs"], ["show"], ["show", "-.N0.N3"], ["select", "*"], ["diff", "0"]])
def test_on_a_terminal_all_lines_fit(columns: int, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    made.make()
    made.make(3)
    where = str(made.record().path.parent)
    code = f"from parslish.cli import main\nmain({[*arguments, '--run-dir', where]!r})"
    shown = on_terminal(code + "\nimport sys; sys.exit(0)", columns)
    assert all(len(line) <= columns for line in shown.splitlines()), shown


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["1"],
            "there is no run '1' in 'runinfo': name one by its id (000 to 000), last or its folder; see  parslish runs",
        ),
        (
            ["0", "-/fale[0]"],
            "run 000 has no task '-/fale[0]' (did you mean '-/fail[0]'?); name one by its id (0 to 8), its",
        ),
        (["0", "1", "2"], "got unexpected extra argument (2); see  parslish show --help"),
        (["--run-dir"], "option '--run-dir' requires an argument; see  parslish show --help"),
        (
            ["-/fail[0]", "-.N0"],
            "'-.N0' is a task, and here a run is named: by its id (000 to 000), last or its folder",
        ),
    ],
)
def test_mistakes_are_told_in_a_sentence(call: Call, arguments: list[str], sentence: str) -> None:
    made.make()
    done = call("show", *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"parslish: {sentence}"), done.err


def test_a_run_that_kept_no_record_says_so(call: Call) -> None:
    made.make(record=False)
    done = call("show")
    assert done.code == 2 and "it kept no record (record=False)" in done.err


def test_of_an_imported_run_it_is_said_why_it_has_no_tasks(call: Call) -> None:
    make_run(three(), root="theirs")
    assert call("checkpoint", "import", "theirs", "--yes").code == 0
    done = call("show", "0")
    assert (done.code, done.out) == (2, "")
    assert "000' is no run to be read: it was imported, and has no record of tasks; see  parslish runs" in done.err
