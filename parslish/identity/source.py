"""Owns the way from running code to its source, and the proof that the one was compiled from the other.

A file may have been edited since it was imported. So what is found is compiled again, and counts only when that gives
the very code that runs. Files, notebook cells and `python -c` are looked through.
"""

from __future__ import annotations
import __future__

import ast
import functools
import inspect
import itertools
import linecache
import re
import sys
import textwrap
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Any

_PARSED_KEPT = 16
_FUTURE_FLAGS: int = sum({getattr(__future__, name).compiler_flag for name in __future__.all_feature_names})
_FUTURE_FLAGS &= ~inspect.CO_NESTED  # the mark of each function in another; it is also that of a very old feature

_IN_NOTEBOOKS = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(frozen=True, slots=True)
class Definition:
    """A function as its source has it.

    Attributes:
        node: its syntax tree.
        text: its lines, decorators and comments included, moved to the left margin.
    """

    node: FunctionNode
    text: str


@dataclass(frozen=True, slots=True)
class _Parsed:
    """The functions in a source text, by name and first line (that of the first decorator)."""

    lines: list[str]
    nodes: dict[tuple[str, int], list[FunctionNode]]
    codes: dict[tuple[str, int], list[CodeType]]


def definition(code: CodeType, namespace: dict[str, Any]) -> Definition | None:
    """The source that `code` was compiled from; None when it cannot be found, or is not what runs.

    Args:
        code: a function's code.
        namespace: the function's globals; they lead to the source of modules that are not plain files.
    """
    parsed = _parse(_text(code.co_filename, namespace), code.co_flags & _FUTURE_FLAGS)
    if parsed is None:
        return None
    place = code.co_name, code.co_firstlineno
    nodes = parsed.nodes.get(place, [])
    # Of two lambdas in one line, nothing says which is which.
    if len(nodes) != 1 or code not in parsed.codes[place]:
        return None
    node = nodes[0]
    text = "\n".join(parsed.lines[_first_line(node) - 1 : node.end_lineno])
    return Definition(node, textwrap.dedent(text))


def _text(filename: str, namespace: dict[str, Any]) -> str:
    if filename == "<string>":
        return _command()
    linecache.checkcache(filename)
    return "".join(linecache.getlines(filename, namespace))


def _command() -> str:
    """What `python -c` was given."""
    pairs = itertools.pairwise(sys.orig_argv)
    return next((code for option, code in pairs if re.fullmatch(r"-[A-Za-z]*c", option)), "")


@functools.lru_cache(maxsize=_PARSED_KEPT)
def _parse(text: str, flags: int) -> _Parsed | None:
    try:
        tree = ast.parse(text)
        module = compile(tree, "<fingerprint>", "exec", flags | _IN_NOTEBOOKS, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    nodes: dict[tuple[str, int], list[FunctionNode]] = defaultdict(list)
    for node in ast.walk(tree):
        if isinstance(node, FunctionNode):
            nodes[getattr(node, "name", "<lambda>"), _first_line(node)].append(node)
    codes: dict[tuple[str, int], list[CodeType]] = defaultdict(list)
    for code in _inside(module):
        codes[code.co_name, code.co_firstlineno].append(code)
    return _Parsed(text.split("\n"), dict(nodes), codes)


def _first_line(node: FunctionNode) -> int:
    first: int = min(each.lineno for each in (node, *getattr(node, "decorator_list", ())))
    return first


def _inside(code: CodeType) -> Iterator[CodeType]:
    waiting = [code]
    while waiting:
        inner = [each for each in waiting.pop().co_consts if isinstance(each, CodeType)]
        yield from inner
        waiting += inner
