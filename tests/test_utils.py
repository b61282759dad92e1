"""The functions that Parsl scripts import from utils."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from parslish.errors import BadStdStreamFile
from parslish.files import File
from parslish.utils import get_all_checkpoints, get_last_checkpoint, get_std_fname_mode


def runs(root: Path, *names: str) -> list[str]:
    for name in names:
        (root / name / "checkpoint").mkdir(parents=True)
    return [str(root / name / "checkpoint") for name in names]


def test_without_a_run_folder_there_are_no_checkpoints(tmp_path: Path) -> None:
    assert get_all_checkpoints(tmp_path / "none") == []
    assert get_last_checkpoint(str(tmp_path / "none")) == []


def test_runs_are_ordered_by_number_beyond_999(tmp_path: Path) -> None:
    folders = runs(tmp_path, "000", "002", "999", "1000", "10000")
    assert get_all_checkpoints(tmp_path) == folders
    assert get_last_checkpoint(tmp_path) == folders[-1:]


def test_runs_without_a_checkpoint_are_left_out(tmp_path: Path) -> None:
    folders = runs(tmp_path, "000")
    (tmp_path / "001").mkdir()
    assert get_last_checkpoint(tmp_path) == folders


def test_other_files_in_the_run_folder_do_not_matter(tmp_path: Path) -> None:
    folders = runs(tmp_path, "003")
    runs(tmp_path, "backup", "003.old", "-1", "٣")
    (tmp_path / "004").write_text("a file")
    (tmp_path / "005").mkdir()
    (tmp_path / "005" / "checkpoint").write_text("a file")
    assert get_all_checkpoints(tmp_path) == folders


def test_a_run_folder_that_is_a_file_has_no_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "runinfo").write_text("")
    assert get_all_checkpoints(tmp_path / "runinfo") == []


def test_the_default_run_folder_is_runinfo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = runs(tmp_path / "runinfo", "000")
    monkeypatch.chdir(tmp_path)
    assert get_all_checkpoints() == get_last_checkpoint() == folders


@pytest.mark.parametrize(
    ("spec", "means"),
    [
        ("out.txt", ("out.txt", "a+")),
        (Path("out.txt"), ("out.txt", "a+")),
        (File("out.txt"), ("out.txt", "a+")),
        (("out.txt", "w"), ("out.txt", "w")),
        ((Path("out.txt"), "ab"), ("out.txt", "ab")),
        (("out.txt", "x+"), ("out.txt", "x+")),
    ],
)
def test_a_stream_is_a_path_that_appends_or_a_pair(spec: Any, means: tuple[str, str]) -> None:
    assert get_std_fname_mode("stdout", spec) == means


@pytest.mark.parametrize(
    "spec",
    [None, 7, "", b"out", [], ("out",), ("out", "w", 1), ("out", 7), ("out", "r"), ("out", "wz"), (1, "w")],
)
def test_any_other_stream_is_a_type_error_that_names_it(spec: Any) -> None:
    with pytest.raises(BadStdStreamFile, match="stderr: got") as caught:
        get_std_fname_mode("stderr", spec)
    assert isinstance(caught.value, TypeError)
