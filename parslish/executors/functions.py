"""Owns how a function crosses to a worker: by reference where a worker can import it, else by value.

A function goes to each worker once. One that goes by value is pickled again at every dispatch and compared,
because it takes along the globals it reads: a script that sets `N = 2` between two calls must not have the
second run with the first one's `N`. Only a change crosses again.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import sys
import weakref
from collections import deque
from types import ModuleType
from typing import Any

from parslish.executors import parcel
from parslish.executors.batch import UNKNOWN_S
from parslish.random_numbers import Drawing

# Beside parcel's forms: the body is (module, qualified name, steps to unwrap); of what is in a `Drawing`, or itself.
REFERENCE, DRAWING = -1, -2

_WRAPPERS = 16  # decorators around a function that are looked through


class Carried:
    """One function as it crosses: its number on the wire, its form and body, and how long its calls take."""

    __slots__ = ("body", "cost_s", "form", "number", "ref")

    def __init__(self, ref: Any) -> None:
        self.ref = ref
        self.number = 0  #: 0 until it is packed
        self.form = REFERENCE
        self.body: Any = None
        self.cost_s = UNKNOWN_S


class Functions:
    """The functions that tasks call, by object: weakly held, so that a closure's memory is not kept alive."""

    def __init__(self) -> None:
        self._by_id: dict[int, Carried] = {}
        self._numbers = itertools.count(1)
        self._named: dict[tuple[str, str, int], Any] = {}  # what went by reference, as what
        self._stale: list[int] = []  # numbers of bodies that have changed
        self._gone: deque[tuple[int, Carried]] = deque()  # appended by the collector, on any thread

    def find(self, func: Any) -> Carried:
        carried = self._by_id.get(id(func))
        if carried is None or carried.ref() is not func:
            carried = self._enter(func)
        return carried

    def refresh(self, carried: Carried, func: Any) -> None:
        """Pack the function, or pack it again when it goes by value; a changed body gets a new number.

        Raises:
            SerializationError: it cannot cross.
        """
        if carried.number and carried.form in (REFERENCE, DRAWING):
            return
        draws = isinstance(func, Drawing)
        named = self._reference(func.func if draws else func)
        form, body = (DRAWING if draws else REFERENCE, named) if named else parcel.pack(func, beside_from=None)[:2]
        if body != carried.body:
            old, new = carried.number, next(self._numbers)
            carried.number, carried.form, carried.body = new, form, body
            self._stale.append(new if carried.ref is _unheld else old)

    def _reference(self, func: Any) -> tuple[str, str, int] | None:
        """Where workers find it, if what they have imported under that name is still this."""
        named = reference(func)
        if named is not None and self._named.setdefault(named, func) is not func:
            _go_by_value(sys.modules[named[0]])  # the module was loaded again; theirs is the old one
            return None
        return named

    def forgotten(self) -> list[int]:
        """Numbers that will not be used again, since the last call: workers need not keep those functions."""
        numbers, self._stale = self._stale, []
        while self._gone:
            key, carried = self._gone.popleft()
            if self._by_id.get(key) is carried:
                del self._by_id[key]
            numbers.append(carried.number)
        return numbers

    def _enter(self, func: Any) -> Carried:
        key = id(func)
        carried = Carried(None)

        def gone(_: Any) -> None:
            self._gone.append((key, carried))

        try:
            carried.ref = weakref.ref(func, gone)
            self._by_id[key] = carried
        except TypeError:  # a callable without weak references crosses anew each time
            carried.ref = _unheld
        return carried


def reference(func: Any) -> tuple[str, str, int] | None:
    """Where a worker finds `func` by importing: module, qualified name, and how many `__wrapped__` to follow.

    A decorated function is not what its name leads to (the name is the app's), hence the last. None where it
    can only go by value.
    """
    try:
        module, name = sys.modules[func.__module__], func.__qualname__
        if not importable(module):
            return None
        found = _attribute(module, name)
        for steps in range(_WRAPPERS):
            if found is func:
                return module.__name__, name, steps
            found = found.__wrapped__
    except Exception:  # user code: attributes of anything may raise anything; mostly it is AttributeError
        return None
    return None


def load(form: int, body: Any) -> Any:
    """The function, at the worker. Raises whatever importing or unpickling it raises."""
    if form not in (REFERENCE, DRAWING):
        return parcel.unpack(form, body)
    module, name, steps = body
    found = _attribute(importlib.import_module(module), name)
    for _ in range(steps):
        found = found.__wrapped__
    return Drawing(found) if form == DRAWING else found


def importable(module: Any) -> bool:
    """Whether importing a module by its name gives this very file, as it must in a worker.

    One loaded from a path outside `sys.path`, or made by hand, is not; its contents go by value from then on.
    """
    if module.__name__ == "__main__":
        return False
    if not isinstance(module, ModuleType):
        return True  # an object that its module has put in its own place, there as here
    known = _importable.get(module)
    if known is None:
        known = _importable[module] = _is_found(module)
        if not known and sys.modules.get(module.__name__) is module:
            _go_by_value(module)
    return known


def _go_by_value(module: ModuleType) -> None:
    import cloudpickle

    _importable[module] = False
    cloudpickle.register_pickle_by_value(module)
    parcel.by_value.add(module.__name__.encode())


def _unheld() -> None:
    """Stands for a weak reference where there can be none."""


_importable: weakref.WeakKeyDictionary[ModuleType, bool] = weakref.WeakKeyDictionary()


def _is_found(module: ModuleType) -> bool:
    # importlib.util.find_spec would answer from sys.modules, that is, always yes.
    parent, _, _ = module.__name__.rpartition(".")
    if module.__name__.partition(".")[0] in sys.stdlib_module_names:
        return True  # some of which have other names than their files
    path = None
    if parent:
        if parent not in sys.modules or not importable(sys.modules[parent]):
            return False
        path = getattr(sys.modules[parent], "__path__", None)
    try:
        specs = (finder.find_spec(module.__name__, path) for finder in sys.meta_path)
        spec = next(filter(None, specs), None)
    except Exception:  # user code: import hooks
        return False
    own = getattr(module, "__spec__", None)
    return spec is not None and own is not None and spec.origin == own.origin


def _attribute(module: ModuleType, name: str) -> Any:
    return functools.reduce(getattr, name.split("."), module)
