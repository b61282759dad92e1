"""LMDB: a memory-mapped B-tree, one transaction a result."""

from __future__ import annotations

from pathlib import Path

import lmdb

from benchmarks.drivers import keyed
from benchmarks.measure import Figures

MAP_BYTES = 8 << 30


class Lmdb:
    def __init__(self, folder: Path, *, synced: bool = False) -> None:
        self._env = lmdb.open(str(folder), map_size=MAP_BYTES, sync=synced, metasync=synced)

    def append(self, key: bytes, body: bytes) -> None:
        with self._env.begin(write=True) as transaction:
            transaction.put(key, body)

    def sync(self) -> None:
        self._env.sync(True)

    def close(self) -> None:
        self._env.close()

    def find(self, key: bytes) -> bytes | None:
        with self._env.begin() as transaction:
            found: bytes | None = transaction.get(key)
            return found


def append(n: int) -> Figures:
    return keyed.append(n, Lmdb(Path("store")), each_synced=False)


def synced(n: int) -> Figures:
    return keyed.append(n, Lmdb(Path("store"), synced=True), each_synced=False)


def prepare(n: int) -> None:
    append(n)


def find(n: int) -> Figures:
    return keyed.find(n, Lmdb)
