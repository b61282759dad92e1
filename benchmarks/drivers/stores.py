"""What the standard library offers to keep results by key: SQLite, a stream of pickles, a file for each."""

from __future__ import annotations

import os
import pickle
import sqlite3
from pathlib import Path
from typing import Any

from benchmarks.drivers import keyed
from benchmarks.measure import Figures


class Sqlite:
    """One transaction a result, write-ahead log."""

    def __init__(self, folder: Path, synchronous: str = "NORMAL") -> None:
        folder.mkdir(exist_ok=True)
        self._file = sqlite3.connect(folder / "results.sqlite", isolation_level=None)
        self._file.execute("PRAGMA journal_mode=WAL")
        self._file.execute(f"PRAGMA synchronous={synchronous}")
        self._file.execute("CREATE TABLE IF NOT EXISTS results (key BLOB PRIMARY KEY, body BLOB) WITHOUT ROWID")

    def append(self, key: bytes, body: bytes) -> None:
        self._file.execute("INSERT OR REPLACE INTO results VALUES (?, ?)", (key, body))

    def sync(self) -> None:
        """Done by each transaction, if at all."""

    def close(self) -> None:
        self._file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._file.close()

    def find(self, key: bytes) -> bytes | None:
        found = self._file.execute("SELECT body FROM results WHERE key = ?", (key,)).fetchone()
        return None if found is None else found[0]


class Stream:
    """Pickles one after the other, flushed to the system after each; read from the first to the last, as Parsl's."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._path = folder / "results.pkl"
        self._file: Any = self._path.open("ab")
        self._loaded: dict[bytes, bytes] = {}

    @classmethod
    def loaded(cls, folder: Path) -> Stream:
        stream = cls(folder)
        with stream._path.open("rb") as file:
            while True:
                try:
                    found = pickle.load(file)
                except EOFError:
                    return stream
                stream._loaded[found["hash"]] = found["result"]

    def append(self, key: bytes, body: bytes) -> None:
        pickle.dump({"hash": key, "exception": None, "result": body}, self._file)
        self._file.flush()

    def sync(self) -> None:
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()

    def find(self, key: bytes) -> bytes | None:
        return self._loaded.get(key)


class Files:
    """A file for each result, in 256 folders; written beside and renamed."""

    def __init__(self, folder: Path, *, synced: bool = False) -> None:
        self._folder, self._synced = folder, synced
        for number in range(256):
            (folder / f"{number:02x}").mkdir(parents=True, exist_ok=True)

    def append(self, key: bytes, body: bytes) -> None:
        path = self._path(key)
        with open(f"{path}.new", "wb") as file:
            file.write(body)
            if self._synced:
                file.flush()
                os.fsync(file.fileno())
        os.rename(f"{path}.new", path)

    def sync(self) -> None:
        """Done for each file, if at all."""

    def close(self) -> None:
        pass

    def find(self, key: bytes) -> bytes | None:
        with open(self._path(key), "rb") as file:
            return file.read()

    def _path(self, key: bytes) -> str:
        name = key.hex()
        return f"{self._folder}/{name[:2]}/{name[2:]}"


def sqlite(n: int) -> Figures:
    return keyed.append(n, Sqlite(Path("store")), each_synced=False)


def sqlite_synced(n: int) -> Figures:
    return keyed.append(n, Sqlite(Path("store"), "FULL"), each_synced=True)


def sqlite_prepare(n: int) -> None:
    keyed.prepare(n, Sqlite(Path("store")))


def sqlite_find(n: int) -> Figures:
    return keyed.find(n, Sqlite)


def stream(n: int) -> Figures:
    return keyed.append(n, Stream(Path("store")), each_synced=False)


def stream_synced(n: int) -> Figures:
    return keyed.append(n, Stream(Path("store")), each_synced=True)


def stream_prepare(n: int) -> None:
    keyed.prepare(n, Stream(Path("store")))


def stream_find(n: int) -> Figures:
    return keyed.find(n, Stream.loaded)


def files(n: int) -> Figures:
    return keyed.append(n, Files(Path("store")), each_synced=False)


def files_synced(n: int) -> Figures:
    return keyed.append(n, Files(Path("store"), synced=True), each_synced=True)


def files_prepare(n: int) -> None:
    keyed.prepare(n, Files(Path("store")))


def files_find(n: int) -> Figures:
    return keyed.find(n, Files)
