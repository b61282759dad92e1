from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from parslish.store import folder
from parslish.store.disk import OS_DISK
from tests.faults.disk import FailingCalls, MemoryDisk


def found(mode: int, uid: int) -> Any:
    return SimpleNamespace(st_mode=mode, st_uid=uid)


def test_what_is_mine_and_closed_to_others_is_accepted() -> None:
    assert folder.refusal(found(0o40700, os.getuid()), shared=False) is None
    assert folder.refusal(found(0o40755, 0), shared=False) is None


@pytest.mark.parametrize("mode", [0o40770, 0o40702])
def test_what_others_can_write_is_refused_and_the_sentence_says_what_to_do(mode: int) -> None:
    refusal = folder.refusal(found(mode, os.getuid()), shared=False)
    assert refusal is not None
    assert "chmod go-w" in refusal
    assert "shared=True" in refusal
    assert folder.refusal(found(mode, os.getuid()), shared=True) is None


def test_what_belongs_to_others_is_refused() -> None:
    refusal = folder.refusal(found(0o40700, os.getuid() + 1), shared=False)
    assert refusal is not None
    assert "another user" in refusal
    assert folder.refusal(found(0o40700, os.getuid() + 1), shared=True) is None


def test_a_folder_is_made_for_its_owner_only(tmp_path: Path) -> None:
    where = tmp_path / "a" / "b" / "checkpoint"
    folder.make(OS_DISK, where)
    folder.make(OS_DISK, where)
    assert stat.S_IMODE(where.stat().st_mode) == 0o700


def test_names_differ_without_a_clock_and_whatever_the_host_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "../../etc/" + "x" * 300)
    names = {folder.segment_name(0.0, writer, ordinal) for writer in (b"a" * 8, b"b" * 8) for ordinal in (0, 1)}
    assert len(names) == 4
    assert all("/" not in name and len(name) < 200 and name.endswith(".seg") for name in names)


@pytest.mark.parametrize("when", [-1e9, 0.0, 2**31, 1e11, 2**40])
def test_any_clock_gives_a_name(when: float) -> None:
    assert folder.segment_name(when, b"w" * 8, 0).endswith(".seg")


def test_a_file_system_without_fsync_of_folders_is_accepted() -> None:
    disk = MemoryDisk(FailingCalls(0, ["fsync"], errno.EINVAL))
    folder.sync(disk, Path("/"))


def test_an_error_of_the_folder_counts_and_one_of_those_above_does_not() -> None:
    disk = MemoryDisk(FailingCalls(1, ["fsync"], errno.EIO, 2))
    disk.folders |= {"/a", "/a/b"}
    folder.sync(disk, Path("/a/b"))
    assert disk.open_descriptors == 0
    disk.before = FailingCalls(0, ["fsync"], errno.EIO)
    with pytest.raises(OSError, match="Input/output"):
        folder.sync(disk, Path("/a/b"))
    assert disk.open_descriptors == 0
