"""Owns carrying a plan out, so that a kill or an error at any step loses nothing, and doing it again finishes the work.

    new segments → fsync → closed → read back and compared → tombstones read again → old ones unlinked, one by one
    → blobs unlinked

Until the first unlink all that is old is there, and what is new says the same once more; from then on all that is new
is durable. A tombstone that is written meanwhile is either seen by that last look, and nothing is unlinked; or whoever
writes it finds what is new, and kills that, too.
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
from parslish.care.frames import Frame, Reading, every_header
from parslish.care.leaving import Outside, Tombstones
from parslish.care.plan import Plan, StorePlan, group_of
from parslish.care.writing import refused, write_segment
from parslish.errors import BadCheckpoint, StoreError
from parslish.history import alive
from parslish.store import folder
from parslish.store.bodies import Name
from parslish.store.frame import WRITER_BYTES
from parslish.store.loading import Summarise, quickly

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
            _Rewriting(store, plan, outside.of(store.path)).run()
        except OSError as exc:
            raise refused(f"{store.path} cannot be rewritten, and nothing that was to stay is lost", exc) from exc


class _Rewriting:
    """One store, being thinned out."""

    def __init__(self, store: StorePlan, plan: Plan, outside: Tombstones) -> None:
        self._store, self._plan, self._keys, self._disk = store, plan, plan.keys, plan.disk
        self._outside = outside
        self._new: list[Path] = []
        self._named = self._named_elsewhere() if store.old else set()

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
            self._look_again({segment.summary.writer for segment in old.segments})
        except BaseException:
            for path in self._new:
                with contextlib.suppress(OSError):
                    self._disk.unlink(path)
            raise
        finally:
            old.close()
        self._unlink_old()

    def _read(self, paths: Iterable[Path], summarise: Summarise = every_header) -> Reading:
        try:
            return Reading(paths, self._keys, shared=self._plan.shared, summarise=summarise, disk=self._disk)
        except BadCheckpoint as exc:
            raise self._changed() from exc

    def _named_elsewhere(self) -> set[Name]:
        """What is named by tombstones that do not move. Raises StoreError."""
        here = self._read([self._store.path], quickly)
        here.close()
        if here.unread or self._outside.unread:
            raise self._changed()
        moving = {*self._store.old, *self._new}
        staying = tuple(one for one in here.tombstones if one.segment not in moving)
        return Tombstones(staying, tuple(here.strangers.values())).named | self._outside.named

    def _look_again(self, writers: set[bytes | None]) -> None:
        """Make sure that no tombstone has come meanwhile which names what is about to go. Raises StoreError.

        It would be in this store: they are put where that is what they name."""
        if any(writer in writers for writer, _ in self._named_elsewhere() - self._named):
            raise self._changed()

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
        if known.issuperset(folder.segments(self._disk, store.path)) and not self._is_in_use():
            for path in store.blobs:
                self._unlink(path)
            folder.sync(self._disk, store.path)

    def _is_in_use(self) -> bool:
        return alive.store(self._store.path, self._disk, self._plan.ended)

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
