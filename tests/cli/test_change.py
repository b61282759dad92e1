"""`parslish restart`, `edit` and `accept`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli import made
from tests.cli.conftest import Call
from tests.cli.test_again import computed, failed_run, mend, outside


def test_a_restart_lists_the_task_and_its_dependents_which_run_with_resume(call: Call) -> None:
    mend()
    subprocess.run([sys.executable, made.script()], timeout=60, capture_output=True)
    done = call("restart", "-/f[1]")
    assert done.code == 0
    assert [line.split()[:3] for line in done.out.splitlines()[1:3]] == [
        ["1", "-.N1", "-/f[1]"],
        ["4", "-.N4", "-/g[0]"],
    ]
    assert done.out.splitlines()[-1] == "2 tasks run again with  parslish resume 000"
    assert outside("resume", "000").code == 0
    assert computed("001") == ["-/f[1]", "-/g[0]"]


def test_a_dry_run_restarts_nothing(call: Call) -> None:
    made.make()
    found = call("restart", "-.N0", "--dry-run", "--json").json
    assert (sorted(found["locs"][:4]), found["locs"][4:]) == ([f"-.N0.N{n}" for n in range(4)], ["-.N0", "-.N1"])
    assert found["done"] is False
    assert made.record().marks == []
    assert call("restart", "-.N0", "--dry-run").out.splitlines()[-1] == "6 tasks run again; nothing was changed"
    assert call("restart", "-.N0", "--json").json == {**found, "done": True}
    (mark,) = made.record().marks
    assert mark.what == "restart"


def test_an_edited_argument_and_an_edited_result_count_in_the_next_run(call: Call) -> None:
    failed_run()
    done = call("edit", "-/f[2]", "--argument", "x=10", "--reason", "2 does not converge")
    assert done == (0, "-/f[2]: x is 10 (was 2)\nthat counts with  parslish resume 000\n", "")
    assert outside("resume").code == 0
    assert made.record("001").task("-/g[0]").result == 0.5 + 1.5 + 10.5 + 3.5
    found = call("edit", "-/f[0]", "1", "--result", " -7.5", "--json").json
    assert found == {"run": "001", "task": 0, "path": "-/f[0]", "edited": "result", "values": {"result": "-7.5"}}
    assert outside("resume").code == 0
    assert made.record("002").task("-/f[0]").result == -7.5


@pytest.mark.parametrize(
    ("given", "value"),
    [("None", "None"), ("'a b'", "'a b'"), ("[1, {'x': (2,)}]", "[1, {'x': (2,)}]"), ("-1e-3", "-0.001")],
)
def test_a_value_is_a_literal_of_python(call: Call, given: str, value: str) -> None:
    made.make()
    assert call("edit", "-.N3", "--argument", f"x={given}", "--json").json["values"] == {"x": value}
    assert call("edit", "-.N3", "--result", given, "--json").json["values"] == {"result": value}


def test_accepting_lets_results_of_earlier_code_count(call: Call) -> None:
    mend()
    path = made.script()
    subprocess.run([sys.executable, path], timeout=60, capture_output=True)
    path.write_text(path.read_text().replace("x + 0.5", "0.5 + x"))
    subprocess.run([sys.executable, path], timeout=60, capture_output=True)
    assert computed("001") == ["-/f[0]", "-/f[1]", "-/f[2]", "-/f[3]"]
    done = call("accept", "f", "--reason", "the sum is the same")
    assert done == (0, "results of earlier code count for f as in run 001\n", "")
    assert call("accept", "f", "--reason", "again", "--json").json == {"run": "001", "apps": ["f"]}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["restart"], "missing argument 'TASK'; see  parslish restart --help"),
        (["restart", "-/f[9]"], "run 000 has no task '-/f[9]' (did you mean '-/f["),
        (
            ["restart", "f"],
            "'f' may be any of 4 tasks of run 000: name one by its path, such as -/f[0]; parslish select",
        ),
        (["restart", "-.N0", "9"], "there is no run '9' in 'runinfo'"),
        (
            ["restart", "-.N0", "--dryrun"],
            "there is no option '--dryrun' (did you mean '--dry-run'?); see  parslish restart",
        ),
        (
            ["edit", "-.N0"],
            "give either --argument NAME=VALUE, as often as there are arguments to edit, or --result VALUE",
        ),
        (["edit", "-.N0", "--result", "1", "--argument", "x=1"], "give either --argument NAME=VALUE"),
        (["edit", "-.N0", "--argument", "y=1"], "f has no argument 'y'; it takes x"),
        (["edit", "-.N0", "--argument", "x"], "--argument 'x': takes NAME=VALUE, as --argument x=0.1"),
        (
            ["edit", "-.N0", "--argument", "x=abc"],
            "--argument x: 'abc' is no literal of Python, as 0.1, True or [1, 2] are;",
        ),
        (["edit", "-.N0", "--result", "f(1)"], "--result: 'f(1)' is no literal of Python"),
        (
            ["edit", "-.N0", "--reslt", "1"],
            "there is no option '--reslt' (did you mean '--result'?); see  parslish edit",
        ),
        (["accept", "f"], "missing option '--reason'; see  parslish accept --help"),
        (["accept", "h", "--reason", "x"], "run 000: there is no app 'h'"),
        (["accept", "f", "--reason", "x"], "run 000: the code of f is the same as in the runs before it"),
        (["accept", "f and", "--reason", "x"], "selection: "),
        (["accept", "f", "3", "--reason", "x"], "there is no run '3' in 'runinfo'"),
    ],
)
def test_mistakes_are_told_in_a_sentence_and_nothing_is_noted(call: Call, arguments: list[str], sentence: str) -> None:
    failed_run()
    done = call(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"parslish: {sentence}"), done.err
    assert not Path("runinfo/000/marks").exists()
