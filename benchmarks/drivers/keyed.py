"""W10: what is done with a store by itself, alike for every way to keep results by key.

A way to keep results gives something to write them with, and something to find them with.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from benchmarks.measure import PREPARED, Figures, disk_bytes, settled_rss, timed

BODY_BYTES = 1024


class Writer(Protocol):
    """Takes results."""

    def append(self, key: bytes, body: bytes) -> None: ...

    def sync(self) -> None: ...

    def close(self) -> None: ...


class Reader(Protocol):
    """Has them."""

    def find(self, key: bytes) -> bytes | None: ...


def key(number: int) -> bytes:
    """32 bytes in which neighbours have nothing in common, as digests have not."""
    return (number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % (1 << 128)).to_bytes(16, "big") * 2


def body(number: int) -> bytes:
    return number.to_bytes(8, "big") * (BODY_BYTES // 8)


def append(n: int, kept: Writer, *, each_synced: bool) -> Figures:
    """Until all is on the disk, which it is asked for after each result or once at the end."""

    def run() -> None:
        for number in range(n):
            kept.append(key(number), body(number))
            if each_synced:
                kept.sync()
        kept.sync()

    figures = {"append": n / timed(run)}
    kept.close()
    return figures


def prepare(n: int, kept: Writer) -> None:
    append(n, kept, each_synced=False)


def find(n: int, reopen: Callable[[Path], Reader], where: Path = PREPARED / "store") -> Figures:
    """A fresh process opens a store of n results and asks for all of them, in the order they were stored."""
    opened: list[Any] = []
    before = settled_rss()
    open_s = timed(lambda: opened.append(reopen(where)))
    memory = settled_rss() - before

    def run() -> None:
        for number in range(n):
            if opened[0].find(key(number)) != body(number):
                raise RuntimeError(f"result {number} is not what was stored")

    return {"opened": open_s, "found": n / timed(run), "size": disk_bytes(where) / n, "held": memory / n}
