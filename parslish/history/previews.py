"""Owns previews: what a run's record says of an argument or a result, short and without running anybody's code.

A preview is the value itself where that is a short text, a number, a truth value or None; else a dict: `{"task": 3}`
the result of that task (with `"of"`: that item or attribute of it), `{"stored": key}` what another run had stored,
`{"file": path}`, or `{"repr": text}`.
"""

from __future__ import annotations

import enum
import itertools
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import PosixPath, PurePath, PurePosixPath, PureWindowsPath, WindowsPath
from types import FunctionType
from typing import Any, Final

from parslish.files import File

#: What a preview may be besides a dict.
Atom = int | float | str | bytes | bool | None
Preview = Atom | dict[str, Any]

ARGUMENTS = 256  # of a call, given by position or by name, that are told of
TEXT = 100  # characters of a text, or bytes, that are kept
WHOLE = 300  # characters of a preview
PATH = 4096  # characters of a path
_KEY_DIGITS: Final = 12
_PARTS = 6  # of a container
_DEPTH = 3
#: Types of values that are previews of themselves, if they are short.
ATOMS: Final = frozenset({int, float, str, bytes, bool, type(None)})
_SHORT: Final = frozenset({float, bool, type(None)})
_LARGEST: Final = 1 << 63
#: The types of what a preview that is a dict may say.
_FIELDS: Final[Mapping[Any, type]] = {"task": int, "stored": str, "of": str, "file": str, "repr": str}
#: Those of Python itself: a class made of them may have methods of its own.
PATHS: Final = frozenset({PurePath, PurePosixPath, PureWindowsPath, PosixPath, WindowsPath})
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
    kind = type(value)
    if kind in ATOMS:
        return of_atom(value)
    path = of_path(value) if kind in PATHS or kind is File else None
    return {"repr": shown(value)} if path is None else path


def of_each(values: Collection[Any], of: Callable[[Any], Preview]) -> tuple[Preview, ...]:
    """Previews of the arguments of a call, and how many more there are than are told of."""
    found = [of(each) for each in itertools.islice(values, ARGUMENTS)]
    more = len(values) - len(found)
    if more:
        found.append({"repr": f"… {more:,} more"})
    return tuple(found)  # which is nothing to the garbage collector when all of it is atoms


def of_path(value: Any) -> dict[str, Any] | None:
    """The preview of a `File`, or a path of Python's own; None when it is too long to be one."""
    path = str.__str__(value.url) if isinstance(value, File) else str(value)
    return {"file": path} if len(path) <= PATH else None


def of_other(value: Any) -> Preview:
    """For a packer: of what it cannot carry, as an integer of more than 64 bits."""
    return {"repr": shown(value)}


def is_exact(preview: Any) -> bool:
    """Whether a preview is the value itself."""
    return not isinstance(preview, Mapping)


def read(found: Any) -> Preview:
    """A preview as a record has it, whose writer may have lied."""
    if type(found) in ATOMS:
        return found  # type: ignore[no-any-return]
    return found if _is_sound(found) else {"repr": shown(found)}


def _is_sound(found: Any) -> bool:
    if type(found) is not dict or not found:
        return False
    return list(map(type, found.values())) == list(map(_FIELDS.get, found))


def text(preview: Any) -> str:
    """A preview as people read it."""
    found = read(preview)
    if not isinstance(found, dict):
        return repr(found)
    if "task" in found:
        return f"task {found['task']}{found.get('of', '')}"
    if "stored" in found:
        return f"the stored result {found['stored'][:_KEY_DIGITS]}…{found.get('of', '')}"
    return str(found.get("file", found.get("repr", "…")))


# ------------------------------------------------------------------------------------- texts


def shown(value: Any) -> str:
    """A short text for a value; only for types of Python itself, whose `repr` runs nobody's code, from its content."""
    try:
        whole = _shown(value, _DEPTH)
    except Exception:  # a library's code, which is none of ours either
        return f"<{_name(type(value))}>"
    return whole if len(whole) <= WHOLE else f"{whole[: WHOLE - 1]}…"


def _shown(value: Any, depth: int) -> str:
    kind = type(value)
    show = _SHOWN.get(kind)
    if show is not None:
        return show(value)
    if kind in _BRACKETS:
        return _container(value, _BRACKETS[kind], depth)
    # Not isinstance: that asks a value for its `__class__`, which may be anybody's code.
    if issubclass(kind, enum.Enum):
        return f"{_name(kind).rpartition('.')[2]}.{_member(value)}"
    if issubclass(kind, type):
        return f"<class {_name(value)}>"
    show = _of_library(kind)
    return f"<{_name(kind)}>" if show is None else show(value)


def _name(kind: type) -> str:
    """A class by module and name; not by attributes, which a metaclass may compute."""
    qualname, module = _text_of("__qualname__", kind), _text_of("__module__", kind)
    return qualname if module == "builtins" else f"{module}.{qualname}"


def _text_of(what: str, kind: type) -> str:
    try:
        found = type.__dict__[what].__get__(kind)
    except AttributeError:
        return "?"
    return found if type(found) is str else "?"


def _cut(value: str | bytes | bytearray) -> str:
    if len(value) <= TEXT:
        return repr(value)
    unit = "characters" if isinstance(value, str) else "bytes"
    return f"{value[: TEXT // 2]!r}… ({len(value):,} {unit})"


def _integer(value: int) -> str:
    return repr(value) if -_LARGEST <= value < _LARGEST else f"an integer of {value.bit_length():,} bits"


def _range(value: range) -> str:
    step = "" if value.step == 1 else f", {_integer(value.step)}"
    return f"range({_integer(value.start)}, {_integer(value.stop)}{step})"


def _slice(value: slice) -> str:
    return f"slice({', '.join(_shown(part, 1) for part in (value.start, value.stop, value.step))})"


def _member(value: enum.Enum) -> str:
    name = enum.Enum.__dict__["__dict__"].__get__(value).get("_name_")
    return name if type(name) is str else "?"


def _container(value: Any, brackets: tuple[str, str], depth: int) -> str:
    begin, end = brackets
    if type(value) is set and not value:
        return "set()"
    if depth == 0:
        return f"{begin}…{end}"
    parts: list[str] = []
    is_dict = type(value) is dict
    try:
        for part in value.items() if is_dict else value:
            if len(parts) == _PARTS:
                parts.append(f"… {len(value):,} in all")
                break
            key = f"{_shown(part[0], depth - 1)}: " if is_dict else ""
            parts.append(key + _shown(part[1] if is_dict else part, depth - 1))
    except RuntimeError:  # another thread changes it
        parts.append("…")
    if type(value) is tuple and len(parts) == 1:
        parts.append("")
    return begin + ", ".join(parts).rstrip(" ") + end


_SHOWN: Final[Mapping[type, Callable[[Any], str]]] = {
    **dict.fromkeys((str, bytes, bytearray), _cut),
    **dict.fromkeys((float, bool, complex, type(None), type(Ellipsis)), repr),
    **dict.fromkeys(PATHS, lambda value: _cut(str(value))),
    int: _integer,
    range: _range,
    slice: _slice,
    FunctionType: lambda value: f"<function {value.__code__.co_name}>",
    File: lambda value: _cut(str.__str__(value.url)),
}


# ------------------------------------------------------------------------------------- libraries


def _of_library(kind: type) -> Callable[[Any], str] | None:
    """How to show a value of a library's own class: not one that calls itself so."""
    module, name = _text_of("__module__", kind), _text_of("__qualname__", kind)
    if not is_of(kind, module):
        return None
    if module == "numpy" and issubclass(kind, sys.modules[module].generic):
        return _scalar
    return _LIBRARIES.get((module, name))


def is_of(kind: type, module: str) -> bool:
    """Whether a class is a module's own, not one that calls itself so."""
    return module in sys.modules and vars(sys.modules[module]).get(_text_of("__qualname__", kind)) is kind


def _array(value: Any) -> str:
    dtype = value.dtype
    if not value.ndim and dtype.kind in "biufc":  # of objects it would be their own repr
        return f"array({dtype}, {value.item()!r})"
    # A structure's own text has titles of fields, which may be any objects.
    return f"array({dtype.name if dtype.kind == 'V' else dtype}, shape {value.shape})"


def _scalar(value: Any) -> str:
    kind = value.dtype.kind
    if kind in "SU":
        return _cut(value.item())
    return repr(value) if kind in "biufcmM" else f"<{_name(type(value))}>"


def _frame(value: Any) -> str:
    return f"DataFrame({len(value.index):,} rows, {len(value.columns):,} columns)"


def _series(value: Any) -> str:
    return f"Series({len(value.index):,} values)"


def _time(value: Any) -> str:
    zone = value.tzinfo
    if zone is None:
        return repr(value)
    own = sys.modules["datetime"].timezone
    return f"<{value.isoformat()}>" if type(zone) is own else f"{value.replace(tzinfo=None)!r} of {_name(type(zone))}"


def _fraction(value: Any) -> str:
    return f"Fraction({_shown(value.numerator, 1)}, {_shown(value.denominator, 1)})"


def _uuid(value: Any) -> str:
    return repr(value) if type(value.int) is int else "<uuid.UUID>"


#: Of libraries whose attributes are known to be cheap and to run nothing of the user's.
_LIBRARIES: Final[Mapping[tuple[str, str], Callable[[Any], str]]] = {
    ("numpy", "ndarray"): _array,
    ("pandas.core.frame", "DataFrame"): _frame,
    ("pandas", "DataFrame"): _frame,
    ("pandas.core.series", "Series"): _series,
    ("pandas", "Series"): _series,
    ("datetime", "datetime"): _time,
    ("datetime", "time"): _time,
    ("datetime", "date"): repr,
    ("datetime", "timedelta"): repr,
    ("decimal", "Decimal"): repr,
    ("fractions", "Fraction"): _fraction,
    ("uuid", "UUID"): _uuid,
}
