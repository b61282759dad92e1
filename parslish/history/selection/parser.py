"""Owns how an expression is read. The grammar, with an example of everything, is in docs/selection.md."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
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
_ORDER: Final = re.compile(r"<=|>=|<|>")
_COMPARISON: Final = re.compile(r"!=|<=|>=|==?|<|>")
_PARAMETER: Final = re.compile(r"\*?\w+")
_LOC: Final = re.compile(r"-(?:\.N\d+)+")
_QUOTES: Final = ('"', "'")
_DEEPEST: Final = 100  # brackets inside of each other
_WIDEST: Final = 100  # characters of an expression that are shown with an error

Check = Callable[[str], object]


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
        begin = self._next()
        name = words.name_at(self._text, self._at)
        return not words.is_reserved(name) if name else begin in ("(", "-", *_QUOTES)

    def _task(self) -> Expression:
        if self._take("("):
            return self._closed(self._union())
        if self._next() in _QUOTES:
            return self._quoted()
        if self._text.startswith("-/", self._at):
            return _placed(self._word("a path").text)
        if self._text.startswith("-.", self._at):
            return At(self._word("a loc", _check_loc).text)
        name = words.name_at(self._text, self._at)
        if name is None or words.is_reserved(name):
            raise self._expected("an app, a path, a loc, or an atom such as status:failed")
        if self._text.startswith(":", self._at + len(name)):
            return self._atom(name)
        self._at += len(name)
        if name in ENDS and self._take("("):
            return Ends(name, None if self._take(")") else self._closed(self._union()))
        return Call(name, self._which())

    def _closed(self, found: Expression) -> Expression:
        if not self._take(")"):
            raise self._expected("',', 'and', 'or' or )")
        return found

    def _quoted(self) -> Expression:
        """An app, a path or a loc in quotes, where nothing is a pattern."""
        is_loc = self._text.startswith("-.", self._at + 1)
        found = self._word("a loc", _check_loc if is_loc else str).text
        return At(found) if found.startswith(("-/", "-.")) else Call(found, self._which())

    def _which(self) -> str | None:
        """What is in the brackets behind a name, if there are any."""
        if not self._text.startswith("[", self._at):
            return None
        self._at += 1
        if self._text.startswith(_QUOTES, self._at):
            which = self._string()
        else:
            which, _, _ = self._text[self._at :].partition("]")
            if not which:
                raise self._expected("an occurrence or a label, as in relax[3] or relax[Si]")
            self._at += len(which)
        if not self._take("]"):
            raise self._expected("]")
        return which

    # ---------------------------------------------------------------------------------- atoms

    def _atom(self, kind: str) -> Expression:
        if kind not in ATOMS:
            raise self._wrong(f"there is no {kind}:{near(kind, ATOMS)}; there are {', '.join(ATOMS)}")
        self._at += len(kind) + 1
        if kind == ARG:
            return self._argument()
        if kind in _BY_WORD:
            check, made = _BY_WORD[kind]
            return union(made(word.text) for word in self._alternatives(f"a {kind}", check))
        takes = FILTERS[kind]
        operator = self._operator(_ORDER, f"<, <=, > or >=, as in {takes.example}") if takes.has_operator else ""
        found = self._alternatives(takes.example, takes.check, operator)
        return Filter(kind, tuple(word.text for word in found), operator)

    def _argument(self) -> Expression:
        name = _PARAMETER.match(self._text, self._at)
        if name is None:
            raise self._expected("the name of an argument, as in arg:seed=7")
        self._at = name.end()
        operator = self._operator(_COMPARISON, "=, !=, <, <=, > or >= behind the name of the argument")
        return Argument(name[0], operator, tuple(self._alternatives("a value", str, operator)))

    def _operator(self, operators: re.Pattern[str], what: str) -> str:
        found = operators.match(self._text, self._at)
        if found is None:
            raise self._expected(what)
        self._at = found.end()
        return "=" if found[0] == "==" else found[0]

    # ---------------------------------------------------------------------------------- words

    def _alternatives(self, what: str, check: Check, operator: str = "") -> list[Value]:
        """Words with | between them."""
        found = [self._word(what, check)]
        while self._text.startswith("|", self._at):
            if operator not in ("", "=", "!="):
                raise self._wrong(f"{operator} takes one value")
            self._at += 1
            found.append(self._word(what, check))
        return found

    def _word(self, what: str, check: Check = str) -> Value:
        """A word, in quotes or without; what has signs of a pattern in it is a text in any case."""
        at = self._at
        if self._text.startswith(_QUOTES, at):
            found = Value(self._string(), True)
        else:
            word = words.bare_at(self._text, at)
            if word is None:
                raise self._expected(what)
            self._at += len(word)
            found = Value(word, words.is_pattern(word))
        try:
            check(found.text)
        except ValueError as exc:
            raise self._wrong(str(exc), at) from None
        return found

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
        found = words.name_at(self._text, self._at) in (word, word.upper())
        self._at += len(word) if found else 0
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


def _named(word: str) -> Expression:
    return Filter(NAME, (word,)) if words.is_pattern(word) else Call(word)


def _placed(word: str) -> Expression:
    return Filter(PATH, (word,)) if words.is_pattern(word) else At(word)


def _check_path(word: str) -> None:
    if not word.startswith(("-/", "*")):
        raise ValueError(f"{word!r} is no path: one begins with -/ or with **/")


def _check_loc(word: str) -> None:
    if not _LOC.fullmatch(word):
        raise ValueError(f"{word!r} is no loc: takes the like of -.N3.N5")


_BY_WORD: Final[Mapping[str, tuple[Check, Callable[[str], Expression]]]] = {
    NAME: (str, _named),
    PATH: (_check_path, _placed),
    LOC: (_check_loc, At),
}
