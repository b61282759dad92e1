"""Owns carrying a plan out, so that a kill or an error at any step loses nothing, and doing it again finishes the work.

    new segments → fsync → closed → read back and compared → old ones unlinked, one by one → blobs unlinked

Until the first unlink all that is old is there, and what is new says the same once more; from then on all that is new
is durable.
"""

from __future__ import annotations

import contextlib
import secrets
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby, zip_longest
from pathlib import Path
from typing import Final

from parslish.care.fates import IDLE, KILLED, STAYS
from parslish.care.frames import Frame, Reading
from parslish.care.leaving import Outside
from parslish.care.plan import Plan, StorePlan, group_of
from parslish.care.writing import refused, write_segment
from parslish.errors import BadCheckpoint, StoreError
from parslish.history import alive
from parslish.store import bodies, folder
from parslish.store.frame import WRITER_BYTES
from parslish.store.loading import quickly

_TAIL_BITS: Final = 32  # of a new writer's id; the rest is that of a writer in whose place it is
Staying = tuple[Frame, bytes]  # a frame, and what is to be its body
_SAFE: Final = "nothing that was to stay is lost, and doing the same again finishes the work"


def carry_out(plan: Plan) -> None:
    """Thin stores out as planned.

    Raises:
        StoreFull, StoreError: the disk refuses, or somebody else has changed a store since. All that was to stay is
            there, and another plan finishes the work.
    """
    outside = Outside(plan.keys, shared=plan.shared, disk=plan.disk)
    for store in plan.stores:
        if store.is_empty:
            continue
        try:
            _Rewriting(store, plan, outside).run()
        except OSError as exc:
            raise refused(f"{store.path} cannot be rewritten, and nothing that was to stay is lost", exc) from exc


class _Rewriting:
    """One store, being thinned out."""

    def __init__(self, store: StorePlan, plan: Plan, outside: Outside) -> None:
        self._store, self._keys, self._shared, self._disk = store, plan.keys, plan.shared, plan.disk
        here = Reading([store.path], plan.keys, shared=plan.shared, summarise=quickly, disk=plan.disk)
        here.close()
        others = [one for one in here.tombstones if one.segment not in store.old]
        self._named = {name for one in (*outside.of(store.path), *others) for name in bodies.kills(one.body)}
        self._new: list[Path] = []

    def run(self) -> None:
        if self._store.old:
            self._replace()
        if self._store.blobs:
            self._unlink_blobs()

    def _replace(self) -> None:
        old = self._read(sorted(self._store.old))
        try:
            self._write(self._staying(old))
            self._compare(self._staying(old))
        except BaseException:
            for path in self._new:
                with contextlib.suppress(OSError):
                    self._disk.unlink(path)
            raise
        finally:
            old.close()
        self._unlink_old()

    def _read(self, paths: Iterable[Path]) -> Reading:
        try:
            return Reading(paths, self._keys, shared=self._shared, disk=self._disk)
        except BadCheckpoint as exc:
            raise self._changed() from exc

    def _staying(self, old: Reading) -> Iterator[Staying]:
        """The frames that stay. Raises StoreError."""
        fates = iter(self._store.fates)
        for segment in old.in_order():
            for found in old.frames(segment):
                fate = next(fates, None)
                if fate is None or found.name in self._named:
                    raise self._changed()
                if fate == STAYS:
                    yield found, self._store.rewritten.get(found.name, found.body)
        if next(fates, None) is not None:
            raise self._changed()

    def _changed(self) -> StoreError:
        return StoreError(f"{self._store.path} is not what it was when this was planned; {_SAFE}")

    def _write(self, staying: Iterator[Staying]) -> None:
        fences = self._store.fences
        for (run, _), frames in groupby(staying, key=lambda each: group_of(fences, each[0])):
            first = next(frames)
            contents = ((found.header.type, found.header.key, body) for found, body in chain([first], frames))
            writer = _new_writer(fences.get(run, ()), first[0].header.writer)
            self._new.append(
                write_segment(self._store.path, contents, keys=self._keys, run=run, writer=writer, disk=self._disk).path
            )

    def _compare(self, staying: Iterator[Staying]) -> None:
        """Read back what was written. Raises StoreError."""
        new = self._read(self._new)
        try:
            written = (found for segment in new.segments for found in new.frames(segment))
            for old, found in zip_longest(staying, written):
                if old is None or found is None or not _is_same(old, found):
                    raise StoreError(f"{self._store.path}: what was written cannot be read back; {_SAFE}")
        finally:
            new.close()

    def _unlink_old(self) -> None:
        # What a tombstone names must not be there longer than itself, in a power cut neither.
        in_steps = any(fate in self._store.fates for fate in (KILLED, IDLE))
        for path in self._store.old:
            self._unlink(path)
            if in_steps:
                folder.sync(self._disk, self._store.path)
        folder.sync(self._disk, self._store.path)

    def _unlink_blobs(self) -> None:
        """Unlink the blobs that nobody refers to, unless somebody has come who might."""
        store = self._store
        known = {*store.segments, *self._new}
        if known.issuperset(folder.segments(self._disk, store.path)) and not alive.store(store.path, self._disk):
            for path in store.blobs:
                self._unlink(path)
            folder.sync(self._disk, store.path)

    def _unlink(self, path: Path) -> None:
        with contextlib.suppress(FileNotFoundError):  # somebody else was faster
            self._disk.unlink(path)


def _is_same(staying: Staying, written: Frame) -> bool:
    (old, body), new = staying, written.header
    return (old.header.run, old.header.type, old.header.key, body) == (new.run, new.type, new.key, written.body)


def _new_writer(fences: Sequence[bytes], before: bytes) -> bytes:
    """An id for the writer that takes the place of another: it ranks alike among those that are left alone, and all
    but certainly among those of other stores."""
    old = int.from_bytes(before, "big")
    low, high = old >> _TAIL_BITS << _TAIL_BITS, old | (1 << _TAIL_BITS) - 1
    place = bisect_left(fences, before)
    if place > 0:
        low = max(low, int.from_bytes(fences[place - 1], "big") + 1)
    if place < len(fences):
        high = min(high, int.from_bytes(fences[place], "big") - 1)
    return (low + secrets.randbelow(high - low + 1)).to_bytes(WRITER_BYTES, "big")
