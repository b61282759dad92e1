"""Owns what becomes of each frame when a store is thinned out."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Collection, Sequence
from typing import Final

from parslish.care.frames import Frame, Reading, dead
from parslish.care.items import Item, item_of
from parslish.care.selection import Choice
from parslish.store import bodies
from parslish.store.bodies import Name
from parslish.store.frame import HEADER_BYTES, Type
from parslish.store.index import ENTRY_BYTES

#: A result is superseded by a later one, killed by a tombstone, or chosen to go. Any frame may be there twice; a
#: tombstone or a note of a base is idle when there is nothing left that it names, or another one says the same.
STAYS, SUPERSEDED, KILLED, CHOSEN, TWICE, IDLE = range(6)
RESULT_GOES: Final = (SUPERSEDED, KILLED, CHOSEN)


class Fates:
    """The fates of frames, given one by one in the order of `Reading`.

    Args:
        reading: what they are from.
        moving: the tombstones among them.
        gone: those of them that tombstones name; under these names nothing will be found any more.
        goes: which results are to go; None: none but those that do not count.
    """

    def __init__(self, reading: Reading, moving: Sequence[Frame], gone: Collection[Name], goes: Choice | None) -> None:
        self.codes = bytearray()
        self.rewritten: dict[Name, bytes] = {}  #: tombstones some of whose names are gone → their new bodies
        self.results = 0
        self.all_known = True  #: whether it is known of all results that stay which blobs they refer to
        self._reading, self._gone, self._goes = reading, gone, goes
        self._dead = dead(moving)
        self._given: set[Name] = set()
        self._bases: set[bytes] = set()
        self._unread: set[tuple[int, bytes, bytes]] = set()
        self._best: dict[bytes, tuple[tuple[int, Name], int]] = {}  # of keys with several results: rank and place
        self._sizes = array("Q")  # of each frame, with its entry in the index
        self._blobs: dict[int, bytes] = {}  # place of a frame → digest

    def add(self, found: Frame) -> None:
        """Decide about one more frame; that may decide about an earlier one too."""
        self._sizes.append(
            HEADER_BYTES + found.header.length + (ENTRY_BYTES if found.header.type == Type.RESULT else 0)
        )
        self.codes.append(STAYS)
        self.codes[-1] = self._fate(found)

    def keep_all(self) -> None:
        """Let all of them stay after all."""
        self.codes = bytearray(len(self.codes))

    @property
    def size_bytes(self) -> int:
        """Of the frames that stay."""
        return sum(size for size, code in zip(self._sizes, self.codes, strict=True) if code == STAYS)

    @property
    def references(self) -> set[bytes]:
        """The digests of the blobs that the results which stay refer to."""
        return {digest for place, digest in self._blobs.items() if self.codes[place] == STAYS}

    def _fate(self, found: Frame) -> int:
        if found.name in self._given:
            return TWICE
        if found.header.writer in self._reading.split_writers:
            self._given.add(found.name)
        if found.header.type == Type.RESULT:
            self.results += 1
            return self._fate_of_result(found)
        if found.header.type == Type.TOMBSTONE:
            return self._fate_of_tombstone(found)
        if found.header.type == Type.BASES:
            idle = found.body in self._bases
            self._bases.add(found.body)
            return IDLE if idle else STAYS
        return STAYS

    def _fate_of_tombstone(self, found: Frame) -> int:
        named = bodies.kills(found.body)
        rest = [name for name in named if name not in self._gone]
        if found.name in self._dead or (named and not rest):
            return IDLE
        if len(rest) < len(named):
            facts = {each: value for each, value in bodies.tombstone_facts(found.body).items() if each != "kills"}
            self.rewritten[found.name] = bodies.tombstone(rest, facts)
        return STAYS

    def _fate_of_result(self, found: Frame) -> int:
        place = len(self.codes) - 1
        item = item_of(found, live=False)
        if item is not None and item.blob is not None:
            self._blobs[place] = item.blob.digest
        self.all_known &= item is not None
        if found.name in self._dead:
            return KILLED
        if item is None:
            return self._fate_of_unread(found)
        if self._goes is not None and self._goes(item):
            return CHOSEN
        return self._rank(item, place) if self._reading.is_repeated(item.key) else STAYS

    def _fate_of_unread(self, found: Frame) -> int:
        """A compaction that was killed may have left a copy, by another writer; no facts tell which one counts."""
        same = found.header.run, found.header.key, hashlib.blake2b(found.body, digest_size=16).digest()
        if same in self._unread:
            return TWICE
        self._unread.add(same)
        return STAYS

    def _rank(self, item: Item, place: int) -> int:
        """Of the results with one key the highest rank stays."""
        mine = (item.run_number, item.name), place
        best = self._best.setdefault(item.key, mine)
        if best > mine:
            return SUPERSEDED
        if best < mine:
            self.codes[best[1]] = SUPERSEDED
            self._best[item.key] = mine
        return STAYS
