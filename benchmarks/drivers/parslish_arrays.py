"""parslish with large arrays, W7; apart from its other workloads, which need no numpy."""

from __future__ import annotations

from typing import Any

from benchmarks.drivers import arrays
from benchmarks.drivers.parslish import load, processes
from benchmarks.measure import Figures
from parslish import python_app
from parslish.identity.value import encode

plain = python_app(arrays.same)
cached = python_app(arrays.same, cache=True)


@python_app(cache=True)
def make(megabytes: int, first: int) -> Any:
    return arrays.array_of(megabytes, first)


def w7_digest(megabytes: int) -> Figures:
    return arrays.digest(megabytes, encode)


def w7_processes(megabytes: int) -> Figures:
    with load(executors=processes()):
        return arrays.there_and_back(megabytes, plain)


def w7_processes_cached(megabytes: int) -> Figures:
    with load(executors=processes()):
        return arrays.there_and_back(megabytes, cached)


def w7_checkpoint(megabytes: int) -> Figures:
    """From the call until the array is on the disk, which `checkpoint` waits for."""
    with load(checkpoint_mode="task_exit") as kernel:

        def keep(size: int, first: int) -> Any:
            array = make(size, first).result()
            kernel.checkpoint()
            return array

        return arrays.written(megabytes, keep)
