"""Owns how an expression is read. The grammar, with an example of everything, is in docs/selection.md."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

from parslish.errors import UsageError, near
from parslish.history.selection import words
from parslish.history.selection.expression import (
    ALL,
    ENDS,
    Argument,
    At,
    Call,
    Ends,
    Everything,
    Expression,
    Filter,
    Not,
    Value,
    both,
    union,
    walk,
)
from parslish.history.selection.filters import FILTERS

NAME, PATH, LOC, ARG = "name", "path", "loc", "arg"
ATOMS: Final = (*FILTERS, LOC, ARG)
_UP: Final = re.compile(r"\*|([1-9]\d{0,8})\+|\++")
_DOWN: Final = re.compile(r"\*|\+([1-9]\d{0,8})|\++")
_OPERATOR: Final = re.compile(r"!=|<=|>=|==?|<|>")
_PARAMETER: Final = re.compile(r"\*?\w+")
_LOC: Final = re.compile(r"-(?:\.N\d+)+")
_DEEPEST: Final = 100  # brackets inside of each other
_WIDEST: Final = 100  # characters of an expression that are shown with an error


def parse(expression: str | Iterable[str] | Expression) -> Expression:
    """Read an expression; several are the union of what they mean.

    Raises:
        UsageError: it is not to be understood; the lines that follow show where.
    """
    if isinstance(expression, Expression):
        return expression
    is_several = isinstance(expression, Iterable) and not isinstance(expression, str)
    each: list[object] = list(expression) if is_several else [expression]
    return union([_read(one) for one in each or [""]])


def _read(text: object) -> Expression:
    if not isinstance(text, str):
        raise UsageError(f"a selection is a text or a list of texts, not {text!r}")
    if not text.strip():
        raise UsageError("an empty selection: name an app, such as relax, or * for all tasks")
    return _Parser(text).whole()


class _Parser:
    """Reads one expression from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def whole(self) -> Expression:
        found = self._union()
        if self._next():
            raise self._expected("',', 'and', 'or', the end, or * or + behind a task")
        return found

    # ---------------------------------------------------------------------------------- and, or, not

    def _union(self) -> Expression:
        parts = [self._both()]
        while self._take(",") or self._take_word("or"):
            parts.append(self._both())
        return union(parts)

    def _both(self) -> Expression:
        parts = [self._one()]
        while self._take_word("and"):
            parts.append(self._one())
        return both(parts)

    def _one(self) -> Expression:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._wrong(f"more than {_DEEPEST} brackets and 'not' inside of each other")
        found = Not(self._one()) if self._take_word("not") else self._walk()
        self._depth -= 1
        return found

    def _walk(self) -> Expression:
        up = self._steps(_UP)
        if up == ALL and not self._is_task():
            return Everything()
        of = self._task()
        return walk(up, of, self._steps(_DOWN))

    def _steps(self, steps: re.Pattern[str]) -> int:
        self._next()
        found = steps.match(self._text, self._at)
        if found is None:
            return 0
        self._at = found.end()
        return ALL if found[0] == "*" else int(found[1] or len(found[0]))

    # ---------------------------------------------------------------------------------- tasks

    def _is_task(self) -> bool:
        name = words.name_at(self._text, self._at)
        return not words.is_reserved(name) if name else self._next() in ("(", '"', "'", "-")

    def _task(self) -> Expression:
        if self._take("("):
            return self._closed(self._union())
        if self._next() in ('"', "'"):
            found = self._string()
            return self._at_address(found) if found.startswith(("-/", "-.")) else Call(found, self._which())
        if self._text.startswith(("-/", "-."), self._at):
            return self._path_or_loc()
        name = words.name_at(self._text, self._at)
        if name is None or words.is_reserved(name):
            raise self._expected("an app, a path, a loc, or an atom such as status:failed")
        if self._text.startswith(":", self._at + len(name)):
            return self._atom(name)
        self._at += len(name)
        if name in ENDS and self._take("("):
            return Ends(name, None if self._take(")") else self._closed(self._union()))
        return Call(name, self._which())

    def _which(self) -> str | None:
        """The brackets behind a name, if there are any."""
        if not self._text.startswith("[", self._at):
            return None
        self._at += 1
        if self._text.startswith(('"', "'"), self._at):
            which = self._string()
        else:
            end = self._text.find("]", self._at)
            which = self._text[self._at : max(end, self._at)]
            self._at = len(self._text) if end < 0 else end
        if not self._take("]"):
            raise self._expected("]")
        if not which:
            raise self._wrong("an occurrence or a label belongs into the brackets, as in relax[3] or relax[Si]")
        return which

    def _path_or_loc(self) -> Expression:
        word = self._word("a path")
        return Filter(PATH, (word,)) if words.is_pattern(word) else self._at_address(word)

    def _at_address(self, address: str) -> Expression:
        if address.startswith("-.") and not _LOC.fullmatch(address):
            raise self._wrong(f"{address!r} is no loc: takes the like of -.N3.N5")
        return At(address)

    # ---------------------------------------------------------------------------------- atoms

    def _atom(self, kind: str) -> Expression:
        if kind not in ATOMS:
            raise self._wrong(
                f"there is no {kind}:{near(kind, ATOMS)}; there are {', '.join(f'{each}:' for each in ATOMS)}"
            )
        self._at += len(kind) + 1
        if kind == ARG:
            return self._argument()
        if kind in _BY_WORD:
            return union(_BY_WORD[kind](self, word) for word in self._alternatives(f"a {kind}", lambda word: None))
        takes = FILTERS[kind]
        operator = self._operator() if takes.has_operator else ""
        if takes.has_operator and operator in ("", "=", "!="):
            raise self._expected(f"<, <=, > or >=, as in {takes.example}")
        found = self._alternatives(takes.example, takes.check)
        if takes.has_operator and len(found) > 1:
            raise self._wrong(f"{operator} takes one value")
        return Filter(kind, tuple(found), operator)

    def _named(self, word: str) -> Expression:
        return Filter(NAME, (word,)) if words.is_pattern(word) else Call(word)

    def _placed(self, word: str) -> Expression:
        if not word.startswith(("-/", "*")):
            raise self._wrong(f"{word!r} is no path: one begins with -/ or with **/")
        return Filter(PATH, (word,)) if words.is_pattern(word) else At(word)

    def _located(self, word: str) -> Expression:
        return self._at_address(word if word.startswith("-.") else f"-.{word}")

    def _argument(self) -> Expression:
        name = _PARAMETER.match(self._text, self._at)
        if name is None:
            raise self._expected("the name of an argument, as in arg:seed=7")
        self._at = name.end()
        operator = self._operator()
        if not operator:
            raise self._expected("=, !=, <, <=, > or >= behind the name of the argument")
        values = [self._value()]
        while self._text.startswith("|", self._at):
            self._at += 1
            values.append(self._value())
        if operator not in ("=", "!=") and len(values) > 1:
            raise self._wrong(f"{operator} takes one value")
        return Argument(name[0], operator, tuple(values))

    def _value(self) -> Value:
        is_text = self._text.startswith(('"', "'"), self._at)
        word = self._word("a value")
        return Value(word, is_text or words.is_pattern(word))

    def _operator(self) -> str:
        found = _OPERATOR.match(self._text, self._at)
        if found is None:
            return ""
        self._at = found.end()
        return "=" if found[0] == "==" else found[0]

    def _alternatives(self, what: str, check: Callable[[str], object]) -> list[str]:
        """Words with | between them."""
        found: list[str] = []
        while not found or self._text.startswith("|", self._at):
            self._at += bool(found)
            at = self._at
            word = self._word(what)
            try:
                check(word)
            except ValueError as exc:
                raise self._wrong(str(exc), at) from None
            found.append(word)
        return found

    # ---------------------------------------------------------------------------------- words

    def _word(self, what: str) -> str:
        if self._text.startswith(('"', "'"), self._at):
            return self._string()
        found = words.bare_at(self._text, self._at)
        if found is None:
            raise self._expected(f"{what}")
        word, self._at = found
        return word

    def _string(self) -> str:
        found = words.string_at(self._text, self._at)
        if found is None:
            raise self._wrong("a quote is opened and not closed")
        content, self._at = found
        return content

    def _next(self) -> str:
        """The next character that is no space; "" at the end."""
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1
        return self._text[self._at : self._at + 1]

    def _take(self, sign: str) -> bool:
        found = self._next() == sign
        self._at += found
        return found

    def _take_word(self, word: str) -> bool:
        self._next()
        name = words.name_at(self._text, self._at)
        found = name in (word, word.upper())
        self._at += len(word) if found else 0
        return found

    def _closed(self, found: Expression) -> Expression:
        if not self._take(")"):
            raise self._expected("',', 'and', 'or' or )")
        return found

    # ---------------------------------------------------------------------------------- errors

    def _expected(self, what: str) -> UsageError:
        self._next()
        found = self._text[self._at :].split(None, 1)
        hint = f" (a task by its id is id:{found[0]})" if found and found[0].isdecimal() else ""
        return self._wrong(f"expected {what}; found {repr(found[0][:40]) if found else 'the end'}{hint}")

    def _wrong(self, what: str, at: int | None = None) -> UsageError:
        at = self._at if at is None else at
        first = max(0, at - _WIDEST // 2)
        line = "".join(" " if each.isspace() else each for each in self._text[first : first + _WIDEST])
        return UsageError(f"selection: {what}\n    {line}\n    {' ' * (at - first)}^")


_BY_WORD: Final = {NAME: _Parser._named, PATH: _Parser._placed, LOC: _Parser._located}
