"""T6 and T7: the N-th call of the store to the system fails, or is the last one that is made."""

from __future__ import annotations

import errno
import os
import random
import threading
from typing import Any

import pytest

from parslish.errors import StoreError, StoreFull
from parslish.store.check import check
from parslish.store.frame import Type
from parslish.store.log import Log
from tests.faults import plan
from tests.faults.disk import FailingCalls, MemoryDisk
from tests.faults.stores import FOLDER, KEYS, Records, corruption, found, records, seeded, verdict

ERRORS = ["ENOSPC", "EDQUOT", "EIO", "EMFILE", "EACCES", "ESTALE", None]
CALLS = ("open", "write", "writev", "fsync", "truncate")
SIZES = (0, 40, 70_000)


class Program:
    """Appends records and syncs now and then; keeps what the log promised."""

    def __init__(self, rng: random.Random, disk: MemoryDisk) -> None:
        self.stored: Records = records(rng, 10, SIZES)
        self.answered: list[bytes] = []
        self.promised: set[bytes] = set()
        self.troubles: list[StoreError] = []
        self.recoveries = 0
        self.log = Log(
            FOLDER,
            keys=KEYS,
            sync="manual",
            disk=disk,
            on_trouble=self.troubles.append,
            on_recovery=self._recovered,
        )

    def _recovered(self) -> None:
        self.recoveries += 1

    def run(self) -> None:
        for number, (key, body) in enumerate(self.stored.items()):
            self.log.append(Type.RESULT, body, key, when_synced=(self.answered.append, key))
            if number % 4 == 3:
                self._promise(self.log.sync(), number + 1)
        self._promise(self.log.close(), len(self.stored))

    def _promise(self, synced: bool, count: int) -> None:
        if synced:
            self.promised |= set(list(self.stored)[:count])


def _count_calls(calls: tuple[str, ...]) -> int:
    counter = FailingCalls(10**9, calls, errno.EIO)
    Program(seeded("count"), MemoryDisk(counter)).run()
    return counter.seen


@pytest.mark.parametrize("times", [1, 2, 5], ids=["once", "twice", "five times"])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error or "short write")
def test_an_error_at_any_call_fails_nothing_and_loses_nothing_that_was_promised(error: str | None, times: int) -> None:
    code = None if error is None else getattr(errno, error)
    calls = ("write", "writev") if code is None else CALLS
    for n in range(_count_calls(calls)):
        faults = FailingCalls(n, calls, code, times)
        disk = MemoryDisk()
        program = Program(seeded(f"{error} {n}"), disk)
        disk.before = faults
        program.run()
        disk.before = lambda call: None
        assert faults.failed, f"call {n}: the fault was never met"
        _check(program, disk, f"{error} at call {n}")
        plan.count("T7")


def _check(program: Program, disk: MemoryDisk, case: str) -> None:
    assert sorted(program.answered) == sorted(program.stored), f"{case}: each is answered once"
    assert disk.open_descriptors == 0, f"{case}: descriptors leak"
    values, store = found(disk, program.stored)
    assert values.keys() >= program.promised, f"{case}: a promised record is lost"
    store.close()
    after = disk.after_power_cut(seeded(case))
    values, store = found(after, program.stored)
    assert values.keys() >= program.promised, f"{case}: a promised record is lost in a power cut"
    assert not corruption(store), case
    assert found(after, program.stored)[0] == values, f"{case}: recovering twice gives the same"
    assert len(program.troubles) - program.recoveries in (0, 1), case
    assert (program.log.trouble is not None) == (len(program.troubles) > program.recoveries), case
    if program.log.trouble is None:
        assert program.promised == set(program.stored), case


@pytest.mark.parametrize("error", ["ENOSPC", "EIO", None], ids=lambda error: error or "killed")
def test_whatever_call_is_the_last_one_what_was_written_is_found(error: str | None) -> None:
    """A kill at the N-th call: all later calls, of whatever kind, have no effect."""
    calls = (*CALLS, "unlink", "mkdir")
    for n in range(_count_calls(calls) - 2):
        disk = MemoryDisk()
        program = Program(seeded(f"last {error} {n}"), disk)
        disk.before = FailingCalls(n, calls, errno.EIO if error is None else getattr(errno, error), 10**9)
        program.run()
        disk.before = lambda call: None
        values, store = found(disk, program.stored)
        assert values.keys() >= program.promised, f"call {n}"
        assert not corruption(store), f"call {n}"
        assert verdict(disk) in ("torn", "clean"), f"call {n}"
        plan.count("T6")


@pytest.mark.parametrize("truncates", [True, False], ids=["cut back", "cannot be cut back"])
def test_half_a_frame_is_not_left_before_the_next_one(truncates: bool) -> None:
    for n in range(_count_calls(("write", "writev"))):
        full = FailingCalls(n, ("write", "writev"), errno.ENOSPC, 3, short_first=True)
        broken = FailingCalls(0, () if truncates else ("truncate",), errno.EIO, 10**9)
        disk = MemoryDisk()
        program = Program(seeded(f"half {n}"), disk)
        disk.before = lambda call, full=full, broken=broken: broken(call) or full(call)  # type: ignore[misc]
        program.run()
        disk.before = lambda call: None
        assert full.failed > 1
        _check(program, disk, f"half a frame at call {n}")
        if truncates and program.log.trouble is None:
            sentences = [one.sentence for one in check(FOLDER, disk=disk).segments]
            assert not any("damaged" in sentence or "cannot" in sentence for sentence in sentences), n
        plan.count("T7")


def test_a_kill_at_any_call_takes_nothing_that_was_told_as_written() -> None:
    told: set[bytes] = set()
    moments: list[tuple[dict[str, bytes], set[bytes]]] = []
    disk = MemoryDisk(lambda call: moments.append((disk.contents(), set(told))))
    stored = records(seeded("told"), 6)
    log = Log(FOLDER, keys=KEYS, sync="batch", disk=disk)
    for key, body in stored.items():
        log.post(Type.RESULT, body, key, when_written=(told.add, key))
        log.write()
    assert log.close()
    assert told == set(stored)
    for number, (files, seen) in enumerate(moments):
        left = MemoryDisk.holding(files)
        left.folders.add(FOLDER)
        assert found(left, stored)[0].keys() >= seen, f"a record that was told as written is lost at call {number}"
        plan.count("T6")


def test_a_disk_that_writes_nothing_and_gives_no_error_is_one_that_refuses() -> None:
    disk = MemoryDisk()
    program = Program(seeded("nothing"), disk)
    disk.before = lambda call: 0 if call in ("write", "writev") else None
    for key, body in program.stored.items():
        program.log.append(Type.RESULT, body, key)
    assert len(program.troubles) == 1
    disk.before = lambda call: None
    assert program.log.close()
    assert found(disk, program.stored)[0] == program.stored
    plan.count("T7")


def test_a_full_disk_is_told_once_and_so_is_its_end() -> None:
    disk = MemoryDisk()
    program = Program(seeded("full"), disk)
    disk.before = FailingCalls(5, ("write", "writev"), errno.ENOSPC, 10**9)
    for key, body in program.stored.items():
        program.log.append(Type.RESULT, body, key)
    assert [type(trouble) for trouble in program.troubles] == [StoreFull]
    assert "free some" in str(program.troubles[0])
    assert not program.log.sync()
    disk.before = lambda call: None
    assert program.log.sync()
    assert program.log.trouble is None
    assert program.recoveries == 1
    assert program.log.close()
    assert found(disk, program.stored)[0] == program.stored
    assert verdict(disk) == "clean"


def test_a_log_in_trouble_tries_again_by_itself() -> None:
    disk = MemoryDisk(FailingCalls(1, ("write",), errno.ENOSPC, 3))
    recovered = threading.Event()
    log = Log(FOLDER, keys=KEYS, sync="batch", disk=disk, on_recovery=recovered.set, retry_s=0.01)
    stored = records(seeded("retry"), 5)
    for key, body in stored.items():
        log.append(Type.RESULT, body, key)
    assert recovered.wait(30)
    assert log.close()
    assert found(disk, stored)[0] == stored


class SmallDisk(MemoryDisk):
    """With room for so many bytes in all."""

    room = 20_000

    def write(self, fd: int, data: Any) -> int:  # type: ignore[override]
        if sum(map(len, self.contents().values())) + len(data) > self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(fd, data)

    def writev(self, fd: int, pieces: Any) -> int:  # type: ignore[override]
        return self.write(fd, b"".join(pieces))


@pytest.mark.parametrize("at_once", [False, True])
def test_what_is_too_large_for_the_room_that_is_left_does_not_keep_the_rest(at_once: bool) -> None:
    disk = SmallDisk()
    log = Log(FOLDER, keys=KEYS, sync="manual", disk=disk)
    small = records(seeded("small"), 40, (100,))
    large = records(seeded("large"), 2, (100_000, 300_000))
    for key, body in [*large.items(), *small.items()]:
        log.post(Type.RESULT, body, key)
        if not at_once:
            log.write()
    log.write()
    assert not log.sync()
    assert found(disk, small | large)[0] == small
    disk.room = 1_000_000
    assert log.sync() and log.trouble is None
    assert log.close() and not log.dropped
    assert found(disk, small | large)[0] == small | large
    assert verdict(disk) == "clean"


def test_with_nothing_left_to_write_the_trouble_ends_when_the_disk_takes_something() -> None:
    disk = MemoryDisk(FailingCalls(0, ("open",), errno.EROFS, 10**9))
    recoveries: list[bool] = []
    log = Log(
        FOLDER, keys=KEYS, sync="manual", disk=disk, backlog_bytes=1000, on_recovery=lambda: recoveries.append(True)
    )
    log.append(Type.RESULT, bytes(2000), bytes(32))
    assert log.dropped == 1
    assert not log.sync() and not recoveries, "it was dropped, and the disk goes on refusing"
    disk.before = lambda call: None
    assert log.sync() and recoveries == [True]
    assert log.close() and log.dropped == 1
    assert verdict(disk) == "clean"


def test_what_is_too_large_to_be_held_is_dropped_before_it_is_encoded() -> None:
    troubles: list[StoreError] = []
    log = Log(FOLDER, keys=KEYS, sync="manual", disk=MemoryDisk(), backlog_bytes=1000, on_trouble=troubles.append)
    no_space = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert not log.refuse(1000, no_space) and log.trouble is None
    assert log.refuse(1001, no_space)
    assert log.dropped == 1 and troubles == [log.trouble]
    assert log.sync(), "it takes other results"
    assert log.close() and log.dropped == 1


def test_a_full_backlog_drops_the_newest_and_counts_them() -> None:
    disk = MemoryDisk()
    disk.before = FailingCalls(0, ("open",), errno.ENOSPC, 10**9)
    log = Log(FOLDER, keys=KEYS, sync="manual", disk=disk, backlog_bytes=3000)
    stored = records(seeded("backlog"), 6, (500,))
    answered: list[bytes] = []
    for key, body in stored.items():
        log.append(Type.RESULT, body, key, when_synced=(answered.append, key))
    assert log.dropped == 4
    assert len(answered) == 6
    disk.before = lambda call: None
    assert log.close()
    values, store = found(disk, stored)
    assert list(values) == list(stored)[:2]
    assert not store.report.findings


def test_what_cannot_be_written_by_the_end_is_counted() -> None:
    disk = MemoryDisk(FailingCalls(0, ("open",), errno.EMFILE, 10**9))
    log = Log(FOLDER, keys=KEYS, disk=disk, sync="manual")
    for key, body in records(seeded("end"), 4).items():
        log.append(Type.RESULT, body, key)
    assert not log.close()
    assert log.dropped == 4
    assert isinstance(log.trouble, StoreError)
