"""T9: an fsync fails once and then says that all is well; what it lost must have been written again."""

from __future__ import annotations

import errno
import random

import pytest

from parslish.errors import StoreError
from parslish.store import writer
from parslish.store.frame import Type
from parslish.store.log import Log
from tests.faults import plan
from tests.faults.disk import FailingCalls, MemoryDisk
from tests.faults.stores import FOLDER, KEYS, corruption, found, records, seeded, verdict


def _write(disk: MemoryDisk, rng: random.Random) -> tuple[dict[bytes, bytes], bool]:
    stored = records(rng, 12)
    log = Log(FOLDER, keys=KEYS, sync="manual", disk=disk)
    kept = True
    for number, (key, body) in enumerate(stored.items()):
        log.append(Type.RESULT, body, key)
        if number % 3 == 2:
            kept = log.sync()
    return stored, log.close() and kept


def _fsyncs() -> int:
    counter = FailingCalls(10**9, ("fsync",), errno.EIO)
    _write(MemoryDisk(counter), seeded("count"))
    return counter.seen


@pytest.mark.parametrize("times", [1, 2, 3])
def test_what_a_failed_fsync_lost_is_written_again(times: int) -> None:
    for n in range(_fsyncs()):
        rng = seeded(f"fsync {n} {times}")
        disk = MemoryDisk(FailingCalls(n, ("fsync",), errno.EIO, times))
        stored, kept = _write(disk, rng)
        disk.before = lambda call: None
        after = disk.after_power_cut(rng)
        values, store = found(after, stored)
        if kept:
            assert values == stored, f"fsync {n}"
        assert not corruption(store), f"fsync {n}"
        assert disk.open_descriptors == 0
        plan.count("T9")


def test_a_descriptor_whose_fsync_failed_is_never_used_again() -> None:
    """I8."""

    class Watched(MemoryDisk):
        def __init__(self, faults: FailingCalls) -> None:
            super().__init__(faults)
            self.failed: set[int] = set()

        def fsync(self, fd: int) -> None:  # type: ignore[override]
            assert fd not in self.failed
            try:
                super().fsync(fd)
            except OSError:
                self.failed.add(fd)
                raise

        def write(self, fd: int, data: object) -> int:  # type: ignore[override]
            assert fd not in self.failed
            return super().write(fd, data)

    for n in range(_fsyncs()):
        disk = Watched(FailingCalls(n, ("fsync",), errno.EIO, 2))
        _write(disk, seeded(f"watched {n}"))
        assert disk.failed
        plan.count("T9")


def test_bodies_that_memory_no_longer_holds_are_read_back_from_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "RETAINED_BYTES", 1000)
    disk = MemoryDisk(FailingCalls(0, ("fsync",), errno.EIO))
    log = Log(FOLDER, keys=KEYS, sync="manual", disk=disk)
    stored = records(seeded("spilled"), 20, (300,))
    for key, body in stored.items():
        log.append(Type.RESULT, body, key)
    assert log.sync()
    assert log.dropped == 0
    assert log.close()
    rng = seeded("spilled cut")
    assert found(disk.after_power_cut(rng), stored)[0] == stored


def test_bodies_are_never_left_to_a_file_that_is_removed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "RETAINED_BYTES", 1000)
    disk = MemoryDisk(FailingCalls(0, ("open",), errno.EMFILE))
    log = Log(FOLDER, keys=KEYS, sync="manual", disk=disk)
    stored = records(seeded("removed"), 20, (300,))
    for key, body in stored.items():
        log.append(Type.RESULT, body, key)
    disk.before = FailingCalls(0, ("fsync",), errno.EIO, 10**9)
    for _ in range(4):
        assert not log.sync()
    disk.before = lambda call: None
    assert log.close()
    assert log.dropped == 0
    assert found(disk, stored)[0] == stored


def test_bodies_that_a_file_has_stay_out_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "RETAINED_BYTES", 1000)
    disk = MemoryDisk(FailingCalls(0, ("fsync",), errno.EIO, 10**9))
    log = Log(FOLDER, keys=KEYS, sync="manual", disk=disk)
    for key, body in records(seeded("memory"), 20, (300,)).items():
        log.append(Type.RESULT, body, key)
    for _ in range(3):
        assert not log.sync()
        assert sum(entry.body is not None for entry in log._writer.backlog) <= 2
    disk.before = lambda call: None
    assert log.close()


def test_an_append_may_give_the_segment_up_while_it_is_synced() -> None:
    disk = MemoryDisk()
    log = Log(FOLDER, keys=KEYS, sync="manual", disk=disk)
    stored = records(seeded("meanwhile"), 2)
    (first, one), (second, two) = stored.items()

    def append_in_vain(call: str) -> None:
        if call == "fsync":
            disk.before = FailingCalls(0, ("write", "truncate"), errno.EIO, 2)
            log.append(Type.RESULT, two, second)

    log.append(Type.RESULT, one, first)
    disk.before = append_in_vain
    log.sync()
    assert log.sync()
    assert log.close()
    assert found(disk, stored)[0] == stored
    assert disk.open_descriptors == 0


def test_an_fsync_that_fails_once_is_no_trouble() -> None:
    disk = MemoryDisk(FailingCalls(0, ("fsync",), errno.EIO))
    troubles: list[StoreError] = []
    log = Log(FOLDER, keys=KEYS, sync="manual", disk=disk, on_trouble=troubles.append)
    log.append(Type.EVENT, b"")
    assert log.sync()
    assert not troubles
    assert log.close()


def test_a_body_that_cannot_be_read_back_is_counted_and_the_rest_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "RETAINED_BYTES", 1000)
    disk = MemoryDisk()
    log = Log(FOLDER, keys=KEYS, sync="manual", disk=disk)
    stored = records(seeded("unreadable"), 6, (300,))
    for key, body in stored.items():
        log.append(Type.RESULT, body, key)
    (file,) = disk.files.values()
    file.content[-10:] = bytes(10)  # the last record, as the file system gives it after the failure
    disk.before = FailingCalls(0, ("fsync",), errno.EIO)
    assert log.close()
    assert log.dropped == 1
    assert len(found(disk, stored)[0]) == len(stored) - 1


def test_a_disk_on_which_no_fsync_works_is_not_filled() -> None:
    disk = MemoryDisk(FailingCalls(0, ("fsync",), errno.EIO, 10**9))
    log = Log(FOLDER, keys=KEYS, sync="manual", disk=disk)
    for key, body in records(seeded("no fsync"), 5).items():
        log.append(Type.RESULT, body, key)
    assert not log.sync()
    files = len(disk.files)
    for _ in range(20):
        assert not log.sync()
    assert len(disk.files) == files
    assert not log.close()
    assert verdict(disk) == "torn"
