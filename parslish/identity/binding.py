"""Owns how a call's arguments find their parameters: Python itself binds them, and words what does not fit.

For each function one small function with the same signature is compiled; it returns what it was given. That is
twenty times as fast as `inspect.signature(…).bind`. Which parameters count is `key`'s to say.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Set
from dataclasses import dataclass, replace
from types import CodeType, FunctionType, MethodType
from typing import Any, cast


@dataclass(frozen=True, slots=True)
class Binding:
    """How the calls of one callable are bound.

    Attributes:
        bind: called like the callable; returns the values of the parameters in `names`, with defaults filled in.
            Empty `*args` and `**kwargs` are None: that keeps most calls to plain values.
        names: the parameters that count, in order.
        parameters: all parameters.
        rest: the name of the `**kwargs` parameter, or None.
        function: whose signature it is, inside partials and methods.
        target: the function that runs in the end, inside partials and methods, without its defaults: those
            are values of the call, not code.
        bare_defaults: `id`s of defaults that are a plain `object()`: being the default is all they are.
    """

    bind: Callable[..., tuple[Any, ...]]
    names: tuple[str, ...]
    parameters: frozenset[str]
    rest: str | None
    function: FunctionType
    target: Callable[..., Any]
    bare_defaults: frozenset[int] = frozenset()


def binding(func: Callable[..., Any], left_out: Set[str]) -> Binding:
    """How calls of `func` are bound, without the parameters in `left_out`.

    What a partial fixes, and the object of a method or a callable object, are values like those of the call.
    A wrapper is bound by its own signature, not by that of what it wraps: it may change what it passes on.
    """
    if isinstance(func, functools.partial):
        inner = binding(func.func, left_out)
        return replace(inner, bind=functools.partial(inner.bind, *func.args, **func.keywords))
    if isinstance(func, MethodType):
        inner = binding(func.__func__, left_out)
        return replace(inner, bind=functools.partial(inner.bind, func.__self__))
    if isinstance(func, FunctionType):
        return _of_function(func, left_out)
    call = inspect.getattr_static(type(func), "__call__", None)
    if isinstance(call, FunctionType):
        return binding(MethodType(call, func), left_out)
    return replace(_of_function(_SIGNATURE_OF_ANY, left_out), target=func)


_SIGNATURE_OF_ANY = cast(FunctionType, lambda *args, **kwargs: None)


def _of_function(func: FunctionType, left_out: Set[str]) -> Binding:
    parameters, rest = _parameters(func.__code__)
    names = tuple(name for name in parameters if name not in left_out)
    bind = _compiled(func.__code__, names)
    bind.__defaults__, bind.__kwdefaults__ = func.__defaults__, func.__kwdefaults__
    bind.__qualname__ = func.__qualname__
    defaults = (*(func.__defaults__ or ()), *(func.__kwdefaults__ or {}).values())
    bare = frozenset(id(each) for each in defaults if type(each) is object)
    return Binding(bind, names, frozenset(parameters), rest, func, _without_defaults(func), bare)


def _parameters(code: CodeType) -> tuple[tuple[str, ...], str | None]:
    """All parameters in the order of the code's variables: `*args` and `**kwargs` come last."""
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & inspect.CO_VARARGS)
    has_rest = bool(code.co_flags & inspect.CO_VARKEYWORDS)
    names = code.co_varnames[: count + has_rest]
    return names, names[-1] if has_rest else None


def _compiled(code: CodeType, names: tuple[str, ...]) -> FunctionType:
    """A function with the parameters of `code` that returns those in `names`."""
    scope: dict[str, Any] = {}
    stars = _starred(code)
    values = "".join(f"{name} or None, " if name in stars else f"{name}, " for name in names)
    exec(f"def bind({_header(code)}): return ({values})", scope)
    bind: FunctionType = scope["bind"]
    return bind


def _header(code: CodeType) -> str:
    names, n_positional = code.co_varnames, code.co_argcount
    n_named = n_positional + code.co_kwonlyargcount
    header = list(names[:n_positional])
    if code.co_posonlyargcount:
        header.insert(code.co_posonlyargcount, "/")
    stars = _starred(code)
    if code.co_flags & inspect.CO_VARARGS:
        header.append(f"*{stars[0]}")
    elif code.co_kwonlyargcount:
        header.append("*")
    header += names[n_positional:n_named]
    if code.co_flags & inspect.CO_VARKEYWORDS:
        header.append(f"**{stars[-1]}")
    return ", ".join(header)


def _starred(code: CodeType) -> tuple[str, ...]:
    n_named = code.co_argcount + code.co_kwonlyargcount
    n_starred = bool(code.co_flags & inspect.CO_VARARGS) + bool(code.co_flags & inspect.CO_VARKEYWORDS)
    return code.co_varnames[n_named : n_named + n_starred]


def _without_defaults(func: FunctionType) -> FunctionType:
    bare = FunctionType(func.__code__, func.__globals__, func.__name__, None, func.__closure__)
    bare.__module__, bare.__qualname__ = func.__module__, func.__qualname__
    bare.__dict__.update(func.__dict__)
    return bare
