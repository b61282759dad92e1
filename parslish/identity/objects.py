"""Owns the encodings of objects: functions, classes, enums, and what reduces to such, as pickle would.

A reduction is encoded part by part and never as pickled bytes, which depend on what is shared and interned.
What classes and functions are made of is `used`'s to say, the order of precedence `value`'s.
"""

from __future__ import annotations

import copyreg
import enum
import functools
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import PurePath
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

from parslish.errors import Unidentifiable
from parslish.identity.atoms import ATOMS, atom, composite, text
from parslish.identity.code import is_project_module
from parslish.identity.containers import Handler, sequence, unordered
from parslish.identity.used import code_digest, is_own_code

if TYPE_CHECKING:
    from parslish.identity.value import Encoder

_PROTOCOL = 4
_NEW = copyreg.__newobj__  # type: ignore[attr-defined]
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: made while running, so that two may have one name


def handler_of(cls: type) -> Handler:
    """How values of a type that nothing else knows are encoded."""
    if cls in _EXACT:
        return _EXACT[cls]
    if getattr(cls, "__parslish_app__", False):
        return _app
    for base, handler in _FAMILIES.items():
        if issubclass(cls, base):
            return handler
    if hasattr(cls, "__next__") and not hasattr(cls, "read"):
        return _iterator
    return _object


# ------------------------------------------------------------------------------- what users say


def by_hook(hook: Callable[[Any], bytes | str], walk: Encoder, value: Any) -> bytes:
    """By a function registered with `id_for_memo`."""
    said = _ask(value, "its registered function", hook, value)
    if isinstance(said, str):
        said = said.encode("utf-8", "surrogatepass")
    if not isinstance(said, bytes):
        raise Unidentifiable(_kind(value), f"its registered function gave {_kind(said)}, not bytes or str")
    return composite(b"hook", walk.class_of(value), said)


def by_own_key(walk: Encoder, value: Any) -> bytes:
    """By its method `__parslish_key__`."""
    said = _ask(value, "its __parslish_key__", value.__parslish_key__)
    return composite(b"own key", walk.class_of(value), walk.encode(said))


def _ask(value: Any, who: str, function: Callable[..., Any], *args: Any) -> Any:
    try:
        return function(*args)
    except Unidentifiable:
        raise
    except Exception as exc:  # user code
        raise Unidentifiable(_kind(value), f"{who} raised {type(exc).__name__}: {exc}") from exc


# ------------------------------------------------------------------------------------- code


def class_encoding(cls: type) -> bytes:
    """A class: by name when it is a library's, by name and code when it is the user's own.

    One that a library made while running, which no module holds, may have methods of the user's.
    """
    module, name = str(cls.__module__), cls.__qualname__
    if is_own_code(cls):
        return composite(b"own class", text(module), text(name), code_digest(cls))
    if not cls.__flags__ & _HEAP_TYPE or _stands_at(cls, module, name):
        return composite(b"class", text(module), text(name))
    methods = [each for each in vars(cls).items() if isinstance(each[1], FunctionType) and is_own_code(each[1])]
    own = [text(method) + code_digest(function) for method, function in sorted(methods)]
    return composite(b"made class", text(module), text(name), *own)


def _class(_: Encoder, value: type) -> bytes:
    return class_encoding(value)


def _function(walk: Encoder, value: FunctionType) -> bytes:
    if is_own_code(value):
        return composite(b"function", code_digest(value))
    module, name = str(value.__module__), value.__qualname__
    if not is_project_module(module) and _stands_at(value, module, name):
        return composite(b"named function", text(module), text(name))
    return _made_function(walk, value)


def _made_function(walk: Encoder, value: FunctionType) -> bytes:
    """One that a library made while running, a wrapper say: what it holds tells it from others of its kind."""
    try:
        cells = [each.cell_contents for each in value.__closure__ or ()]
    except ValueError:
        raise Unidentifiable("function", "a variable that it uses has no value yet") from None
    code = value.__code__
    constants = [each for each in code.co_consts if not isinstance(each, CodeType)]
    place = [value.__globals__.get("__name__"), code.co_name, code.co_firstlineno]
    holds = [cells, value.__defaults__, value.__kwdefaults__, value.__dict__]
    return composite(b"made function", walk.encode([place, code.co_code, code.co_names, constants, holds]))


def _method(walk: Encoder, value: MethodType) -> bytes:
    return composite(b"method", walk.encode(value.__self__), walk.encode(value.__func__))


def _cached_function(walk: Encoder, value: Any) -> bytes:
    return composite(b"cached function", walk.encode(value.__wrapped__))


def _app(walk: Encoder, value: Any) -> bytes:
    return composite(b"app", text(value.kind), walk.encode(value.func))


def _module(_: Encoder, value: ModuleType) -> bytes:
    if is_own_code(value):
        raise Unidentifiable("module", "its code may change; pass the function that is used")
    return composite(b"module", text(value.__name__))


# ------------------------------------------------------------------------------------- objects


def _enum(walk: Encoder, value: enum.Enum) -> bytes:
    plain = value.value if type(value.value) in ATOMS else None
    return composite(b"enum", walk.class_of(value), text(str(value.name)), walk.encode(plain))


def _path(walk: Encoder, value: PurePath) -> bytes:
    return composite(b"path", walk.class_of(value), text(str(value)))


def _set_subclass(walk: Encoder, value: set[Any] | frozenset[Any]) -> bytes:
    # Its reduction lists the entries in an order that differs between processes.
    state = walk.encode((*_reduce(value), None)[2])
    return composite(b"set", walk.class_of(value), unordered(b"entries", walk, value), state)


def _iterator(_: Encoder, value: Any) -> bytes:
    raise Unidentifiable(_kind(value), "an iterator changes as it is read; pass a list")


def _bare(_: Encoder, value: object) -> bytes:
    raise Unidentifiable(_kind(value), "it has no content, only its place in memory")


def _object(walk: Encoder, value: Any) -> bytes:
    """By its reduction: how to make it again, and from what."""
    reduced = _reduce(value)
    if isinstance(reduced, str):
        return _named(walk, value, reduced)
    make, args, state, entries, items, set_state = (*reduced, *[None] * 4)[:6]
    _refuse_address(value, (*args, *(state.values() if isinstance(state, dict) else ())))
    if make is _NEW and args[0] is type(value):
        how = [b"new", walk.class_of(value), walk.encode(args[1:])]
    else:
        how = [b"make", walk.encode(make), walk.encode(args)]
    of_items = sequence if isinstance(value, OrderedDict) else unordered
    return composite(
        b"object",
        *how,
        walk.encode(state),
        walk.encode(set_state),
        atom(None) if entries is None else sequence(b"entries", walk, list(entries)),
        atom(None) if items is None else of_items(b"items", walk, list(items)),
    )


def _reduce(value: Any) -> Any:
    special = copyreg.dispatch_table.get(type(value))
    try:
        reduced = special(value) if special else value.__reduce_ex__(_PROTOCOL)
    except Exception as exc:  # user code
        raise Unidentifiable(_kind(value), str(exc) or type(exc).__name__) from exc
    if isinstance(reduced, str) or (isinstance(reduced, tuple) and 2 <= len(reduced) <= 6):
        return reduced
    raise Unidentifiable(_kind(value), f"its __reduce_ex__ gave {_kind(reduced)}, not a reduction")


def _refuse_address(value: Any, parts: tuple[Any, ...]) -> None:
    """What holds its own address would be another in each process, and never be found again."""
    address = id(value)
    for part in parts:
        if (type(part) is int and part == address) or (type(part) is str and f"{address:#x}" in part):
            raise Unidentifiable(_kind(value), "it holds its own place in memory")


# ------------------------------------------------------------------------------------- names


def _named(walk: Encoder, value: Any, name: str) -> bytes:
    """An object that reduces to the name under which its module holds it."""
    stated = getattr(value, "__module__", None)
    if isinstance(stated, str) and _stands_at(value, stated, name):
        module = stated
    else:
        # Shortest first: libraries hold their functions in inner modules, too, which move.
        by_length = sorted(sys.modules, key=lambda module: (module.count("."), module))
        module = next((each for each in by_length if _stands_at(value, each, name)), "")
    if not module:
        raise Unidentifiable(_kind(value), f"no module holds it as {name!r}")
    own_class = [walk.class_of(value)] if is_own_code(type(value)) and is_project_module(module) else []
    return composite(b"named", text(module), text(name), *own_class)


def _stands_at(value: Any, module: str, name: str) -> bool:
    """Whether that module holds this very object under that name."""
    found: Any = sys.modules.get(module)
    first, *more = name.split(".")
    # Not by getattr: a module's own __getattr__ may import, and fail.
    found = getattr(found, "__dict__", {}).get(first)
    for attribute in more:
        found = getattr(found, attribute, None)
    return found is value


def _kind(value: Any) -> str:
    return type(value).__qualname__


_EXACT: Mapping[type, Handler] = {
    FunctionType: _function,
    MethodType: _method,
    functools._lru_cache_wrapper: _cached_function,
    object: _bare,
}
_FAMILIES: Mapping[type, Handler] = {
    type: _class,
    ModuleType: _module,
    enum.Enum: _enum,
    PurePath: _path,
    set: _set_subclass,
    frozenset: _set_subclass,
}
