"""Owns which tasks would run, were a run executed again, and of which that cannot be known.

A task runs again that

- was asked for, or that one that was asked for depends on being called by: its joins, however far up;
- has no result: it failed, was lost or cancelled, was not reached, or has not ended;
- is of an app whose code changed, is not memoized, or has no stored result.

Of tasks with one key the first runs, and the others share its result. What depends on the result of one that runs
cannot be known: if that is what it was, it is reused. A join that runs with the code it had calls what it called, so
what it called is judged by itself. What a join called that is reused is not called at all, so that counts as reused,
whatever became of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final

from parslish.history.edges import Edges
from parslish.history.record import GOOD, STATUSES, RunRecord

_OTHERWISE: Final = {"failed": "it failed", "upstream_failed": "it was not run, as a task before it failed"}
_NOT_ENDED: Final = frozenset({"waiting", "running", "retrying"})
#: Why one runs that has no result, by its status.
_NO_RESULT: Final[Mapping[int, str]] = {
    number: _OTHERWISE.get(status, f"it {'is' if status in _NOT_ENDED else 'was'} {status}")
    for number, status in enumerate(STATUSES)
    if status not in GOOD
}
_DEPENDS: Final = "it depends on what was asked for"
_NOT_CALLED: Final = "the join that called it is reused"

Reasons = dict[int, str]


class Again:
    """A run that is executed again.

    `reused` tells of tasks that are reused for another reason than that their results are stored.

    Args:
        record, edges: the run.
        stored: whether a result is stored under a key.
        changed_code: names of the apps whose code is not what it was.
        all: whether nothing that is stored counts.
    """

    def __init__(
        self,
        record: RunRecord,
        edges: Edges,
        stored: Callable[[bytes], bool],
        changed_code: Collection[str],
        *,
        all: bool,
    ) -> None:
        self._record, self._edges, self._stored, self._all = record, edges, stored, all
        self._columns = record.columns
        self._changed = {number for number, app in record.apps.items() if app.name in changed_code}
        self._twins: set[int] = set()  # that share the result of another one
        self.reused: Reasons = {}

    def asked(self, forced: Reasons, partly: Collection[int], *, dependents: bool) -> Reasons:
        """The tasks that run since it was asked for, and why.

        Args:
            forced: those that it was asked for itself, with the reasons.
            partly: those of them that are joins of which only what is forced among what they call is to run.
            dependents: whether what depends on them is to run too.
        """
        asked = dict(forced)
        if dependents:
            self._add_dependents(asked, [id for id in forced if id not in partly])
            leaders = list(self._leaders(asked))
            self._add_dependents(asked, [each for id in leaders for each in self._edges.after(id)])
        parents = self._columns.parent
        for id in list(asked):
            child, parent = id, parents[id]
            while parent >= 0 and parent not in asked:
                asked[parent] = f"it calls {self._record.path_of(child)}, which runs again"
                child, parent = parent, parents[parent]
        return asked

    def running(self, asked: Reasons) -> Reasons:
        """The tasks that run, and why."""
        running: Reasons = {}
        parents, key_of = self._columns.parent, self._columns.key
        hot = {key: id for id in asked if (key := key_of[id]) is not None}
        new: dict[bytes | None, int] = {}
        for id in self._record.ids():  # a join before what it called
            key = key_of[id]
            if id not in asked and parents[id] >= 0 and parents[id] not in running:
                self.reused[id] = _NOT_CALLED
            elif key in new:
                self._twins.add(id)
                self.reused[id] = f"it shares the result of {self._record.path_of(new[key])}, which has its key"
            elif (reason := asked.get(id) or self._reason(id, hot)) is not None:
                running[id] = reason
                if key is not None:
                    new[key] = id
        return running

    def unknown(self, running: Reasons) -> Reasons:
        """The tasks that depend on the result of one that runs, and why it cannot be known what they do."""
        if self._all:
            return {}
        app, edges = self._columns.app, self._edges
        sources = {each for id in self._twins for each in edges.after(id)}
        for id in running:
            if edges.children(id) and app[id] not in self._changed:
                sources.update(edges.after(id))  # its end is new; what it calls is not
            else:
                sources.add(id)
        reached = edges.descendants(sources).difference(running)
        return {id: self._cause(id, running, reached) for id in reached}

    def _reason(self, id: int, hot: Mapping[bytes, int]) -> str | None:
        """Why a task runs that was not asked for; None for one whose result is stored.

        Args:
            hot: the keys of those that were asked for.
        """
        if self._all:
            return "all is to run"
        found = self._columns
        if hot and (key := found.key[id]) in hot:
            return f"it has the key of {self._record.path_of(hot[key])}, which was asked for"  # type: ignore[index]
        without = _NO_RESULT.get(found.status[id])
        if without is not None:
            return without
        if found.app[id] in self._changed:
            return "the code of its app changed"
        key = found.key[id]
        if key is None:
            return "it is not memoized"
        return None if self._stored(key) else "no result of it is stored"

    def _add_dependents(self, asked: Reasons, ids: Collection[int]) -> None:
        for id in set[int]().union(*self._edges.affected(ids)) if ids else ():
            asked.setdefault(id, _DEPENDS)

    def _leaders(self, asked: Reasons) -> Iterator[int]:
        """The tasks that come to run in the place of some that have their keys, since they are called before."""
        found = self._columns
        keys = {key for id in asked if (key := found.key[id]) is not None}
        for id, key in enumerate(found.key if keys else ()):
            if key in keys and (id in asked or found.parent[id] < 0 or found.parent[id] in asked):
                keys.discard(key)
                if id not in asked:
                    yield id

    def _cause(self, id: int, running: Reasons, reached: Collection[int]) -> str:
        path_of = self._record.path_of
        for each in self._edges.before(id):
            if each in running or each in self._twins:
                return f"it depends on {path_of(each)}, whose result will be new"
        for each in self._edges.before(id):
            if each in reached:
                return f"it depends on {path_of(each)}, of which it cannot be known"
        parent = self._columns.parent[id]
        if parent in running or parent in reached:
            return f"it is called by {path_of(parent)}, which may call something else"
        return "it depends on what it called"
