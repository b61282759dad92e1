"""Owns what the source of an app's function tells of its signature: which parameters it has, and their defaults. The
record of a plain call has neither."""

from __future__ import annotations

import ast
import functools
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from parslish.history import previews
from parslish.history.previews import Preview
from parslish.history.record import AppRecord


class Signature(NamedTuple):
    """The parameters of a function.

    Args:
        positional: those that a value without a name may go to, in order.
        star: the name of the one that takes what is left of these, or None.
        defaults: of those that have one; of what is no plain number or text, `{"source": what is written there}`.
    """

    positional: Sequence[str]
    star: str | None
    defaults: Mapping[str, Preview]


def of(app: AppRecord) -> Signature | None:
    """The signature of an app's function; None where its source was not recorded, or is no `def`."""
    if not app.parts or app.parts[0][0] != "function" or not app.parts[0][3]:
        return None
    return _parsed(app.parts[0][3])


@functools.lru_cache(maxsize=256)
def _parsed(text: str) -> Signature | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is wrong with the text nothing is to be told here
            found = ast.parse(textwrap.dedent(text)).body[0]
    except (SyntaxError, ValueError, IndexError, RecursionError, MemoryError):
        return None
    if not isinstance(found, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return None
    given = found.args
    positional = [each.arg for each in (*given.posonlyargs, *given.args)]
    pairs: list[tuple[str, ast.expr]] = [
        *zip(positional[len(positional) - len(given.defaults) :], given.defaults, strict=True),
        *((each.arg, value) for each, value in zip(given.kwonlyargs, given.kw_defaults, strict=True) if value),
    ]
    star = given.vararg.arg if given.vararg else None
    return Signature(positional, star, {name: _value(value) for name, value in pairs})


def _value(written: ast.expr) -> Preview:
    try:
        value: Any = ast.literal_eval(written)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return {"source": ast.unparse(written)}
    return previews.of(value)
