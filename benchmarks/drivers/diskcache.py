"""diskcache: a plain function whose results are kept in SQLite; no tasks, no futures."""

from __future__ import annotations

from pathlib import Path

import diskcache

from benchmarks.measure import PREPARED, Figures, disk_bytes, expect, peak_rss, rate, timed

computed = 0


def f(i: int) -> int:
    global computed
    computed += 1
    return i


def w4(n: int) -> Figures:
    with diskcache.Cache("cache") as cache:
        g = cache.memoize()(f)
        return rate(n, lambda: [g(i) for i in range(n)])


def w5_prepare(n: int) -> None:
    w4(n)


def w5(n: int) -> Figures:
    caches: list[diskcache.Cache] = []
    folder = Path(PREPARED / "cache")
    open_s = timed(lambda: caches.append(diskcache.Cache(folder)))
    with caches[0] as cache:
        g = cache.memoize()(f)
        replay_s = timed(lambda: [g(i) for i in range(n)])
    expect(computed, n)
    return {"open": open_s, "replay": n / replay_s, "disk": disk_bytes(folder) / n, "peak": peak_rss() / 1e6}
