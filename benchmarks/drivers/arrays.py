"""Large arrays, W7: what all peers are handed, and numpy itself as the measure of writing one.

Sizes are in megabytes of 10⁶ bytes.
"""

from __future__ import annotations

import os
from collections.abc import Callable
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
    """Gigabytes a second on the way of arrays to the disk, after a small one: five of 100 MB, one of a gigabyte.

    Args:
        write: is given megabytes and the first number of an array, and returns it when it is on the disk. All of them
            are kept, as results are.
    """
    need_memory(8 * megabytes)
    kept = [write(1, -1)]
    repeats = max(1, min(REPEATS, 500 // megabytes))
    return {
        "write": megabytes / 1e3 / median(timed(lambda i=i: kept.append(write(megabytes, i))) for i in range(repeats))
    }  # type: ignore[misc]


def need_memory(megabytes: int) -> None:
    """Raise an error that says so, rather than have the system end a process."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e6
    if free < megabytes:
        raise MemoryError(f"{megabytes:,} MB of free memory are needed, and there are {free:,.0f}")


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
