"""Ctrl-C in the middle of a write or a flush loses no entry of any thread, tells each once, and blocks nobody."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from parslish.store import log as log_module
from parslish.store import writer
from parslish.store.frame import Type
from parslish.store.log import Log
from parslish.store.sync import RETAINED_BYTES, Syncer
from tests.faults.disk import FailingCalls, MemoryDisk
from tests.faults.stores import FOLDER, KEYS, Records, found, records, seeded

STORE = str(Path(log_module.__file__).parent)
ROUNDS, POSTED = 3, 3  # writes, and what is posted before each of them; one more is appended while it is under way


@pytest.fixture
def no_sync_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is written is written by the test."""
    monkeypatch.setattr(Syncer, "_start", lambda self: None)


def on_thread(call: Callable[[], object]) -> None:
    """Call on a thread of its own, which must come back."""
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive(), "it waits for a lock that nobody gives back"


class InterruptedDisk(MemoryDisk):
    """Ctrl-C comes in the n-th call that makes a file or writes, counted from 1, when a share of its work is done."""

    def __init__(self, number: int, share: float) -> None:
        super().__init__()
        self.left, self.share = number, share
        self.meanwhile: Callable[[], None] | None = None  # called once, in the middle of a call

    def open(self, path: Any, flags: int, mode: int = 0o777) -> int:  # type: ignore[override]
        hit = bool(flags & os.O_CREAT) and self._is_hit()
        if hit and not self.share:
            raise KeyboardInterrupt
        fd = super().open(path, flags, mode)
        if hit:
            raise KeyboardInterrupt
        return fd

    def _write(self, call: str, fd: int, data: bytes) -> int:
        hit = self._is_hit()
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        if not hit:
            return super()._write(call, fd, data)
        super()._write(call, fd, data[: int(len(data) * self.share)])
        raise KeyboardInterrupt

    def _is_hit(self) -> bool:
        self.left -= 1
        return self.left == 0


class Posted:
    """Records that threads post to a log, each on its own; how often each was told."""

    def __init__(self, log: Log, stored: Records) -> None:
        self.log = log
        self.so_far: Records = {}
        self.written: Counter[bytes] = Counter()
        self.synced: Counter[bytes] = Counter()
        self._to_come = list(stored.items())

    def post(self) -> None:
        key, body = self._to_come.pop()
        self.so_far[key] = body
        then, at_last = (self.written.update, [key]), (self.synced.update, [key])
        self.log.post(Type.RESULT, body, key, when_written=then, when_synced=at_last)

    def append(self) -> None:
        self.post()
        self.log.write()

    def all_once(self) -> Counter[bytes]:
        return Counter(list(self.so_far))


def samples() -> Records:
    return records(seeded("interrupts"), ROUNDS * (POSTED + 1), (40, 90))


@pytest.mark.usefixtures("no_sync_thread")
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0], ids=["before", "halfway", "after"])
def test_what_an_interrupt_leaves_is_written_by_the_next_write(share: float) -> None:
    for number in itertools.count(1):
        disk = InterruptedDisk(number, share)
        posted = Posted(Log(FOLDER, keys=KEYS, sync="manual", disk=disk), samples())
        for _ in range(ROUNDS):
            _write_once(posted, disk)
            assert found(disk, posted.so_far)[0] == posted.so_far, number
            assert posted.written == posted.all_once(), number
        reached, disk.left = disk.left <= 0, 0
        assert posted.log.sync()
        assert posted.synced == posted.all_once(), number
        assert posted.log.dropped == 0
        assert posted.log.close()
        assert found(disk, posted.so_far)[0] == posted.so_far, number
        if not reached:
            break
    assert number > 2 * ROUNDS  # a write for what was posted, and one for what came meanwhile


def _write_once(posted: Posted, disk: InterruptedDisk) -> None:
    """Write what threads have posted; when that is interrupted, another thread writes."""
    for _ in range(POSTED):
        on_thread(posted.post)
    disk.meanwhile = lambda: on_thread(posted.append)
    try:
        posted.log.write()
    except KeyboardInterrupt:
        on_thread(posted.log.write)
    assert disk.meanwhile is None


class Interrupt:
    """Ctrl-C inside a function where the interpreter looks for it: as it enters one of the store's functions, or right
    after the n-th call of one in C from there. Counted from 1."""

    def __init__(self, number: int) -> None:
        self.left = number

    def within(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any) -> Any:
            sys.setprofile(self._hook)
            try:
                return function(*args)
            finally:
                sys.setprofile(None)

        return watched

    def _hook(self, frame: FrameType, event: str, arg: Any) -> None:
        if event in ("call", "c_return") and frame.f_code.co_filename.startswith(STORE):
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt


@pytest.mark.usefixtures("no_sync_thread")
@pytest.mark.parametrize("retained_bytes", [RETAINED_BYTES, 100], ids=["bodies in memory", "bodies left to the file"])
def test_an_interrupt_after_any_call_of_a_group_loses_nothing(
    retained_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "RETAINED_BYTES", retained_bytes)
    for number in itertools.count(1):
        interrupt = Interrupt(number)
        disk = MemoryDisk()
        posted = Posted(Log(FOLDER, keys=KEYS, sync="manual", disk=disk), samples())
        on_thread(posted.append)  # the segment is open
        monkeypatch.setattr(posted.log, "_write_group", interrupt.within(posted.log._write_group))
        for _ in range(POSTED):
            on_thread(posted.post)
        try:
            posted.log.write()
        except KeyboardInterrupt:
            on_thread(posted.log.write)
        assert found(disk, posted.so_far)[0] == posted.so_far, number
        assert posted.written == posted.all_once(), number
        reached = interrupt.left <= 0
        assert posted.log.sync()
        assert posted.synced == posted.all_once(), number
        assert posted.log.close()
        assert posted.log.dropped == 0
        assert found(disk, posted.so_far)[0] == posted.so_far, number
        if not reached:
            break
    assert number > 30


@pytest.mark.usefixtures("no_sync_thread")
def test_an_interrupt_after_any_call_of_a_flush_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in itertools.count(1):
        interrupt = Interrupt(number)
        disk = MemoryDisk()
        posted = Posted(Log(FOLDER, keys=KEYS, sync="manual", disk=disk), samples())
        for _ in range(POSTED):
            on_thread(posted.append)
        monkeypatch.setattr(posted.log._spool, "flush", interrupt.within(posted.log._spool.flush))
        with contextlib.suppress(KeyboardInterrupt):
            posted.log.sync()
        reached, interrupt.left = interrupt.left <= 0, 0
        on_thread(posted.log.sync)
        assert posted.written == posted.synced == posted.all_once(), number
        assert posted.log.close()
        assert posted.log.dropped == 0
        assert found(disk.after_power_cut(seeded(f"flush {number}")), posted.so_far)[0] == posted.so_far, number
        if not reached:
            break
    assert number > 20


@pytest.mark.usefixtures("no_sync_thread")
def test_an_interrupt_right_after_a_failed_fsync_does_not_have_the_descriptor_used_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """I8."""

    def interrupt(of: writer.Writer) -> None:
        raise KeyboardInterrupt

    disk = MemoryDisk(FailingCalls(0, ("fsync",), errno.EIO))
    posted = Posted(Log(FOLDER, keys=KEYS, sync="manual", disk=disk), samples())
    posted.append()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(writer.Writer, "give_up_segment", interrupt)
        posted.log.sync()
    assert posted.log.sync()
    assert posted.synced == posted.all_once()
    assert found(disk.after_power_cut(seeded("failed fsync")), posted.so_far)[0] == posted.so_far


@pytest.mark.parametrize("by", ["write", "sync"])
@pytest.mark.parametrize("sync", ["always", "batch", "manual"])
def test_what_an_interrupt_leaves_is_written_also_when_nobody_writes_again(sync: str, by: str) -> None:
    disk = InterruptedDisk(3, 0.0)  # the first two make the segment
    log = Log(FOLDER, keys=KEYS, sync=sync, disk=disk)
    written = threading.Semaphore(0)

    def append() -> None:
        log.post(Type.EVENT, b"", when_written=(written.release,))
        log.write()

    disk.meanwhile = lambda: on_thread(append)
    log.post(Type.EVENT, b"", when_written=(written.release,))
    with pytest.raises(KeyboardInterrupt):
        getattr(log, by)()
    for _ in range(2):
        assert written.acquire(timeout=30)
    assert log.close()
    assert log.dropped == 0


def test_what_another_error_left_unwritten_is_synced_in_time_after_the_next_write() -> None:
    def refuse(call: str) -> None:
        if call == "write":
            disk.before = lambda call: None
            raise MemoryError

    disk = MemoryDisk()
    log = Log(FOLDER, keys=KEYS, sync="batch", disk=disk)
    synced = threading.Semaphore(0)
    log.append(Type.EVENT, b"", when_synced=(synced.release,))
    assert synced.acquire(timeout=30)
    disk.before = refuse
    with pytest.raises(MemoryError):
        log.append(Type.EVENT, b"", when_synced=(synced.release,))
    log.append(Type.EVENT, b"", when_synced=(synced.release,))
    for _ in range(2):
        assert synced.acquire(timeout=30)
    assert log.close()
