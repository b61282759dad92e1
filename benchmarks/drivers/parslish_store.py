"""Our store by itself: signed frames, and what checkpoints are opened with."""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.drivers import keyed
from benchmarks.drivers.parslish import cut_index
from benchmarks.measure import PREPARED, Figures
from parslish.secret import Keys
from parslish.store.frame import Type
from parslish.store.log import Log
from parslish.store.reader import Store


class Segments:
    """One thread, which syncs nothing itself unless it is asked to."""

    def __init__(self, folder: Path, sync: str = "batch") -> None:
        self._log = Log(folder, keys=Keys.load(), sync=sync)

    def append(self, key: bytes, body: bytes) -> None:
        self._log.append(Type.RESULT, body, key)

    def sync(self) -> None:
        self._log.sync()

    def close(self) -> None:
        self._log.close()


class Opened:
    def __init__(self, folder: Path) -> None:
        self._store = Store.open([folder], Keys.load())

    def find(self, key: bytes) -> bytes | None:
        return next(self._store.find(key)).body


def append(n: int, sync: str) -> Figures:
    return keyed.append(n, Segments(Path("store"), sync), each_synced=False)


def synced(n: int) -> Figures:
    return keyed.append(n, Segments(Path("store"), "manual"), each_synced=True)


def prepare(n: int) -> None:
    keyed.prepare(n, Segments(Path("store")))


def find(n: int) -> Figures:
    return keyed.find(n, Opened)


def find_torn(n: int) -> Figures:
    """As a SIGKILL would have left it: without the index, and the mark that there is one."""
    shutil.copytree(PREPARED / "store", "store")
    cut_index(Path("store"))
    return keyed.find(n, Opened, Path("store"))
