"""Owns what `arg:` means: how previews of arguments compare with the values in an expression."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from parslish.history import previews
from parslish.history.selection import words
from parslish.history.selection.expression import Argument, Value

if TYPE_CHECKING:
    from parslish.history.selection.meaning import Meaning

_WORDS: Final[Mapping[str, object]] = {"True": True, "False": False, "None": None}
_ORDERS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def ids(meaning: Meaning, argument: Argument) -> Iterator[int]:
    """The tasks of a run with such an argument."""
    fits = test(argument)
    return (id for id, preview in _given(meaning, argument.name) if fits(preview))


def is_open(preview: object) -> bool:
    """Whether it is not told what an argument is: it is the result of a task."""
    return isinstance(preview, Mapping) and "task" in preview


def test(argument: Argument) -> Callable[[Any], bool]:
    """Whether the preview of an argument is as the expression says."""
    if argument.operator in _ORDERS:
        return _ordered(_ORDERS[argument.operator], argument.values[0])
    equal = [_equal(value) for value in argument.values]
    if argument.operator == "=":
        return equal[0] if len(equal) == 1 else lambda preview: any(each(preview) for each in equal)
    return lambda preview: not any(each(preview) for each in equal)


def known(meaning: Meaning) -> set[str]:
    """The names of arguments in a run."""
    columns = meaning.run.columns
    found = {name for app in meaning.run.apps.values() for name in app.parameters}
    found.update(name for each in columns.keywords.values() for name in each)
    found.update(name for each in columns.bound.values() for name in each[2])
    return found


def shown_values(meaning: Meaning, name: str, limit: int) -> list[str]:
    """Some of the values that an argument had."""
    found: dict[str, None] = {}
    for _, preview in _given(meaning, name):
        found[previews.text(preview)] = None
        if len(found) > limit:
            break
    return list(found)


def _given(meaning: Meaning, name: str) -> Iterator[tuple[int, Any]]:
    """The tasks of a run that have an argument, with its preview; as `TaskRecord.arguments` has it."""
    columns = meaning.run.columns
    bound, keywords, arguments = columns.bound, columns.keywords, columns.arguments
    for number, tasks in meaning.by_app.items():
        place = _place(meaning.run.apps[number].parameters, name)
        for id in tasks:
            if id in bound:
                names, values = bound[id][2], bound[id][4]
                if name in names:
                    yield id, values[names.index(name)]
            elif id in keywords and name in keywords[id]:
                yield id, keywords[id][name]
            elif place is not None and (given := arguments[id]) and place < len(given):
                yield id, given[place]


def _place(parameters: Sequence[str], name: str) -> int | None:
    if name in parameters:
        return parameters.index(name)
    number = name[1:]
    return int(number) if name.startswith("*") and number.isdecimal() and int(number) >= len(parameters) else None


def _equal(value: Value) -> Callable[[Any], bool]:
    if value.is_text and words.is_pattern(value.text):
        is_like = words.pattern(value.text).fullmatch
        return lambda preview: bool(is_like(_text(preview)))
    text = value.text
    meant = text if value.is_text else _literal(text)
    if isinstance(meant, float) and meant != meant:
        return lambda preview: preview != preview or _is_text(preview, text)
    if _is_number(meant):
        return lambda preview: (preview == meant) if _is_number(preview) else _is_text(preview, text)
    if meant is text:
        return lambda preview: _is_text(preview, text)
    return lambda preview: preview is meant or _is_text(preview, text)


def _is_text(preview: Any, text: str) -> bool:
    kind = type(preview)
    return bool(preview == text) if kind is str else (kind is dict or kind is bytes) and previews.text(preview) == text


def _ordered(compare: Callable[[Any, Any], bool], value: Value) -> Callable[[Any], bool]:
    """Numbers compare with numbers, and texts with texts."""
    meant = value.text if value.is_text else _literal(value.text)
    if _is_number(meant):
        return lambda preview: _is_number(preview) and compare(preview, meant)
    return lambda preview: isinstance(preview, str) and compare(preview, value.text)


def _literal(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _is_number(value: object) -> bool:
    return type(value) is int or type(value) is float


def _text(preview: Any) -> str:
    return preview if isinstance(preview, str) else previews.text(preview)
