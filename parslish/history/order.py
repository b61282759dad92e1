"""Owns the warnings of a comparison of two runs: that calls came in another order, so that paths may stand for other
calls, or that a run has not ended."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from parslish.history import given
from parslish.history.record import RunRecord

_Pairs = Sequence[tuple[str, int, int]]


def warnings_of(a: RunRecord, b: RunRecord, pairs: _Pairs) -> Iterator[str]:
    """What may make a comparison mean less, in sentences.

    Args:
        pairs: (path, id in `a`, id in `b`) of the tasks that are compared.
    """
    for run in (a, b):
        if run.alive:
            yield f"run {run.id} has not ended: it is compared as it was when it was read"
    yield from _exchanged(a, b, pairs)
    yield from _reordered(a, b, pairs)


def _exchanged(a: RunRecord, b: RunRecord, pairs: _Pairs) -> Iterator[str]:
    """Of calls that both runs made in one place, but under paths of each other: counted, not labelled."""
    places: dict[tuple[str, str], list[tuple[Any, Any]]] = defaultdict(list)
    labels, others = a.columns.label, b.columns.label
    for _, mine, theirs in pairs:
        if mine in labels or theirs in others or a.columns.key[mine] == b.columns.key[theirs]:
            continue
        was, is_ = given.in_short(a, mine), given.in_short(b, theirs)
        if was != is_:
            places[a.scope_of(mine), a.apps[a.columns.app[mine]].name].append((was, is_))
    for (place, name), found in places.items():
        was_there = {repr(was) for was, _ in found}
        moved = sum(repr(is_) in was_there for _, is_ in found)
        if moved:
            yield (
                f"{moved:,} calls of {name} in {place} came in another order, so their paths stand for each other's; "
                f"label= fixes a path"
            )


def _reordered(a: RunRecord, b: RunRecord, pairs: _Pairs) -> Iterator[str]:
    """Of places whose tasks came in another order: their paths hold, their locs do not."""
    place, number = a.columns.parent, a.columns.scope
    positions, others = a.columns.position, b.columns.position
    places: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for _, mine, theirs in pairs:
        places[place[mine], number[mine]].append((positions[mine], others[theirs]))
    found = []
    for (parent, scope), both in places.items():
        both.sort()
        if any(one[1] > two[1] for one, two in itertools.pairwise(both)):
            found.append((parent, scope))
    if found:
        first = next(a.scope_of(mine) for _, mine, _ in pairs if (place[mine], number[mine]) == found[0])
        more = f" and {len(found) - 1:,} other places" if len(found) > 1 else ""
        yield f"tasks in {first}{more} came in another order: their paths hold, their locs such as -.N3 do not"
