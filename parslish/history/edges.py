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

    A join has two ends: what it submits follows from its beginning, and its result from theirs. So who walks from one
    of its children comes to the join and to what takes its result, but not to the other children.

    Args:
        run: its record.
        kinds: which edges count.
    """

    def __init__(self, run: RunRecord, kinds: Collection[str] = FOLLOWED) -> None:
        self.run = run
        self._parents: Sequence[int] = run.columns.parent if PARENT in kinds else _Orphans()
        self._up: dict[int, list[int]] = defaultdict(list)
        self._down: dict[int, list[int]] = defaultdict(list)
        self._children: dict[int, list[int]] = defaultdict(list)
        for edge in edges(run, kinds):
            if edge.kind == PARENT:
                self._children[edge.source].append(edge.to)
            else:
                self._up[edge.to].append(edge.source)
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
        return self._reached(ids, self._up, depth)

    def descendants(self, ids: Iterable[int], depth: int | None = None) -> set[int]:
        """All that depends on tasks, themselves included, at most `depth` edges away."""
        return self._reached(ids, self._down, depth)

    def topological(self, ids: Iterable[int]) -> list[int]:
        """Tasks in an order in which each comes behind those of them that it depends on; a join behind its children,
        and they behind what it depends on."""
        wanted = sorted(set(ids))
        is_wanted = set(wanted)
        # A join is in here twice: `~id` is its beginning, `id` its end.
        before: dict[int, int] = {}
        after: dict[int, list[int]] = defaultdict(list)
        for id in wanted:
            begin = ~id if id in self._children else id
            sources = {each for each in self._up.get(id, ()) if each in is_wanted}
            if self._parents[id] in is_wanted:
                sources.add(~self._parents[id])
                after[id].append(self._parents[id])
                before[self._parents[id]] = before.get(self._parents[id], 0) + 1
            if begin != id:
                after[begin].append(id)
                before[id] = before.get(id, 0) + 1
            before[begin] = before.get(begin, 0) + len(sources)
            for source in sources:
                after[source].append(begin)
        ready = deque(node for node, count in before.items() if not count)
        order = []
        while ready:
            node = ready.popleft()
            if node >= 0:
                order.append(node)
            for each in after[node]:
                before[each] -= 1
                if not before[each]:
                    ready.append(each)
        left = is_wanted.difference(order)  # inferred edges may go round in a circle
        return order + sorted(left)

    def _reached(self, ids: Iterable[int], links: Mapping[int, Sequence[int]], depth: int | None) -> set[int]:
        whole = set(ids)  # and what they submitted is reached too
        partly: set[int] = set()
        front = [(id, True) for id in whole]
        while front and depth != 0:
            reached = []
            for id, is_whole in front:
                nearby = [(each, True) for each in links.get(id, ())]
                if is_whole:
                    nearby += [(each, True) for each in self._children.get(id, ())]
                if self._parents[id] >= 0:
                    nearby.append((self._parents[id], False))
                for each, whole_too in nearby:
                    if each not in whole and (whole_too or each not in partly):
                        (whole if whole_too else partly).add(each)
                        reached.append((each, whole_too))
            front = reached
            depth = None if depth is None else depth - 1
        return whole | partly


class _Orphans(Sequence[int]):
    """For walks that do not go from tasks to their parents."""

    def __getitem__(self, id: object) -> int:  # type: ignore[override]
        return -1

    def __len__(self) -> int:
        return 0


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
        return 0 < value % 1 < 1  # which nan and the infinities are not
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
