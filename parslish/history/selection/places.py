"""Owns the filters that go by a task's name and place: what they mean in a run, and of a task that has just come."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final

from parslish.history.selection import words
from parslish.history.selection.expression import Filter
from parslish.history.selection.words import any_of

if TYPE_CHECKING:
    from parslish.history.selection.live import Candidate
    from parslish.history.selection.meaning import Meaning

_PART: Final = re.compile(r"/([^/\[\]]+)\[([^\]]*)\]")

Ids = Iterable[int]
Matches = Callable[["Candidate"], bool]


def named(meaning: Meaning, each: Filter) -> Ids:
    is_named = any_of(each.words)
    return meaning.of_apps(lambda app: is_named(app.name))


def name_matches(each: Filter) -> Matches:
    is_named = any_of(each.words)
    return lambda candidate: is_named(candidate.name)


def at_paths(meaning: Meaning, each: Filter) -> Ids:
    is_meant = any_of(each.words, words.path_pattern)
    return [id for id, path in meaning.paths.items() if is_meant(path)]


def path_matches(each: Filter) -> Matches:
    is_meant = any_of(each.words, words.path_pattern)
    return lambda candidate: is_meant(candidate.path)


def labelled(meaning: Meaning, each: Filter) -> Ids:
    is_label = any_of(each.words)
    return [id for id, label in meaning.run.columns.label.items() if is_label(label)]


def label_matches(each: Filter) -> Matches:
    is_label = any_of(each.words)
    return lambda candidate: candidate.label is not None and is_label(candidate.label)


def of_kind(meaning: Meaning, each: Filter) -> Ids:
    return meaning.of_apps(lambda app: app.kind in each.words)


def kind_matches(each: Filter) -> Matches:
    return lambda candidate: candidate.kind in each.words


def in_scope(meaning: Meaning, each: Filter) -> Ids:
    is_place = _scope_test(each)
    return [id for place, ids in meaning.by_place.items() if is_place(place) for id in ids]


def scope_matches(each: Filter) -> Matches:
    is_place = _scope_test(each)
    return lambda candidate: is_place(candidate.scope_path)


def _scope_test(each: Filter) -> Callable[[str], bool]:
    """Whether a place is, or is in, one of those that are meant: by their paths, or by their names."""
    is_path = any_of([word for word in each.words if word.startswith(("-", "**"))], words.path_pattern)
    is_name = any_of([word for word in each.words if not word.startswith(("-", "**"))])
    return lambda place: (
        any(map(is_path, _enclosing(place)))
        or any(is_name(name) or is_name(f"{name}[{label}]") for name, label in _PART.findall(place))
    )


def _enclosing(place: str) -> Iterator[str]:
    while place:
        yield place
        place = place.rpartition("/")[0]


def tagged(meaning: Meaning, each: Filter) -> Ids:
    is_tag = any_of(each.words)
    yield from labelled(meaning, each)
    for place, ids in meaning.by_place.items():
        if any(map(is_tag, _tags(place))):
            yield from ids


def tag_matches(each: Filter) -> Matches:
    is_tag, has_label = any_of(each.words), label_matches(each)
    return lambda candidate: has_label(candidate) or any(map(is_tag, _tags(candidate.scope_path)))


def _tags(place: str) -> Iterator[str]:
    for name, label in _PART.findall(place):
        yield from (name, label, f"{name}[{label}]")


def names(meaning: Meaning) -> Iterable[str]:
    """The names of the places in a run."""
    return {name for place in meaning.by_place for name, _ in _PART.findall(place)}


def labels(meaning: Meaning) -> Iterable[str]:
    return meaning.run.columns.label.values()


def kinds(meaning: Meaning) -> Iterable[str]:
    return {app.kind for app in meaning.run.apps.values()}


def apps(meaning: Meaning) -> Iterable[str]:
    return meaning.by_name


def paths(meaning: Meaning) -> Iterable[str]:
    return meaning.paths.values()
