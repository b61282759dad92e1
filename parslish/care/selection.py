"""Owns which results are meant: by app, run, key, age and size."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from typing import Final

from parslish.care.items import Item
from parslish.errors import UsageError
from parslish.store.bodies import Name
from parslish.store.frame import HEADER_BYTES
from parslish.store.index import ENTRY_BYTES

RECORD_BYTES: Final = HEADER_BYTES + ENTRY_BYTES  #: that a result takes beside its body and its large value
_MOST_DIGITS: Final = 18  # of the number of a run
_SHOWN: Final = 40  # characters of what is no number
Choice = Callable[[Item], bool]


@dataclass(frozen=True, slots=True)
class Filter:
    """The results that fulfil all that is given.

    Args:
        apps: names of apps.
        runs: ids or numbers of the runs that computed them ("007" and "7" are the same).
        keys: first digits of keys, in hexadecimal.
        older_than_s, newer_than_s: seconds since they were computed.
        max_bytes: the most recent of them that fit into so many bytes, with all that they take in the files of a
            store; a large value counts once.
        reachable_from: ids of runs that computed or reused them.

    Raises:
        UsageError: something is not what it has to be.
    """

    apps: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    older_than_s: float | None = None
    newer_than_s: float | None = None
    max_bytes: int | None = None
    reachable_from: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for run in (*self.runs, *self.reachable_from):
            number_of(run)
        for key in self.keys:
            if not key or not set(key) <= set("0123456789abcdef"):
                raise UsageError(
                    f"key {key!r}: takes the first digits of a key, as `parslish checkpoint ls` shows them"
                )
        for name in ("older_than_s", "newer_than_s", "max_bytes"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise UsageError(f"{name}={value!r}: takes a number that is not negative")

    @property
    def is_empty(self) -> bool:
        """Whether it leaves nothing out."""
        return self == Filter()

    def choice(self, now_s: float) -> Choice:
        """Whether a result fulfils all of it but `max_bytes` and `reachable_from`.

        Args:
            now_s: what ages count from, seconds since the epoch.
        """
        runs = {number_of(run) for run in self.runs}

        def is_chosen(item: Item) -> bool:
            age_s = now_s - item.completed
            return (
                (not self.apps or item.app in self.apps)
                and (not runs or item.run_number in runs)
                and (not self.keys or item.key.hex().startswith(self.keys))
                and (self.older_than_s is None or age_s > self.older_than_s)
                and (self.newer_than_s is None or age_s < self.newer_than_s)
            )

        return is_chosen


def number_of(run: str) -> int:
    """The number of a run. Raises UsageError."""
    if not (run.isascii() and run.isdecimal() and len(run.lstrip("0")) <= _MOST_DIGITS):
        shown = run if len(run) <= _SHOWN else f"{run[:_SHOWN]}..."
        raise UsageError(f"run {shown!r}: takes the number of a run, as 7 or 007")
    return int(run)


def both(one: Choice, other: Choice) -> Choice:
    return lambda item: one(item) and other(item)


def but(choice: Choice, kept: Container[Item]) -> Choice:
    return lambda item: choice(item) and item not in kept


def most_recent(found: Iterable[Item], max_bytes: int) -> Choice:
    """Whether a result is among the most recent of these that fit into so many bytes together. One that does not fit is
    passed over, and those behind it may; one that does not count gets the room that the others leave."""
    ranked = sorted(
        ((item.live, item.completed, item.writer, item.seq, item.size_bytes, item.blob) for item in found), reverse=True
    )
    fits: set[Name] = set()
    counted: set[bytes] = set()
    left = max_bytes
    for _, _, writer, seq, size_bytes, blob in ranked:
        if left < RECORD_BYTES:
            break
        size_bytes += RECORD_BYTES
        if blob is not None and blob.digest in counted:
            size_bytes -= blob.size
        if size_bytes <= left:
            left -= size_bytes
            fits.add((writer, seq))
            if blob is not None:
                counted.add(blob.digest)
    return lambda item: item.name in fits
