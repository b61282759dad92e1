"""Stores in memory for the tests of care, and the oracles that they ask: what counts, and whether all is well."""

from __future__ import annotations

import itertools
import os
import random
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from parslish.care.frames import Reading
from parslish.result import VALUE, StoredResult
from parslish.secret import Keys
from parslish.store import blobs, bodies, folder
from parslish.store.blobs import Blobs
from parslish.store.bodies import Name
from parslish.store.check import check
from parslish.store.disk import Disk
from parslish.store.frame import Type
from parslish.store.log import Log
from parslish.store.reader import Store
from tests.faults.disk import MemoryDisk

SEED = int(os.environ.get("PARSLISH_SEED", "20261121"))
SOAK = int(os.environ.get("PARSLISH_SOAK", "1"))  # how many times the usual number of cases
KEYS = Keys([bytes(range(32))])
NEWER_KEYS = Keys([bytes(range(1, 33)), KEYS.signing])
OTHER_KEYS = Keys([bytes(range(2, 34))])
FOLDER = Path("/care/003/checkpoint")
BASE = Path("/care/001/checkpoint")
FOREIGN = (b"elsewher", 5)  # a frame of a store that is not here
NOW = 1_700_000_000.0
DAY = 86400.0
Live = dict[bytes, bytes]


def seeded(test: str) -> random.Random:
    """A generator of its own for each test; the seed is printed, and shown when the test fails."""
    print(f"PARSLISH_SEED={SEED}")
    return random.Random(f"{SEED} {test}")


def key(n: int) -> bytes:
    """The n-th key."""
    return n.to_bytes(2, "big") * 16


def body(app: str = "relax", text: bytes = b"a value", *, task: int = 7, age_s: float = 0.0) -> bytes:
    """A result that nobody can open."""
    return StoredResult(VALUE, app, task, NOW - age_s, 0.5, (), b"\x80" + text).pack()


def large(where: Path, disk: Disk, content: bytes = b"large", *, app: str = "relax", age_s: float = 0.0) -> bytes:
    """A result whose value is in a blob of that folder."""
    folder.make(disk, where)
    reference = Blobs(where, disk).put([[content]])
    return StoredResult(VALUE, app, 7, NOW - age_s, 0.5, (), reference.pack()).pack()


class Writer:
    """One writer of a store in memory; `log` takes whatever else a test wants to append."""

    def __init__(self, disk: Disk, folder: Path = FOLDER, *, run: int = 3, keys: Keys = KEYS) -> None:
        self.log = Log(folder, keys=keys, run_number=run, sync="manual", disk=disk)
        self._disk, self._folder, self._keys = disk, folder, keys

    def add(self, results: Mapping[bytes, bytes]) -> Writer:
        for each, content in results.items():
            self.log.append(Type.RESULT, content, each)
        return self

    def kill(self, names: Iterable[Name], **facts: str) -> Writer:
        self.log.append(Type.TOMBSTONE, bodies.tombstone(names, facts))
        return self

    def close(self) -> None:
        assert self.log.close()

    def leave(self) -> None:
        """Sync, and be killed."""
        assert self.log.sync()


def name_of(disk: Disk, wanted: bytes, folder: Path = FOLDER, keys: Keys = KEYS) -> Name:
    """What a tombstone calls the result that counts for a key."""
    return next(Store.open([folder], keys, disk=disk).find(wanted)).name


def live(disk: Disk, wanted: Iterable[bytes], *folders: Path, keys: Keys = KEYS) -> Live:
    """What counts for each key, as a script would find it; and nothing is to be warned of."""
    store = Store.open(folders or [FOLDER], keys, disk=disk)
    found = {each: record.body for each in wanted if (record := next(store.find(each), None))}
    assert store.report.warnings == []
    for content in found.values():
        reference = blobs.reference_in(StoredResult.unpack(content).encoded)
        if reference is not None:
            assert blobs.check(disk, (folders or [FOLDER])[0], reference) is None, "a blob went that is referred to"
    return found


def files(disk: MemoryDisk, suffix: str, folder: Path = FOLDER) -> list[str]:
    """The names of a folder's files that end in `suffix`."""
    return sorted(name for name in disk.listdir(folder) if name.endswith(suffix))


def state(disk: Disk, folder: Path = FOLDER) -> str:
    """What `check` says of a folder."""
    return check(folder, disk=disk).state


def copied(disk: MemoryDisk) -> MemoryDisk:
    """Another disk with the same files, all durable."""
    new = MemoryDisk.holding(disk.contents())
    new.folders |= disk.folders
    return new


def rich(keys: Keys = KEYS) -> tuple[MemoryDisk, list[bytes]]:
    """A store with all that a compaction has to deal with, and its keys."""
    disk = MemoryDisk()
    first = Writer(disk).add({key(n): body(text=b"first %d" % n, age_s=90 * DAY) for n in range(6)})
    first.log.append(Type.EVENT, b"an event")
    first.log.append(200, b"what only newer versions know")
    first.add({key(20): large(FOLDER, disk, b"superseded"), key(21): large(FOLDER, disk, b"stays")})
    first.close()
    second = Writer(disk, run=4).add({key(0): body(text=b"second 0"), key(20): body("other", b"no longer large")})
    second.kill([name_of(disk, key(1)), FOREIGN], reason="wrong basis")
    second.close()
    third = Writer(disk, run=2).add({key(30 + n): body("other", b"third %d" % n) for n in range(3)})
    third.log.add_base(BASE)
    third.kill([name_of(disk, key(2))])
    third.close()
    fourth = Writer(disk, keys=keys).add({key(40): body(text=b"fourth")})
    fourth.log.add_base(BASE)
    fourth.kill([tombstone_of(disk, key(30))])
    fourth.close()
    Writer(disk, run=5).add({key(50): body(text=b"fifth"), key(3): body(text=b"fifth 3")}).leave()
    put(disk, FOLDER / ("0" * 32 + blobs.UNFINISHED), b"half a blo")
    put(disk, FOLDER / "notes.txt", b"not ours")
    Writer(disk, BASE, run=1).add({key(60): body(text=b"base")}).close()
    return disk, [key(n) for n in range(70)]


def tombstone_of(disk: Disk, writer_of: bytes) -> Name:
    """What to call the tombstone that was written by who wrote the result for a key."""
    writer, _ = name_of(disk, writer_of)
    return next(one.name for one in Reading([FOLDER], KEYS, disk=disk).tombstones if one.name[0] == writer)


def put(disk: Disk, path: Path, content: bytes) -> None:
    """Make a durable file."""
    fd = disk.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    disk.write(fd, content)
    disk.fsync(fd)
    disk.close(fd)
    folder.sync(disk, path.parent)


def with_version(content: bytes | bytearray, version: int) -> bytes:
    """A segment whose header says that it is of another version of the format."""
    new = bytearray(content)
    struct.pack_into("<H", new, 8, version)
    struct.pack_into("<I", new, 60, zlib.crc32(bytes(new[:60])))
    return bytes(new)


class Cut(BaseException):
    """The process is killed."""


def cutting(first: int) -> Callable[[str], None]:
    """For `MemoryDisk.before`: a kill before call number `first`, counted from 0."""
    seen = itertools.count()

    def before(call: str) -> None:
        if next(seen) >= first:
            raise Cut

    return before
