"""Owns which tasks an expression means as they come: in a re-execution of the run that it was asked of.

An atom that goes by name, place or arguments is asked of the task itself, so that tasks that the recorded run did not
have can be meant. What only the record can tell is true of tasks whose paths it had.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from parslish.history.previews import Preview
from parslish.history.selection import arguments
from parslish.history.selection.chosen import Selection
from parslish.history.selection.expression import (
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
    leaves,
)
from parslish.history.selection.filters import FILTERS
from parslish.history.selection.meaning import depth_of


class Candidate(Protocol):
    """A task that has come.

    Args:
        name, kind: of its app.
        path, label, occurrence: as those of a `TaskRecord`.
        scope_path: the path of its scope or parent; "-" for the script itself.
    """

    name: str
    path: str
    label: str | None
    occurrence: int
    kind: str

    @property
    def scope_path(self) -> str: ...

    def arguments(self) -> Mapping[str, Preview]:
        """Previews of its arguments by parameter; asked for only where an expression needs them."""


Matches = Callable[[Candidate], bool]


class LiveSelection:
    """Decides for each task whether a selection means it; may be asked from any thread.

    Args:
        selection: what was asked of the recorded run.
    """

    def __init__(self, selection: Selection) -> None:
        self.selection = selection
        self._meaning = selection.meaning
        #: Whether a task is meant.
        self.matches: Matches = self._of(selection.parsed)

    def _of(self, expression: Expression) -> Matches:
        match expression:
            case Everything():
                return lambda candidate: True
            case Call():
                return _called(expression)
            case At(address) if not expression.is_loc:
                return lambda candidate: candidate.path == address
            case Filter(kind) if (matches := FILTERS[kind].matches) is not None:
                return matches(expression)
            case Argument():
                return self._with_argument(expression)
            case At() | Filter() | Ends():
                return self._recorded(expression)
            case Walk():
                return self._walked(expression)
            case Not(of):
                excluded = self._of(of)
                return lambda candidate: not excluded(candidate)
            case And(of):
                return _all(map(self._of, sorted(of, key=_needs_arguments)))
            case Or(of):
                return _any(map(self._of, sorted(of, key=_needs_arguments)))

    def _recorded(self, expression: Expression) -> Matches:
        paths = self._paths(self._meaning.ids(expression))
        return lambda candidate: candidate.path in paths

    def _with_argument(self, argument: Argument) -> Matches:
        """By what the task was called with. Of an argument that it was not given, or that is the result of another
        task, the record tells."""
        is_recorded, fits, name = self._recorded(argument), arguments.test(argument), argument.name

        def matches(candidate: Candidate) -> bool:
            given = candidate.arguments()
            if name not in given or arguments.is_open(given[name]):
                return is_recorded(candidate)
            return fits(given[name])

        return matches

    def _walked(self, walk: Walk) -> Matches:
        """Those that the record came to, those that are meant at the start, and new ones that joins submit which the
        walk came to from above."""
        is_recorded, is_start = self._recorded(walk), self._of(walk.of)
        if not walk.down:
            return lambda candidate: is_recorded(candidate) or is_start(candidate)
        depth = depth_of(walk.down)
        begun, _ = self._meaning.edges.affected(self._meaning.ids(walk.of), None if depth is None else depth - 1)
        joins = self._paths(begun.intersection(self._meaning.of_apps(lambda app: app.kind == "join")))
        known = self._paths(self._meaning.all) if joins else frozenset()

        def is_below(candidate: Candidate) -> bool:
            return candidate.path not in known and next(_parents(candidate, known), "") in joins

        if not joins:
            return lambda candidate: is_recorded(candidate) or is_start(candidate)
        return lambda candidate: is_recorded(candidate) or is_start(candidate) or is_below(candidate)

    def _paths(self, ids: Iterable[int]) -> frozenset[str]:
        return frozenset(map(self._meaning.paths.__getitem__, ids))


def _called(call: Call) -> Matches:
    name, which = call.name, call.which
    if which is None:
        return lambda candidate: candidate.name == name
    return lambda candidate: (
        candidate.name == name and (str(candidate.occurrence) if candidate.label is None else candidate.label) == which
    )


def _parents(candidate: Candidate, known: frozenset[str]) -> Iterator[str]:
    """The tasks of the recorded run that a task's place is in, from the inside."""
    place = candidate.scope_path
    while place:
        if place in known:
            yield place
        place = place.rpartition("/")[0]


def _all(tests: Iterable[Matches]) -> Matches:
    each = tuple(tests)

    def matches(candidate: Candidate) -> bool:
        return all(test(candidate) for test in each)

    return matches


def _any(tests: Iterable[Matches]) -> Matches:
    each = tuple(tests)

    def matches(candidate: Candidate) -> bool:
        return any(test(candidate) for test in each)

    return matches


def _needs_arguments(expression: Expression) -> bool:
    return any(isinstance(leaf, Argument) for leaf in leaves(expression))
