"""Owns a sketch of the interpreter's stack: which of its values were read from the surroundings, and by what path.

What is not followed exactly is forgotten, so that an unknown instruction hides a path and never invents one.
"""

from __future__ import annotations

import dis

#: Where a value came from: kind of name (see `uses`), name, attributes; ENTRY stands for a subscript.
Path = tuple[str, ...]
ENTRY = "[]"

#: Instructions that do nothing, as far as the stack is concerned.
SAY_NOTHING = frozenset({"CACHE", "NOP", "EXTENDED_ARG", "RESUME", "KW_NAMES"})

_JUMPS = frozenset(dis.hasjrel) | frozenset(dis.hasjabs)
_ENDS = frozenset({
    "JUMP_ABSOLUTE", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT", "JUMP_FORWARD", "RAISE_VARARGS", "RERAISE",
    "RETURN_CONST", "RETURN_VALUE",
})  # fmt: skip
# Instructions that at most take the topmost value, or only add to it.
_ONLY_TAKE = ("POP_", "JUMP")
_STORES = frozenset({"STORE_FAST", "STORE_NAME", "STORE_DEREF", "STORE_GLOBAL"})
_ONLY_ADD = ("LOAD_", "PUSH_NULL")
_TAKE_AND_GIVE_ONE = ("UNARY_", "TO_BOOL")
# How many of the topmost values these turn round: the topmost goes to the bottom of them.
_TURNS = {"ROT_TWO": 2, "ROT_THREE": 3, "ROT_FOUR": 4}
_COPIES = {"DUP_TOP": 1, "DUP_TOP_TWO": 2}


class Stack:
    """The paths of the values on the stack, None where there is none."""

    def __init__(self) -> None:
        self._paths: list[Path | None] = []
        self._at: dict[int, list[Path | None]] = {}
        self._is_reached = True

    def arrive(self, offset: int) -> None:
        """Go on at an instruction, to which jumps may lead."""
        jumped = self._at.pop(offset, None)
        if jumped is not None:
            self._paths = _common(self._paths, jumped) if self._is_reached else jumped
            self._is_reached = True

    def top(self, index: int) -> Path | None:
        """The path of a value, -1 being the topmost."""
        return self._paths[index] if -index <= len(self._paths) else None

    def drop(self, count: int) -> None:
        del self._paths[max(len(self._paths) - count, 0) :]

    def load(self, path: Path | None) -> None:
        """Put one value on top."""
        self._paths.append(path)

    def push(self, path: Path | None, instruction: dis.Instruction, replaced: int = 0) -> None:
        """Put the path of what an instruction loads, in the place of `replaced` values that were dropped."""
        count = dis.stack_effect(instruction.opcode, instruction.arg) + replaced
        # What is about to be called brings a second value, on this side of it or that: the call takes both.
        self._paths += [*[None] * (count - 1), path]

    def apply(self, instruction: dis.Instruction) -> list[Path]:
        """Do what any other instruction does to the stack; returns the paths of values that it copied."""
        name, arg = instruction.opname, instruction.arg or 0
        copied: list[Path | None] = []
        if name in _TURNS or name == "ROT_N":
            self._turn(_TURNS.get(name, arg))
        elif name in _COPIES:
            copied = [self.top(index) for index in range(-_COPIES[name], 0)]
        elif name == "COPY":
            copied = [self.top(-arg)]
        elif name == "SWAP":
            self._swap(arg)
        else:
            self._apply_unknown(instruction)
        self._paths += copied
        return [path for path in copied if path is not None]

    def _turn(self, count: int) -> None:
        if 0 < count <= len(self._paths):
            self._paths.insert(len(self._paths) - count, self._paths.pop())

    def _swap(self, depth: int) -> None:
        if depth <= len(self._paths):
            self._paths[-1], self._paths[-depth] = self._paths[-depth], self._paths[-1]

    def _apply_unknown(self, instruction: dis.Instruction) -> None:
        if instruction.opcode in _JUMPS:
            there = list(self._paths)
            _change(there, instruction, dis.stack_effect(instruction.opcode, instruction.arg, jump=True))
            known = self._at.get(instruction.argval)
            self._at[instruction.argval] = there if known is None else _common(known, there)
        _change(self._paths, instruction, _effect(instruction))
        if instruction.opname in _ENDS:
            self._paths, self._is_reached = [], False


def _effect(instruction: dis.Instruction) -> int:
    return dis.stack_effect(instruction.opcode, instruction.arg, jump=False)


def _change(paths: list[Path | None], instruction: dis.Instruction, effect: int) -> None:
    if effect < 0:
        del paths[effect:]
    if instruction.opname in _STORES or instruction.opname.startswith(_ONLY_TAKE):
        return
    if effect >= 0 and not instruction.opname.startswith((*_ONLY_ADD, *_TAKE_AND_GIVE_ONE)):
        paths[-2:] = [None] * len(paths[-2:])  # it may have taken two, and given others
    paths += [None] * effect
    if paths:
        paths[-1] = None


def _common(one: list[Path | None], other: list[Path | None]) -> list[Path | None]:
    """What two ways to one instruction agree upon; their stacks are of one height."""
    if len(one) != len(other):
        return [None] * min(len(one), len(other))
    return [a if a == b else None for a, b in zip(one, other, strict=True)]
