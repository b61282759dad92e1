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

import heapq
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, compress
from typing import Final, NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

from parslish.history.collecting import no_collection
from parslish.history.control import Control, Walked
from parslish.history.record import RunRecord

DATA, PARENT, FILE, VALUE, CONTROL = KINDS = ("data", "parent", "file", "value", "control")
#: Those that are followed unless it is said otherwise.
FOLLOWED: Final = (DATA, PARENT, FILE, VALUE)
_TELLING_TEXT: Final = 16  # characters of a text that is no coincidence
_TELLING: Final = frozenset({float, str, bytes})
_Links: TypeAlias = Mapping[int, Sequence[int]] | Walked


class Edge(NamedTuple):
    """That task `to` depends on task `source`; `kind` as above."""

    source: int
    to: int
    kind: str


class Edges:
    """The edges of a run, by the ids of its tasks; `of` makes them once for a run.

    A join has two ends: what it submits follows from its beginning, and its result from theirs. So who walks from one
    of its children comes to the join and to what takes its result, but not to the other children.

    Args:
        run: its record.
        kinds: which edges count.
    """

    def __init__(self, run: RunRecord, kinds: Collection[str] = FOLLOWED) -> None:
        columns = run.columns
        self._count = columns.count
        self._parents: Sequence[int] = columns.parent if PARENT in kinds else _Orphans()
        self._children: dict[int, list[int]] = defaultdict(list)
        self._up: dict[int, Sequence[int]] = dict(columns.dependencies) if DATA in kinds else {}
        self._down: dict[int, list[int]] = defaultdict(list)
        if PARENT in kinds:
            for id, parent in enumerate(columns.parent):
                if parent >= 0:
                    self._children[parent].append(id)
        for id, sources in self._up.items():
            for source in sources:
                self._down[source].append(id)
        self._control = Control(columns) if CONTROL in kinds else None
        for edge in edges(run, set(kinds) - {DATA, PARENT, CONTROL}):
            self._up[edge.to] = (*self._up.get(edge.to, ()), edge.source)
            self._down[edge.source].append(edge.to)

    def before(self, id: int) -> Sequence[int]:
        """The tasks whose results one depends on at once; not the join that submitted it."""
        return self._up.get(id, ())

    def after(self, id: int) -> Sequence[int]:
        """The tasks that depend on the result of one at once; not the join that submitted it."""
        return self._down.get(id, ())

    def children(self, id: int) -> Sequence[int]:
        """The tasks that a join submitted."""
        return self._children.get(id, ())

    def ancestors(self, ids: Iterable[int], depth: int | None = None) -> set[int]:
        """All that tasks depend on, themselves included, at most `depth` edges away."""
        whole, partly = self._reached(ids, self._before, depth)
        return whole | partly

    def descendants(self, ids: Iterable[int], depth: int | None = None) -> set[int]:
        """All that depends on tasks, themselves included, at most `depth` edges away."""
        whole, partly = self.affected(ids, depth)
        return whole | partly

    def affected(self, ids: Iterable[int], depth: int | None = None) -> tuple[set[int], set[int]]:
        """The same in two: the tasks of which all is affected, what they submit included, and the joins of which only
        the result is, through some of what they submitted."""
        return self._reached(ids, self._after, depth)

    def roots(self, ids: Collection[int]) -> set[int]:
        """Those of some tasks that can begin before any other of them has: a join before its children."""
        return set(ids) - self._reached(ids, self._after, None, behind=True)[0]

    def sinks(self, ids: Collection[int]) -> set[int]:
        """Those of some tasks whose end no other of them waits for: a join, and not its children."""
        return set(ids) - self._reached(ids, self._before, None, behind=True)[0]

    def topological(self, ids: Iterable[int]) -> list[int]:
        """Tasks in an order in which each comes behind those of them that it depends on; a join behind its children,
        and they behind what it depends on. Otherwise in the order of their ids, and so behind what had ended before."""
        wanted = set(ids)
        # A join is in here twice: `~id` is its beginning, `id` its end.
        before: dict[int, int] = {}
        after: dict[int, list[int]] = defaultdict(list)
        for id in wanted:
            begin = ~id if id in self._children else id
            sources = wanted.intersection(self._up.get(id, ()))
            parent = self._parents[id]
            if parent in wanted:
                sources.add(~parent)
                after[id].append(parent)
                before[parent] = before.get(parent, 0) + 1
            if begin != id:
                after[begin].append(id)
                before[id] = before.get(id, 0) + 1
            before[begin] = before.get(begin, 0) + len(sources)
            for source in sources:
                after[source].append(begin)
        order = _in_order(before, after)
        left = wanted.difference(order)  # inferred edges may go round in a circle
        return order + sorted(left)

    @property
    def _after(self) -> _Links:
        return self._down if self._control is None else self._control.after(self._down)

    @property
    def _before(self) -> _Links:
        return self._up if self._control is None else self._control.before(self._up)

    def _reached(
        self, ids: Iterable[int], links: _Links, depth: int | None, *, behind: bool = False
    ) -> tuple[set[int], set[int]]:
        """What is reached along links: the tasks of which both ends are, and joins of which the further end alone is.
        Tasks to start from are only among them when another one leads there, if what is `behind` them is asked for."""
        # Marks by id: with sets of all tasks it would take three times as long.
        begun, reached = bytearray(self._count), bytearray(self._count)
        front, half, partly = _unmarked(ids, begun), set[int](), set[int]()
        while (front or half) and depth != 0:
            nearby = chain(_all(links.get, chain(front, half)), _all(self._children.get, front))
            above = set(map(self._parents.__getitem__, chain(front, half))) if self._children else set[int]()
            front = _unmarked(_marking(nearby, reached) if behind else nearby, begun)
            half = {id for id in above - partly if id >= 0 and not begun[id]}
            partly |= half
            depth = None if depth is None else depth - 1
        whole = set(compress(range(self._count), reached if behind else begun))
        return whole, partly - whole


def _all(links: Callable[[int], Sequence[int] | None], ids: Iterable[int]) -> Iterator[int]:
    """What any of these ids is linked to. A loop would take four times as long."""
    return chain.from_iterable(filter(None, map(links, ids)))


def _marking(ids: Iterable[int], marks: bytearray) -> Iterator[int]:
    for id in ids:
        marks[id] = 1
        yield id


def _unmarked(ids: Iterable[int], marks: bytearray) -> list[int]:
    """Those of some ids that are not marked; they are now."""
    found = []
    for id in ids:
        if not marks[id]:
            marks[id] = 1
            found.append(id)
    return found


class _Orphans(Sequence[int]):
    """For walks that do not go from tasks to their parents."""

    def __getitem__(self, id: object) -> int:  # type: ignore[override]
        return -1

    def __len__(self) -> int:
        return 0


def _in_order(before: dict[int, int], after: Mapping[int, Sequence[int]]) -> list[int]:
    """The nodes that are ends, each behind all that are before it.

    Args:
        before: how many nodes are before each.
        after: those that come behind each.
    """
    ready = sorted(node for node, count in before.items() if not count)
    order = []
    while ready:
        node = heapq.heappop(ready)
        if node >= 0:
            order.append(node)
        for each in after.get(node, ()):
            before[each] -= 1
            if not before[each]:
                heapq.heappush(ready, each)
    return order


_known: WeakKeyDictionary[RunRecord, dict[frozenset[str], Edges]] = WeakKeyDictionary()


def of(run: RunRecord, kinds: Collection[str] = FOLLOWED) -> Edges:
    """The edges of a run of these kinds, made once."""
    known = _known.setdefault(run, {})
    found = known.get(frozenset(kinds))
    if found is None:
        with no_collection():
            found = known[frozenset(kinds)] = Edges(run, kinds)
    return found


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
        yield from (Edge(source, to, CONTROL) for source, to in Control(columns).edges())


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
    ended, submitted, dependencies, keywords = columns.ended, columns.submitted, columns.dependencies, columns.keywords
    givers: dict[object, int] = {}
    for id, result in enumerate(columns.result):
        if type(result) in _TELLING and ended[id] and _is_telling(result):
            givers.setdefault(result, id)
    if not givers:
        return
    for id, arguments in enumerate(columns.arguments):
        given = arguments or ()
        for value in (*given, *keywords[id].values()) if id in keywords else given:
            source = givers.get(value, id) if type(value) in _TELLING else id
            if source != id and ended[source] <= submitted[id] and source not in dependencies.get(id, ()):
                yield Edge(source, id, VALUE)


def _is_telling(value: float | str | bytes) -> bool:
    if isinstance(value, float):
        return 0 < value % 1 < 1  # which nan and the infinities are not
    return len(value) >= _TELLING_TEXT
