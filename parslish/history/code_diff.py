"""Owns what differs between two fingerprints of an app's code: which function, helper, constant, closure or default,
and of what has a source the difference of the texts.

Parts are as `AppRecord.parts` has them: (kind, name, digest, text).
"""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

Part = tuple[str, str, bytes, str]

CHANGED, ADDED, REMOVED = "changed", "added", "removed"
#: How each kind of part is called.
_CALLED: Final[Mapping[str, str]] = {
    "function": "function",
    "class": "class",
    "constant": "constant",
    "closure": "closure variable",
    "default": "default value",
    "attribute": "class attribute",
}
#: Parts of which only the name counts, and what is said of them.
_BY_NAME: Final[Mapping[str, str]] = {
    "state": "changed by the code that reads it",
    "opaque": "without identity",
    "missing": "not defined",
}


@dataclass(frozen=True, slots=True)
class Change:
    """A part that changed.

    Args:
        kind, name: of the part, as `identity.code.Part` has them.
        how: "changed", "added" or "removed".
        is_own: whether it is the app's own function.
        old, new: source texts, or values of numbers; "" where there is none.
        diff: of the source texts, unified; "" for what has none.
    """

    kind: str
    name: str
    how: str
    is_own: bool = False
    old: str = ""
    new: str = ""
    diff: str = ""

    @property
    def sentence(self) -> str:
        """What changed, as a clause."""
        called = f"{_CALLED.get(self.kind, 'name')} {self.name}"
        if self.kind in _BY_NAME:
            return f"{called} {'is no longer' if self.how == REMOVED else 'is'} {_BY_NAME[self.kind]}"
        if self.how == ADDED:
            return f"its code uses {called}, and did not"
        if self.how == REMOVED:
            return f"its code no longer uses {called}"
        if self.is_own:
            return f"its code changed: {called}"
        if self.diff or not (self.old and self.new):
            return f"{called}, which its code uses, changed"
        return f"{called}, which its code uses, was {self.old} and is {self.new}"

    def to_json(self) -> dict[str, Any]:
        """Its fields."""
        return asdict(self)


def changes(old: Sequence[Part], new: Sequence[Part], *, before: str = "before", now: str = "now") -> list[Change]:
    """The parts that differ, the app's own function first.

    Args:
        old, new: the parts of the code, the app's own function first.
        before, now: what the two are called in the heads of unified diffs.
    """
    found: list[Change] = []
    if old and new and old[0][0] == new[0][0]:  # what the app itself is called does not count
        if old[0][2] != new[0][2]:
            found.append(_changed(old[0], new[0], before, now, is_own=True))
        old, new = old[1:], new[1:]
    old, new = _without_common(old, new)
    left, came = _by_name(old), _by_name(new)
    for place in dict.fromkeys([*came, *left]):
        olds, news = left.get(place, []), came.get(place, [])
        for number in range(max(len(olds), len(news))):
            if number >= len(olds):
                found.append(_one_sided(news[number], ADDED))
            elif number >= len(news):
                found.append(_one_sided(olds[number], REMOVED))
            else:
                found.append(_changed(olds[number], news[number], before, now))
    return found


def unified(old: str, new: str, before: str = "before", now: str = "now") -> str:
    """The difference of two texts, as `diff -u` writes it; "" when there is none."""
    return "\n".join(difflib.unified_diff(old.splitlines(), new.splitlines(), before, now, lineterm=""))


def _without_common(old: Iterable[Part], new: Iterable[Part]) -> tuple[list[Part], list[Part]]:
    """The parts without those that are the same in both; then without those that only lie in another module."""
    olds, news = list(old), list(new)
    for same in (lambda part: part[:3], lambda part: (part[0], part[1].rpartition(".")[2], part[2])):
        common = {same(part) for part in olds} & {same(part) for part in news}
        olds = [part for part in olds if same(part) not in common]
        news = [part for part in news if same(part) not in common]
    return olds, news


def _by_name(parts: Iterable[Part]) -> dict[tuple[str, str], list[Part]]:
    found: dict[tuple[str, str], list[Part]] = defaultdict(list)
    for part in parts:
        found[part[0], part[1]].append(part)
    return found


def _changed(old: Part, new: Part, before: str, now: str, *, is_own: bool = False) -> Change:
    kind, name, _, text = new
    has_source = kind in ("function", "class")
    diff = unified(old[3], text, f"{before}: {old[1]}", f"{now}: {name}") if has_source else ""
    return Change(kind, name, CHANGED, is_own, old[3], text, diff)


def _one_sided(part: Part, how: str) -> Change:
    kind, name, _, text = part
    return Change(kind, name, how, False, *((text, "") if how == REMOVED else ("", text)))
