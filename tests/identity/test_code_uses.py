"""What code reads from its surroundings and changes there, found on its bytecode, against its syntax tree."""

from __future__ import annotations

import argparse
import ast
import configparser
import dis
import inspect
import logging
import shutil
import statistics
import subprocess
import tarfile
import textwrap
import threading
import unittest.mock
import zipfile
from collections.abc import Iterator
from types import CodeType, ModuleType
from typing import Any

import pytest

from parslish.identity.stack import ENTRY, Path, Stack
from parslish.identity.uses import CHANGING_METHODS, Uses, uses


def uses_of(body: str, head: str = "def f(x):") -> Uses:
    """What a function with this body uses; it stands in another, whose variables are a and b."""
    function = f"{head}\n{textwrap.indent(textwrap.dedent(body), '    ')}"
    outer = f"def outer(a, b):\n{textwrap.indent(function, '    ')}\n    return f"
    names: dict[str, Any] = {}
    exec(compile(outer, "<test>", "exec", dont_inherit=True), names)
    return uses(names["outer"](1, 2).__code__)


READS = [
    ("G", ["global G"]),
    ("G.a.b", ["global G a b"]),
    ("G.a.b(G.c)", ["global G a b", "global G c"]),
    ("G(G.a)", ["global G", "global G a"]),
    ("a.name", ["free a name"]),
    ("G[0].a", ["global G", "global G [] a"]),
    ("y = G; y.a", ["global G"]),
    ("(y := G).a", ["global G", "global G a"]),
    ("[G.n for i in x]", ["global G n"]),
    ("lambda: (a, G)", ["free a", "global G"]),
    ("def g(a): return a", []),
    ("def g():\n    a = 1\n    return lambda: a", []),
    ("class C:\n    y = G", ["global G"]),
    ("import m.n; m.n.f()", ["import m n f"]),
    ("import m.n as k; k.f(); k.g()", ["import m n f", "import m n g"]),
    ("from m import f, g as h; f(h)", ["import m f", "import m g"]),
    ("from . import m; m.f()", ["import . m f"]),
    ("from ..p import f", ["import ..p f"]),
    ("import m", ["import m"]),
    ("import m; x(m)", ["import m"]),
    ("import m; m.f; x(m)", ["import m", "import m f"]),
    ("try:\n    import m as k\nexcept E:\n    import n as k\nk.f()", ["global E", "import m", "import n"]),
    ("import m\nif x:\n    m = x\nm.f()", ["import m"]),
    ("with G.open() as y: y.read()", ["global G open"]),
    ("lo < G.n < hi", ["global G n", "global hi", "global lo"]),
    ("x.y = G.z", ["global G z"]),
    ("G.a = x", []),
]


@pytest.mark.parametrize(("body", "reads"), READS)
def test_reads_are_spelled_out_as_far_as_the_code_does(body: str, reads: list[str]) -> None:
    noise = {("global", "__name__")}  # which each class statement reads
    assert sorted(" ".join(path) for path in uses_of(body).reads - noise) == reads


CHANGES = [
    ("G[x] = 1", ["global G []"]),
    ("del G[x]", ["global G []"]),
    ("G[x] += 1", ["global G []"]),
    ("G[x][x] = 1", ["global G [] []"]),
    ("G[not x] = 1", ["global G []"]),
    ("G[1:2] = x", ["global G []"]),
    ("G[x if x else 2] = 1", ["global G []"]),
    ("G[x and 2] = y = [i for i in x]", ["global G []"]),
    ("G[x], y = 1, 2", ["global G []"]),
    ("for G[0] in x: pass", ["global G []"]),
    ("G.a = 1", ["global G a"]),
    ("G.a += 1", ["global G a"]),
    ("G.a[x] = 1", ["global G a []"]),
    ("del G.a", ["global G a"]),
    ("global G; G = 1", ["global G"]),
    ("global G; G += 1", ["global G"]),
    ("nonlocal a; a = 1", ["free a"]),
    ("a[x] = 1", ["free a []"]),
    ("x[G] = 1", ["first x []"]),
    ("def g(): a[0] = 1", ["free a []"]),
    ("def g(a): a[0] = 1", []),
    ("G = {}; G[0] = 1", []),
    ("y = [G, a]; y[0] = 1", []),
    ("x = {}; x[0] = 1", []),
    ("G(a)[x] = 1", []),
    ("(G or a)[x] = 1", []),
    ("(G + a)[x] = 1", []),
    ("G.a().b = 1", []),
    ("(-G)[0] = a", []),
    ("import m; m.n = 1", ["import m n"]),
]


@pytest.mark.parametrize(("body", "changes"), CHANGES)
def test_changes_are_seen_and_none_is_made_up(body: str, changes: list[str]) -> None:
    assert sorted(" ".join(path) for path in uses_of(body).changes) == changes


CALLS = [
    ("G.append(x)", ["global G append"]),
    ("G.a.update(x)", ["global G a update"]),
    ("G[x].add(a)", ["global G [] add"]),
    ("G.setdefault(x, []).append(1)", ["global G setdefault"]),
    ("G.get(x)", []),
    ("G().append(x)", []),
    ("x.append(G)", ["first x append"]),
    ("y = [G]; y.append(x)", []),
]


@pytest.mark.parametrize(("body", "calls"), CALLS)
def test_methods_that_change_containers_are_seen(body: str, calls: list[str]) -> None:
    assert sorted(" ".join(path) for path in uses_of(body).calls) == calls


def test_what_an_instruction_makes_of_a_value_has_no_path() -> None:
    stack = Stack()
    for instruction in dis.get_instructions(compile("y, z = G", "<test>", "exec")):
        stack.arrive(instruction.offset)
        if instruction.opname == "LOAD_NAME":
            stack.push(("global", "G"), instruction)
            assert stack.top(-1) == ("global", "G")
        elif instruction.opname == "UNPACK_SEQUENCE":
            stack.apply(instruction)
            assert (stack.top(-1), stack.top(-2), stack.top(-3)) == (None, None, None)
            return
    pytest.fail("no such instruction")


# ------------------------------------------------------------------------------- against syntax trees

LIBRARY = [argparse, configparser, inspect, logging, shutil, statistics, subprocess, tarfile, threading, zipfile]
LIBRARY += [unittest.mock, dis]


def _functions(module: ModuleType) -> Iterator[tuple[CodeType, ast.AST]]:
    """The functions of a module, as compiled and as parsed."""
    source = inspect.getsource(module)
    nodes = {
        (node.name, min(each.lineno for each in (node, *node.decorator_list))): node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    waiting = [compile(source, module.__name__, "exec", dont_inherit=True)]
    while waiting:
        for code in waiting.pop().co_consts:
            if isinstance(code, CodeType):
                waiting.append(code)
                if (code.co_name, code.co_firstlineno) in nodes:
                    yield code, nodes[code.co_name, code.co_firstlineno]


def _spelled(node: ast.AST) -> Path:
    path: list[str] = []
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        path.append(node.attr if isinstance(node, ast.Attribute) else ENTRY)
        node = node.value
    return (node.id, *reversed(path)) if isinstance(node, ast.Name) else ()


def _written(node: ast.AST) -> Iterator[Path]:
    for each in ast.walk(node):
        if isinstance(each, (ast.Attribute, ast.Subscript)):
            is_call = isinstance(each, ast.Attribute) and each.attr in CHANGING_METHODS
            if is_call or not isinstance(each.ctx, ast.Load):
                yield _spelled(each)


def _unmangled(paths: set[Path]) -> set[Path]:
    """Without the names that private attributes have inside."""
    return {path for path in paths if not any("__" in name[1:] for name in path)}


def test_nothing_in_the_standard_library_is_said_to_change_that_does_not() -> None:
    found = wanted = 0
    for module in LIBRARY:
        for code, node in _functions(module):
            used = uses(code)
            told = {path[1:] for path in used.changes | used.calls if len(path) > 2}
            by_syntax = {path for path in _written(node) if path}
            assert _unmangled(told) <= by_syntax, (module.__name__, code)
            first = code.co_varnames[: min(code.co_argcount, 1)]
            wanted += len({path for path in by_syntax if path[0] in first})
            found += len({path for path in told if path[0] in first})
    assert found > 0.9 * wanted > 500  # what is missed: parameters that are bound anew, or used by an inner function


def test_every_global_name_that_code_loads_is_among_its_reads_or_changes() -> None:
    for module in LIBRARY:
        for code, _ in _functions(module):
            used = uses(code)
            loaded = {each.argval for each in dis.get_instructions(code) if each.opname == "LOAD_GLOBAL"}
            assert loaded <= {path[1] for path in used.reads | used.changes}, (module.__name__, code)
