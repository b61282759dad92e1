"""What a path in `checkpoint_files` means."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

import parslish
from parslish import BadCheckpoint, Config, python_app
from parslish.history import card


def one_run(*paths: str) -> list[int]:
    """A run of three tasks that loads what is named; returns which of them were computed."""
    computed: list[int] = []

    @python_app(cache=True, version="1")
    def cell(number: int) -> int:
        computed.append(number)
        return number

    with parslish.load(Config(run_dir="runinfo", checkpoint_mode="task_exit", checkpoint_files=list(paths))):
        assert [cell(number).result() for number in range(3)] == [0, 1, 2]
    return computed


@pytest.mark.parametrize("path", ["runinfo/000/checkpoint", "runinfo/000", "runinfo", "link", "./runinfo/000/"])
def test_a_store_may_be_named_by_itself_its_run_or_the_run_folder(path: str) -> None:
    assert one_run() == [0, 1, 2]
    Path("link").symlink_to("runinfo/000")
    assert one_run(path) == []


def test_a_run_folder_stands_for_all_its_runs_and_the_last_is_continued() -> None:
    one_run()
    one_run()
    assert one_run("runinfo") == []
    assert Path(card.read(Path("runinfo/002"))["parent"]).name == "001"


def test_a_single_segment_can_still_be_named() -> None:
    one_run()
    (segment,) = Path("runinfo/000/checkpoint").glob("*.seg")
    assert one_run(str(segment)) == []


@pytest.mark.parametrize("left", [[], ["a.unfinished", "b.blob"]])
def test_the_checkpoint_of_a_run_that_stored_nothing_is_no_error(left: list[str]) -> None:
    for folder in (Path("runinfo/000/checkpoint"), Path("moved/checkpoint")):
        folder.mkdir(parents=True, mode=0o700)
        for name in left:
            (folder / name).touch()
    Path("moved/run.json").write_text("{}")
    assert one_run("runinfo/000", "runinfo/000/checkpoint", "moved/checkpoint") == [0, 1, 2]


@pytest.mark.parametrize("path", ["empty", "notes", "checkpoint", "runinfo", "runinfo/000"])
def test_a_folder_without_segments_is_an_error_that_says_what_to_name(path: str) -> None:
    for folder in ("empty", "notes", "checkpoint", "runinfo/000"):
        Path(folder).mkdir(parents=True)
    Path("notes/a.txt").touch()
    with pytest.raises(BadCheckpoint, match=f"'{path}': it holds no segments; name a checkpoint, such as"):
        one_run(path)
    assert os.listdir("runinfo") == ["000"], "nothing was started"


def test_a_folder_that_may_mean_two_things_is_an_error_that_names_both() -> None:
    one_run()
    Path("runinfo/checkpoint").mkdir()
    with pytest.raises(BadCheckpoint) as caught:
        one_run("runinfo")
    first = Path("runinfo/000/checkpoint").absolute()
    assert str(caught.value) == (
        "cannot load checkpoint 'runinfo': it holds a checkpoint and runs; name what is meant, such as "
        f"'runinfo/checkpoint', or '{first}'"
    )


def test_what_is_not_there_is_an_error_as_before() -> None:
    with pytest.raises(BadCheckpoint, match="no such file"):
        one_run("runinfo/000")


def test_checkpoints_of_parsl_are_passed_over_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    for number in range(3):
        folder = Path(f"runinfo/{number:03d}/checkpoint")
        folder.mkdir(parents=True, mode=0o700)
        (folder / "tasks.pkl").touch()
    assert one_run(*parslish.get_all_checkpoints()) == [0, 1, 2]
    (told,) = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert "and 2 more like it: it is Parsl's" in told
