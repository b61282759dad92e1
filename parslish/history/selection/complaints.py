"""Owns what is said of names that nothing in a run has, and of expressions that mean none of its tasks."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Final

from parslish.errors import UsageError, near
from parslish.history.selection import arguments, places
from parslish.history.selection.expression import Argument, Call, Expression, Filter, leaves, parts
from parslish.history.selection.filters import FILTERS

if TYPE_CHECKING:
    from parslish.history.selection.meaning import Meaning

_SHOWN: Final = 8  # names that are told
_COMPARED: Final = 2_000  # names among which a near one is looked for


def no_call(meaning: Meaning, call: Call) -> str:
    """That no app has a name, or was not called as that."""
    calls, run = meaning.by_name.get(call.name, ()), meaning.run
    if calls:
        assert call.which is not None
        columns = run.columns
        known = [columns.label.get(id, str(columns.occurrence[id])) for id in islice(calls, _COMPARED)]
        return f"there is no {call}{near(call.which, known)}; {call.name} has {some(known)}"
    if call.name in places.names(meaning):
        return f"{call.name!r} is no app but a scope; its tasks are  scope:{call}"
    if "*" in call.name:
        return f"there is no app {call.name!r}; for a pattern write  name:{call}"
    return f"there is no app {call.name!r}{near(call.name, meaning.by_name)}; there are {some(meaning.by_name)}"


def no_task_at(meaning: Meaning, address: str) -> str:
    """That no task has a path, loc or id."""
    last = len(meaning.run) - 1
    if not address.startswith("-/"):
        return f"there is no task {address}; the ids are 0 to {last}, and locs the like of -.N3.N5"
    if any(address == each or each.startswith(f"{address}/") for each in meaning.by_place):
        return f"{address} is no task but a place; its tasks are  scope:{address}"
    name = address.rpartition("/")[2].partition("[")[0]
    known = [meaning.run.path_of(id) for id in islice(meaning.by_name.get(name, meaning.all), _COMPARED)]
    return f"there is no task {address}{near(address, known)}; for all calls of an app write its name alone"


def no_argument(meaning: Meaning, name: str) -> str:
    known = arguments.known(meaning)
    return f"no app has an argument {name!r}{near(name, known)}; there are {some(known)}"


def unknown(meaning: Meaning) -> UsageError:
    """For an expression with names that nothing has."""
    more = len(meaning.unknown) - 1
    others = f" (and so for {more} more)" if more else ""
    return UsageError(f"run {meaning.run.id}: {meaning.unknown[0]}{others}")


def nothing(meaning: Meaning, expression: Expression) -> UsageError:
    """For an expression that means no task: says which part of it means none, and what there is."""
    run = meaning.run.id
    if not meaning.all:
        return UsageError(f"run {run} has no tasks to select from")
    for leaf in leaves(expression):
        if not meaning.ids(leaf):
            return UsageError(f"run {run}: no task is meant by  {leaf}; {_there(meaning, leaf)}")
    counted = [f"{len(meaning.ids(each)):,} by  {each}" for each in parts(expression)]
    return UsageError(f"run {run}: no task is meant by  {expression}; {', '.join(counted)}")


def _there(meaning: Meaning, leaf: Expression) -> str:
    if isinstance(leaf, Argument):
        shown = arguments.shown_values(meaning, leaf.name, _SHOWN)
        return f"values of {leaf.name} are {some(shown)}" if shown else f"no task was called with {leaf.name}"
    if not isinstance(leaf, Filter):
        return f"{leaf} names none"
    there = FILTERS[leaf.kind].there(meaning)
    if isinstance(there, str):
        return there
    known = list(dict.fromkeys(islice(there, _COMPARED)))
    return f"there are {some(known)}{near(leaf.words[0], known)}" if known else f"none has a {leaf.kind}"


def some(names: Iterable[str]) -> str:
    """A few of these names, in order."""
    known = sorted(set(names), key=lambda name: (len(name), name) if name.isdecimal() else (0, name))
    return f"{', '.join(known[:_SHOWN])}{', …' if len(known) > _SHOWN else ''}" or "none"
