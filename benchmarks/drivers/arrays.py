"""Large arrays, W7: what all peers are handed, and numpy itself as the measure of writing one.

Sizes are in megabytes of 10⁶ bytes.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.measure import Figures, timed

REPEATS = 5


def array_of(megabytes: int, first: int = 0) -> Any:
    """Numbers from `first` on: arrays that begin differently differ."""
    return np.arange(first, first + megabytes * 125_000, dtype=np.float64)


def same(array: Any) -> Any:
    return array


def digest(megabytes: int, digest_of: Callable[[Any], Any]) -> Figures:
    """Gigabytes a second; the median of several, in a warm process."""
    array = array_of(megabytes)
    digest_of(array_of(1))
    return {"digest": megabytes / 1e3 / median(timed(lambda: digest_of(array)) for _ in range(REPEATS))}


def there_and_back(megabytes: int, submit: Callable[[Any], Any]) -> Figures:
    """Seconds until an array has been to a worker and back; another array each time, after two to warm up."""
    arrays = [array_of(megabytes, first) for first in range(REPEATS + 2)]
    taken = [timed(lambda array=array: submit(array).result()) for array in arrays]  # type: ignore[misc]
    return {"trip": median(taken[2:])}


def written(megabytes: int, write: Callable[[int, int], Any]) -> Figures:
    """Gigabytes a second on the way of arrays to the disk; the median of several, after a small one.

    Args:
        write: is given megabytes and the first number of an array, and returns it when it is on the disk. All of them
            are kept, as results are.
    """
    need_memory((REPEATS + 4) * megabytes)
    kept = [write(1, -1)]
    taken = []
    for first in range(REPEATS):
        touch_memory(1000 + 3 * megabytes)
        taken.append(timed(lambda first=first: kept.append(write(megabytes, first))))  # type: ignore[misc]
    return {"write": megabytes / 1e3 / median(taken)}


def touch_memory(megabytes: int) -> None:
    """Use memory and give it back, so that what follows finds it there.

    A virtual machine gets from its host, the first time that it is used, memory that was free for seconds: at 0.5 GB/s
    on ours, which would be most of what is measured, and more for whoever comes first.
    """
    array_of(megabytes)


def need_memory(megabytes: int) -> None:
    """Raise an error that says so, rather than have the system end a process."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    available = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")) * 1024 / 1e6
    if available < megabytes:
        raise MemoryError(f"{megabytes:,} MB of memory are needed, and there are {available:,.0f}")


def w7_save(megabytes: int) -> Figures:
    """Make an array, save it, and have it on the disk."""
    return written(megabytes, _save)


def _save(megabytes: int, first: int) -> Any:
    array = array_of(megabytes, first)
    with open(f"{first}.npy", "wb") as file:
        np.save(file, array)
        file.flush()
        os.fsync(file.fileno())
    return array
