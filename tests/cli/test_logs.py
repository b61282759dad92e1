"""`parslish logs`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli import made
from tests.cli.conftest import Call


def test_the_log_of_a_run_is_printed(call: Call) -> None:
    made.make(initialize_logging=True)
    Path("runinfo/000/parslish.log").write_text("one\ntwo \x1b[2J\nthree\n")
    assert call("logs") == (0, "one\ntwo \nthree\n", "")
    assert call("logs", "0", "--tail", "1") == (0, "three\n", "")


def test_a_run_without_a_log_says_how_to_have_one(call: Call) -> None:
    made.make()
    sentence = "parslish: run 000 has logged nothing; what became of its tasks is in  parslish show 000\n"
    assert call("logs") == (1, "", sentence)
    assert call("logs", "--json").json == {"run": "000", "task": None, "texts": []}


def test_what_a_task_has_written_is_printed_wherever_it_went(call: Call, tmp_path: Path) -> None:
    made.make()
    found = call("logs", "-/echo[0]", "--json").json
    out, err = found["texts"]
    assert (found["task"], out["what"], out["lines"]) == (2, "stdout", ["hello"])
    assert (err["what"], err["path"], err["lines"]) == ("stderr", str(tmp_path / "err.txt"), ["oops"])
    shown = call("logs", "-/echo[0]").out
    assert f"stdout: {out['path']}\n  hello\n\nstderr: {tmp_path / 'err.txt'}\n  oops\n" == shown


def test_the_tracebacks_of_a_task_are_printed(call: Call) -> None:
    made.make()
    shown = call("logs", "0", "3").out
    assert shown.count("Traceback (most recent call last)") == 2 and shown.endswith("  ValueError: told so:\n  red\n")


def test_a_task_that_has_written_nothing_says_so(call: Call) -> None:
    made.make()
    sentence = "parslish: task 1 of run 000 has written nothing that was kept, and raised nothing\n"
    assert call("logs", "-.N1") == (1, "", sentence)


def test_a_file_that_is_gone_is_told_and_what_is_no_text_is_escaped(call: Call) -> None:
    made.make()
    os.remove("err.txt")
    (out,) = Path("runinfo/000/task_logs").rglob("*.stdout")
    out.write_bytes(b"\xff\xfe binary\n")
    done = call("logs", "-.N2")
    assert done.code == 0 and "\\xff\\xfe binary" in done.out
    assert done.err.startswith("parslish: its stderr went to ") and done.err.endswith("which is not there\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["5"], "there is no run '5' in 'runinfo'"),
        (["0", "99"], "run 000 has no task '99'"),
        (["--tail", "-1"], "invalid value for '--tail': -1 is not in the range x>=1; see  parslish logs --help"),
        (["--tial", "1"], "there is no option '--tial' (did you mean '--tail'?); see  parslish logs --help"),
        (["--run-dir", "nowhere"], "the run folder 'nowhere' is not there"),
    ],
)
def test_mistakes_are_told_in_a_sentence(call: Call, arguments: list[str], sentence: str) -> None:
    made.make()
    done = call("logs", *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"parslish: {sentence}"), done.err
