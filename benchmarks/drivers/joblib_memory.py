"""joblib.Memory: a plain function whose results are kept on disk; no tasks, no futures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib

from benchmarks.measure import PREPARED, Figures, disk_bytes, expect, peak_rss, rate, timed

computed = 0


def f(i: int) -> int:
    global computed
    computed += 1
    return i


def memoized(folder: Path) -> Any:
    return joblib.Memory(folder, verbose=0).cache(f)


def w4(n: int) -> Figures:
    g = memoized(Path("cache"))
    return rate(n, lambda: [g(i) for i in range(n)])


def w5_prepare(n: int) -> None:
    w4(n)


def w5(n: int) -> Figures:
    functions: list[Any] = []
    open_s = timed(lambda: functions.append(memoized(PREPARED / "cache")))
    replay_s = timed(lambda: [functions[0](i) for i in range(n)])
    expect(computed, n)
    disk = disk_bytes(PREPARED / "cache") / n
    return {"open": open_s, "replay": n / replay_s, "disk": disk, "peak": peak_rss() / 1e6}
