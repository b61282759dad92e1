"""Owns previews: what a run's record says of an argument or a result, short and without running anybody's code.

A preview is the value itself where that is a short text, a number, a truth value or None; else a dict: `{"task": 3}`
the result of that task (with `"of"`: that item or attribute of it), `{"file": path}`, or `{"repr": text}`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePath
from typing import Any, Final

#: What a preview may be besides a dict.
Atom = int | float | str | bytes | bool | None
Preview = Atom | dict[str, Any]

TEXT = 100  # characters of a text, or bytes, that are kept
_PARTS = 6  # of a container
_DEPTH = 3
_ATOMS: Final = frozenset({int, float, str, bytes, bool, type(None)})
_SHORT: Final = frozenset({float, bool, type(None)})
_LARGEST: Final = 1 << 63
_BRACKETS: Final[Mapping[type, tuple[str, str]]] = {
    list: ("[", "]"),
    tuple: ("(", ")"),
    set: ("{", "}"),
    frozenset: ("frozenset({", "})"),
    dict: ("{", "}"),
}


def is_short(value: Any) -> bool:
    """Whether a value may stand in an event as it is."""
    kind = type(value)
    if kind in _SHORT or kind is dict:
        return True
    if kind is int:
        return bool(-_LARGEST <= value < _LARGEST)
    return (kind is str or kind is bytes) and len(value) <= TEXT


def are_short(values: Iterable[Any]) -> bool:
    """Whether all of them may."""
    for value in values:
        kind = type(value)
        if not (kind in _SHORT or (-_LARGEST <= value < _LARGEST if kind is int else is_short(value))):
            return False
    return True


def of_atom(value: Any) -> Preview:
    """The preview of what is an atom, or a preview already."""
    return value if is_short(value) else {"repr": shown(value)}


def of(value: Any) -> Preview:
    """The preview of any value that is no future."""
    if type(value) in _ATOMS:
        return of_atom(value)
    if isinstance(value, PurePath):
        return {"file": str(value)}
    return {"repr": shown(value)}


def of_other(value: Any) -> Preview:
    """For a packer: of what it cannot carry."""
    return {"repr": shown(value)}


def is_exact(preview: Any) -> bool:
    """Whether a preview is the value itself."""
    return not isinstance(preview, Mapping)


def text(preview: Any) -> str:
    """A preview as people read it."""
    if not isinstance(preview, Mapping):
        return repr(preview)
    if "task" in preview:
        return f"task {preview['task']}{preview.get('of', '')}"
    return str(preview.get("file", preview.get("repr", "…")))


def shown(value: Any, depth: int = _DEPTH) -> str:
    """A short text for a value; only for types of Python itself, whose `repr` runs nobody's code, from its content."""
    kind = type(value)
    if kind is str or kind is bytes:
        return _cut(value)
    if kind is int and not -_LARGEST <= value < _LARGEST:
        return f"an integer of {value.bit_length()} bits"
    if kind in _ATOMS or kind is complex or kind is range or kind is slice:
        return repr(value)
    if kind in _BRACKETS:
        return _container(value, _BRACKETS[kind], depth)
    if isinstance(value, enum.Enum):
        return f"{kind.__qualname__}.{value._name_}"
    if isinstance(value, type):
        return f"<class {value.__module__}.{value.__qualname__}>"
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return _of_library(kind, value) or f"<{name}>"


def _cut(value: str | bytes) -> str:
    if len(value) <= TEXT:
        return repr(value)
    unit = "characters" if isinstance(value, str) else "bytes"
    return f"{value[: TEXT // 2]!r}… ({len(value):,} {unit})"


def _container(value: Any, brackets: tuple[str, str], depth: int) -> str:
    begin, end = brackets
    if depth == 0:
        return f"{begin}…{end}"
    parts: list[str] = []
    try:
        for part in value.items() if isinstance(value, dict) else value:
            if len(parts) == _PARTS:
                parts.append(f"… {len(value):,} in all")
                break
            key = f"{shown(part[0], depth - 1)}: " if isinstance(value, dict) else ""
            parts.append(key + shown(part[1] if key else part, depth - 1))
    except RuntimeError:  # another thread changes it
        parts.append("…")
    if isinstance(value, tuple) and len(parts) == 1:
        parts.append("")
    return begin + ", ".join(parts).rstrip(" ") + end


def _of_library(kind: type, value: Any) -> str | None:
    make = _LIBRARIES.get((kind.__module__, kind.__name__))
    return None if make is None else make(value)


def _array(value: Any) -> str:
    has_number = not value.ndim and value.dtype.kind in "biufc"  # of objects it would be their own repr
    return f"array({value.dtype}, {value.item()!r})" if has_number else f"array({value.dtype}, shape {value.shape})"


def _frame(value: Any) -> str:
    return f"DataFrame({value.shape[0]:,} rows, {value.shape[1]:,} columns)"


#: Of libraries whose attributes are known to be cheap and to run nothing of the user's.
_LIBRARIES: Final[Mapping[tuple[str, str], Callable[[Any], str]]] = {
    ("numpy", "ndarray"): _array,
    ("pandas.core.frame", "DataFrame"): _frame,
    ("pandas", "DataFrame"): _frame,
    ("parslish.files", "File"): lambda value: str(value.url),
    ("datetime", "datetime"): repr,
    ("datetime", "date"): repr,
    ("datetime", "timedelta"): repr,
    ("decimal", "Decimal"): repr,
    ("fractions", "Fraction"): repr,
    ("uuid", "UUID"): repr,
    **{("numpy", name): repr for name in ("float64", "float32", "int64", "int32", "bool_", "bool", "complex128")},
}
