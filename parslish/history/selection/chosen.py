"""Owns `Selection`: the tasks of a run that an expression means."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from parslish.errors import UsageError
from parslish.history.edges import FOLLOWED, Edges
from parslish.history.record import RunRecord, TaskRecord
from parslish.history.selection import complaints
from parslish.history.selection.expression import Expression, Not, both, union
from parslish.history.selection.meaning import Meaning
from parslish.history.selection.parser import parse


@dataclass(frozen=True, eq=False)
class Selection:
    """Tasks of one run; made by `select`, and of others with `|`, `&` and `-`, which may leave none.

    Args:
        run: whose tasks they are.
        parsed: what was asked for.
        ids: theirs, in order.
    """

    run: RunRecord
    parsed: Expression
    ids: tuple[int, ...]
    meaning: Meaning = field(repr=False)

    @property
    def expression(self) -> str:
        """What was asked for, as it was understood."""
        return str(self.parsed)

    @property
    def tasks(self) -> list[TaskRecord]:
        return list(self)

    @property
    def paths(self) -> list[str]:
        return [self.run.path_of(id) for id in self.ids]

    @property
    def edges(self) -> Edges:
        """What depends on what in the run; made once for all selections that walk along the same edges."""
        return self.meaning.edges

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[TaskRecord]:
        return (TaskRecord(self.run, id) for id in self.ids)

    def __contains__(self, task: object) -> bool:
        """Whether a task is among them: itself, its id, its path or its loc."""
        if isinstance(task, TaskRecord):
            return task.run is self.run and task.id in self._members
        if isinstance(task, str):
            try:
                return self.run.task(task).id in self._members
            except UsageError:
                return False
        return task in self._members

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Selection) and (self.run, self.ids) == (other.run, other.ids)

    def __hash__(self) -> int:
        return hash(self.ids)

    def __or__(self, other: Selection) -> Selection:
        return self._with(other, union((self.parsed, other.parsed)))

    def __and__(self, other: Selection) -> Selection:
        return self._with(other, both((self.parsed, other.parsed)))

    def __sub__(self, other: Selection) -> Selection:
        return self._with(other, both((self.parsed, Not(other.parsed))))

    def __repr__(self) -> str:
        return f"<{len(self)} tasks of run {self.run.id}: {self.expression}>"

    @property
    def _members(self) -> frozenset[int]:
        return self.meaning.ids(self.parsed)

    def _with(self, other: Selection, expression: Expression) -> Selection:
        if not isinstance(other, Selection):
            return NotImplemented
        if self.run is not other.run or self.meaning.kinds != other.meaning.kinds:
            raise UsageError(
                f"selections of run {self.run.id} and run {other.run.id} cannot be combined: select both from one "
                f"RunRecord, with the same kinds of edges"
            )
        return _made(self.meaning, expression)


def select(
    run: RunRecord,
    expression: str | Iterable[str] | Expression,
    *,
    kinds: Collection[str] = FOLLOWED,
    parent: RunRecord | None = None,
    empty_ok: bool = False,
) -> Selection:
    """The tasks of a run that an expression means.

    Args:
        run: its record.
        expression: as docs/selection.md has it; several are a union.
        kinds: the kinds of edges that `*` and `+` follow.
        parent: the run whose code `code:changed` compares with; without one, the run that this one continued.
        empty_ok: whether there may be none; names that nothing has then mean nothing.

    Raises:
        UsageError: it is not to be understood, names what the run does not have, or means no task.
    """
    meaning = Meaning(run, kinds, parent)
    made = _made(meaning, parse(expression))
    if meaning.unknown and not empty_ok:
        raise complaints.unknown(meaning)
    if not made and not empty_ok:
        raise complaints.nothing(meaning, made.parsed)
    return made


def _made(meaning: Meaning, expression: Expression) -> Selection:
    return Selection(meaning.run, expression, tuple(sorted(meaning.ids(expression))), meaning)
