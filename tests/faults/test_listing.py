"""T14: stale listings, ESTALE, files that are gone between listing and open, and an fsync that takes its time.

A writer and a compaction work at the same store as a reader on another host: at each of the reader's calls they may go
a step further, and what the reader is shown may be old. No wrong value, no exception, and nothing told of damage.
"""

from __future__ import annotations

import errno
import os
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import parslish
from parslish import Config, ThreadPoolExecutor, python_app
from parslish.errors import BadCheckpoint
from parslish.secret import Keys
from parslish.store import listing
from parslish.store.disk import OS_DISK, Disk
from parslish.store.frame import Type
from parslish.store.log import Log
from parslish.store.reader import Store, read_frames
from parslish.store.report import Kind
from tests.faults import plan
from tests.faults.disk import MemoryDisk
from tests.faults.drivers import PATIENCE_S
from tests.faults.stores import KEYS, SEED, SOAK, rewrite

CASES = 200 * SOAK
MOST_STEPS = 60
RUN_DIR = "/run"
FAULTS = ("stale", "gone", "error", "late", "settled")


class Others:
    """Those who write: each `step` is one thing that another process does."""

    def __init__(self, disk: MemoryDisk, rng: random.Random) -> None:
        self.disk, self.rng = disk, rng
        self.stored: dict[bytes, bytes] = {}
        self.runs: list[str] = []
        self._rewriting: Iterator[None] = iter(())
        self._steps_left = MOST_STEPS  # else they would keep a reader busy for ever
        self._begin_run()

    def step(self) -> None:
        if not self._steps_left:
            return
        self._steps_left -= 1
        choice = self.rng.random()
        if next(self._rewriting, self) is not self:
            return  # a compaction has gone a step further
        if choice < 0.6:
            self._append()
        elif choice < 0.75:
            self._log.close()
            self._begin_run() if self.rng.random() < 0.5 else self._begin_segment()
        elif choice < 0.9:
            folder = self.rng.choice(self.runs)
            self._rewriting = rewrite(folder, self.disk, keep=self._alive())
        else:
            self._log.sync()

    def end(self) -> None:
        for _ in self._rewriting:
            pass
        self._log.close()

    def _append(self) -> None:
        for _ in range(self.rng.randrange(1, 4)):
            key = self.rng.randbytes(32)
            body = self.rng.randbytes(self.rng.choice((0, 5, 80, 5000)))
            self._log.append(Type.RESULT, body, key)
            self.stored[key] = body

    def _begin_run(self) -> None:
        self.runs.append(f"{RUN_DIR}/{len(self.runs):03d}/checkpoint")
        self._begin_segment()

    def _begin_segment(self) -> None:
        before = set(self.disk.files)
        self._log = Log(self.runs[-1], keys=KEYS, run_number=len(self.runs), sync="manual", disk=self.disk)
        self._append()
        (self._current,) = set(self.disk.files) - before

    def _alive(self) -> list[str]:
        return [os.path.basename(self._current)]


class Elsewhere(Disk):
    """A disk as another host sees it: old listings, old sizes, handles of files that its server has not any more."""

    def __init__(self, disk: MemoryDisk, others: Others, rng: random.Random, faults: set[str]) -> None:
        self._disk, self._others, self._rng = disk, others, rng
        self.faults = faults
        self._busy = False
        self._held: dict[int, tuple[str, Any]] = {}
        self._shown: dict[str, tuple[list[str], Any]] = {}
        self._sizes: dict[str, int] = {}  # of each file, when it was first opened
        self._was_late: set[str] = set()

    def _meanwhile(self) -> None:
        if self._busy or self._rng.random() > 0.15:
            return
        self._busy = True
        self._others.step()
        self._busy = False

    def _fails(self, share: float) -> bool:
        return "error" in self.faults and self._rng.random() < share

    def listdir(self, path: Any) -> list[str]:  # type: ignore[override]
        self._meanwhile()
        return list(self._show(os.fspath(path))[0])

    def stat(self, path: Any, *, follow_symlinks: bool = True) -> Any:  # type: ignore[override]
        self._meanwhile()
        name = os.fspath(path)
        return self._show(name)[1] if name in self._disk.folders else self._disk.stat(name)

    def _show(self, folder: str) -> tuple[list[str], Any]:
        is_old = folder in self._shown and "stale" in self.faults and self._rng.random() < 0.7
        if not is_old:
            self._shown[folder] = (self._disk.listdir(folder), self._disk.stat(folder))
        return self._shown[folder]

    def open(self, path: Any, flags: int, mode: int = 0o777) -> int:  # type: ignore[override]
        self._meanwhile()
        if self._fails(0.05):
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        fd = self._disk.open(path, flags, mode)
        name = os.fspath(path)
        self._held[fd] = (name, self._disk.files[name])
        self._sizes.setdefault(name, len(self._disk.files[name].content))
        return fd

    def fstat(self, fd: int) -> Any:  # type: ignore[override]
        self._meanwhile()
        return self._disk._stat(self._name(fd))

    def pread(self, fd: int, size: int, offset: int) -> bytes:  # type: ignore[override]
        self._meanwhile()
        if self._fails(0.05):
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        name, file = self._held[fd]
        if "gone" not in self.faults:
            self._name(fd)
        block = bytes(file.content[offset : offset + size])
        new = max(0, self._sizes[name] - offset)
        if "late" in self.faults and name not in self._was_late and new < len(block) and self._rng.random() < 0.3:
            self._was_late.add(name)  # its size is known here, and the last of its bytes are not
            shown = self._rng.randrange(new, len(block))
            block = block[:shown] + bytes(len(block) - shown)
        return block

    def _name(self, fd: int) -> str:
        """The file of a descriptor, which its server has lost when it was removed."""
        name, _ = self._held[fd]
        if name not in self._disk.files:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return name

    def close(self, fd: int) -> None:  # type: ignore[override]
        del self._held[fd]
        self._disk.close(fd)


@pytest.mark.parametrize("block", range(20))
def test_a_reader_elsewhere_finds_what_is_stored_and_is_told_of_no_damage(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    print(f"PARSLISH_SEED={SEED}, {CASES} cases")
    for case in range(block, CASES, 20):
        rng = random.Random(f"{SEED} listing {case}")
        faults = {fault for fault in FAULTS if rng.random() < 0.5}
        try:
            follow(rng, faults, monkeypatch)
        except BaseException:
            print(f"case {case}: {sorted(faults)}")
            raise
        plan.count("T14")


def follow(rng: random.Random, faults: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One case: a reader looks around while others work, then all come to rest."""
    monkeypatch.setattr(listing, "SETTLED_S", 0.0 if "settled" in faults else 3.0)
    disk = MemoryDisk()
    others = Others(disk, rng)
    for _ in range(rng.randrange(10)):
        others.step()
    seen = Elsewhere(disk, others, rng, faults)
    store = Store.open([], KEYS, found=lambda: map(Path, others.runs), disk=seen)
    known: set[bytes] = set()
    for _ in range(rng.randrange(5, 25)):
        if rng.random() < 0.5:
            store.refresh()
        look(store, others, rng, known, surely="stale" not in faults and "error" not in faults)
    others.end()
    seen.faults = set()
    seen._busy = True
    store.refresh()
    store.refresh()  # what was in doubt
    for key, body in others.stored.items():
        assert [record.body for record in store.find(key)] == [body]
    assert len(store) == len(others.stored)
    told = {finding.kind for finding in store.report.warnings}
    assert told <= ({Kind.UNREADABLE} if "error" in faults else set()), store.report.warnings
    store.close()
    del store
    assert not disk.open_descriptors


def look(store: Store, others: Others, rng: random.Random, known: set[bytes], *, surely: bool) -> None:
    """Ask for some results: what is found is right; with `surely`, what was found before is found again."""
    keys = list(others.stored)
    for key in rng.sample(keys, min(len(keys), 5)):
        for record in store.find(key):
            assert record.body == others.stored[key]
            known.add(key)
    if surely:
        for key in list(known):
            assert key in store


@pytest.mark.parametrize("case", range(10))
def test_frames_are_read_each_once_while_segments_are_replaced(case: int) -> None:
    rng = random.Random(f"{SEED} frames {case}")
    print(f"PARSLISH_SEED={SEED}")
    disk = MemoryDisk()
    others = Others(disk, rng)
    for _ in range(20):
        others.step()
    seen = Elsewhere(disk, others, rng, set())
    for run in list(others.runs):
        seen._busy = True
        there = {record.key for record in read_frames(run, KEYS, types={Type.RESULT}, disk=disk)}
        seen._busy = False
        read = [record.key for record in read_frames(run, KEYS, types={Type.RESULT}, disk=seen)]
        assert len(read) == len(set(read))
        assert set(read) >= there
    others.end()


def test_a_run_that_is_removed_between_listing_and_opening_keeps_no_kernel_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from parslish import live_run

    Path("runinfo/000/checkpoint").mkdir(parents=True)
    gone = [str(tmp_path / "runinfo" / number / "checkpoint") for number in ("000", "042")]
    monkeypatch.setattr(live_run, "get_all_checkpoints", lambda run_dir: gone)
    with parslish.load(Config(checkpoint_mode="task_exit")):
        pass
    with pytest.raises(BadCheckpoint):
        parslish.load(Config(checkpoint_mode="task_exit", checkpoint_files=gone))


def test_an_fsync_that_takes_its_time_keeps_neither_callers_nor_readers_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @python_app(cache=True)
    def square(x: int) -> int:
        return x * x

    begun, ends = threading.Event(), threading.Event()
    fsync = OS_DISK.fsync

    def slow(fd: int) -> None:
        begun.set()
        assert ends.wait(PATIENCE_S)
        fsync(fd)

    monkeypatch.setattr(OS_DISK, "fsync", slow)
    with parslish.load(Config([ThreadPoolExecutor()], checkpoint_mode="task_exit")) as kernel:
        assert square(2).result(PATIENCE_S) == 4
        assert begun.wait(PATIENCE_S)
        store = Store.open([Path(kernel.run_dir, "checkpoint")], Keys.load())
        assert len(store) == 1
        assert [square(x).result(PATIENCE_S) for x in range(100)] == [x * x for x in range(100)]
        assert store.refresh()
        assert len(store) == 100
        assert not ends.is_set()
        ends.set()
    assert not store.report.warnings
