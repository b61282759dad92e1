"""Owns the canonical form of a function's syntax: what is left when layout, comments and docstrings are taken away.

Not `ast.dump`, whose output changes between versions of Python: here each node is written by its name and its filled
fields, with the counts that make two different trees different bytes.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from parslish.identity.atoms import ATOMS, text
from parslish.identity.source import FunctionNode

_NEVER = frozenset({"ctx", "kind", "type_comment", "type_ignores", "type_params"})
_OF_FUNCTIONS = _NEVER | {"returns"}
_WITH_BODY = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)

_Fields = list[tuple[str, Any]]


def canonical_function(node: FunctionNode, own_name: str = "", decorators: Sequence[ast.expr] = ()) -> bytes:
    """A function without its name, the values of its defaults and its annotations: these stand outside of it.

    Args:
        node: the function.
        own_name: the name under which it calls itself, which it may change; "" when it does not.
        decorators: those that count; they may read annotations, which then count too.
    """
    annotated = bool(decorators)
    arguments = [(name, value) for name, value in _fields(node.args) if name not in ("defaults", "kw_defaults")]
    writer = _Writer(own_name)
    writer.write(f"{type(node).__name__} arguments", arguments, annotated=annotated)
    returns = getattr(node, "returns", None) if annotated else None
    writer.write("rest", [("decorators", list(decorators)), ("returns", returns), ("body", _body(node))])
    return writer.bytes()


class _Writer:
    """Writes trees node by node; not by recursion, as a sum of a thousand terms is a tree of that depth."""

    def __init__(self, own_name: str) -> None:
        self._own_name = own_name
        self._out: list[bytes] = []

    def bytes(self) -> bytes:
        return b"".join(self._out)

    def write(self, kind: str, fields: _Fields, *, annotated: bool = False) -> None:
        """A node by its kind and fields; `annotated` says whether annotations right under it count."""
        # Each entry: field, value, whether annotations count here.
        waiting: list[tuple[str, Any, bool]] = []
        self._open(kind, fields, annotated, waiting)
        while waiting:
            name, value, annotated = waiting.pop()
            self._out.append(text(name))
            if isinstance(value, ast.AST):
                node_kind, fields, annotated = self._node(value, annotated)
                self._open(node_kind, fields, annotated, waiting)
            elif isinstance(value, list):
                self._open("list", [("", each) for each in value], annotated, waiting)
            else:
                self._out.append(ATOMS[type(value)](value))

    def _open(self, kind: str, fields: _Fields, annotated: bool, waiting: list[tuple[str, Any, bool]]) -> None:
        self._out.append(text(kind) + ATOMS[int](len(fields)))
        waiting += [(name, value, annotated) for name, value in reversed(fields)]

    def _node(self, node: ast.AST, annotated: bool) -> tuple[str, _Fields, bool]:
        """A node's kind and fields, and whether annotations count inside."""
        kind, fields = type(node).__name__, _fields(node)
        if isinstance(node, ast.ClassDef):
            return kind, fields, True
        if isinstance(node, FunctionNode):
            return kind, fields, bool(getattr(node, "decorator_list", ()))
        if isinstance(node, ast.Name):
            return kind, [("id", self._name(node.id))], annotated
        if isinstance(node, (ast.arg, ast.AnnAssign)) and not annotated:
            return self._unannotated(node)
        return kind, fields, annotated

    def _name(self, name: str) -> Any:
        if name == "__debug__":
            return __debug__  # a constant to the compiler, set by python -O
        return None if name == self._own_name else name

    def _unannotated(self, node: ast.arg | ast.AnnAssign) -> tuple[str, _Fields, bool]:
        if isinstance(node, ast.arg):
            return "arg", [("arg", node.arg)], False
        return "Assign", [("targets", [node.target]), *([("value", node.value)] if node.value else [])], False


def _fields(node: ast.AST) -> _Fields:
    """A node's fields that say something, in the order of the grammar."""
    left_out = _NEVER
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not node.decorator_list:
        left_out = _OF_FUNCTIONS
    fields = [(name, getattr(node, name, None)) for name in node._fields if name not in left_out]
    if isinstance(node, _WITH_BODY):
        fields = [(name, _body(node) if name == "body" else value) for name, value in fields]
    if isinstance(node, ast.JoinedStr):
        return [("values", [each for each in node.values if not _is_empty_text(each)])]
    if isinstance(node, ast.Constant):
        return fields  # None is a value here
    return [(name, value) for name, value in fields if value is not None and value != []]


def _is_empty_text(node: ast.expr) -> bool:
    """Python 3.12 leaves such in f-strings."""
    return isinstance(node, ast.Constant) and node.value == ""


def _body(node: Any) -> Any:
    """The statements of a function or class without its docstring; the expression of a lambda."""
    body = node.body
    if isinstance(body, list) and isinstance(body[0], ast.Expr):
        first = body[0].value
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            return body[1:]
    return body
