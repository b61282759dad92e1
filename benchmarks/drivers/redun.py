"""redun: a task that calls n others, with its database in memory (W1, W2) and in a file (W4, W5)."""

from __future__ import annotations

from typing import Any

from redun import Scheduler, task
from redun.config import Config

from benchmarks.measure import PREPARED, PROCESSES, THREADS, WARM, Figures, disk_bytes, expect, peak_rss, rate, timed

redun_namespace = "benchmarks"
computed = 0


@task()  # type: ignore[untyped-decorator]
def f(i: int) -> int:
    global computed
    computed += 1
    return i


@task(cache=False)  # type: ignore[untyped-decorator]
def every(first: int, last: int) -> list[int]:
    return [f(i) for i in range(first, last)]


def scheduler(mode: str = "thread", database: str | None = None) -> Any:
    workers = PROCESSES if mode == "process" else THREADS
    sections: dict[str, dict[str, Any]] = {"executors.default": {"type": "local", "mode": mode, "max_workers": workers}}
    if database is not None:
        sections["backend"] = {"db_uri": f"sqlite:///{database}"}
    opened = Scheduler(config=Config(sections))
    opened.load()
    return opened


def w1(n: int) -> Figures:
    return _independent(n, scheduler())


def w2(n: int) -> Figures:
    return _independent(n, scheduler("process"))


def w4(n: int) -> Figures:
    return _independent(n, scheduler(database="redun.db"))


def _independent(n: int, s: Any) -> Figures:
    s.run(every(-WARM, 0))
    return rate(n, lambda: s.run(every(0, n)))


def w5_prepare(n: int) -> None:
    scheduler(database="redun.db").run(every(0, n))


def w5(n: int) -> Figures:
    opened: list[Any] = []
    database = PREPARED / "redun.db"
    open_s = timed(lambda: opened.append(scheduler(database=str(database))))
    replay_s = timed(lambda: opened[0].run(every(0, n)))
    expect(computed, n)
    return {"open": open_s, "replay": n / replay_s, "disk": disk_bytes(database) / n, "peak": peak_rss() / 1e6}
