"""Ray on this machine, two CPUs."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray

from benchmarks.measure import PROCESSES, WARM, Figures, memory_of, per_link, rate


@contextmanager
def started() -> Iterator[None]:
    folder = tempfile.mkdtemp(prefix="ray")  # not here: its sockets bear only short paths
    try:
        ray.init(num_cpus=PROCESSES, include_dashboard=False, log_to_driver=False, _temp_dir=folder)
        _run(range(-WARM, 0))
        yield
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


@ray.remote
def f(i: int) -> int:
    return i


@ray.remote
def next_of(i: int) -> int:
    return i + 1


def w2(n: int) -> Figures:
    with started():
        return rate(n, lambda: _run(range(n)))


def w3(n: int) -> Figures:
    with started():
        return per_link("process", n, lambda: _chain(n))


def w6(n: int) -> Figures:
    def kept(numbers: range) -> list[Any]:
        refs = [f.remote(i) for i in numbers]
        ray.wait(refs, num_returns=len(refs))
        return refs

    with started():
        return memory_of(n, kept)


def _run(numbers: range) -> Any:
    return ray.get([f.remote(i) for i in numbers])


def _chain(n: int) -> None:
    link: Any = 0
    for _ in range(n):
        link = next_of.remote(link)
    assert ray.get(link) == n
