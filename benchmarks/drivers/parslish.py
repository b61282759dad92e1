"""parslish as its user gets it: default configuration, run record on; the run folder is `runinfo` here."""

from __future__ import annotations

import itertools
import shutil
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import parslish
from benchmarks.drivers import futures
from benchmarks.measure import PREPARED, PROCESSES, Figures, disk_bytes, peak_rss, results_of, settled_rss, timed
from parslish import Config, DataFlowKernel, ProcessPoolExecutor, States, python_app

WINDOW = 1000  # futures held at a time
CLOSE_BODY, INDEX = 8, 17  # parslish/store/FORMAT.md


@python_app(cache=True)
def cached(i: int) -> int:
    return i


@python_app
def plain(i: int) -> int:
    return i


@python_app(cache=True)
def cached_next(i: int) -> int:
    return i + 1


@python_app
def plain_next(i: int) -> int:
    return i + 1


@python_app(cache=True)
def count(numbers: Sequence[int]) -> int:
    return len(numbers)


def load(**options: Any) -> DataFlowKernel:
    return parslish.load(Config(**options))


def processes() -> list[ProcessPoolExecutor]:
    return [ProcessPoolExecutor(max_workers=PROCESSES)]


def w1(n: int) -> Figures:
    return _independent(n)


def w2(n: int) -> Figures:
    return _independent(n, executors=processes())


def w4(n: int) -> Figures:
    return _independent(n, checkpoint_mode="task_exit")


def _independent(n: int, **options: Any) -> Figures:
    with load(**options):
        return futures.independent(n, cached)


def w3_threads(n: int) -> Figures:
    return _linked("thread", n, plain_next)


def w3_threads_cached(n: int) -> Figures:
    return _linked("thread", n, cached_next)


def w3_processes(n: int) -> Figures:
    return _linked("process", n, plain_next, executors=processes())


def w3_processes_cached(n: int) -> Figures:
    return _linked("process", n, cached_next, executors=processes())


def _linked(kind: str, n: int, app: Callable[[Any], Any], **options: Any) -> Figures:
    with load(**options):
        return futures.linked(kind, n, app, app)


# -------------------------------------------------------------------------------------------- W5: resuming


def w5_prepare(n: int) -> None:
    with load(checkpoint_mode="task_exit"):
        results_of(cached, range(n))


def w5(n: int) -> Figures:
    checkpoint = _own_copy()
    figures = {"disk": disk_bytes(checkpoint) / n} | _open(n)
    return figures | {"peak": peak_rss() / 1e6}


def w5_torn(n: int) -> Figures:
    """As a SIGKILL of the run before would have left it: without the index that the end of a run writes."""
    cut_index(_own_copy())
    return _open(n)


def w5_memory(n: int) -> Figures:
    """Apart, as an empty kernel has to be opened first: its modules are not the records' memory."""
    _own_copy()
    with load(checkpoint_mode="task_exit", run_dir="empty"):
        pass
    before = settled_rss()
    with load(checkpoint_mode="task_exit"):
        return {"memory": (settled_rss() - before) / n}


def _open(n: int) -> Figures:
    return futures.reopened(n, lambda: load(checkpoint_mode="task_exit"), cached, States.exec_done)


def _own_copy() -> Path:
    """A copy, since a run that continues another leaves its own folder beside it."""
    shutil.copytree(PREPARED / "runinfo", "runinfo")
    return Path("runinfo/000/checkpoint")


def cut_index(checkpoint: Path) -> None:
    (segment,) = checkpoint.glob("*.seg")
    with segment.open("r+b") as file:
        file.seek(-CLOSE_BODY, 2)
        index_at = int.from_bytes(file.read(), "little")
        file.seek(index_at + 4)
        assert int.from_bytes(file.read(2), "little") == INDEX
        file.truncate(index_at)


# --------------------------------------------------------------------------------------------- W6: memory


def w6(n: int) -> Figures:
    return _kept(n, plain)


def w6_cached(n: int) -> Figures:
    return _kept(n, cached)


def _kept(n: int, app: Callable[[int], Any]) -> Figures:
    with load():
        return futures.kept(n, app)


def w6_window(n: int) -> Figures:
    """By how many percent the process grows from a quarter of the tasks to the last one."""
    with load():
        numbers = iter(range(n))
        _through_window(itertools.islice(numbers, n // 4))
        quarter = settled_rss()
        _through_window(numbers)
        return {"growth": (settled_rss() / quarter - 1) * 100}


def _through_window(numbers: Any) -> None:
    window: deque[Any] = deque()
    for i in numbers:
        window.append(cached(i))
        if len(window) > WINDOW:
            window.popleft().result()
    for future in window:
        future.result()


# ------------------------------------------------------------------------------------------------ W9: size


def w9_chain(n: int) -> Figures:
    return _grown(n, lambda m: futures.chain(m, cached_next))


def w9_fan_in(n: int) -> Figures:
    return _grown(n, lambda m: count([cached(i) for i in range(m)]).result())


def w9_independent(n: int) -> Figures:
    return _grown(n, lambda m: results_of(cached, range(m)))


def _grown(n: int, run: Callable[[int], Any]) -> Figures:
    """Time per task at n over that at 1,000 (the median of nine, after a first), a new kernel each time."""
    small = min(1000, n)
    base = [_per_task(small, run) for _ in range(10)][1:]
    large = _per_task(n, run)
    return {"growth": large / median(base), "task": large * 1e6}


def _per_task(n: int, run: Callable[[int], Any]) -> float:
    with load():
        return timed(lambda: run(n)) / n
