from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from parslish.errors import InternalError, StoreError, UsageError
from parslish.store.blobs import Blobs
from parslish.store.check import check
from parslish.store.disk import Disk
from parslish.store.frame import Type
from parslish.store.log import Log
from parslish.store.reader import Store, read_frames
from tests.faults.disk import MemoryDisk
from tests.faults.stores import FOLDER, KEYS, found, records, seeded

MODES = ("always", "batch", "manual")


def append_all(log: Log, stored: dict[bytes, bytes]) -> None:
    for key, body in stored.items():
        log.append(Type.RESULT, body, key)


def read_all(folder: Path, stored: dict[bytes, bytes]) -> dict[bytes, bytes]:
    store = Store.open([folder], KEYS)
    return {key: record.body for key in stored for record in store.find(key)}


@pytest.mark.parametrize("sync", MODES)
def test_what_is_appended_is_found_before_and_after_closing(tmp_path: Path, sync: str) -> None:
    stored = records(seeded(sync), 200, (0, 50, 100_000))
    log = Log(tmp_path / "store", keys=KEYS, sync=sync)
    append_all(log, stored)
    assert read_all(log.folder, stored) == stored
    assert log.close()
    assert read_all(log.folder, stored) == stored
    assert check(log.folder).state == "clean"
    assert log.appended == 200
    assert log.dropped == 0
    assert log.trouble is None


def test_the_folder_is_made_at_once_and_no_file_before_the_first_append(tmp_path: Path) -> None:
    log = Log(tmp_path / "run" / "checkpoint", keys=KEYS)
    assert os.listdir(log.folder) == []
    assert log.sync()
    assert log.close()
    assert os.listdir(log.folder) == []


def test_folder_and_file_are_their_owners_only(tmp_path: Path) -> None:
    log = Log(tmp_path / "store", keys=KEYS)
    log.append(Type.EVENT, b"")
    (segment,) = log.folder.iterdir()
    assert stat.S_IMODE(log.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(segment.stat().st_mode) == 0o600
    log.close()


@pytest.mark.parametrize("sync", ["always", "batch"])
def test_who_waits_is_called_once_and_after_an_fsync(sync: str) -> None:
    disk = MemoryDisk()
    log = Log(FOLDER, keys=KEYS, sync=sync, disk=disk)
    calls: list[int] = []
    durable: list[int] = []
    done = threading.Semaphore(0)

    def called(number: int) -> None:
        calls.append(number)
        ((_, file),) = disk.files.items()
        durable.append(file.synced.count(b"body of"))
        done.release()

    for number in range(10):
        log.append(Type.EVENT, b"body of", when_synced=(called, number))
    for _ in range(10):
        assert done.acquire(timeout=30)
    assert log.close()
    assert calls == list(range(10))
    assert all(count > number for number, count in zip(calls, durable, strict=True))


def test_the_folder_is_synced_once_for_each_segment() -> None:
    calls: list[str] = []
    disk = MemoryDisk(calls.append)  # type: ignore[arg-type]
    log = Log(FOLDER, keys=KEYS, sync="manual", disk=disk)
    for fsyncs in (4, 1, 1):  # at first the file, its folder and the two above
        calls.clear()
        log.append(Type.EVENT, b"")
        assert log.sync()
        assert calls.count("fsync") == fsyncs
    assert log.close()


def test_with_manual_sync_nobody_is_called_before_it() -> None:
    log = Log(FOLDER, keys=KEYS, sync="manual", disk=MemoryDisk())
    calls: list[None] = []
    for _ in range(100):
        log.append(Type.EVENT, b"", when_synced=(calls.append, None))
    assert not calls
    assert log.sync()
    assert len(calls) == 100
    log.close()


def test_a_callback_may_use_and_close_the_log() -> None:
    disk = MemoryDisk()
    log = Log(FOLDER, keys=KEYS, sync="always", disk=disk)
    closed = threading.Event()

    def close() -> None:
        log.append(Type.EVENT, b"second")
        log.close()
        closed.set()

    log.append(Type.EVENT, b"first", when_synced=(close,))
    assert closed.wait(30)
    assert check(FOLDER, disk=disk).state == "clean"
    assert [record.body for record in read_frames(FOLDER, KEYS, disk=disk)] == [b"first", b"second"]


def test_closing_twice_is_closing_once_and_appending_later_is_our_bug(tmp_path: Path) -> None:
    log = Log(tmp_path, keys=KEYS)
    log.append(Type.EVENT, b"")
    assert log.close()
    assert log.close()
    with pytest.raises(InternalError, match="after it was closed"):
        log.append(Type.EVENT, b"")


def test_closing_ends_the_thread(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    log = Log(tmp_path, keys=KEYS, sync="always")
    log.append(Type.EVENT, b"")
    log.close()
    assert set(threading.enumerate()) == before


def test_many_threads_may_append(tmp_path: Path) -> None:
    log = Log(tmp_path / "store", keys=KEYS)
    parts = [records(seeded(f"thread {n}"), 300) for n in range(8)]
    threads = [threading.Thread(target=append_all, args=(log, part)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log.close()
    stored = {key: body for part in parts for key, body in part.items()}
    assert read_all(log.folder, stored) == stored
    verdict = check(log.folder)
    assert verdict.state == "clean"
    assert [one.records for one in verdict.segments] == [len(stored)]


def test_who_finds_all_written_by_another_thread_writes_nothing(tmp_path: Path) -> None:
    log = Log(tmp_path / "store", keys=KEYS)
    assert log._write_group() is None
    assert os.listdir(log.folder) == []
    assert log.appended == 0
    log.close()


def test_an_unknown_sync_mode_is_named_with_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"always, batch, manual, not 'bach' \(did you mean 'batch'\?\)"):
        Log(tmp_path, keys=KEYS, sync="bach")


def test_a_folder_that_cannot_be_made_is_an_error_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="Not a directory"):
        Log(tmp_path / "file" / "store", keys=KEYS)


def test_a_folder_that_others_can_write_is_refused_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(StoreError, match="chmod go-w"):
        Log(folder, keys=KEYS)
    assert Log(folder, keys=KEYS, shared=True).close()


@pytest.mark.parametrize("shift_s", [-1e9, -3600.0, 3600.0, 2**31])
def test_a_wall_clock_that_jumps_changes_nothing(shift_s: float) -> None:
    disk = MemoryDisk()
    stored = records(seeded(f"clock {shift_s}"), 6)
    key = next(iter(stored))
    for run_number in (1, 2):
        log = Log(FOLDER, keys=KEYS, run_number=run_number, disk=disk)
        append_all(log, stored)
        log.append(Type.RESULT, b"run %d" % run_number, key)
        assert log.close()
        disk.now += shift_s
    assert next(Store.open([FOLDER], KEYS, disk=disk).find(key)).body == b"run 2"
    others = {other: body for other, body in stored.items() if other != key}
    assert found(disk, others)[0] == others


def _append_in_child(log: Log, stored: dict[bytes, bytes]) -> None:
    append_all(log, stored)
    os._exit(0 if log.close() else 1)


def test_a_fork_goes_on_in_a_segment_of_its_own(tmp_path: Path) -> None:
    log = Log(tmp_path / "store", keys=KEYS, sync="batch")
    before, childs, after = (records(seeded(f"fork {n}"), 50) for n in range(3))
    append_all(log, before)
    child = multiprocessing.get_context("fork").Process(target=_append_in_child, args=(log, childs))
    child.start()
    append_all(log, after)
    child.join(60)
    assert child.exitcode == 0
    assert log.close()
    stored = before | childs | after
    assert read_all(log.folder, stored) == stored
    assert sorted(one.records for one in check(log.folder).segments) == [50, 100]
    assert check(log.folder).state == "clean"


KILLED = """
import os, signal, sys
from parslish.secret import Keys
from parslish.store.log import Log
log = Log(sys.argv[1], keys=Keys([bytes(range(32))]))
for number in range(int(sys.argv[2])):
    log.append(1, b"body %d" % number, number.to_bytes(32, "big"))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_after_a_kill_everything_appended_is_there(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "store"), "150"],
        env={**os.environ, "PYTHONPATH": str(root)},
        check=False,
    )
    assert killed.returncode == -9
    stored = {number.to_bytes(32, "big"): b"body %d" % number for number in range(150)}
    assert read_all(tmp_path / "store", stored) == stored
    assert check(tmp_path / "store").state == "torn"


@pytest.mark.parametrize("mode", [0o700, 0o750, 0o755, 0o777])
def test_who_may_read_a_stores_folder_may_read_what_is_stored_later(tmp_path: Path, mode: int) -> None:
    where = tmp_path / "store"
    where.mkdir()
    where.chmod(mode)
    log = Log(where, keys=KEYS, shared=True)
    log.append(Type.RESULT, b"later", bytes(32))
    assert log.close()
    Blobs(where).put([[b"large"]])
    assert {stat.S_IMODE(path.stat().st_mode) for path in where.iterdir()} == {0o600 | (mode & 0o044)}


def test_results_are_lost_with_a_segment_that_somebody_removes_before_the_end(tmp_path: Path) -> None:
    log = Log(tmp_path / "store", keys=KEYS, sync="manual")
    for number in range(3):
        log.append(Type.RESULT, b"durable, and gone", number.to_bytes(32, "big"))
    assert log.sync()
    shutil.rmtree(tmp_path / "store")
    log.close()
    assert log.dropped == 3 and "removed" in str(log.last_trouble)


def test_a_segment_that_its_server_has_removed_is_lost_and_not_only_stale(tmp_path: Path) -> None:
    class Server(Disk):
        removed = False

        def fsync(self, fd: int) -> None:  # type: ignore[override]
            if self.removed:
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
            os.fsync(fd)

    disk = Server()
    log = Log(tmp_path / "store", keys=KEYS, sync="manual", disk=disk)
    log.append(Type.RESULT, b"durable, and gone", bytes(32))
    assert log.sync()
    shutil.rmtree(tmp_path / "store")
    disk.removed = True
    log.close()
    assert log.dropped == 1 and "removed" in str(log.last_trouble)


def _removed(segment: Path) -> None:
    segment.unlink()


def _moved(segment: Path) -> None:
    segment.parent.rename(segment.parent.with_name("moved"))


def _replaced(segment: Path) -> None:
    shutil.copy(segment, segment.with_name("copy"))
    segment.with_name("copy").replace(segment)


def _cut_off(segment: Path) -> None:
    os.truncate(segment, 0)


@pytest.mark.parametrize("harm", [_removed, _moved, _replaced, _cut_off])
def test_a_segment_that_somebody_harms_is_told_of_and_what_was_not_synced_is_stored_anew(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    troubles: list[StoreError] = []
    recoveries: list[bool] = []
    log = Log(
        tmp_path / "store",
        keys=KEYS,
        sync="manual",
        on_trouble=troubles.append,
        on_recovery=lambda: recoveries.append(True),
    )
    log.append(Type.RESULT, b"durable, and gone", bytes(32))
    assert log.sync()
    (segment,) = (tmp_path / "store").iterdir()
    harm(segment)
    log.append(Type.RESULT, b"not synced", bytes([1]) * 32)
    assert log.sync()
    assert [harm.__name__[1:].replace("_", " ") in str(trouble) for trouble in troubles] == recoveries == [True]
    assert log.close()
    assert log.dropped == 1 and log.last_trouble is troubles[0]
    store = Store.open([tmp_path / "store"], KEYS)
    assert [record.body for record in store.find(bytes([1]) * 32)] == [b"not synced"]
    assert (bytes(32) in store) == (harm is _replaced), "it may be what it was, but nobody knows"
