"""Owns by how much two values of Python differ: numbers by the largest absolute and relative difference, containers and
objects part by part, anything else by its own `==`. Arrays are left to `arrays`."""

from __future__ import annotations

import dataclasses
import decimal
import fractions
import importlib
import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final

EQUAL, DIFFERENT, UNKNOWN = "equal", "different", "unknown"
_NOTES: Final = 10  # that are kept
_PARTS: Final = 10_000_000  # of values that are looked at, so that it ends
_TEXT: Final = 60  # characters of a value in a note
_NUMBERS: Final = (int, float, complex, decimal.Decimal, fractions.Fraction)
_ATOMS: Final = frozenset({int, float, complex, str, bytes, bool, type(None)})
#: Packages whose values are compared by functions of `arrays` of these names.
_LIBRARIES: Final[Mapping[str, str]] = {"numpy": "compare_numpy", "pandas": "compare_pandas"}


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much two values differ.

    Args:
        verdict: "equal" (nan equals itself), "different" (types count: 1 is not 1.0), or "unknown".
        largest_absolute: |a - b| of the numbers that differ most; None where no numbers differ.
        largest_relative: |a - b| / max(|a|, |b|) of those that differ most so; infinite where one is no finite number.
        where: where in the values the largest absolute difference is, such as `['energy'][3]`; "" for the value itself.
        notes: what else differs, in sentences, the first ten: types, shapes, missing parts.
    """

    verdict: str
    largest_absolute: float | None = None
    largest_relative: float | None = None
    where: str = ""
    notes: Sequence[str] = ()

    @property
    def equal(self) -> bool:
        """Whether the values are known to be equal."""
        return self.verdict == EQUAL

    def __str__(self) -> str:
        told = list(self.notes)
        if self.largest_absolute is not None:
            at = f" at {self.where}" if self.where else ""
            told.insert(0, f"by up to {self.largest_absolute:.6g} (relative {self.largest_relative:.3g}){at}")
        return f"{self.verdict}: {'; '.join(told)}" if told else self.verdict

    def to_json(self) -> dict[str, Any]:
        """Its fields; infinite numbers, which JSON lacks, as text."""
        return {
            "verdict": self.verdict,
            "largest_absolute": _json_number(self.largest_absolute),
            "largest_relative": _json_number(self.largest_relative),
            "where": self.where,
            "notes": list(self.notes),
        }


def difference(a: Any, b: Any) -> Difference:
    """By how much two values differ."""
    return Comparison().run(a, b)


class Comparison:
    """One comparison. Pairs of parts wait on a stack, so that values of any depth can be compared."""

    def __init__(self) -> None:
        self._stack: list[tuple[Any, Any, str]] = []
        self._seen: dict[tuple[int, int], Any] = {}  # with the values: their ids must stay theirs
        self._verdict = EQUAL
        self._absolute: float | None = None
        self._relative: float | None = None
        self._where = ""
        self._notes: list[str] = []

    def run(self, a: Any, b: Any) -> Difference:
        """Compare two values."""
        self.push(a, b, "")
        for _ in range(_PARTS):
            if not self._stack:
                break
            self._compare(*self._stack.pop())
        else:
            self.cannot_tell("", f"only the first {_PARTS:,} parts were compared")
        return Difference(self._verdict, self._absolute, self._relative, self._where, tuple(self._notes))

    # ---------------------------------------------------------------------------------- findings

    def push(self, a: Any, b: Any, where: str) -> None:
        """Have two parts compared."""
        self._stack.append((a, b, where))

    def differ(self, where: str, note: str) -> None:
        """They differ, other than by a number."""
        self._verdict = DIFFERENT
        self._note(where, note)

    def differ_by(self, absolute: float, relative: float, where: str) -> None:
        """Numbers differ by so much."""
        self._verdict = DIFFERENT
        if self._absolute is None or absolute > self._absolute:
            self._absolute, self._where = absolute, where
        if self._relative is None or relative > self._relative:
            self._relative = relative

    def cannot_tell(self, where: str, note: str) -> None:
        """Whether they differ cannot be known."""
        if self._verdict == EQUAL:
            self._verdict = UNKNOWN
        self._note(where, note)

    def by_own_rule(self, a: Any, b: Any, where: str) -> None:
        """Compare values by their own `==`."""
        found = a == b
        if type(found).__name__ not in ("bool", "bool_"):  # element by element, perhaps, or a question put off
            self.cannot_tell(where, f"whether two {name_of(a)} are equal, they do not say")
        elif not found:
            self.differ(where, f"{short(a)} became {short(b)}")

    def _note(self, where: str, note: str) -> None:
        if len(self._notes) < _NOTES:
            self._notes.append(f"{where}: {note}" if where else note)

    # ---------------------------------------------------------------------------------- kinds of values

    def _compare(self, a: Any, b: Any, where: str) -> None:
        if a is b:
            return
        try:
            if isinstance(a, _NUMBERS) and isinstance(b, _NUMBERS):
                self._numbers(a, b, where)
            elif type(a) is not type(b):
                self.differ(where, f"{name_of(a)} became {name_of(b)}")
            elif type(a) in _ATOMS:
                self.by_own_rule(a, b, where)
            elif (id(a), id(b)) not in self._seen:
                self._seen[id(a), id(b)] = a, b
                self._of_one_type(a, b, where)
        except Exception as exc:  # user code: __eq__ and its like
            self.cannot_tell(where, f"two {name_of(a)} cannot be compared ({type(exc).__name__}: {exc})")

    def _of_one_type(self, a: Any, b: Any, where: str) -> None:
        library = _LIBRARIES.get(type(a).__module__.partition(".")[0])
        if library is not None:
            getattr(importlib.import_module("parslish.compare.arrays"), library)(self, a, b, where)
        elif isinstance(a, Mapping):
            self._mappings(a, b, where)
        elif isinstance(a, (list, tuple)):
            self._sequences(a, b, where)
        elif isinstance(a, AbstractSet):
            self._missing(a, b, where)
        elif isinstance(a, BaseException):
            self.push(a.args, b.args, f"{where}.args")
        else:
            self._objects(a, b, where)

    def _numbers(self, a: Any, b: Any, where: str) -> None:
        if type(a) is not type(b):
            self.differ(where, f"{name_of(a)} became {name_of(b)}")
        if a != b and not (a != a and b != b):
            self.differ_by(*apart(a, b), where)

    def _mappings(self, a: Mapping[Any, Any], b: Mapping[Any, Any], where: str) -> None:
        self._missing(a.keys(), b.keys(), where)
        for key in reversed([key for key in a if key in b]):
            self.push(a[key], b[key], f"{where}[{short(key)}]")

    def _sequences(self, a: Sequence[Any], b: Sequence[Any], where: str) -> None:
        if len(a) != len(b):
            self.differ(where, f"length {len(a):,} became {len(b):,}")
        elif _are_same_atoms(a, b):
            return
        names = getattr(a, "_fields", None)
        for number in reversed(range(min(len(a), len(b)))):
            if a[number] is not b[number]:
                self.push(a[number], b[number], f"{where}.{names[number]}" if names else f"{where}[{number}]")

    def _missing(self, a: AbstractSet[Any], b: AbstractSet[Any], where: str) -> None:
        for what, found in (("is gone", a - b), ("is new", b - a)):
            if found:
                more = f" and {len(found) - 1:,} more" if len(found) > 1 else ""
                self.differ(where, f"{short(next(iter(found)))}{more} {what}")

    def _objects(self, a: Any, b: Any, where: str) -> None:
        if dataclasses.is_dataclass(a):
            names = [each.name for each in dataclasses.fields(a)]
        elif hasattr(type(a), "__attrs_attrs__"):
            names = [each.name for each in type(a).__attrs_attrs__]
        elif not _is_inherited(type(a), "__eq__"):
            names = []
            self.by_own_rule(a, b, where)
        elif _is_told_by_attributes(a):
            self._missing(vars(a).keys(), vars(b).keys(), where)
            names = [name for name in vars(a) if name in vars(b)]
        else:
            names = []
            self.cannot_tell(where, f"whether two {name_of(a)} are equal cannot be told")
        for name in reversed(names):
            self.push(getattr(a, name), getattr(b, name), f"{where}.{name}")


def apart(a: Any, b: Any) -> tuple[float, float]:
    """|a - b|, and that over the larger of |a| and |b|; infinite where it is no number."""
    try:
        if isinstance(a, decimal.Decimal) is not isinstance(b, decimal.Decimal):
            a, b = float(a), float(b)
        absolute = abs(a - b)
        relative = absolute / max(abs(a), abs(b))
    except ArithmeticError:
        return math.inf, math.inf
    return _as_float(absolute), _as_float(relative)


def short(value: Any) -> str:
    """A value in a note."""
    text = repr(value)
    return text if len(text) <= _TEXT else f"{text[: _TEXT - 1]}…"


def name_of(value: Any) -> str:
    """The name of a value's type."""
    cls = type(value)
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def _as_float(number: Any) -> float:
    try:
        found = float(number)
    except OverflowError:
        return math.inf
    return math.inf if found != found else found


def _are_same_atoms(a: Sequence[Any], b: Sequence[Any]) -> bool:
    """Whether two long lists are quickly known to be equal."""
    kinds = list(map(type, a))
    return _ATOMS.issuperset(kinds) and kinds == list(map(type, b)) and a == b


def _is_told_by_attributes(value: Any) -> bool:
    """Whether an object, which only equals itself, holds nothing but its attributes."""
    cls = type(value)
    is_plain = all(_is_inherited(cls, name) for name in ("__reduce_ex__", "__reduce__", "__getstate__"))
    has_more = any("__slots__" in vars(each) for each in cls.__mro__)
    return is_plain and not has_more and hasattr(value, "__dict__") and not callable(value)


def _is_inherited(cls: type, name: str) -> bool:
    """Whether a class has a method as every class has it."""
    found: object = getattr(cls, name, None)
    return found is getattr(object, name, None)


def _json_number(number: float | None) -> float | str | None:
    return number if number is None or math.isfinite(number) else str(number)
