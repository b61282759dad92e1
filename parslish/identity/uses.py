"""Owns what a function's code reads from its surroundings, and what of it the code itself changes.

Found on the bytecode, where the compiler has already told names of modules from local ones. What the names lead to,
and what follows from that, is left to `functions`.
"""

from __future__ import annotations

import dis
import functools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from types import CodeType
from typing import Any

from parslish.identity.stack import ENTRY, SAY_NOTHING, Path, Stack

#: Methods of builtin containers that change them.
CHANGING_METHODS = frozenset({
    "add", "append", "appendleft", "clear", "difference_update", "discard", "extend", "extendleft", "insert",
    "intersection_update", "pop", "popitem", "popleft", "remove", "reverse", "rotate", "setdefault", "sort", "subtract",
    "symmetric_difference_update", "update",
})  # fmt: skip

_KEPT = 8192
_READ_GLOBAL = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
_READ_FREE = frozenset({"LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"})
_READ_ATTRIBUTE = frozenset({"LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM"})
_READ_ENTRY = {"BINARY_SUBSCR": 2, "BINARY_SLICE": 3}  # and how many values they take
_WRITE_GLOBAL = frozenset({"STORE_GLOBAL", "DELETE_GLOBAL"})
_WRITE_FREE = frozenset({"STORE_DEREF", "DELETE_DEREF"})
_WRITE_ATTRIBUTE = frozenset({"STORE_ATTR", "DELETE_ATTR"})
_WRITE_ENTRY = {"STORE_SUBSCR": -2, "DELETE_SUBSCR": -2, "STORE_SLICE": -3}  # and where the container is


@dataclass(frozen=True, slots=True)
class Uses:
    """What code reads and changes, the functions in it included.

    Attributes:
        reads: paths that are read, as far as the code spells them out: `("global", "module", "attribute")`.
        changes: paths that are bound anew, or written into.
        calls: paths that end in the name of a method that would change a builtin container.
        local_names: names that are local somewhere inside.
    """

    reads: frozenset[Path]
    changes: frozenset[Path]
    calls: frozenset[Path]
    local_names: frozenset[str]


@functools.lru_cache(maxsize=_KEPT)
def uses(code: CodeType) -> Uses:
    """What a function's code uses.

    Paths start with where a name is from: "global", "free" (a variable of an enclosing function), "import" (a module
    imported in the function) or "first" (the first parameter; only in `changes` and `calls`).
    """
    return _uses(code, frozenset(code.co_freevars), code.co_varnames[: min(code.co_argcount, 1)])


def _uses(code: CodeType, free: frozenset[str], first: Iterable[str] = ()) -> Uses:
    """`free` are the names that come from outside the outermost function."""
    scan = _Scan(code, free, first)
    inner = [_uses(each, free.intersection(each.co_freevars)) for each in code.co_consts if isinstance(each, CodeType)]
    reads = {path for path, count in scan.reads.items() if count > 0 and path[0] != "first"}
    return Uses(
        reads=_union([reads, *(each.reads for each in inner)]),
        changes=_union([scan.changes, *(each.changes for each in inner)]),
        calls=_union([scan.calls, *(each.calls for each in inner)]),
        local_names=_union([code.co_varnames, code.co_cellvars, *(each.local_names for each in inner)]),
    )


def _union(sets: Iterable[Iterable[Any]]) -> frozenset[Any]:
    return frozenset().union(*sets)


class _Scan:
    """One pass over the instructions of one code object, which keeps account of what is on the stack."""

    def __init__(self, code: CodeType, free: frozenset[str], first: Iterable[str]) -> None:
        self.reads: Counter[Path] = Counter()
        self.changes: set[Path] = set()
        self.calls: set[Path] = set()
        self._free = free
        self._is_from = False  # the last import was `from … import …`
        self._stack = Stack()
        instructions = list(dis.get_instructions(code))
        self._bound = _bindings(instructions)
        self._locals: dict[str, Path] = {name: ("first", name) for name in first if not self._bound[name]}
        self._not_loaded: set[str] = set()  # of these locals
        self._before: tuple[Any, Any] = (None, None)  # the values that the last two instructions loaded
        for instruction in instructions:
            self._stack.arrive(instruction.offset)
            if instruction.opname not in SAY_NOTHING:
                self._take(instruction)
                self._before = (self._before[1], instruction.argval)

    def _take(self, instruction: dis.Instruction) -> None:
        self._note_writes(instruction)
        name, value = instruction.opname, instruction.argval
        if name in _READ_GLOBAL:
            self._read(("global", value), instruction)
        elif name in _READ_FREE and value in self._free:
            self._read(("free", value), instruction)
        elif name in _READ_ATTRIBUTE:
            self._read_attribute(instruction)
        elif name in _READ_ENTRY:
            self._read_entry(instruction)
        elif name == "IMPORT_NAME":
            self._import(instruction)
        elif name.startswith(("LOAD_FAST", "STORE_FAST")):
            for is_store, local in _locals(instruction):
                if is_store:
                    self._store(local)
                else:
                    self._load(local)
        else:
            self.reads.update(self._stack.apply(instruction))

    def _read(self, path: Path, instruction: dis.Instruction) -> None:
        self.reads[path] += 1
        self._stack.push(path, instruction)

    def _read_attribute(self, instruction: dis.Instruction) -> None:
        stays = instruction.opname == "IMPORT_FROM"  # which leaves the module for the next name
        path = self._stack.top(-1)
        if path is not None:
            self.reads[path] -= not (stays and self._is_from)
            path = (*path, instruction.argval)
            self.reads[path] += 1
            if instruction.argval in CHANGING_METHODS:
                self.calls.add(path)
        if not stays:
            self._stack.drop(1)
        self._stack.push(path, instruction, replaced=not stays)

    def _read_entry(self, instruction: dis.Instruction) -> None:
        replaced = _READ_ENTRY[instruction.opname]
        path = self._stack.top(-replaced)
        self._stack.drop(replaced)
        self._stack.push(None if path is None else (*path, ENTRY), instruction, replaced=replaced)

    def _import(self, instruction: dis.Instruction) -> None:
        """`import a.b` gives a, of which b is taken later; `from a.b import c` gives a.b."""
        level, names = self._before
        self._is_from = bool(names)
        module = instruction.argval if names else instruction.argval.partition(".")[0]
        path = ("import", "." * (level or 0) + module)
        self._stack.drop(2)
        self._stack.load(path)
        self.reads[path] += not names

    def _store(self, name: str) -> None:
        """A name that is bound only once, by an import, stands for what was imported."""
        path = self._stack.top(-1)
        if path is not None and path[0] == "import" and self._bound[name] == 1:
            self._locals[name] = path
            self._not_loaded.add(name)
        self._stack.drop(1)

    def _load(self, name: str) -> None:
        path = self._locals.get(name)
        if path is not None:
            self.reads[path] += name not in self._not_loaded  # else it is the read of the import itself
            self._not_loaded.discard(name)
        self._stack.load(path)

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


def _bindings(instructions: Iterable[dis.Instruction]) -> Counter[str]:
    """How often each local name is bound."""
    return Counter(
        local for each in instructions if "STORE_FAST" in each.opname for is_store, local in _locals(each) if is_store
    )


def _locals(instruction: dis.Instruction) -> Iterable[tuple[bool, str]]:
    """The local names that an instruction stores (True) or loads; from Python 3.13 on, it may do two of these."""
    names = (instruction.argval,) if isinstance(instruction.argval, str) else instruction.argval
    stores = [word == "STORE" for word in instruction.opname.split("_") if word in ("STORE", "LOAD")]
    return zip(stores, names, strict=False)
