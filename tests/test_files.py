"""File: its parts, its path, and its identity."""

from __future__ import annotations

import os
import pickle
import random
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from parslish import files
from parslish.errors import Unidentifiable
from parslish.files import File

# ------------------------------------------------------------------------------------- parts


@pytest.mark.parametrize(
    ("url", "scheme", "netloc", "path", "filename"),
    [
        ("data.csv", "file", "", "data.csv", "data.csv"),
        ("/a/b/data.csv", "file", "", "/a/b/data.csv", "data.csv"),
        ("file:///a/data.csv", "file", "", "/a/data.csv", "data.csv"),
        ("file://node1/a/data.csv", "file", "node1", "/a/data.csv", "data.csv"),
        ("http://host:80/a/data.csv?x=1", "http", "host:80", "/a/data.csv", "data.csv"),
        ("FTP://host/data.csv", "ftp", "host", "/data.csv", "data.csv"),
        ("zip:/a/b.zip/c/d.txt", "zip", "", "/a/b.zip/c/d.txt", "d.txt"),
        ("zip://host/b.zip/c", "zip", "host", "/b.zip/c", "c"),
        ("odd#name?.csv", "file", "", "odd#name?.csv", "odd#name?.csv"),
        ("10:30:00.log", "file", "", "10:30:00.log", "10:30:00.log"),
        ("C:/data.csv", "file", "", "C:/data.csv", "data.csv"),
        ("100%25.csv", "file", "", "100%25.csv", "100%25.csv"),
    ],
)
def test_a_url_has_parts_and_a_plain_path_is_one_whole(
    url: str, scheme: str, netloc: str, path: str, filename: str
) -> None:
    file = File(url)
    assert (file.url, file.scheme, file.netloc, file.path, file.filename) == (url, scheme, netloc, path, filename)


def test_a_file_may_be_made_of_a_path_object_or_a_file(tmp_path: Path) -> None:
    assert File(tmp_path / "x").path == f"{tmp_path}/x"
    assert File(File("x")).path == "x"


@pytest.mark.parametrize("wrong", [7, None, b"x", ["x"]])
def test_anything_else_is_a_type_error(wrong: Any) -> None:
    with pytest.raises(TypeError):
        File(wrong)


# ------------------------------------------------------------------------------------- paths


def test_a_local_file_is_its_path(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("content")
    file = File(f"file://{tmp_path}/x")
    assert file.filepath == str(file) == os.fspath(file) == f"{tmp_path}/x"
    assert Path(file).read_text() == "content"


def test_a_remote_file_has_no_path_before_it_is_staged() -> None:
    file = File("http://host/x")
    with pytest.raises(ValueError, match="http://host/x has no local path"):
        file.filepath  # noqa: B018
    assert str(file) == "http://host/x"
    file.local_path = "/tmp/x"
    assert file.filepath == str(file) == os.fspath(file) == "/tmp/x"


def test_a_clean_copy_is_not_staged() -> None:
    class Mine(File):
        pass

    file = Mine("http://host/x")
    file.local_path = "/tmp/x"
    copied = file.cleancopy()
    assert (type(copied), copied.url, copied.local_path) == (Mine, file.url, None)
    assert file.local_path == "/tmp/x"


def test_files_are_equal_by_url_and_staged_path() -> None:
    one, two = File("http://host/x"), File("http://host/x")
    assert one == two
    assert len({one, two}) == 1
    two.local_path = "/tmp/x"
    assert one != two
    assert hash(one) == hash(two)
    assert one != "http://host/x"


def test_a_file_survives_pickling() -> None:
    file = File("http://host/x")
    file.local_path = "x"
    assert pickle.loads(pickle.dumps(file)) == file
    assert "http://host/x" in repr(file)


# ------------------------------------------------------------------------------------- identity

LONG_AGO_S = 1_600_000_000


def settled(path: Path, content: bytes) -> File:
    """A file as it is when nothing has changed it for long, as far as anybody may set that (not ctime)."""
    path.write_bytes(content)
    os.utime(path, (LONG_AGO_S, LONG_AGO_S))
    return File(path)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """All files of the test were changed long ago, and each digest is read afresh."""
    monkeypatch.setattr(files, "_SETTLED_NS", -(10**18))
    files._known.cache_clear()


def test_a_local_files_identity_is_its_content(tmp_path: Path) -> None:
    one, two, other = tmp_path / "1", tmp_path / "2", tmp_path / "3"
    for path, content in ((one, b"same"), (two, b"same"), (other, b"else")):
        path.write_bytes(content)
    assert File(one).__parslish_key__() == File(two).__parslish_key__() == ("content", blake3(b"same").digest())
    assert File(one).__parslish_key__() != File(other).__parslish_key__()


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3_500_000])
def test_the_whole_content_counts(tmp_path: Path, size: int) -> None:
    content = random.Random(size).randbytes(size)
    (tmp_path / "x").write_bytes(content)
    assert files.digest(f"{tmp_path}/x") == blake3(content).digest()


def test_a_remote_files_identity_is_its_url_staged_or_not() -> None:
    file = File("http://host/x")
    before = file.__parslish_key__()
    file.local_path = "/tmp/x"
    assert file.__parslish_key__() == before == ("url", "http://host/x")


@pytest.mark.usefixtures("later")
def test_an_unchanged_file_is_read_once(tmp_path: Path) -> None:
    file = settled(tmp_path / "x", b"content")
    for _ in range(3):
        file.__parslish_key__()
    assert files._known.cache_info().misses == 1


@pytest.mark.usefixtures("later")
def test_a_change_is_seen_even_under_the_old_mtime_and_size(tmp_path: Path) -> None:
    before = settled(tmp_path / "x", b"before").__parslish_key__()
    assert settled(tmp_path / "x", b"after!").__parslish_key__() != before


@pytest.mark.usefixtures("later")
def test_a_file_put_in_the_place_of_another_is_seen(tmp_path: Path) -> None:
    before = settled(tmp_path / "x", b"before").__parslish_key__()
    settled(tmp_path / "y", b"after!")
    os.replace(tmp_path / "y", tmp_path / "x")
    assert File(tmp_path / "x").__parslish_key__() != before


@pytest.mark.parametrize("old_mtime", [False, True])
def test_a_file_changed_within_the_tick_of_a_clock_is_read_every_time(tmp_path: Path, old_mtime: bool) -> None:
    files._known.cache_clear()
    path = tmp_path / "x"
    path.write_bytes(b"content")
    if old_mtime:
        settled(path, b"content")
    files.digest(str(path))
    assert files._known.cache_info().currsize == 0


def test_changes_quicker_than_the_clock_of_the_file_system_are_seen(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"0" * 8)
    for i in range(300):
        with open(path, "r+b") as file:
            file.write(b"%08d" % i)
        assert files.digest(str(path)) == blake3(b"%08d" % i).digest()


def test_a_file_that_changes_while_it_is_read_has_no_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"before")

    def appended_to(*args: Any) -> Any:
        with open(path, "ab") as file:
            file.write(b" and after")
        return blake3()

    monkeypatch.setattr(files, "blake3", appended_to)
    with pytest.raises(Unidentifiable, match="changes while it is read"):
        File(path).__parslish_key__()


def test_what_is_no_regular_file_has_no_identity(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, reason in (
        (tmp_path, "is no regular file"),
        (tmp_path / "pipe", "is no regular file"),
        (tmp_path / "missing", "No such file"),
        ("a\0b", "null (byte|character)"),
    ):
        with pytest.raises(Unidentifiable, match=reason):
            File(path).__parslish_key__()
