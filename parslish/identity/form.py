"""Owns how a function's own code is written down: as syntax when its source is sure, else as bytecode.

Each is made once for each code object: a file edited later must not change what a running function is.
"""

from __future__ import annotations

import ast
import functools
from dataclasses import dataclass
from types import CodeType, FunctionType, ModuleType
from typing import Any

from parslish.identity.atoms import composite
from parslish.identity.bytecode import canonical_code
from parslish.identity.source import definition
from parslish.identity.syntax import canonical_function

_FORMS_KEPT = 8192


@dataclass(frozen=True, slots=True)
class Form:
    """A function's own code.

    Attributes:
        encoding: it, without its name, defaults and what it uses.
        text: its source lines; "" when they are not known.
        decorator_names: the names in its decorators, where these count.
    """

    encoding: bytes
    text: str
    decorator_names: frozenset[str] = frozenset()


# By id, not by equality: equal code may have other decorators. The code is held, so that its id stays its own.
_forms: dict[tuple[int, str, bool], tuple[CodeType, Form]] = {}


def form(func: FunctionType, own_name: str, decorated: bool) -> Form:
    """A function's own code.

    Args:
        func: the function.
        own_name: the name under which it calls itself; "" when it does not.
        decorated: it was reached through a library's decorator, whose arguments only the source tells.
    """
    key = id(func.__code__), own_name, decorated
    kept = _forms.get(key)
    if kept is None:
        if len(_forms) >= _FORMS_KEPT:
            _forms.clear()
        kept = _forms[key] = func.__code__, _make(func, own_name, decorated)
    return kept[1]


def _make(func: FunctionType, own_name: str, decorated: bool) -> Form:
    found = definition(func.__code__, func.__globals__)
    if found is None:
        return Form(canonical_code(func.__code__, own_name), "")
    decorators = [each for each in getattr(found.node, "decorator_list", ()) if not _is_ours(each, func.__globals__)]
    if not decorated:
        decorators = []
    names = frozenset(node.id for each in decorators for node in ast.walk(each) if isinstance(node, ast.Name))
    encoding = composite(b"syntax", canonical_function(found.node, own_name, decorators))
    return Form(encoding, found.text, names)


def _is_ours(decorator: ast.expr, namespace: dict[str, Any]) -> bool:
    """Whether a decorator is one of parslish: these say where and whether a function runs, not what it does."""
    root: ast.AST = decorator
    while isinstance(root, (ast.Call, ast.Attribute)):
        root = root.func if isinstance(root, ast.Call) else root.value
    value = namespace.get(root.id) if isinstance(root, ast.Name) else None
    while isinstance(value, functools.partial):
        value = value.func
    name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
    return isinstance(name, str) and name.partition(".")[0] == "parslish"
