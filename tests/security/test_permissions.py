"""Folders and files that others could have changed, links, pipes: refused with the way out, and nothing hangs.

With a second account: `test_accounts.py`.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import parslish
from parslish import Config, python_app
from parslish.errors import BadCheckpoint, StoreError
from parslish.secret import Keys
from parslish.store.disk import Disk
from parslish.store.log import Log
from parslish.store.reader import Store
from parslish.store.report import Kind
from parslish.store.source import Source

CHECKPOINT = Path("runinfo/000/checkpoint")


def squares(runs: list[int], **config: Any) -> list[int]:
    def square(x: int) -> int:
        runs.append(x)
        return x * x

    app = python_app(square, cache=True)
    with parslish.load(Config(checkpoint_mode="task_exit", **config)):
        return [app(x).result() for x in range(3)]


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o722, 0o1777], ids=oct)
def test_a_folder_that_others_can_write_to_is_refused_unless_shared(mode: int) -> None:
    runs: list[int] = []
    squares(runs)
    CHECKPOINT.chmod(mode)
    with pytest.raises(BadCheckpoint, match=r"chmod go-w .*or load it with shared=True"):
        Store.open([CHECKPOINT], Keys.load())
    with pytest.raises(BadCheckpoint, match=r"chmod go-w"):
        squares(runs, checkpoint_files=[str(CHECKPOINT)])
    assert squares(runs, checkpoint_files=[str(CHECKPOINT)], shared=True) == [0, 1, 4]
    assert runs == [0, 1, 2]


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666], ids=oct)
def test_a_segment_that_others_can_write_to_is_not_read_unless_shared(mode: int) -> None:
    runs: list[int] = []
    squares(runs)
    (segment,) = CHECKPOINT.iterdir()
    segment.chmod(mode)
    store = Store.open([CHECKPOINT], Keys.load())
    assert len(store) == 0
    assert [finding.kind for finding in store.report.findings] == [Kind.REFUSED]
    assert len(Store.open([CHECKPOINT], Keys.load(), shared=True)) == 3
    with pytest.raises(BadCheckpoint, match="chmod go-w"):
        Store.open([segment], Keys.load())


def test_what_belongs_to_another_account_is_refused_unless_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    squares([])
    keys = Keys.load()
    owner = CHECKPOINT.stat().st_uid
    if owner == 0:
        (segment,) = CHECKPOINT.iterdir()
        owner = 54_321
        for path in (segment, CHECKPOINT):
            os.chown(path, owner, owner)
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    with pytest.raises(BadCheckpoint, match=rf"belongs to another user \(uid {owner}\).*shared=True"):
        Store.open([CHECKPOINT], keys)
    assert len(Store.open([CHECKPOINT], keys, shared=True)) == 3


def test_nothing_is_written_into_a_folder_that_others_can_write_to(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint").chmod(0o777)
    with pytest.raises(StoreError, match="can be written by others"):
        Log(tmp_path / "checkpoint", keys=Keys.load())
    assert list((tmp_path / "checkpoint").iterdir()) == []


def test_a_folder_that_is_a_link_is_judged_by_what_it_leads_to(tmp_path: Path) -> None:
    squares([])
    (tmp_path / "link").symlink_to(CHECKPOINT.absolute())
    assert len(Store.open([tmp_path / "link"], Keys.load())) == 3
    CHECKPOINT.chmod(0o777)
    with pytest.raises(BadCheckpoint, match="can be written by others"):
        Store.open([tmp_path / "link"], Keys.load())


@pytest.mark.parametrize("shared", [False, True])
def test_a_segment_that_is_a_link_is_not_followed(shared: bool, tmp_path: Path) -> None:
    squares([])
    (segment,) = CHECKPOINT.iterdir()
    segment.rename(tmp_path / "elsewhere.seg")
    segment.symlink_to(tmp_path / "elsewhere.seg")
    store = Store.open([CHECKPOINT], Keys.load(), shared=shared)
    assert len(store) == 0
    (finding,) = store.report.warnings
    assert (finding.kind, finding.sentence) == (Kind.REFUSED, "is a symbolic link: name the file itself")
    with pytest.raises(BadCheckpoint, match="symbolic link"):
        Store.open([segment], Keys.load(), shared=shared)


def test_a_link_that_is_put_in_its_place_while_it_is_opened_is_not_followed(tmp_path: Path) -> None:
    """O_NOFOLLOW: between looking at a file and opening it there is time for somebody who may write to the folder."""
    squares([])
    (segment,) = CHECKPOINT.iterdir()

    class Exchanging(Disk):
        @staticmethod
        def stat(path: Any, *, follow_symlinks: bool = True) -> os.stat_result:
            found = os.stat(path, follow_symlinks=follow_symlinks)
            if Path(path) == segment and not segment.is_symlink():
                segment.rename(tmp_path / "elsewhere.seg")
                segment.symlink_to(tmp_path / "elsewhere.seg")
            return found

    with pytest.raises(OSError, match="symbolic links") as caught:
        Source(Exchanging(), segment, shared=True)
    assert segment.is_symlink() and caught.value.errno == errno.ELOOP


def fifo(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


def bound(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # the address of a socket is short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path.name)
    os.chdir(here)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def loop(path: Path) -> None:
    path.symlink_to(path)


def device_node(path: Path) -> None:
    try:
        os.mknod(path, 0o020666, os.makedev(1, 5))  # what /dev/zero is
    except PermissionError:
        pytest.skip("only root can make devices (and not in every container): start the tests as root")


@pytest.mark.parametrize("plant", [fifo, folder, bound, device, loop, device_node], ids=lambda plant: plant.__name__)
@pytest.mark.parametrize("shared", [False, True])
def test_what_is_planted_costs_only_itself_and_does_not_hang(plant: Callable[[Path], None], shared: bool) -> None:
    runs: list[int] = []
    squares(runs)
    plant(CHECKPOINT / "0.seg")
    assert squares(runs, shared=shared) == [0, 1, 4]
    assert runs == [0, 1, 2]
    store = Store.open([CHECKPOINT], Keys.load(), shared=shared)
    assert [finding.path.name for finding in store.report.warnings] == ["0.seg"]


def test_a_planted_name_of_a_segment_is_never_opened_for_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O_EXCL and O_NOFOLLOW: the writer would have its results written wherever a link leads."""
    target = tmp_path / "precious"
    target.write_text("years of work")
    monkeypatch.setattr("parslish.store.folder.segment_name", lambda *_: "known.seg")
    where = tmp_path / "checkpoint"
    where.mkdir(mode=0o700)
    (where / "known.seg").symlink_to(target)
    log = Log(where, keys=Keys.load(), sync="manual")
    log.append(1, b"body", b"k" * 32)
    assert not log.sync()
    assert log.trouble is not None
    log.close()
    assert target.read_text() == "years of work"
