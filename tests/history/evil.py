"""Values whose every method tells that it was called: nothing that looks at arguments may call any."""

from __future__ import annotations

import datetime
import enum
import fractions
import uuid
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

#: What was called, since this was last emptied.
called: list[str] = []

_NAMES = (
    "__repr__", "__str__", "__len__", "__iter__", "__hash__", "__eq__", "__bool__", "__format__", "__getitem__",
    "__contains__", "__reduce__", "__reduce_ex__", "__getstate__", "__getnewargs__", "__index__", "__int__",
    "__fspath__", "items", "keys", "values", "name", "value", "url", "dtype", "shape", "ndim", "nbytes", "bit_length",
    "utcoffset", "tzname", "numerator",
)  # fmt: skip


def _telling(name: str) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        called.append(name)
        raise RuntimeError(f"{name} was called")

    return method


def _namespace(*, but: tuple[str, ...] = ()) -> dict[str, Any]:
    found = {name: _telling(name) for name in _NAMES if name not in but}
    found["__class__"] = property(_telling("__class__"))
    return found


def _named(cls: type) -> str:
    called.append("a name")
    return "named"  # no error: pytest asks too, of a test that fails


class Meta(type):
    """Computes the names of its classes."""

    __module__ = __name__ = property(_named)  # type: ignore[assignment]
    __instancecheck__ = _telling("__instancecheck__")
    __subclasscheck__ = _telling("__subclasscheck__")


def _made_of(base: type, *, meta: type = type, but: tuple[str, ...] = ()) -> Any:
    return meta(f"Evil{base.__name__}", (base,), _namespace(but=but))


class Answering:
    """Not a future, not a path, not an array, but says so of itself."""

    def __getattribute__(self, name: str) -> Any:
        called.append(name)
        raise RuntimeError(f"{name} was asked for")


class Loud:
    """Has a text of its own."""

    __repr__ = __str__ = __format__ = _telling("__repr__")  # type: ignore[assignment]


class Zone(datetime.tzinfo):
    """A time zone of the user's own."""

    utcoffset = tzname = dst = __repr__ = __reduce__ = _telling("a time zone")


class Colour(enum.Enum):
    """An enumeration with a text of its own."""

    RED = 1
    __repr__ = __str__ = __format__ = __reduce_ex__ = _telling("an enumeration")  # type: ignore[assignment]


Text = _made_of(str)
Number = _made_of(int, but=("__index__", "__int__", "numerator", "bit_length"))


def values() -> Iterator[tuple[str, Any]]:
    """Evil values by name, of each type that code which looks at values may take for harmless."""
    bases = {str: "a", bytes: b"a", int: 1, float: 1.5, complex: 1j, list: [1], tuple: (1,), set: {1}, dict: {1: 2}}
    for base, content in {**bases, frozenset: {1}, bytearray: b"a", PurePosixPath: "a"}.items():
        yield base.__name__, _made_of(base, but=("__fspath__",))(content)
    yield "object", _made_of(object)()
    yield "class of a metaclass", _made_of(object, meta=Meta)
    yield "object of a metaclass", _made_of(object, meta=Meta)()
    yield "answering", Answering()
    yield "enumeration", Colour.RED
    yield "time zone", datetime.datetime(2020, 1, 1, tzinfo=Zone())
    yield "time of a zone", datetime.time(1, tzinfo=Zone())
    yield "named zone", datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(0), Text("here")))
    yield "slice", slice(Answering(), Text("a"), None)
    yield "function", _function()
    yield "exception", ValueError(Text("a"))
    fraction = fractions.Fraction(1, 2)
    fraction._numerator = Number(1)  # type: ignore[attr-defined]
    yield "fraction", fraction
    number = uuid.UUID(int=1)
    object.__setattr__(number, "int", Answering())
    yield "uuid", number
    yield "false numpy", type("ndarray", (), {**_namespace(), "__module__": "numpy"})()
    yield "false module", type("A", (), {"__module__": Answering()})()
    yield "nested", [[(Text("a"), {1: Answering()})]]


def _function() -> Any:
    def function() -> None: ...

    function.__qualname__ = Text("function")
    return function
