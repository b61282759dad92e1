"""Owns the code that values lead to: code reads values, and values hold code, so each may lead to the other for ever.

`UsedCode` cuts that circle. It takes the fingerprint of a function or class; code met in a value on the way is written
as its number there, and has its own fingerprint taken after. What a fingerprint is, is `code`'s to say.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

from blake3 import blake3

from parslish.identity.code import Fingerprint, fingerprint, is_project_module

_KEPT = 4096


class UsedCode:
    """A function or class with all code that it uses, in values, too, as it is now.

    Attributes:
        fingerprints: its own, then that of each function and class met in a value, in the order met.
        digest: 32 bytes that stand for all of them.
        is_current: tells whether all that code is still what it was (see `Fingerprint.is_current`).
    """

    __slots__ = ("_met", "_places", "digest", "fingerprints", "is_current")

    def __init__(self, thing: Any) -> None:
        self._places: dict[int, int] = {}
        # Kept alive for their ids' sake. Not `thing` itself: whoever asks about it holds it.
        self._met: list[Any] = []
        self.fingerprints: tuple[Fingerprint, ...] = ()
        with _inside(self):
            made = [fingerprint(thing)]
            for each in self._met:  # which grows on the way
                made.append(fingerprint(each))
        self.fingerprints = tuple(made)
        self.digest = blake3(b"".join(each.digest for each in made)).digest()
        # Most code meets no other in values: then its own look is enough, and each call of its app takes one.
        self.is_current = self._is_all_current if self._places else made[0].is_current

    def _is_all_current(self) -> bool:
        with _inside(self):
            return all(each.is_current() for each in self.fingerprints)

    def place(self, thing: Any) -> int:
        """The number of a function or class met in a value."""
        number = self._places.get(id(thing))
        if number is None:
            number = len(self._places)
            if not self.fingerprints:  # else this is a look whether all is as it was, and it is not
                self._places[id(thing)] = number
                self._met.append(thing)
        return number


class _Here(threading.local):
    used: UsedCode | None = None


_here = _Here()
_known: weakref.WeakKeyDictionary[Any, UsedCode] = weakref.WeakKeyDictionary()


@contextlib.contextmanager
def _inside(used: UsedCode) -> Iterator[None]:
    outer, _here.used = _here.used, used
    try:
        yield
    finally:
        _here.used = outer


def code_digest(thing: Any) -> bytes:
    """32 bytes that stand for the code of a function or class that stands in a value."""
    if _here.used is not None:
        return _here.used.place(thing).to_bytes(32, "big")
    used = _known.get(thing)
    if used is None or not used.is_current():
        if len(_known) >= _KEPT:
            _known.clear()
        used = _known[thing] = UsedCode(thing)
    return used.digest


def is_own_code(thing: Any) -> bool:
    """Whether a function, class or module is the user's own, rather than a library's."""
    if isinstance(thing, FunctionType):
        # Not its __module__: `functools.wraps` gives a library's wrapper that of the function inside.
        name = thing.__globals__.get("__name__")
    else:
        name = thing.__name__ if isinstance(thing, ModuleType) else thing.__module__
    return isinstance(name, str) and is_project_module(name)
