"""Owns `diff`: what differs between two runs, task by task of the same path, and in what they ran with.

In what two tasks differ is `differences`' to say; by how much their values do, what the caller gives for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from parslish.history import given
from parslish.history.columns import DONE
from parslish.history.differences import Differences
from parslish.history.given import Given
from parslish.history.order import warnings_of
from parslish.history.reason import Reason
from parslish.history.record import GOOD, STATUSES, RunRecord
from parslish.history.surroundings import RunChange, surroundings

RATIO: Final = 1.5  #: a task is slower that took so many times as long,
SECONDS: Final = 1.0  #: and so many seconds longer
DIFFERENT: Final = "different"


class Difference(Protocol):
    """By how much two values differ, as the caller's `values` says; `verdict` as in `compare`."""

    @property
    def verdict(self) -> str: ...
    def to_json(self) -> dict[str, Any]: ...


ValueDifference = Callable[[bytes, bytes], Difference]


@dataclass(frozen=True, slots=True)
class Changed:
    """A task whose key, arguments, code or result differ.

    Args:
        path: its place in both runs; `a`, `b`: its ids there.
        reasons: by what.
        value: by how much its results differ, where that was asked for and both have one.
    """

    path: str
    a: int
    b: int
    reasons: Sequence[Reason]
    value: Difference | None = None

    def to_json(self) -> dict[str, Any]:
        """Its fields."""
        return {
            "path": self.path,
            "a": self.a,
            "b": self.b,
            "reasons": [each.to_json() for each in self.reasons],
            "value": None if self.value is None else self.value.to_json(),
        }


@dataclass(frozen=True, slots=True)
class Timed:
    """A task that took clearly longer in one run, in seconds."""

    path: str
    a: int
    b: int
    a_s: float
    b_s: float

    def to_json(self) -> dict[str, Any]:
        """Its fields."""
        return {"path": self.path, "a": self.a, "b": self.b, "a_s": self.a_s, "b_s": self.b_s}


@dataclass(frozen=True, slots=True)
class StatusChange:
    """A task of which something else became."""

    path: str
    a: int
    b: int
    old: str
    new: str

    def to_json(self) -> dict[str, Any]:
        """Its fields."""
        return {"path": self.path, "a": self.a, "b": self.b, "old": self.old, "new": self.new}


@dataclass(frozen=True)
class Diff:
    """What differs between two runs. A task may be in several lists.

    Args:
        a, b: their records.
        same: paths of tasks that did the same; what became of them, and how long they took, may differ.
        changed: tasks that did not.
        only_a, only_b: paths that only one of the runs has.
        status_changed: of which something else became; that one was computed and the other reused is no change.
        slower, faster: in `b`, of those that both computed; what differs most comes first.
        run: what differs in what they ran with.
        warnings: what may make the comparison mean less, in sentences.
    """

    a: RunRecord
    b: RunRecord
    same: Sequence[str] = ()
    changed: Sequence[Changed] = ()
    only_a: Sequence[str] = ()
    only_b: Sequence[str] = ()
    status_changed: Sequence[StatusChange] = ()
    slower: Sequence[Timed] = ()
    faster: Sequence[Timed] = ()
    run: Sequence[RunChange] = ()
    warnings: Sequence[str] = ()

    def __str__(self) -> str:
        counts = self.counts
        told = ", ".join(f"{counts[name]:,} {name.replace('_', ' ')}" for name in _LISTS if counts[name])
        return f"runs {self.a.id} and {self.b.id}: {told or 'no tasks'}"

    @property
    def counts(self) -> dict[str, int]:
        """How many there are in each list of tasks."""
        return {name: len(getattr(self, name)) for name in _LISTS}

    def to_json(self) -> dict[str, Any]:
        """As the command line and the page give it."""
        return {
            "a": self.a.id,
            "b": self.b.id,
            "counts": self.counts,
            **{name: [_json(each) for each in getattr(self, name)] for name in (*_LISTS, "run")},
            "warnings": list(self.warnings),
        }


_LISTS: Final = ("same", "changed", "only_a", "only_b", "status_changed", "slower", "faster")


def diff(
    a: RunRecord, b: RunRecord, *, values: ValueDifference | None = None, ratio: float = RATIO, seconds: float = SECONDS
) -> Diff:
    """What differs between two runs; tasks are matched by their paths.

    Args:
        values: tells by how much the values of two keys differ, of the first in `a` and the second in `b`. It is asked
            for results of which the record does not tell that they are equal.
        ratio, seconds: a task is slower or faster that took `ratio` times as long, and `seconds` longer.
    """
    paths = {a.path_of(id): id for id in a.ids()}
    pairs: list[tuple[str, int, int]] = []
    only_b: list[str] = []
    for id in b.ids():
        path = b.path_of(id)
        mine = paths.pop(path, None)
        if mine is None:
            only_b.append(path)
        else:
            pairs.append((path, mine, id))
    same, changed = _compared(a, b, pairs, values)
    slower, faster = _timed(a, b, pairs, ratio, seconds)
    return Diff(
        a, b, same, changed, list(paths), only_b, list(_statuses(a, b, pairs)), slower, faster,
        list(surroundings(a, b)), list(warnings_of(a, b, pairs)),
    )  # fmt: skip


_Pairs = Sequence[tuple[str, int, int]]


def _compared(
    a: RunRecord, b: RunRecord, pairs: _Pairs, values: ValueDifference | None
) -> tuple[list[str], list[Changed]]:
    same: list[str] = []
    changed: list[Changed] = []
    compare = _Comparison(a, b)
    for path, mine, theirs in pairs:
        reasons = compare.reasons(mine, theirs)
        value = None if values is None else compare.value(mine, theirs, values)
        if reasons or (value is not None and value.verdict == DIFFERENT):
            changed.append(Changed(path, mine, theirs, reasons, value))
        else:
            same.append(path)
    return same, changed


class _Comparison:
    """Compares tasks of two runs, most of which are equal."""

    def __init__(self, a: RunRecord, b: RunRecord) -> None:
        self._a, self._b = a, b
        self._differences = Differences(a, b)

    def reasons(self, mine: int, theirs: int) -> list[Reason]:
        """By what two tasks differ."""
        one, two = self._a.columns, self._b.columns
        found: list[Reason] = []
        if one.key[mine] is None or one.key[mine] != two.key[theirs]:
            found = self._parts(mine, theirs)
        was, is_ = one.result[mine], two.result[theirs]
        if was is not is_ and was != is_ and self._have_results(mine, theirs):
            was, is_ = Given(was), Given(is_)
            if was.equals(is_) is False:
                text = f"its result was {was.text} and is {is_.text}"
                found.append(Reason("result_changed", text, {"old": was.text, "new": is_.text}))
        return found

    def value(self, mine: int, theirs: int, values: ValueDifference) -> Difference | None:
        """By how much the results of two tasks differ; None where both are known to be the same, or one has none."""
        one, two = self._a.columns, self._b.columns
        key, other = one.key[mine], two.key[theirs]
        if key is None or other is None or not self._have_results(mine, theirs):
            return None
        was, is_ = Given(one.result[mine]), Given(two.result[theirs])
        if was.equals(is_) or self._is_one_computation(mine, theirs):
            return None
        return values(key, other)

    def _parts(self, mine: int, theirs: int) -> list[Reason]:
        one, two = self._a.columns, self._b.columns
        has_more = one.key[mine] or two.key[theirs] or mine in one.outputs or theirs in two.outputs
        if not has_more and given.is_same_call(self._a, mine, self._b, theirs):
            return list(self._differences.code(one.app[mine], two.app[theirs]))
        return self._differences.between(self._a.task(mine), self._b.task(theirs))

    def _have_results(self, mine: int, theirs: int) -> bool:
        return self._a.columns.status[mine] in _GOOD and self._b.columns.status[theirs] in _GOOD

    def _is_one_computation(self, mine: int, theirs: int) -> bool:
        """Whether one of the two reused the other, or both the same."""
        was, is_ = (run.task(id).origin or (run.number, id) for run, id in ((self._a, mine), (self._b, theirs)))
        return was == is_ and self._a.path.parent == self._b.path.parent


_GOOD: Final = frozenset(map(STATUSES.index, GOOD))


def _statuses(a: RunRecord, b: RunRecord, pairs: _Pairs) -> Iterator[StatusChange]:
    one, two = a.columns.status, b.columns.status
    for path, mine, theirs in pairs:
        was, is_ = one[mine], two[theirs]
        if was != is_ and not (was in _GOOD and is_ in _GOOD):
            yield StatusChange(path, mine, theirs, STATUSES[was], STATUSES[is_])


def _timed(a: RunRecord, b: RunRecord, pairs: _Pairs, ratio: float, seconds: float) -> tuple[list[Timed], list[Timed]]:
    slower: list[Timed] = []
    faster: list[Timed] = []
    one, two = a.columns, b.columns
    for path, mine, theirs in pairs:
        was, is_ = one.duration[mine], two.duration[theirs]
        if abs(is_ - was) < seconds or not one.status[mine] == two.status[theirs] == DONE:
            continue
        if max(was, is_) >= ratio * min(was, is_):
            (slower if is_ > was else faster).append(Timed(path, mine, theirs, was, is_))
    for found in (slower, faster):
        found.sort(key=lambda each: abs(each.b_s - each.a_s), reverse=True)
    return slower, faster


def _json(found: Any) -> Any:
    return found if isinstance(found, str) else found.to_json()
