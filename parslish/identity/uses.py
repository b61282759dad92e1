"""Owns what a function's code reads from its surroundings, and what of it the code itself changes.

Found on the bytecode, where the compiler has already told names of modules from local ones. What the names lead to,
and what follows from that, is `follow`'s to say.
"""

from __future__ import annotations

import dis
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from types import CodeType
from typing import Any

from parslish.identity.stack import ENTRY, SAY_NOTHING, Path, Stack

#: Methods of builtin containers that change them.
CHANGING_METHODS = frozenset(
    "add append appendleft clear difference_update discard extend extendleft insert intersection_update pop popitem"
    " popleft remove reverse rotate setdefault sort subtract symmetric_difference_update update".split()
)

_READ_GLOBAL = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
_READ_FREE = frozenset({"LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"})
_WRITE_GLOBAL = frozenset({"STORE_GLOBAL", "DELETE_GLOBAL"})
_WRITE_FREE = frozenset({"STORE_DEREF", "DELETE_DEREF"})
_WRITE_ATTRIBUTE = frozenset({"STORE_ATTR", "DELETE_ATTR"})
# Where in the stack the container is whose entry is written.
_WRITE_ENTRY = {"STORE_SUBSCR": -2, "DELETE_SUBSCR": -2, "STORE_SLICE": -3}


@dataclass(frozen=True, slots=True)
class Import:
    """An import statement inside a function: `from module import names`, or `import module` without names."""

    module: str
    level: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Uses:
    """What code reads and changes, the functions in it included.

    Attributes:
        reads: paths that are read, each as far as the code spells it out: `("global", "module", "attribute")`.
        changes: paths that are bound anew, or written into.
        calls: paths with a method at the end that would change a builtin container.
        imports: the imports it makes when called.
        local_names: names that mean something else somewhere inside.
    """

    reads: frozenset[Path]
    changes: frozenset[Path]
    calls: frozenset[Path]
    imports: tuple[Import, ...]
    local_names: frozenset[str]


def uses(code: CodeType) -> Uses:
    """What a function's code uses."""
    return _uses(code, frozenset(code.co_freevars))


def _uses(code: CodeType, free: frozenset[str]) -> Uses:
    """`free` are the names that come from outside the outermost function."""
    scan = _Scan(free)
    for instruction in dis.get_instructions(code):
        scan.take(instruction)
    inner = [_uses(each, free.intersection(each.co_freevars)) for each in code.co_consts if isinstance(each, CodeType)]
    return Uses(
        reads=_union([+scan.reads, *(each.reads for each in inner)]),
        changes=_union([scan.changes, *(each.changes for each in inner)]),
        calls=_union([scan.calls, *(each.calls for each in inner)]),
        imports=(*scan.imports, *(one for each in inner for one in each.imports)),
        local_names=_union([code.co_varnames, code.co_cellvars, *(each.local_names for each in inner)]),
    )


def _union(sets: Iterable[Iterable[Any]]) -> frozenset[Any]:
    return frozenset().union(*sets)


class _Scan:
    """One pass over the instructions of one code object, which keeps account of what is on the stack."""

    def __init__(self, free: frozenset[str]) -> None:
        self.reads: Counter[Path] = Counter()
        self.changes: set[Path] = set()
        self.calls: set[Path] = set()
        self.imports: list[Import] = []
        self._free = free
        self._stack = Stack()
        self._before: tuple[Any, Any] = (None, None)  # the values that the last two instructions loaded

    def take(self, instruction: dis.Instruction) -> None:
        self._stack.arrive(instruction.offset)
        if instruction.opname in SAY_NOTHING:
            return
        self._note_writes(instruction)
        name, value = instruction.opname, instruction.argval
        if name in _READ_GLOBAL:
            self._read(("global", value), instruction)
        elif name in _READ_FREE and value in self._free:
            self._read(("free", value), instruction)
        elif name in ("LOAD_ATTR", "LOAD_METHOD"):
            self._read_attribute(value, instruction)
        elif name in ("BINARY_SUBSCR", "BINARY_SLICE"):
            self._read_entry(instruction)
        else:
            self.reads.update(self._stack.apply(instruction))
        if name == "IMPORT_NAME":
            level, names = self._before
            self.imports.append(Import(value, level or 0, names or ()))
        self._before = (self._before[1], value)

    def _read(self, path: Path, instruction: dis.Instruction) -> None:
        self.reads[path] += 1
        self._stack.push(path, instruction)

    def _read_attribute(self, attribute: str, instruction: dis.Instruction) -> None:
        path = self._stack.top(-1)
        self._stack.drop(1)
        if path is not None:
            self.reads[path] -= 1
            path = (*path, attribute)
            self.reads[path] += 1
            if attribute in CHANGING_METHODS:
                self.calls.add(path)
        self._stack.push(path, instruction, replaced=1)

    def _read_entry(self, instruction: dis.Instruction) -> None:
        replaced = 2 if instruction.opname == "BINARY_SUBSCR" else 3
        path = self._stack.top(-replaced)
        self._stack.drop(replaced)
        self._stack.push(None if path is None else (*path, ENTRY), instruction, replaced=replaced)

    def _note_writes(self, instruction: dis.Instruction) -> None:
        name, value = instruction.opname, instruction.argval
        if name in _WRITE_GLOBAL:
            self.changes.add(("global", value))
        elif name in _WRITE_FREE and value in self._free:
            self.changes.add(("free", value))
        elif name in _WRITE_ATTRIBUTE and (path := self._stack.top(-1)) is not None:
            self.changes.add((*path, value))
            self.reads[path] -= 1  # it was loaded to be written into
        elif name in _WRITE_ENTRY and (path := self._stack.top(_WRITE_ENTRY[name])) is not None:
            self.changes.add((*path, ENTRY))
