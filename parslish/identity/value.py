"""Owns the identity of a value: `encode` gives equal values equal bytes, and others others, in every process.

It walks the value and picks how each part is encoded; the ways themselves are in `atoms`, `containers`, `objects`
and, for values of numpy and pandas, `arrays` and `frames`. What the code of functions and classes is made of is
left to `code`.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

from parslish.errors import Unidentifiable
from parslish.identity import containers, objects
from parslish.identity.atoms import ALL_PLAIN, ATOMS, PLAIN, atom
from parslish.identity.containers import Handler

# How to encode values of a library, by the library's name: imported when the first such value is met.
_LIBRARIES = {"numpy": "parslish.identity.arrays", "pandas": "parslish.identity.frames"}
_HANDLERS_KEPT = 4096
# Values smaller than this are encoded again where they stand twice: cheaper than remembering each.
_WORTH_KEEPING = 16
# A graph whose every node reaches every other has more paths than can be walked.
_MOST_VISITS_AGAIN = 50_000

_atoms: dict[type, Callable[[Any], bytes]] = {}
_handlers: dict[type, Handler] = {}


def encode(value: Any, known: Mapping[int, bytes] | None = None) -> bytes:
    """The canonical encoding of a value: tagged by type, self-delimiting, the same wherever the value stands.

    Two entries of a container that are one object encode like two that are equal; `nan` equals itself.

    Args:
        value: any object.
        known: `id` → encoding of values that were encoded before; they must be alive.

    Raises:
        Unidentifiable: the value, or one in it, has no stable identity.
    """
    write = _atoms.get(type(value))
    if write is not None:
        return write(value)
    try:
        return Encoder(known).encode(value)
    except RecursionError:
        raise Unidentifiable(type(value).__qualname__, "it is nested too deeply") from None


class Encoder:
    """One walk over one value.

    A value that contains itself is written as how many levels up it stands. What was encoded without such a
    reference to its surroundings is remembered, so that shared parts are walked once.
    """

    __slots__ = ("_again", "_classes", "_depths", "_done", "_entangled", "_known", "_lowest", "_visits")

    def __init__(self, known: Mapping[int, bytes] | None = None) -> None:
        self._known = known
        self._depths: dict[int, int] = {}
        # With the value, which may be temporary: its id must not pass to another while it is a key here.
        self._done: dict[int, tuple[Any, bytes]] = {}
        self._classes: dict[type, bytes] = {}
        self._entangled: set[int] = set()
        self._lowest = 0
        self._visits = 0
        self._again = 0

    def encode(self, value: Any) -> bytes:
        """The encoding of a value met on this walk."""
        cls = type(value)
        write = _atoms.get(cls)
        if write is not None:
            return write(value)
        identity = id(value)
        if self._known is not None and identity in self._known:
            return self._known[identity]
        if identity in self._done:
            return self._done[identity][1]
        if identity in self._depths:
            return self._reference(self._depths[identity])
        return self._descend(identity, value, _handlers.get(cls) or _resolve(cls))

    def _reference(self, depth: int) -> bytes:
        self._lowest = min(self._lowest, depth)
        return b"@" + atom(len(self._depths) - depth)

    def _descend(self, identity: int, value: Any, handler: Handler) -> bytes:
        depth, visits, outer = len(self._depths), self._visits, self._lowest
        self._depths[identity] = self._lowest = depth
        self._visits = visits + 1
        encoding = handler(self, value)
        del self._depths[identity]
        if self._lowest >= depth:
            self._lowest = outer
            if self._visits - visits >= _WORTH_KEEPING:
                self._done[identity] = value, encoding
        else:
            self._lowest = min(self._lowest, outer)
            self._count_again(identity, value)
        return encoding

    def class_of(self, value: Any) -> bytes:
        """The encoding of a value's class."""
        cls = type(value)
        if cls not in self._classes:
            self._classes[cls] = objects.class_encoding(cls)
        return self._classes[cls]

    def _count_again(self, identity: int, value: Any) -> None:
        """What refers to its surroundings is walked anew from each place that leads to it."""
        self._again += identity in self._entangled
        self._entangled.add(identity)
        if self._again > _MOST_VISITS_AGAIN:
            raise Unidentifiable(type(value).__qualname__, "its parts refer to each other in too many ways")


def _resolve(cls: type) -> Handler:
    handler = _find_handler(cls)
    if len(_handlers) >= _HANDLERS_KEPT:
        _handlers.clear()
    _handlers[cls] = handler
    return handler


def _find_handler(cls: type) -> Handler:
    """Users' own ways first, then ours from the most to the least special."""
    hook = id_for_memo.dispatch(cls)
    if hook is not _without_hook:
        return functools.partial(objects.by_hook, hook)
    if hasattr(cls, "__parslish_key__"):
        return objects.by_own_key
    if cls in containers.BUILTIN:
        return containers.BUILTIN[cls]
    return _of_library(cls) or objects.handler_of(cls)


def _of_library(cls: type) -> Handler | None:
    for base in cls.__mro__:
        module = _LIBRARIES.get(str(base.__module__).partition(".")[0])
        if module is not None:
            found: Handler | None = importlib.import_module(module).handler_of(cls)
            if found is not None:
                return found
    return None


@functools.singledispatch
def id_for_memo(obj: Any, output_ref: bool = False) -> bytes | str:
    """The canonical bytes of a value; register a function to say what identifies your own type.

    `@id_for_memo.register(MyType)` decorates `f(obj, output_ref=False)`, which returns bytes or str: two objects
    of one type with equal ones are the same argument. It goes before everything parslish knows of the type.
    """
    return encode(obj)


_without_hook = id_for_memo.dispatch(object)
_register = id_for_memo.register


def _register_and_forget(cls: Any, func: Any = None) -> Any:
    if func is None and not isinstance(cls, FunctionType):
        return functools.partial(_register_and_forget, cls)
    registered = _register(cls, func)
    _forget()
    return registered


def _forget() -> None:
    """Let types be looked up anew, those that are usually written out included."""
    _handlers.clear()
    unhooked = [cls for cls in ATOMS if id_for_memo.dispatch(cls) is _without_hook]
    for cls in ATOMS.keys() - unhooked:
        _atoms.pop(cls, None)
    _atoms.update({cls: ATOMS[cls] for cls in unhooked})
    PLAIN.intersection_update(unhooked)
    PLAIN.update(ALL_PLAIN.intersection(unhooked))


_forget()
id_for_memo.register = _register_and_forget  # type: ignore[method-assign]
