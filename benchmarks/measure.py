"""Owns the measuring that all drivers share: clocks, memory, disk; standard library only, for every environment."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

#: What a driver returns: the figure's name -> the number.
Figures = dict[str, float]

#: Where a row's `prepare` function ran, seen from the folder of a measurement.
PREPARED = Path("../prepared")

THREADS = PROCESSES = 2
WARM = 100  # tasks, with numbers below 0, before a clock starts


def timed(call: Callable[[], Any]) -> float:
    """The seconds that `call` takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def rate(n: int, call: Callable[[], Any]) -> Figures:
    """How many of `n` things a second `call` does."""
    return {"rate": n / timed(call)}


def per_link(kind: str, n: int, call: Callable[[], Any]) -> Figures:
    """How many microseconds each of the `n` links takes that `call` goes through, in "thread" or "process"."""
    return {f"{kind}_link": timed(call) / n * 1e6}


def results_of(submit: Callable[[int], Any], numbers: Iterable[int]) -> list[Any]:
    """Submit all, keep all futures, take all results."""
    futures = [submit(i) for i in numbers]
    return [future.result() for future in futures]


def memory_of(n: int, make: Callable[[range], Any]) -> Figures:
    """By how many bytes a future this process grows while `n` futures that `make` returns are kept."""
    first = make(range(-1000, 0))  # kept too: what they would leave free, the others would take
    before = settled_rss()
    kept = make(range(n))
    grown = settled_rss() - before
    assert len(kept) + len(first) == n + 1000
    return {"future": grown / n}


def settled_rss() -> int:
    """The bytes this process holds, without garbage."""
    gc.collect()
    return _status("VmRSS")


def peak_rss() -> int:
    """The most bytes this process has held; not `ru_maxrss`, which begins with the parent's."""
    return _status("VmHWM")


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise AssertionError(field)


def disk_bytes(folder: Path) -> int:
    """What a folder occupies on the disk, blocks and directories included."""
    return sum(path.lstat().st_blocks * 512 for path in (folder, *folder.rglob("*")))


def expect(computed: int, n: int) -> None:
    """A replay that computed anything is no replay."""
    if computed:
        raise RuntimeError(f"{computed} of {n} results were computed again, not replayed")
