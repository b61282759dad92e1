"""Owns the canonical form of code whose source is not at hand: its instructions, without places in files.

It differs between versions of Python, so results of such code do not outlive a change of version.
"""

from __future__ import annotations

import bisect
import dis
import inspect
import sys
from collections.abc import Iterator
from types import CodeType
from typing import Any

from parslish.identity.atoms import ATOMS, atom, composite, text

_SAY_NOTHING = frozenset({"CACHE", "NOP", "EXTENDED_ARG", "RESUME"})
_READ_BY_NAME = frozenset({"LOAD_GLOBAL", "LOAD_DEREF", "LOAD_NAME", "LOAD_CLOSURE"})
_JUMPS = frozenset(dis.hasjrel) | frozenset(dis.hasjabs)
_CONSTANTS = frozenset(dis.hasconst)
_NAMES = frozenset({*dis.hasname, *dis.haslocal, *dis.hasfree})
# Other flags tell how and from where it was compiled.
_KINDS = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS | inspect.CO_GENERATOR
_KINDS |= inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"


def canonical_code(code: CodeType, own_name: str = "") -> bytes:
    """A function's code without its name, place and docstring.

    Args:
        code: the code.
        own_name: the name under which it calls itself, which it may change; "" when it does not.
    """
    parameters = code.co_argcount + code.co_kwonlyargcount
    parameters += bool(code.co_flags & inspect.CO_VARARGS) + bool(code.co_flags & inspect.CO_VARKEYWORDS)
    signature = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags & _KINDS)
    return composite(
        b"bytecode " + _VERSION.encode(),
        *map(atom, signature),
        *map(text, code.co_varnames[:parameters]),
        *_body(code, own_name),
    )


def _body(code: CodeType, own_name: str) -> Iterator[bytes]:
    instructions = _without_lines([each for each in dis.get_instructions(code) if each.opname not in _SAY_NOTHING])
    places = _Places(instructions)
    yield atom(len(instructions))
    for each in instructions:
        yield text(each.opname)
        if each.opcode in _JUMPS:
            yield places[each.argval]
        elif each.opname in _READ_BY_NAME and each.argval == own_name:
            yield b"@"
        elif each.opcode in _CONSTANTS and each.arg is not None:
            yield _argument(code.co_consts[each.arg], own_name)  # `dis` does not look up those of KW_NAMES
        else:
            # Elsewhere `argval` is for people to read, and may hold anything.
            yield _argument(each.argval if each.opcode in _NAMES else each.arg, own_name)
    for entry in getattr(dis.Bytecode(code), "exception_entries", ()):  # from Python 3.11 on
        yield places[entry.start] + places[entry.end] + places[entry.target]
        yield atom(entry.depth) + atom(entry.lasti)


def _without_lines(instructions: list[dis.Instruction]) -> list[dis.Instruction]:
    """From Python 3.13 on the body of a class notes its line."""
    for at, each in enumerate(instructions):
        if at and each.argval == "__firstlineno__" and each.opname == "STORE_NAME":
            return instructions[: at - 1] + instructions[at + 1 :]
    return instructions


class _Places:
    """Offsets as counts of the instructions that say something: a moved line may change the others."""

    def __init__(self, instructions: list[dis.Instruction]) -> None:
        self._offsets = [each.offset for each in instructions]

    def __getitem__(self, offset: int) -> bytes:
        return atom(bisect.bisect_left(self._offsets, offset))


def _argument(value: Any, own_name: str) -> bytes:
    if isinstance(value, CodeType):
        return canonical_code(value, own_name)
    if type(value) in ATOMS:
        return ATOMS[type(value)](value)
    parts = [_argument(each, own_name) for each in _entries(value)]
    return composite(type(value).__name__.encode(), *(sorted(parts) if isinstance(value, frozenset) else parts))


def _entries(value: Any) -> Any:
    return (value.start, value.stop, value.step) if isinstance(value, slice) else value
