"""Owns the packed table from key to place: how it is built, stored in an index frame, and searched.

An entry is the 32-byte key and its place, a big-endian u64, so that sorted bytes are sorted keys and, under
one key, rising places. A fan-out table over the first bits of the keys leaves some sixteen entries to search.
At 40 bytes a record, ten million records fit into 400 MB; a dict of them would take three times that.
"""

from __future__ import annotations

import bisect
import struct
import sys
from array import array
from collections.abc import Iterable, Iterator
from typing import Final

ENTRY_BYTES: Final = 40
KEY_BYTES: Final = 32
_COUNTS: Final = struct.Struct("<QII")  # entries, special places, bits of the fan-out
_MAX_BITS: Final = 16


def entry(key: bytes, place: int) -> bytes:
    """One entry of a table."""
    return key + place.to_bytes(8, "big")


class Table:
    """Immutable: sorted entries and their fan-out."""

    __slots__ = ("_bits", "_entries", "_fan")

    def __init__(self, entries: bytes, fan: array[int]) -> None:
        self._entries, self._fan = entries, fan
        self._bits = (len(fan) - 1).bit_length() - 1

    @classmethod
    def build(cls, entries: list[bytes]) -> Table:
        """The table of these entries, given in any order."""
        # By their first byte first: to sort them in one go takes twice as long.
        by_first: list[list[bytes]] = [[] for _ in range(256)]
        for one in entries:
            by_first[one[0]].append(one)
        entries = []
        for some in by_first:
            some.sort()
            entries += some
        bits = min(_MAX_BITS, max(0, len(entries).bit_length() - 4))
        starts = ((prefix << (_MAX_BITS - bits)).to_bytes(2, "big") for prefix in range(1 << bits))
        fan = array("I", [bisect.bisect_left(entries, start) for start in starts])
        fan.append(len(entries))
        return cls(b"".join(entries), fan)

    def __len__(self) -> int:
        return len(self._entries) // ENTRY_BYTES

    def find(self, key: bytes) -> list[int]:
        """The places filed under a key, rising."""
        entries, fan = self._entries, self._fan
        prefix = (key[0] << 8 | key[1]) >> (_MAX_BITS - self._bits)
        end = fan[prefix + 1] * ENTRY_BYTES
        at = entries.find(key, fan[prefix] * ENTRY_BYTES, end)
        while at % ENTRY_BYTES and at >= 0:  # bytes of two neighbours that look like the key
            at = entries.find(key, at + 1, end)
        places: list[int] = []
        while 0 <= at < end and entries.startswith(key, at):
            places.append(int.from_bytes(entries[at + KEY_BYTES : at + ENTRY_BYTES], "big"))
            at += ENTRY_BYTES
        return places

    def entries(self) -> Iterator[tuple[bytes, int]]:
        """Every key and place, in order."""
        for at in range(0, len(self._entries), ENTRY_BYTES):
            key = self._entries[at : at + KEY_BYTES]
            yield key, int.from_bytes(self._entries[at + KEY_BYTES : at + ENTRY_BYTES], "big")

    def pack(self, specials: Iterable[int]) -> bytes:
        """The body of an index frame: this table, and the places of frames without a key that a reader
        needs at once (tombstones, bases)."""
        places = array("Q", specials)
        counts = _COUNTS.pack(len(self), len(places), self._bits)
        return b"".join((counts, _little(places), _little(self._fan), self._entries))


def unpack(body: bytes) -> tuple[Table, list[int]] | None:
    """The table and the special places of an index frame's body, or None when it contradicts itself."""
    if len(body) < _COUNTS.size:
        return None
    count, specials, bits = _COUNTS.unpack_from(body)
    fan_at = _COUNTS.size + 8 * specials
    entries_at = fan_at + 4 * ((1 << min(bits, _MAX_BITS)) + 1)
    if bits > _MAX_BITS or len(body) != entries_at + count * ENTRY_BYTES:
        return None
    places, fan = array("Q"), array("I")
    places.frombytes(body[_COUNTS.size : fan_at])
    fan.frombytes(body[fan_at:entries_at])
    return Table(body[entries_at:], _native(fan)), list(_native(places))


def _little(values: array[int]) -> bytes:
    return _native(values).tobytes()


def _native(values: array[int]) -> array[int]:
    """To or from little-endian, the order of the file."""
    if sys.byteorder == "big":
        values = values[:]
        values.byteswap()
    return values
