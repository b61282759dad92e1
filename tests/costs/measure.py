"""Counts one kind of cost and prints it as JSON: `python -m tests.costs.measure calls|locks|memory|disk|hops`.

In a process of its own, since locks are counted from their making, and in an empty folder. All figures are of 1,000
tasks, but those of `hops`, which are of a lone one.
"""

from __future__ import annotations

import gc
import json
import sys
import threading
import tracemalloc
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any
from unittest import mock

from tests.costs.counters import Calls, Counters, Locks

Figures = dict[str, Any]

KEPT = 5_000  # futures, after 1,000 others
BESIDE = frozenset({"parslish-recorder", "parslish-sync"})  # no task waits for these


def calls() -> Figures:
    """Calls of functions, and of those the ones that enter the system."""
    return _by_side(Calls())


def locks() -> Figures:
    """How often a lock is taken."""
    counters = Locks()
    counters.install()
    return _by_side(counters)


def _by_side(counters: Counters) -> Figures:
    from tests.costs import runs  # after the locks are in place

    figures: Figures = {}
    for run in (runs.threads, runs.task_exit, runs.task_exit_packs, runs.hits):
        run(counters.side)
        figures |= {f"{run.__name__}, {name}": count for name, count in counters.taken().items()}
    runs.processes(counters.side, counters.on_side)
    return figures | {f"processes, {name}": count for name, count in counters.taken().items()}


def memory() -> Figures:
    """What there is of a task that waits to run, and what stays of one whose future is kept."""
    _memory(None, 10)  # what a first kernel makes and drops again
    return {
        f"{name}, {what}": value
        for name, mode in (("threads", None), ("task_exit", "task_exit"))
        for what, value in _memory(mode, KEPT).items()
    }


def _memory(mode: str | None, count: int) -> Figures:
    from benchmarks.budget_held import HeldThreads
    from tests.costs import runs

    executor = HeldThreads()
    with runs.kernel(executor, checkpoint_mode=mode) as (kernel, recorder):
        kept = [runs.same(i) for i in range(-runs.N, 0)]
        _settle(executor, kernel, recorder)
        tracemalloc.start()
        before = _in_memory()
        kept += [runs.same(i) for i in range(count)]
        waiting = _in_memory()
        _settle(executor, kernel, recorder)
        after = _in_memory()
        tracemalloc.stop()
        assert all(future.done() for future in kept)
    figures = {"waiting": waiting, "kept": after}
    return {
        f"{when}: {what}": round((now[what] - before[what]) * runs.N / count)
        for when, now in figures.items()
        for what in before
    }


def _settle(executor: Any, kernel: Any, recorder: Any) -> None:
    """All has run, and events and results are on the disk."""
    executor.work()
    recorder._write_gathered()
    recorder._log.sync()
    if kernel.config.checkpoint_mode:
        kernel.checkpoint()


def _in_memory() -> dict[str, int]:
    gc.collect()  # which also stops following tuples that hold only atoms
    return {"objects that are followed": len(gc.get_objects()), "bytes": tracemalloc.get_traced_memory()[0]}


def disk() -> Figures:
    """Writes and fsyncs from the first task to the end of the run, with a thread for fsyncs that is always at once."""
    from parslish.store.disk import OS_DISK
    from parslish.store.sync import Syncer
    from tests.costs import runs

    figures: Figures = {}
    for run in (runs.threads, runs.task_exit, runs.task_exit_packs):
        counters = Counters()

        def begin(name: str, counters: Counters = counters) -> AbstractContextManager[None]:
            counters.on_side("to the end")
            return nullcontext()

        with ExitStack() as stack:
            for name in ("write", "writev", "fsync"):
                stack.enter_context(mock.patch.object(OS_DISK, name, _noted(counters, name, getattr(OS_DISK, name))))
            stack.enter_context(mock.patch.object(Syncer, "request", _sync_at_once))
            run(begin)
        figures |= {f"{run.__name__}, {name}": count for name, count in counters.taken().items()}
    return figures


def _noted(counters: Counters, name: str, call: Any) -> Any:
    def noted(*args: Any) -> Any:
        counters.note(name)
        return call(*args)

    return noted


def _sync_at_once(syncer: Any, delay_s: float) -> None:
    if not delay_s:
        syncer._sync()


def hops() -> Figures:
    """Which threads a lone task passes through, from its call to its resolved future."""
    import parslish
    from parslish import Config, ProcessPoolExecutor, ThreadPoolExecutor
    from tests.costs import runs

    figures: Figures = {}
    for name, make, mode in (
        ("threads", ThreadPoolExecutor, None),
        ("task_exit", ThreadPoolExecutor, "task_exit"),
        ("processes", ProcessPoolExecutor, None),
    ):
        options: dict[str, Any] = {"checkpoint_mode": mode}
        with parslish.load(Config([make(name, 1)], **options)):
            runs.same(-1).result()
            figures[name] = _threads_of(lambda: runs.same(1).result())
        parslish.clear()
    return figures


def _threads_of(call: Callable[[], Any]) -> list[str]:
    """The names of the threads on which the stations of a task are passed, one after the other."""
    from parslish.lean import LeanFuture
    from parslish.scheduler import Scheduler
    from parslish.store.segment import SegmentWriter

    names: list[str] = []

    def noted(function: Any) -> Any:
        def passed(*args: Any, **kwargs: Any) -> Any:
            name = threading.current_thread().name
            if name not in BESIDE and names[-1:] != [name]:
                names.append(name)
            return function(*args, **kwargs)

        return passed

    stations: list[tuple[Any, str]] = [(Scheduler, each) for each in ("begin", "started", "deliver", "deliver_all")]
    stations += [(SegmentWriter, "append"), (LeanFuture, "set_result")]
    with ExitStack() as stack:
        for owner, name in stations:
            stack.enter_context(mock.patch.object(owner, name, noted(getattr(owner, name))))
        call()
    return names


if __name__ == "__main__":
    gc.disable()
    print(json.dumps(globals()[sys.argv[1]](), indent=2))
