"""Sample stores in memory, and the oracle that every fault test of the store asks."""

from __future__ import annotations

import os
import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from parslish.secret import Keys
from parslish.store.check import check
from parslish.store.disk import Disk
from parslish.store.folder import segments
from parslish.store.frame import NO_KEY, Type
from parslish.store.log import Log
from parslish.store.reader import Store, read_frames
from parslish.store.report import Kind
from tests.faults.disk import MemoryDisk

SEED = int(os.environ.get("PARSLISH_SEED", "20261120"))
SOAK = int(os.environ.get("PARSLISH_SOAK", "1"))  # how many times the usual number of cases
KEYS = Keys([bytes(range(32))])
FOLDER = "/run/checkpoint"
Records = dict[bytes, bytes]


def seeded(test: str) -> random.Random:
    """A generator of its own for each test; the seed is printed, and shown when the test fails."""
    print(f"PARSLISH_SEED={SEED}")
    return random.Random(f"{SEED} {test}")


def records(rng: random.Random, count: int, sizes: tuple[int, ...] = (0, 1, 40, 90)) -> Records:
    """Results to store, by key."""
    return {rng.randbytes(32): rng.randbytes(rng.choice(sizes)) for _ in range(count)}


@dataclass(frozen=True)
class Sample:
    """One segment, and the records that were stored in it."""

    name: str
    path: str
    content: bytes
    stored: Records

    def damaged(self, content: bytes) -> MemoryDisk:
        """A disk on which the segment has this content instead."""
        return MemoryDisk.holding({self.path: content})


def sample(rng: random.Random, count: int, *, closed: bool, sizes: tuple[int, ...] = (0, 1, 40, 90)) -> Sample:
    """A segment of `count` records, all synced; closed with an index, or as a kill leaves it."""
    disk = MemoryDisk()
    stored = records(rng, count, sizes)
    log = Log(FOLDER, keys=KEYS, run_number=3, sync="manual", disk=disk)
    for number, (key, body) in enumerate(stored.items()):
        log.append(Type.RESULT, body, key)
        if number % 3 == 2:
            assert log.sync()
    assert log.sync()
    torn = disk.contents()
    assert log.close()
    ((path, content),) = (disk.contents() if closed else torn).items()
    return Sample(f"{count} records, {'closed' if closed else 'torn'}", path, content, stored)


def found(disk: Disk, stored: Records, *paths: str) -> tuple[Records, Store]:
    """The records that a new reader finds; a value that was never stored fails the test at once (P1)."""
    store = Store.open(paths or (FOLDER,), KEYS, disk=disk)
    values = {}
    for key, body in stored.items():
        for record in store.find(key):
            assert record.body == body, "a value was returned that was never stored under this key"
            values[key] = record.body
    return values, store


def verdict(disk: Disk) -> str:
    """What `check` says of the sample folder."""
    return check(FOLDER, disk=disk).state


def corruption(store: Store) -> list[str]:
    """What was reported as damage."""
    return [str(finding) for finding in store.report.of(Kind.CORRUPT)]


def rewrite(folder: str, disk: Disk, *, keep: Collection[str] = ()) -> Iterator[None]:
    """What a compaction does, step by step: write the segments of a folder anew, all but some, then remove them."""
    old = [path for path in segments(disk, Path(folder)) if path.name not in keep]
    frames = [record for path in old for record in read_frames(path, KEYS, disk=disk)]
    for run in sorted({record.run_number for record in frames}):
        log = Log(folder, keys=KEYS, run_number=run, sync="manual", disk=disk)
        for record in frames:
            if record.run_number == run:
                log.append(record.type, record.body, b"" if record.key == NO_KEY else record.key)
        assert log.close()
        yield
    for path in old:
        disk.unlink(path)
        yield
