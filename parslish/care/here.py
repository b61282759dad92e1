"""Owns what a run folder says of results that might be copied into it: which it has, and which were invalidated."""

from __future__ import annotations

from pathlib import Path

from parslish.care.frames import Reading, dead
from parslish.care.items import Item
from parslish.errors import ConfigurationError, StoreError, UsageError
from parslish.secret import Keys
from parslish.store.disk import Disk
from parslish.store.loading import quickly
from parslish.store.reader import Store
from parslish.utils import get_all_checkpoints


class Here:
    """The results of a run folder.

    Args:
        run_dir: the folder, which need not be there.
        keys: whose signatures count.
        shared: accept what other users own or can write to.

    Raises:
        UsageError: it is no folder.
        BadCheckpoint: a store in it cannot be read.
        StoreError: it cannot be listed.
    """

    def __init__(self, run_dir: Path, keys: Keys, *, shared: bool, disk: Disk) -> None:
        stores = checkpoints(run_dir)
        self._store = Store.open(stores, keys, shared=shared, disk=disk)
        reading = Reading(stores, keys, shared=shared, bases=True, summarise=quickly, disk=disk)
        self._dead = dead(reading.tombstones)
        writers = {writer for writer, _ in self._dead}
        homes = [segment for segment in reading.segments if segment.summary.writer in writers]
        found = (each for segment in homes for each in reading.frames(segment))
        self._dead_keys = {each.header.key for each in found if each.name in self._dead}
        reading.close()

    def has(self, item: Item) -> bool:
        """Whether a result counts here for the same key."""
        return item.key in self._store

    def has_invalidated(self, item: Item) -> bool:
        """Whether it was invalidated here, or one for the same key was; there may be another that counts."""
        return item.key in self._dead_keys or item.name in self._dead


def checkpoints(run_dir: Path) -> list[str]:
    """The stores of a run folder. Raises UsageError, StoreError."""
    try:
        if run_dir.exists() and not run_dir.is_dir():
            raise UsageError(
                f"{str(run_dir)!r} is no folder: name a run folder, or one that is not there yet, with --into"
            )
        return get_all_checkpoints(run_dir)
    except (ConfigurationError, OSError) as exc:
        cause = exc.__cause__ or exc
        why = cause.strerror if isinstance(cause, OSError) else cause
        raise StoreError(f"{str(run_dir)!r} cannot be listed ({why}): name another run folder with --into") from exc
