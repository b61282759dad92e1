"""`parslish runs`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import parslish
from parslish.history import card
from tests.cli import made
from tests.cli.conftest import Call

ROOT = Path(parslish.__file__).parents[1]


def test_a_run_is_listed_with_its_status_totals_and_entry(call: Call) -> None:
    made.make(2)
    made.make(3)
    done = call("runs")
    assert done.code == 0
    title, first, second, count = done.out.splitlines()
    assert title.split() == ["run", "status", "started", "took", "tasks", "failed", "reused", "entry"]
    assert first.split()[:2] == ["000", "failed"] and first.split()[5:8] == ["9", "1", "0"]
    assert second.split()[5:8] == ["11", "1", "4"]
    assert count == "2 runs"


def test_the_parent_is_the_run_that_was_continued(call: Call) -> None:
    made.make()
    facts = card.read(Path("runinfo/000"))
    card.write(Path("runinfo/000"), facts | {"ended": "ended by KeyError"})
    made.make()
    found = call("runs", "--json").json
    assert [(each["run"], each["status"], each["parent"]) for each in found] == [
        ("000", "ended by KeyError", None),
        ("001", "failed", "000"),
    ]
    assert "parent" in call("runs").out


def test_json_has_numbers_and_the_last_ones_can_be_had_alone(call: Call) -> None:
    for _ in range(3):
        made.make()
    (row,) = call("runs", "--json", "--limit", "1").json
    counts = {"done": 3, "reused": 4, "failed": 1, "upstream_failed": 1}
    assert (row["run"], row["tasks"], row["counts"]) == ("002", 9, counts)
    assert 0 < row["took_s"] < 60 and abs(row["started"] - time.time()) < 60


def test_a_run_that_was_killed_is_lost_and_its_record_says_how_far_it_came(call: Call) -> None:
    code = (
        "import os, time, parslish\n"
        "f = parslish.python_app(lambda x: x)\n"
        "wait = parslish.python_app(lambda: time.sleep(60))\n"
        "parslish.load()\n"
        "f(1).result(); wait()\n"
        "time.sleep(0.5)\n"  # the record is written every tenth of a second
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], timeout=60)
    assert done.returncode == -signal.SIGKILL
    (row,) = call("runs", "--json").json
    assert (row["status"], row["counts"]) == ("lost", {"done": 1, "lost": 1})
    assert 0 < row["took_s"] < 0.4  # until its last sign of life
    assert row["entry"].startswith("-c ")


def test_a_run_that_kept_no_record_is_told_by_its_card(call: Call) -> None:
    made.make(record=False)
    (row,) = call("runs", "--json").json
    assert (row["status"], row["tasks"]) == ("failed", 9)


def test_without_a_key_runs_are_listed_by_their_cards_and_none_is_made(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made.make()
    monkeypatch.setenv("PARSLISH_KEY_FILE", str(tmp_path / "other"))
    assert call("runs", "--json").json[0]["tasks"] == 9
    assert not (tmp_path / "other").exists()


def test_a_card_that_somebody_wrote_is_no_reason_to_fail(call: Call) -> None:
    for number, text in enumerate(
        ("{", "[]", '{"ended": 7, "counts": "x", "started": "then", "parent": 3, "command": 1}')
    ):
        folder = Path(f"runinfo/{number:03d}")
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(text)
    hostile = {
        "ended": "\x1b[2Jred",
        "command": ["python", "\x1b]0;x\x07s.py"],
        "counts": {"done": 1},
        "started": 1e300,
    }
    card.write(Path("runinfo/002"), hostile)
    done = call("runs")
    assert done.code == 0 and "\x1b" not in done.out and "s.py" in done.out
    assert len(call("runs", "--json").json) == 3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "the run folder 'runinfo' is not there: name it with --run-dir, or go to where the script was started"),
        (["--run-dir", "runs"], "the run folder 'runs' is not there: name it with --run-dir"),
        (["--rundir", "a"], "there is no option '--rundir' (did you mean '--run-dir'?); see  parslish runs --help"),
        (["--limit", "0"], "invalid value for '--limit': 0 is not in the range x>=1; see  parslish runs --help"),
        (["003"], "got unexpected extra argument (003); see  parslish runs --help"),
    ],
)
def test_mistakes_are_told_in_a_sentence(call: Call, arguments: list[str], sentence: str) -> None:
    assert call("runs", *arguments) == (2, "", f"parslish: {sentence}\n")


def test_a_folder_without_runs_is_an_empty_list(call: Call) -> None:
    os.mkdir("runinfo")
    assert call("runs") == (0, "0 runs\n", "")
    assert json.loads(call("runs", "--json").out) == []


def test_a_run_that_was_moved_is_listed_where_it_is(call: Call) -> None:
    made.make()
    shutil.move("runinfo", "old")
    assert call("runs", "--run-dir", "old", "--json").json[0]["path"] == "old/000"
