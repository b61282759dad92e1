"""Owns the cheap question whether anything that a fingerprint was made of has changed since.

Names are compared by the objects they lead to; objects that can change in place are encoded again.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from marshal import dumps
from types import CellType, FunctionType, ModuleType, NoneType
from typing import Any

from parslish.errors import Unidentifiable
from parslish.identity.atoms import ATOMS, MARSHAL_VERSION

ABSENT = object()

_PLAIN = frozenset({type(None), bool, int, float, complex, str})
_CONTAINERS = frozenset({tuple, list, dict, set, frozenset})
_MOST_PLAIN = 10_000
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: not built into a compiled library for good
# By name, so that nothing is imported for them.
_FIXED = frozenset({
    "builtins.NotImplementedType", "builtins.range", "datetime.date", "datetime.datetime", "datetime.time",
    "datetime.timedelta", "decimal.Decimal", "fractions.Fraction", "pathlib.PosixPath", "pathlib.PurePosixPath",
    "re.Pattern", "uuid.UUID",
})  # fmt: skip


class Watch:
    """What a fingerprint has seen."""

    def __init__(self) -> None:
        self._names: dict[tuple[int, str], tuple[Mapping[str, Any], Any]] = {}
        self._sizes: list[tuple[Mapping[str, Any], int]] = []
        self._cells: list[tuple[CellType, Any]] = []
        self._functions: list[tuple[FunctionType, str, Any]] = []
        self._plain: list[tuple[Any, bytes]] = []
        self._contents: list[tuple[Callable[[], bytes], bytes]] = []
        self._names_hold: Callable[[], bool] | None = None

    def name(self, space: Mapping[str, Any], name: str, value: Any) -> None:
        """`space[name]` is `value`, or is not there (ABSENT)."""
        self._names[id(space), name] = space, value

    def size(self, space: Mapping[str, Any]) -> None:
        """No name comes to a class or module: it could hide another's."""
        self._sizes.append((space, len(space)))

    def cell(self, cell: CellType, value: Any) -> None:
        """A closure's variable is `value`, or is not yet bound (ABSENT)."""
        self._cells.append((cell, value))

    def function(self, func: FunctionType) -> None:
        """A function has its code and defaults, which autoreload replaces in place."""
        self._functions.append((func, "__code__", func.__code__))
        if func.__defaults__:
            self._functions.append((func, "__defaults__", func.__defaults__))

    def content(self, value: Any, encoding: bytes, look: Callable[[], bytes]) -> None:
        """An object holds what `look` finds, now and, where it can change, later."""
        if _is_fixed(value):
            return
        if _is_plain(value):
            self._plain.append((value, dumps(value, MARSHAL_VERSION)))
        else:
            self._contents.append((look, encoding))

    def is_current(self) -> bool:
        """Whether all is as it was seen."""
        if self._names_hold is None:
            self._names_hold = self._compiled()
        return self._names_hold() and (not (self._plain or self._contents) or self._contents_hold())

    def _contents_hold(self) -> bool:
        try:
            for value, seen in self._plain:
                if dumps(value, MARSHAL_VERSION) != seen:
                    return False
            return all(look() == encoding for look, encoding in self._contents)
        except (ValueError, Unidentifiable):
            return False

    def _compiled(self) -> Callable[[], bool]:
        """All comparisons by identity as one expression: made at every call, a loop would take three times as long."""
        scope: dict[str, Any] = {}

        def known(value: Any) -> str:
            scope[f"_{id(value)}"] = value
            return f"_{id(value)}"

        checks = ["True"]
        for (_, name), (space, value) in self._names.items():
            is_there = f"{known(space)}[{name!r}] is {known(value)}"
            checks.append(f"{name!r} not in {known(space)}" if value is ABSENT else is_there)
        for cell, value in self._cells:
            bound = f"{known(cell)}.cell_contents is {known(value)}"
            checks.append(f"{known(cell_value)}({known(cell)}) is {known(value)}" if value is ABSENT else bound)
        checks += [f"len({known(space)}) == {size}" for space, size in self._sizes]
        checks += [f"{known(func)}.{attribute} is {known(value)}" for func, attribute, value in self._functions]
        source = f"def names_hold():\n try: return {' and '.join(checks)}\n except (KeyError, ValueError): return False"
        exec(source, scope)
        names_hold: Callable[[], bool] = scope["names_hold"]
        return names_hold


def cell_value(cell: CellType) -> Any:
    """What a closure's variable is bound to; ABSENT before it is."""
    try:
        return cell.cell_contents
    except ValueError:
        return ABSENT


def _is_fixed(value: Any) -> bool:
    """Whether a value cannot change in place."""
    cls = type(value)
    if cls in ATOMS or f"{cls.__module__}.{cls.__qualname__}" in _FIXED:
        return True
    if cls in (tuple, frozenset):
        return all(map(_is_fixed, value))
    if isinstance(value, enum.Enum):
        return _is_fixed(value.value)
    if not callable(value) or cls.__flags__ & _HEAP_TYPE:
        return False
    # Functions of compiled libraries: nothing in them can be written to, unless they are methods of what can be.
    return isinstance(getattr(value, "__self__", None), (NoneType, ModuleType, type))


def _is_plain(value: Any) -> bool:
    """Whether marshal writes a small container such that other contents are other bytes: it takes arrays for bytes."""
    waiting = [value]
    for _ in range(_MOST_PLAIN):
        if not waiting:
            return True
        each = waiting.pop()
        if type(each) in _CONTAINERS:
            waiting += (*each, *each.values()) if isinstance(each, dict) else each
        elif type(each) not in _PLAIN:
            return False
    return False
