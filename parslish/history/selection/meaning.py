"""Owns what an expression means in a run: the ids of tasks, from the record's columns.

Leaves to `filters` and `arguments` what single atoms mean, and to `complaints` what is said of a name that nothing has.
"""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import Final

from parslish.history import edges
from parslish.history.collecting import no_collection
from parslish.history.columns import UNKNOWN
from parslish.history.edges import FOLLOWED, Edges
from parslish.history.record import AppRecord, RunRecord
from parslish.history.selection import arguments, complaints
from parslish.history.selection.expression import (
    ALL,
    ROOTS,
    And,
    Argument,
    At,
    Call,
    Ends,
    Everything,
    Expression,
    Filter,
    Not,
    Or,
    Walk,
)
from parslish.history.selection.filters import FILTERS
from parslish.secret import Keys

_DIGITS: Final = 18  # of an id


class Meaning:
    """What expressions mean in one run; each part is looked up once.

    Args:
        run: its record.
        kinds: which edges are walked.
        parent: the run whose code `code:changed` compares with; the run's own parent is read for it when there is none.
    """

    def __init__(self, run: RunRecord, kinds: Collection[str] = FOLLOWED, parent: RunRecord | None = None) -> None:
        self.run = run
        self.kinds = frozenset(kinds)
        self._parent = parent
        self.all: frozenset[int] = frozenset(run.ids())
        #: What is to be said of each name that nothing has.
        self.unknown: list[str] = []
        self._known: dict[Expression, frozenset[int]] = {}

    def ids(self, expression: Expression) -> frozenset[int]:
        """The tasks that an expression means."""
        found = self._known.get(expression)
        if found is None:
            with no_collection():
                found = self._known[expression] = self._ids(expression)
        return found

    def _ids(self, expression: Expression) -> frozenset[int]:
        match expression:
            case Everything():
                return self.all
            case Call():
                return self._called(expression)
            case At():
                return self._at(expression)
            case Filter():
                return self.all.intersection(FILTERS[expression.kind].ids(self, expression))
            case Argument():
                return self._with_argument(expression)
            case Walk():
                return self._walked(expression)
            case Ends():
                of = self.all if expression.of is None else self.ids(expression.of)
                return frozenset(self.edges.roots(of) if expression.which == ROOTS else self.edges.sinks(of))
            case Not():
                return self.all - self.ids(expression.of)
            case And():
                return frozenset.intersection(*map(self.ids, expression.of))
            case Or():
                return frozenset(chain.from_iterable(map(self.ids, expression.of)))

    def _called(self, call: Call) -> frozenset[int]:
        calls = self.by_name.get(call.name, ())
        found: Iterable[int] = calls
        if call.which is not None:
            found = self._shown_as(call.which, calls)
        ids = frozenset(found)
        if not ids:
            self.unknown.append(complaints.no_call(self, call))
        return ids

    def _shown_as(self, which: str, ids: Iterable[int]) -> Iterable[int]:
        labels, occurrences = self.run.columns.label, self.run.columns.occurrence
        number = int(which) if re.fullmatch(r"0|[1-9][0-9]{0,8}", which) else -1
        return (id for id in ids if (labels[id] == which if id in labels else occurrences[id] == number))

    def _with_argument(self, argument: Argument) -> frozenset[int]:
        found = frozenset(arguments.ids(self, argument))
        if not found and argument.name not in arguments.known(self):
            self.unknown.append(complaints.no_argument(self, argument.name))
        return found

    def _at(self, at: At) -> frozenset[int]:
        found = self.task_at(at.address)
        if found is None:
            return frozenset()
        twins = frozenset[int]() if at.is_loc else self._twins.get(at.address)
        return twins or frozenset((found,))

    def task_at(self, address: str) -> int | None:
        """The id of the task with a path, a loc or an id; one that is not there is noted as unknown."""
        if address.startswith("-/"):
            found = self.by_path.get(address)
        elif address.startswith("-."):
            found = self._at_loc(address)
        else:
            found = int(address) if len(address) <= _DIGITS and int(address) in self.all else None
        if found is None:
            self.unknown.append(complaints.no_task_at(self, address))
        return found

    def _at_loc(self, loc: str) -> int | None:
        found: int | None = UNKNOWN
        for position in loc.split(".N")[1:]:
            found = None if found is None else self._by_position.get((found, int(position)))
        return found

    def _walked(self, walk: Walk) -> frozenset[int]:
        of = self.ids(walk.of)
        up = self.edges.ancestors(of, depth_of(walk.up)) if walk.up else ()
        down = self.edges.descendants(of, depth_of(walk.down)) if walk.down else ()
        return self.all.intersection(of.union(up, down))

    # ---------------------------------------------------------------------------------- lookups

    @property
    def edges(self) -> Edges:
        return edges.of(self.run, self.kinds)

    @functools.cached_property
    def parent(self) -> RunRecord | None:
        """The run that this one continued."""
        if self._parent is None and self.run.parent is not None:
            return RunRecord(self.run.parent, Keys.load())
        return self._parent

    @functools.cached_property
    def by_app(self) -> Mapping[int, Sequence[int]]:
        """The tasks of each app, by its number."""
        found: dict[int, list[int]] = defaultdict(list)
        for id, app in enumerate(self.run.columns.app):
            found[app].append(id)
        found.pop(UNKNOWN, None)
        return found

    @functools.cached_property
    def by_name(self) -> Mapping[str, Sequence[int]]:
        """The tasks of apps of each name."""
        found: dict[str, Sequence[int]] = {}
        for number, ids in self.by_app.items():
            name = self.run.apps[number].name
            found[name] = [*found[name], *ids] if name in found else ids
        return found

    @functools.cached_property
    def by_place(self) -> Mapping[str, Sequence[int]]:
        """The tasks in each place."""
        columns = self.run.columns
        found: dict[tuple[int, int], list[int]] = defaultdict(list)
        for id in self.run.ids():
            found[columns.parent[id], columns.scope[id]].append(id)
        return {self.run.scope_of(ids[0]): ids for ids in found.values()}

    @functools.cached_property
    def paths(self) -> Mapping[int, str]:
        return {id: self.run.path_of(id) for id in self.run.ids()}

    @functools.cached_property
    def by_path(self) -> Mapping[str, int]:
        """The task of each path; the last of several."""
        return {path: id for id, path in self.paths.items()}

    @functools.cached_property
    def _twins(self) -> Mapping[str, frozenset[int]]:
        """The tasks of each path that several have: with the same label, or submitted by two tries of a join."""
        found: dict[str, frozenset[int]] = {}
        if len(self.by_path) < len(self.paths):
            for id, path in self.paths.items():
                if self.by_path[path] != id:
                    found[path] = found.get(path, frozenset((self.by_path[path],))) | {id}
        return found

    @functools.cached_property
    def _by_position(self) -> Mapping[tuple[int, int], int]:
        """The task that was submitted as the n-th by each join, or by the script, which is -1."""
        columns = self.run.columns
        places = enumerate(zip(columns.parent, columns.position, strict=True))
        return {place: id for id, place in places if columns.app[id] != UNKNOWN}

    def of_apps(self, is_meant: Callable[[AppRecord], bool]) -> Iterable[int]:
        """The tasks of some apps."""
        return chain.from_iterable(ids for number, ids in self.by_app.items() if is_meant(self.run.apps[number]))


def depth_of(steps: int) -> int | None:
    """As walks along edges count it."""
    return None if steps == ALL else steps
