"""Owns what becomes of each frame when a store is thinned out."""

from __future__ import annotations

import hashlib
from array import array
from collections import defaultdict
from collections.abc import Collection, Container, Sequence
from typing import Final

from parslish.care.frames import Frame, Reading, dead
from parslish.care.items import Item, item_of
from parslish.care.selection import Choice
from parslish.care.writing import segment_bytes
from parslish.store import bodies
from parslish.store.blobs import Reference
from parslish.store.bodies import Name
from parslish.store.frame import HEADER_BYTES, Type
from parslish.store.segment import SPECIALS

#: A result is superseded by a later one, killed by a tombstone, chosen to go, or of no use without its large value. Any
#: frame may be there twice; a tombstone or a note of a base is idle when there is nothing left that it names, or
#: another one says the same.
STAYS, SUPERSEDED, KILLED, CHOSEN, LOST, TWICE, IDLE = range(7)
RESULT_GOES: Final = (SUPERSEDED, KILLED, CHOSEN, LOST)
_OTHER, _RESULT, _SPECIAL = range(3)
Group = tuple[int, int]  # of frames that go to one segment: run number, and how many that are left alone come before


class Fates:
    """The fates of frames, given one by one in the order of `Reading`.

    Args:
        reading: what they are from.
        moving: the tombstones among them.
        gone: those of them that tombstones name; under these names nothing will be found any more.
        goes: which results are to go; None: none but those that do not count.
        lost: the large values that can never be read again.
        force: let go of the results that refer to them.
    """

    def __init__(
        self,
        reading: Reading,
        moving: Sequence[Frame],
        gone: Collection[Name],
        goes: Choice | None,
        lost: Container[Reference],
        *,
        force: bool,
    ) -> None:
        self.codes = bytearray()
        self.rewritten: dict[Name, bytes] = {}  #: tombstones some of whose names are gone → their new bodies
        self.results = 0
        self.all_known = True  #: whether it is known of all results that stay which blobs they refer to
        self.lost = 0  #: results whose large value is lost, whether they go or not
        self._reading, self._gone, self._goes, self._lost, self._force = reading, gone, goes, lost, force
        self._dead = dead(moving)
        self._given: set[Name] = set()
        self._bases: set[bytes] = set()
        self._unread: set[tuple[int, bytes, bytes]] = set()
        self._best: dict[bytes, tuple[tuple[int, Name], int]] = {}  # of keys with several results: rank and place
        self._sizes, self._sorts, self._groups = array("Q"), bytearray(), array("L")  # of each frame
        self._numbers: dict[Group, int] = {}
        self._blobs: dict[int, bytes] = {}  # place of a frame → digest

    def add(self, found: Frame, group: Group) -> None:
        """Decide about one more frame, which goes to that group's segment; that may decide about an earlier one too."""
        self.codes.append(STAYS)
        self.codes[-1] = self._fate(found)
        self._sizes.append(HEADER_BYTES + len(self.rewritten.get(found.name, found.body)))
        type = found.header.type
        self._sorts.append(_RESULT if type == Type.RESULT else _SPECIAL if type in SPECIALS else _OTHER)
        self._groups.append(self._numbers.setdefault(group, len(self._numbers)))

    def keep_all(self) -> None:
        """Let all of them stay after all."""
        self.codes = bytearray(len(self.codes))

    @property
    def size_bytes(self) -> int:
        """Of the segments that the frames which stay go to."""
        found: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0, 0])  # bytes, results, specials
        for size, sort, group, code in zip(self._sizes, self._sorts, self._groups, self.codes, strict=True):
            if code == STAYS:
                counts = found[group]
                counts[0] += size
                if sort:
                    counts[sort] += 1
        return sum(segment_bytes(*counts) for counts in found.values())

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
        if item.blob is not None and item.blob in self._lost:
            self.lost += 1
            return LOST if self._force else STAYS  # and never in the place of one that can be used
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
