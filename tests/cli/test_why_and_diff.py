"""`parslish why` and `parslish diff`."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli import made
from tests.cli.conftest import Call
from tests.cli.test_output import on_terminal


def run_script(old: str = "", new: str = "") -> None:
    """Run the script, after a change of it; of its five tasks two do not end well."""
    path = made.script()
    path.write_text(path.read_text().replace(old, new))
    assert subprocess.run([sys.executable, path], timeout=60, capture_output=True).returncode == 3


def test_why_names_what_changed_and_shows_the_difference_of_the_code(call: Call) -> None:
    run_script()
    run_script("x + 0.5", "x + 0.75")
    done = call("why", "-/f[0]")
    assert done.code == 0
    assert done.out.startswith("-/f[0] ran, because its code changed: function __main__.f\n")
    assert "\n  -    return x + 0.5\n  +    return x + 0.75\n" in done.out
    assert "compared with -/f[0] of run 000" in done.out
    assert "\x1b" not in done.out


def test_on_a_terminal_the_difference_has_colours(call: Call) -> None:
    run_script()
    run_script("x + 0.5", "x + 0.75")
    where = str(made.record().path.parent)
    code = f"from parslish.cli import main\nmain(['why', '-/f[0]', '--run-dir', {where!r}])"
    assert "+    return x + 0.75" in on_terminal(code, 80)  # which takes nothing but styles away
    plain = on_terminal(f"import os; os.environ['NO_COLOR'] = '1'\n{code}", 80)
    assert "+    return x + 0.75" in plain


def test_why_in_json_has_its_reasons(call: Call) -> None:
    made.make()
    made.make(3)
    found = call("why", "-/total[0]", "--json").json
    assert (found["task"]["path"], found["verdict"], found["earlier"]["run"]) == ("-/total[0]", "ran", "000")
    reused = call("why", "prep[0]", "1", "--json").json
    assert (reused["verdict"], [each["kind"] for each in reused["reasons"]]) == ("reused", ["reused"])


def test_a_path_is_a_task_wherever_it_stands(call: Call) -> None:
    made.make()
    assert call("why", "000", "-/fail[0]") == call("why", "-/fail[0]", "000")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "missing argument 'TASK'; see  parslish why --help"),
        (["runs"], "run 000 has no task 'runs'"),
        (["-/fale[0]"], "run 000 has no task '-/fale[0]' (did you mean '-/fail[0]'?)"),
        (["-.N0", "-/fail[0]"], "'-/fail[0]' is a task, and here a run is named"),
        (["-.N0", "4"], "there is no run '4' in 'runinfo'"),
        (["-.N0", "--jsno"], "there is no option '--jsno' (did you mean '--json'?); see  parslish why --help"),
    ],
)
def test_mistakes_are_told_in_a_sentence(call: Call, arguments: list[str], sentence: str) -> None:
    made.make()
    done = call("why", *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"parslish: {sentence}"), done.err


def test_diff_tells_what_changed_and_which_run_has_more(call: Call) -> None:
    made.make(2)
    made.make(3)
    done = call("diff", "000")
    assert done.code == 1
    assert done.out.startswith("runs 000 and 001: 7 same, 2 changed, 2 only b\n")
    assert "argument n was 2 and is 3" in done.out
    assert "only in run 001\npath\n-/scf[1]/scan[0]/prep[2]\n-/scf[1]/scan[0]/relax[m2]\n" in done.out


def test_diff_of_equal_runs_is_0(call: Call) -> None:
    made.make()
    made.make()
    done = call("diff", "0", "1", "--json")
    assert (done.code, done.json["counts"]["same"], done.json["a"], done.json["b"]) == (0, 9, "000", "001")


def test_diff_of_values_says_by_how_much(call: Call) -> None:
    run_script()
    run_script("x + 0.5", "x + 0.75")
    (change,) = [each for each in call("diff", "0", "--json", "--values").json["changed"] if each["path"] == "-/f[1]"]
    assert [each["kind"] for each in change["reasons"]] == ["code_changed", "result_changed"]
    assert "changed" in call("diff", "0", "--values").out


def test_of_many_rows_people_see_as_many_as_they_want(call: Call) -> None:
    made.make(2)
    made.make(4)
    assert "and 3 more: see --limit" in call("diff", "0", "--limit", "1").out
    assert "more" not in call("diff", "0", "--limit", "0").out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "missing argument 'A'; see  parslish diff --help"),
        (["0"], "run 000 would be compared with itself: name two runs"),
        (["0", "1"], "there is no run '1' in 'runinfo'"),
        (["last", "-/f[0]"], "'-/f[0]' is a task, and here a run is named"),
        (["0", "--value"], "there is no option '--value' (did you mean '--values'?); see  parslish diff --help"),
    ],
)
def test_mistakes_with_diff_are_told_in_a_sentence(call: Call, arguments: list[str], sentence: str) -> None:
    made.make()
    done = call("diff", *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"parslish: {sentence}"), done.err
