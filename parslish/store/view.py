"""Owns the answer to where a key is, at one moment of a store that may grow: tables, and which frames count no longer.

Nothing in a view is ever changed, so any number of threads search one while the next is being made.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from parslish.store import index
from parslish.store.bodies import Name
from parslish.store.summary import Summary

# A segment with fewer records shares a table with others like it, so that a lookup in a store of hundreds
# of segments searches a few tables. There a place is segment number and offset in one.
OWN_TABLE_RECORDS: Final = 1 << 15
_OFFSET_BITS: Final = 40

Place = tuple[int, int]  # segment number, offset
Tables = tuple[tuple[index.Table, int | None], ...]


@dataclass(frozen=True, slots=True)
class View:
    """The tables to search, each with the number of its segment, or None for one that many share.

    `gone` are the numbers of segments that were no longer there when it was made.
    """

    tables: Tables = ()
    dead: AbstractSet[Name] = frozenset()
    gone: AbstractSet[int] = frozenset()

    def places(self, key: bytes) -> list[Place]:
        """Where there may be results filed under a key."""
        found: list[Place] = []
        for table, number in self.tables:
            for place in table.find(key):
                found.append(divmod(place, 1 << _OFFSET_BITS) if number is None else (number, place))
        return [place for place in found if place[0] not in self.gone] if self.gone else found

    def __len__(self) -> int:
        if not self.gone:
            return sum(len(table) for table, _ in self.tables)
        return sum(
            (place >> _OFFSET_BITS if number is None else number) not in self.gone
            for table, number in self.tables
            for _, place in table.entries()
        )


def with_new(tables: Tables, new: Iterable[tuple[int, Summary]], gone: AbstractSet[int]) -> Tables:
    """The tables with what is new in segments, which is held by them alone from here on."""
    own = [(table, number) for table, number in tables if number is not None and number not in gone]
    shared = [table for table, number in tables if number is None]
    entries: list[bytes] = []
    for number, found in new:
        table = index.Table.build(found.entries) if found.table is None else found.table
        found.table, found.entries = None, []
        if number in gone:
            continue
        if len(table) >= OWN_TABLE_RECORDS or found.size >> _OFFSET_BITS:
            own.append((table, number))
        else:
            base = number << _OFFSET_BITS
            # An index is believed without a signature: a place that is none must not become one of another segment.
            entries += [index.entry(key, base | at) for key, at in table.entries() if at < found.size]
    return (*own, *((table, None) for table in _shared_with(shared, entries, gone)))


def _shared_with(shared: list[index.Table], entries: list[bytes], gone: AbstractSet[int]) -> Sequence[index.Table]:
    """A table is twice as long as all that came later, at least: so they are few, and an entry is moved few times."""
    if not entries:
        return shared
    while shared and len(shared[-1]) <= 2 * len(entries):
        for key, place in shared.pop().entries():
            if place >> _OFFSET_BITS not in gone:
                entries.append(index.entry(key, place))
    return [*shared, index.Table.build(entries)]


def dead(killers: dict[Name, set[Name]]) -> AbstractSet[Name]:
    """The frames that do not count: those that a tombstone names which is not itself dead."""
    return {name for name in killers if _is_dead(name, killers, ())}


def _is_dead(name: Name, killers: dict[Name, set[Name]], above: tuple[Name, ...]) -> bool:
    # `above` ends a circle, which no honest writer makes: a tombstone names what is older than it.
    return any(
        killer not in above and not _is_dead(killer, killers, (*above, name)) for killer in killers.get(name, ())
    )
