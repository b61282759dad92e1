"""Owns what an expression is made of, and how it is written; leaves to `parser` how it is read, so that
`parse(str(expression)) == expression`, and to `meaning` which tasks it means."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from parslish.history.selection.words import is_pattern, is_plain_name, quoted, shown, written

ROOTS, SINKS = ENDS = ("roots", "sinks")
#: How far a walk goes when it goes all the way; 0 is not at all.
ALL: Final = -1
_LIKE_A_NUMBER: Final = re.compile(r"\d\.?[eE]\Z")  # `1e` with `+3` behind it would be one


@dataclass(frozen=True, slots=True)
class Everything:
    """All tasks: `*`."""

    def __str__(self) -> str:
        return "*"


@dataclass(frozen=True, slots=True)
class Call:
    """The calls of an app, or that with an occurrence or label: `relax`, `relax[3]`, `relax[Si]`."""

    name: str
    which: str | None = None

    def __str__(self) -> str:
        if self.name.startswith(("-/", "-.")):
            return f"name:{written(self.name)}"
        name = self.name if is_plain_name(self.name) else quoted(self.name)
        return name if self.which is None else f"{name}[{shown(self.which)}]"


@dataclass(frozen=True, slots=True)
class At:
    """The task with a path or a loc: `-/scan[2]/relax[Si]`, `-.N3.N5`."""

    address: str

    def __str__(self) -> str:
        return quoted(self.address) if is_pattern(self.address) else written(self.address)

    @property
    def is_loc(self) -> bool:
        return self.address.startswith("-.")


@dataclass(frozen=True, slots=True)
class Filter:
    """The tasks of which something is so, as one of these words says: `status:failed|lost`, `duration:>10m`."""

    kind: str
    words: tuple[str, ...]
    operator: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.operator}{'|'.join(map(written, self.words))}"


class Value(NamedTuple):
    """What an argument is compared with; `is_text` where quotes said that it is no number."""

    text: str
    is_text: bool = False

    def __str__(self) -> str:
        return quoted(self.text) if self.is_text else written(self.text)


@dataclass(frozen=True, slots=True)
class Argument:
    """The tasks with an argument that compares so with one of these values: `arg:seed=7|8`."""

    name: str
    operator: str
    values: tuple[Value, ...]

    def __str__(self) -> str:
        return f"arg:{self.name}{self.operator}{'|'.join(map(str, self.values))}"


@dataclass(frozen=True, slots=True)
class Walk:
    """Tasks, with what they depend on and what depends on them, so many edges far: `*x`, `x*`, `2+x+3`."""

    up: int
    of: Expression
    down: int

    def __str__(self) -> str:
        of = _enclosed(self.of)
        if self.down and _LIKE_A_NUMBER.search(of):
            of = f"({of})"
        return f"{_plus(self.up, f'{self.up}+')}{of}{_plus(self.down, f'+{self.down}')}"


@dataclass(frozen=True, slots=True)
class Ends:
    """Those of some tasks that depend on no other of them, or that no other depends on: `roots()`, `sinks(x*)`."""

    which: str
    of: Expression | None = None

    def __str__(self) -> str:
        return f"{self.which}({'' if self.of is None else self.of})"


@dataclass(frozen=True, slots=True)
class Not:
    """All tasks but some."""

    of: Expression

    def __str__(self) -> str:
        return f"not {_enclosed(self.of, besides=(Not, Walk))}"


@dataclass(frozen=True, slots=True)
class And:
    """The tasks that all of these mean; made by `both`."""

    of: tuple[Expression, ...]

    def __str__(self) -> str:
        return " and ".join(_enclosed(each, besides=(Not, Walk)) for each in self.of)


@dataclass(frozen=True, slots=True)
class Or:
    """The tasks that any of these means; made by `union`."""

    of: tuple[Expression, ...]

    def __str__(self) -> str:
        return " or ".join(map(str, self.of))


Expression: TypeAlias = Everything | Call | At | Filter | Argument | Walk | Ends | Not | And | Or
_ATOMS: Final = (Call, At, Filter, Argument, Ends)


def union(parts: Iterable[Expression]) -> Expression:
    """What any of these means, without unions inside of unions, and each once."""
    flat: dict[Expression, None] = {}
    for part in parts:
        flat.update(dict.fromkeys(part.of if isinstance(part, Or) else (part,)))
    return next(iter(flat)) if len(flat) == 1 else Or(tuple(flat))


def both(parts: Iterable[Expression]) -> Expression:
    """What all of these mean."""
    flat: dict[Expression, None] = {}
    for part in parts:
        flat.update(dict.fromkeys(part.of if isinstance(part, And) else (part,)))
    return next(iter(flat)) if len(flat) == 1 else And(tuple(flat))


def walk(up: int, of: Expression, down: int) -> Expression:
    return Walk(up, of, down) if up or down else of


def parts(expression: Expression) -> Iterator[Expression]:
    """What an expression is made of at once."""
    if isinstance(expression, And | Or):
        yield from expression.of
    elif isinstance(expression, Not | Walk | Ends) and expression.of is not None:
        yield expression.of


def leaves(expression: Expression) -> Iterator[Expression]:
    """The atoms of an expression."""
    inner = list(parts(expression))
    if not inner:
        yield expression
    for part in inner:
        yield from leaves(part)


def _plus(count: int, counted: str) -> str:
    return {ALL: "*", 0: "", 1: "+", 2: "++"}.get(count, counted)


def _enclosed(expression: Expression, besides: tuple[type, ...] = ()) -> str:
    is_plain = isinstance(expression, (*_ATOMS, *besides)) or (besides and isinstance(expression, Everything))
    return str(expression) if is_plain else f"({expression})"
