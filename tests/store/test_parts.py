"""Bodies in several pieces, and memory that is only lent: what is found is what was there when it was written."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from parslish.store import frame
from parslish.store.check import check
from parslish.store.frame import Type
from parslish.store.log import Log
from parslish.store.parts import Parts
from parslish.store.reader import Store
from tests.faults.disk import FailingCalls, MemoryDisk
from tests.faults.stores import FOLDER, KEYS, Records, corruption, found, seeded, verdict

KEY = bytes(range(32))
SIZE = 300_000


def lent(memory: bytearray) -> Parts:
    return Parts([b"facts", memoryview(memory), b"end"], lent=True)


def appended(log: Log, memory: bytearray) -> Records:
    """What should be found, once `memory` has been lent to the log."""
    stored = {KEY: bytes(lent(memory))}
    log.append(Type.RESULT, lent(memory), KEY)
    return stored


def opened(disk: MemoryDisk | None = None) -> Log:
    return Log(FOLDER, keys=KEYS, sync="manual", disk=disk or MemoryDisk())


def test_parts_are_digested_and_measured_as_the_bytes_that_they_are() -> None:
    parts = Parts([b"", b"a" * 3_000_000, memoryview(b"bc")])
    assert bytes(parts) == b"a" * 3_000_000 + b"bc"
    assert len(parts) == 3_000_002
    assert frame.digest(parts) == frame.digest(bytes(parts))


def test_parts_are_stored_as_one_body_however_many_they_are(tmp_path: Path) -> None:
    rng = seeded("parts")
    log = Log(tmp_path / "store", keys=KEYS)
    stored = {}
    for count in (1, 3, 1023, 1024, 5000):
        parts = Parts([rng.randbytes(rng.choice([0, 1, 700])) for _ in range(count)])
        key = count.to_bytes(32, "big")
        stored[key] = bytes(parts)
        log.append(Type.RESULT, parts, key)
    assert log.close()
    store = Store.open([tmp_path / "store"], KEYS)
    assert {key: next(store.find(key)).body for key in stored} == stored
    assert check(tmp_path / "store").state == "clean"


@pytest.mark.parametrize("short", [0, 1, 130, SIZE])
def test_a_short_write_of_parts_goes_on_where_it_stopped(short: int) -> None:
    disk = MemoryDisk(lambda call: short if call == "writev" else None)
    log = opened(disk)
    stored = appended(log, bytearray(seeded("short").randbytes(SIZE)))
    assert log.close()
    assert found(disk, stored)[0] == stored


def test_lent_memory_may_be_changed_once_it_is_written() -> None:
    disk = MemoryDisk()
    log = opened(disk)
    memory = bytearray(SIZE)
    stored = appended(log, memory)
    memory[:] = b"x" * SIZE
    memory.clear()  # which it refuses while anybody holds a view of it
    assert log.close()
    assert found(disk, stored)[0] == stored


def test_lent_memory_that_was_changed_since_is_not_what_a_failed_fsync_has_written_again() -> None:
    disk = MemoryDisk()
    log = opened(disk)
    memory = bytearray(SIZE)
    stored = appended(log, memory)
    memory[:] = b"x" * SIZE
    disk.before = FailingCalls(0, ("fsync",), errno.EIO)
    assert log.sync()
    assert log.close()
    assert found(disk.after_power_cut(seeded("lent")), stored)[0] == stored


@pytest.mark.parametrize("call", ["open", "writev"])
def test_lent_memory_is_copied_where_it_has_to_wait_for_the_disk(call: str) -> None:
    disk = MemoryDisk(FailingCalls(0, (call,), errno.ENOSPC))
    log = opened(disk)
    first, second = bytearray(b"1" * SIZE), bytearray(b"2" * SIZE)
    stored = {KEY[::-1]: bytes(lent(first))}
    log.append(Type.RESULT, lent(first), KEY[::-1])
    assert log.trouble is not None
    stored |= appended(log, second)
    first.clear()
    second.clear()
    assert log.close()
    assert log.dropped == 0
    assert found(disk, stored)[0] == stored


def test_lent_memory_that_changes_while_it_is_written_is_stored_as_it_became() -> None:
    memory = bytearray(SIZE)

    def change(call: str) -> None:
        if call == "writev":
            memory[1000] += 1

    disk = MemoryDisk(change)
    log = opened(disk)
    log.append(Type.RESULT, lent(memory), KEY)
    stored = {KEY: next(Store.open([FOLDER], KEYS, disk=disk).find(KEY)).body}
    assert stored[KEY][5 + 1000] == 1
    assert log.trouble is None
    assert log.close()
    values, store = found(disk, stored)
    assert values == stored
    assert not corruption(store)
    assert verdict(disk) == "clean"


@pytest.mark.parametrize("call", ["writev", "truncate"])
def test_an_error_on_the_way_to_a_second_write_costs_nothing(call: str) -> None:
    memory = bytearray(SIZE)
    failing = FailingCalls(1 if call == "writev" else 0, (call,), errno.EIO)

    def change_and_fail(called: str) -> int | None:
        if called == "writev":
            memory[1000] = 1
        return failing(called)

    disk = MemoryDisk(change_and_fail)
    log = opened(disk)
    log.append(Type.RESULT, lent(memory), KEY)
    stored = {KEY: bytes(lent(memory))}
    assert log.trouble is not None
    disk.before = lambda call: None
    memory.clear()
    assert log.close()
    assert log.dropped == 0
    assert found(disk, stored)[0] == stored


def test_where_memory_is_short_for_a_copy_the_record_is_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Parts) -> bytes:
        raise MemoryError

    monkeypatch.setattr(Parts, "__bytes__", fail)
    disk = MemoryDisk(FailingCalls(0, ("writev",), errno.ENOSPC))
    log = opened(disk)
    called: list[None] = []
    log.append(Type.RESULT, lent(bytearray(SIZE)), KEY, when_synced=lambda: called.append(None))
    assert called
    log.append(Type.RESULT, b"small", KEY)
    assert log.close()
    assert log.dropped == 1
    assert found(disk, {KEY: b"small"})[0] == {KEY: b"small"}
