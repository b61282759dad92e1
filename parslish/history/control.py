"""Owns control edges: from a task to those of its place that were submitted after it had ended, when the program may
have looked at it. There may be very many, so that walks go by times instead."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from parslish.history.columns import UNKNOWN, Columns


class Place(NamedTuple):
    """The tasks of one place: in the order of their submission, and those that have ended in the order of that."""

    submitted: Sequence[int]
    submissions: Sequence[float]
    ended: Sequence[int]
    ends: Sequence[float]


class Control:
    """The control edges of a run."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        found: dict[tuple[int, int], list[int]] = defaultdict(list)
        for id, place in enumerate(zip(columns.parent, columns.scope, strict=True)):
            if columns.app[id] != UNKNOWN:
                found[place].append(id)
        self.places = {place: self._place(ids) for place, ids in found.items()}

    def edges(self) -> Iterator[tuple[int, int]]:
        """From which task to which; without those that follow from others."""
        for place in self.places.values():
            latest = list(accumulate((self._columns.submitted[id] for id in place.ended), max))
            for id in place.submitted:
                had_ended = bisect_left(place.ends, self._columns.submitted[id])
                first = bisect_left(place.ends, latest[had_ended - 1]) if had_ended else 0
                yield from ((source, id) for source in place.ended[first:had_ended])

    def after(self, links: Mapping[int, Sequence[int]]) -> Walked:
        """For one walk from tasks to what depends on them, these links and control edges."""
        return Walked(links, self._columns, self.places, is_forward=True)

    def before(self, links: Mapping[int, Sequence[int]]) -> Walked:
        """For one walk the other way."""
        return Walked(links, self._columns, self.places, is_forward=False)

    def _place(self, ids: Sequence[int]) -> Place:
        submissions, ends = self._columns.submitted, self._columns.ended
        submitted = sorted(ids, key=lambda id: submissions[id])
        ended = sorted((id for id in ids if ends[id]), key=lambda id: ends[id])
        return Place(submitted, [submissions[id] for id in submitted], ended, [ends[id] for id in ended])


class Walked:
    """Links along one walk. By its control edges a walk comes to each task once: of a place, all behind a time."""

    def __init__(
        self,
        links: Mapping[int, Sequence[int]],
        columns: Columns,
        places: Mapping[tuple[int, int], Place],
        *,
        is_forward: bool,
    ) -> None:
        self._links, self._columns, self._places, self._is_forward = links, columns, places, is_forward
        #: Of each place, how many tasks from the beginning, or up to which one, are still to be come to.
        self._left: dict[tuple[int, int], int] = {}

    def get(self, id: int, nothing: Sequence[int] = ()) -> Sequence[int]:
        """What is one edge away and was not told before."""
        where = self._columns.parent[id], self._columns.scope[id]
        place = self._places.get(where)
        linked = self._links.get(id, nothing)
        if place is None:
            return linked
        return [*linked, *(self._later(id, where, place) if self._is_forward else self._earlier(id, where, place))]

    def _later(self, id: int, where: tuple[int, int], place: Place) -> Sequence[int]:
        end, left = self._columns.ended[id], self._left.get(where, len(place.submitted))
        if not end:
            return ()
        first = self._left[where] = min(left, bisect_right(place.submissions, end))
        return place.submitted[first:left]

    def _earlier(self, id: int, where: tuple[int, int], place: Place) -> Sequence[int]:
        done = self._left.get(where, 0)
        last = self._left[where] = max(done, bisect_left(place.ends, self._columns.submitted[id]))
        return place.ended[done:last]
