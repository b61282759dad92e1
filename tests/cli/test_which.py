"""Which run a command is about, and which task."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from parslish.cli.which import run_and_task, run_path
from parslish.errors import UsageError
from tests.cli import made
from tests.cli.conftest import Call
from tests.cli.test_base import start


def folders(*names: str, root: str = "runinfo") -> None:
    for name in names:
        Path(root, name, "events").mkdir(parents=True)


@pytest.mark.parametrize(
    ("run", "meant"),
    [("003", "003"), ("3", "003"), ("0003", "003"), ("last", "1000"), ("1000", "1000"), ("runinfo/010", "010")],
)
def test_a_run_is_named_by_its_id_last_or_its_folder(run: str, meant: str) -> None:
    folders("003", "010", "1000", "2026-11-21")
    assert run_path(run) == Path("runinfo", meant)


def test_last_is_the_last_run_that_kept_a_record() -> None:
    folders("000")
    Path("runinfo/001/checkpoint").mkdir(parents=True)
    assert run_path("last").name == "000"
    shutil.rmtree("runinfo/000")
    assert run_path("last").name == "001"


def test_a_run_may_lie_anywhere(tmp_path: Path) -> None:
    folders("007", root="old")
    assert run_path("old/007") == Path("old/007")
    assert run_path(str(tmp_path / "old" / "007")) == tmp_path / "old" / "007"
    os.chdir("old")
    assert run_path("007", "runinfo") == Path("007")


@pytest.mark.parametrize(
    ("run", "sentence"),
    [
        (
            "004",
            "there is no run '004' in 'runinfo': name one by its id (003 to 010), last or its folder; see  parslish",
        ),
        ("lst", "there is no run 'lst' in 'runinfo' (did you mean 'last'?)"),
        ("", "there is no run '' in 'runinfo'"),
        ("..", "there is no run '..' in 'runinfo'"),
        ("runinfo/004", "there is no run 'runinfo/004' in 'runinfo'"),
        ("-/f[0]", "'-/f[0]' is a task, and here a run is named: by its id (003 to 010), last or its folder"),
    ],
)
def test_a_run_that_is_not_there_is_told_with_what_is_near(run: str, sentence: str) -> None:
    folders("003", "010")
    with pytest.raises(UsageError) as raised:
        run_path(run)
    assert str(raised.value).startswith(sentence)


def test_a_script_is_no_run_and_it_is_said_how_to_run_one() -> None:
    folders("003")
    Path("script.py").touch()
    with pytest.raises(UsageError, match=r"'script.py' is a file, .* a script is run with  parslish run script.py"):
        run_path("script.py")


def test_a_folder_without_runs_says_so() -> None:
    with pytest.raises(UsageError, match="the run folder 'runinfo' is not there: go to where the script was started"):
        run_path("last")
    os.mkdir("runinfo")
    with pytest.raises(UsageError, match="the run folder 'runinfo' holds no runs"):
        run_path("3")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (("last", None), ("last", None)),
        (("003", None), ("003", None)),
        (("-/f[0]", None), ("last", "-/f[0]")),
        (("-.N3", None), ("last", "-.N3")),
        (("003", "-.N3"), ("003", "-.N3")),
        (("-.N3", "003"), ("003", "-.N3")),
        (("relax[Si]", None), ("last", "relax[Si]")),
        (("003", "17"), ("003", "17")),
    ],
)
def test_a_path_or_a_loc_alone_is_one_of_the_last_run(given: tuple[str, str | None], meant: tuple[str, str]) -> None:
    assert run_and_task(*given) == meant


@pytest.mark.parametrize("task", ["-/scf[1]/scan[0]/relax[m1]", "-.N0.N3", "8", "relax[m1]", "scan[0]/relax[m1]"])
def test_a_task_is_named_by_its_path_its_loc_its_id_or_the_end_of_its_path(call: Call, task: str) -> None:
    made.make()
    assert call("show", "000", task, "--json").json["path"] == "-/scf[1]/scan[0]/relax[m1]"


def test_an_app_that_was_called_once_is_a_task_and_one_that_was_called_often_is_not(call: Call) -> None:
    made.make()
    assert call("show", "last", "scan", "--json").json["task"] == 0
    assert call("show", "last", "relax").err == (
        "parslish: 'relax' may be any of 2 tasks of run 000: name one by its path, such as "
        "-/scf[1]/scan[0]/relax[m0]; parslish select 'relax' lists them\n"
    )


@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        (
            "-/scf[1]/scan[0]/relax[m9]",
            "run 000 has no task '-/scf[1]/scan[0]/relax[m9]' (did you mean '-/scf[1]/scan[",
        ),
        (
            "-.N9",
            "run 000 has no task '-.N9'; name one by its id (0 to 8), its loc such as -.N0 or its path such as -/",
        ),
        ("9", "run 000 has no task '9'; name one by its id"),
        ("fail[1]", "run 000 has no task 'fail[1]' (did you mean '-/fail[0]'?); see  parslish select fail"),
        ("nothing", "run 000 has no task 'nothing'"),
        ("", "run 000 has no task ''"),
    ],
)
def test_a_task_that_is_not_there_is_told_with_what_is_near(call: Call, task: str, sentence: str) -> None:
    made.make()
    done = call("show", "last", task)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"parslish: {sentence}"), done.err


def test_a_typo_in_an_option_is_no_task(call: Call) -> None:
    made.make()
    assert call("show", "-json").err.startswith("parslish: there is no option '-j'")
    assert call("show", "--jsn").err == (
        "parslish: there is no option '--jsn' (did you mean '--json'?); see  parslish show --help\n"
    )


def test_without_the_key_that_signed_a_run_is_not_read(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made.make()
    monkeypatch.setenv("PARSLISH_KEY_FILE", str(tmp_path / "other"))
    done = call("show")
    assert done.code == 2
    assert done.err.startswith("parslish: runs are read with the key that signed them, and there is none to be read in")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("command", ["show", "select fail", "why 3", "plan", "resume", "restart 3"])
def test_a_run_of_another_account_is_neither_shown_nor_executed(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str
) -> None:
    made.make()
    monkeypatch.setenv("PARSLISH_KEY_FILE", str(tmp_path / "other"))
    made.Keys.load()
    done = call(*command.split())
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("parslish: run 000 cannot be read: its record is signed with a key that is not in ")


def test_ids_of_runs_and_names_of_apps_are_completed() -> None:
    made.make()

    def complete(words: str) -> list[str]:
        env = {"_PARSLISH_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
        with start(env=env) as process:
            return [each.removeprefix("plain,") for each in process.communicate(timeout=60)[0].split()]

    assert complete("parslish show 0") == ["000"]
    assert complete("parslish diff ") == ["000", "last"]
    assert complete("parslish select re") == ["relax"]
    assert complete("parslish rerun --from ") == ["echo", "fail", "prep", "relax", "scan", "total"]
    assert complete("parslish rerun --run-dir other --from ") == []
