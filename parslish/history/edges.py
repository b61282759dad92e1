"""Owns what depends on what in a run: edges between tasks, and walks along them.

========  ===================================================================================  ===============
kind      from A to B                                                                          how sure
========  ===================================================================================  ===============
data      a future of A among the arguments of B                                               exact
parent    B was submitted by the body of A, a join; and A waits for what it submits            exact
file      A writes a file that B reads                                                         exact
value     an argument of B is a plain value that only A can have given                         inferred
control   B was submitted when A, of the same place, had ended: the program may have looked    over-estimated
========  ===================================================================================  ===============
"""

from __future__ import annotations

import bisect
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from parslish.history.record import RunRecord

DATA, PARENT, FILE, VALUE, CONTROL = KINDS = ("data", "parent", "file", "value", "control")
#: Those that are followed unless it is said otherwise.
FOLLOWED: Final = (DATA, PARENT, FILE, VALUE)
_TELLING_TEXT: Final = 16  # characters of a text that is no coincidence
_Ends = tuple[Sequence[int], Sequence[int]]


class Edge(NamedTuple):
    """That task `to` depends on task `source`; `kind` as above."""

    source: int
    to: int
    kind: str


class Edges:
    """The edges of a run, by the ids of its tasks.

    Args:
        run: its record.
        kinds: which edges count.
    """

    def __init__(self, run: RunRecord, kinds: Collection[str] = FOLLOWED) -> None:
        self.run = run
        self._up: dict[int, list[int]] = defaultdict(list)
        self._down: dict[int, list[int]] = defaultdict(list)
        for edge in edges(run, kinds):
            self._up[edge.to].append(edge.source)
            self._down[edge.source].append(edge.to)

    def before(self, id: int) -> Sequence[int]:
        """The tasks that one depends on at once."""
        return self._up.get(id, ())

    def after(self, id: int) -> Sequence[int]:
        """The tasks that depend on one at once."""
        return self._down.get(id, ())

    def ancestors(self, ids: Iterable[int], depth: int | None = None) -> set[int]:
        """All that tasks depend on, themselves included, at most `depth` edges away."""
        return _reached(ids, self._up, depth)

    def descendants(self, ids: Iterable[int], depth: int | None = None) -> set[int]:
        """All that depends on tasks, themselves included, at most `depth` edges away."""
        return _reached(ids, self._down, depth)

    def topological(self, ids: Iterable[int]) -> list[int]:
        """Tasks in an order in which each comes behind those of them that it depends on.

        A join comes behind the tasks that it submitted, whose results it waits for.
        """
        wanted = set(ids)
        parents = self.run.columns.parent
        # A parent edge means: children run again when their parent does, and it ends when they have ended.
        before: dict[int, int] = dict.fromkeys(sorted(wanted), 0)
        after: dict[int, list[int]] = defaultdict(list)
        for id in before:
            for source in {each for each in self._up.get(id, ()) if each in wanted and each != parents[id]}:
                before[id] += 1
                after[source].append(id)
            if parents[id] in wanted:
                before[parents[id]] += 1
                after[id].append(parents[id])
        ready = deque(id for id, count in before.items() if not count)
        order: list[int] = []
        while ready:
            order.append(id := ready.popleft())
            for next in after[id]:
                before[next] -= 1
                if not before[next]:
                    ready.append(next)
        left = wanted.difference(order)  # inferred edges may go round in a circle
        return order + sorted(left)


def edges(run: RunRecord, kinds: Collection[str] = FOLLOWED) -> Iterator[Edge]:
    """The edges of a run of these kinds."""
    columns = run.columns
    if DATA in kinds:
        for id, sources in columns.dependencies.items():
            yield from (Edge(source, id, DATA) for source in sources)
    if PARENT in kinds:
        yield from (Edge(columns.parent[id], id, PARENT) for id in run.ids() if columns.parent[id] >= 0)
    if FILE in kinds:
        yield from _files(run)
    if VALUE in kinds:
        yield from _values(run)
    if CONTROL in kinds:
        yield from _control(run)


def _reached(ids: Iterable[int], next: Mapping[int, Sequence[int]], depth: int | None) -> set[int]:
    found = set(ids)
    front: Collection[int] = list(found)
    while front and depth != 0:
        front = {each for id in front for each in next.get(id, ())} - found
        found |= front
        depth = None if depth is None else depth - 1
    return found


def _files(run: RunRecord) -> Iterator[Edge]:
    writers: dict[str, int] = {}
    columns = run.columns
    for id in sorted(columns.outputs.keys() | columns.inputs.keys()):
        for path in columns.inputs.get(id, ()):
            if path in writers:
                yield Edge(writers[path], id, FILE)
        for path in columns.outputs.get(id, ()):
            writers[path] = id


def _values(run: RunRecord) -> Iterator[Edge]:
    """Where a plain argument equals the result of one task that had ended by then, and is too particular to be so by
    chance: a number with a fraction, or a long text."""
    columns = run.columns
    givers: dict[object, int] = {}
    for id in run.ids():
        result = columns.result[id]
        if columns.ended[id] and _is_telling(result):
            givers.setdefault(result, id)
    if not givers:
        return
    for id in run.ids():
        known = columns.dependencies.get(id, ())
        for value in [*(columns.arguments[id] or ()), *columns.keywords.get(id, {}).values()]:
            if _is_telling(value):
                source = givers.get(value)
                if source is not None and source not in known and columns.ended[source] <= columns.submitted[id]:
                    yield Edge(source, id, VALUE)


def _is_telling(value: object) -> bool:
    if type(value) is float:
        return value % 1 != 0  # which nan and the infinities are not, either: nan % 1 is nan
    return isinstance(value, str | bytes) and len(value) >= _TELLING_TEXT


def _control(run: RunRecord) -> Iterator[Edge]:
    """From each task to those of its place that were submitted after it had ended. Where many had ended, only from
    the last: what the others led to is reached through it."""
    columns = run.columns
    places: dict[tuple[int, int], list[int]] = defaultdict(list)
    for id in run.ids():
        places[columns.parent[id], columns.scope[id]].append(id)
    for ids in places.values():
        by_end = sorted((columns.ended[id], id) for id in ids if columns.ended[id])
        ends = [end for end, _ in by_end]
        for id in ids:
            before = bisect.bisect_left(ends, columns.submitted[id])
            yield from (Edge(source, id, CONTROL) for _, source in by_end[max(0, before - 1) : before])
