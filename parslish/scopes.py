"""Owns scopes: blocks of a program that are places in its run, so that the calls of a loop can be addressed.

    for i, molecule in enumerate(molecules):
        with parslish.scope("relax", i):
            energy(geometry(molecule))

gives the calls the paths `-/relax[3]/geometry[0]` and `-/relax[3]/energy[0]`, in whatever order the rounds of the loop
come, and the same ones in each re-execution.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from parslish.errors import UsageError
from parslish.task import Calls, Scope, Task

#: Characters that have a meaning in paths and selections.
_RESERVED = frozenset("/[]\"'")


class Block(NamedTuple):
    """A `with parslish.scope(…)` that the program is in; `identity` tells it from others without a label."""

    outer: Block | None
    name: str
    label: str | None
    identity: object


#: Whose blocks of a name are counted together: those of a try of a join, or of the script, in the same outer block.
_Place = tuple[Calls | None, Scope | None, str]

_current: ContextVar[Block | None] = ContextVar("parslish-scope", default=None)
#: The block that this thread, or coroutine, is in.
current: Callable[[], Block | None] = _current.get


@contextmanager
def scope(name: str, label: object = None) -> Iterator[None]:
    """Make a block of the program a place of its own: the calls in it are counted by themselves.

    A thread that the program starts begins outside of all blocks, and so does the body of a join app; an asyncio task
    begins inside those that it was made in.

    Args:
        name: what kind of block it is, such as "scan".
        label: which of them, such as a number or a name; the same one again goes on in the same place. Without, the
            blocks of a name are counted in the order in which they make their first call.

    Raises:
        UsageError: a name or label with a character that paths need for themselves, or that cannot be shown.
    """
    name_text, label_text = _text(name), None if label is None else _text(label)
    token = _current.set(Block(_current.get(), name_text, label_text, object()))
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def at(places: Sequence[tuple[str, str]]) -> Iterator[None]:
    """Be in these blocks and no others, the outermost first: where a call was recorded, whatever the names are."""
    block: Block | None = None
    for name, label in places:
        block = Block(block, name, label, object())
    token = _current.set(block)
    try:
        yield
    finally:
        _current.reset(token)


def _text(given: object) -> str:
    text = str(given)
    if not text or not text.isprintable() or not _RESERVED.isdisjoint(text):
        raise UsageError(
            f"scope: a name or label cannot be {text!r}; give one that can be printed, without / [ ] and quotes"
        )
    return text


class Scopes:
    """The scopes of one run.

    Args:
        on_new: told of each.
    """

    def __init__(self, on_new: Callable[[Scope], None]) -> None:
        self._on_new = on_new
        self._lock = threading.Lock()  # guards what follows
        self._known: dict[tuple[_Place, str], Scope] = {}
        self._counts: dict[_Place, int] = {}
        self._numbers: dict[tuple[_Place, object], str] = {}  # by identity, of those without a label

    def of(self, block: Block, parent: Task | None) -> Scope:
        """The scope that a block is for calls under a parent."""
        outer = None if block.outer is None else self.of(block.outer, parent)
        # Of each try of a join its own: a second try counts anew.
        place = None if parent is None else parent.calls, outer, block.name
        with self._lock:
            label = self._number(place, block) if block.label is None else block.label
            found = self._known.get((place, label))
            if found is None:
                found = self._known[place, label] = Scope(len(self._known), parent, outer, block.name, label)
                self._on_new(found)  # in here, so that nobody tells of a call in it first
        return found

    def _number(self, place: _Place, block: Block) -> str:
        found = self._numbers.get((place, block.identity))
        if found is None:
            number = self._counts[place] = self._counts.get(place, -1) + 1
            found = self._numbers[place, block.identity] = str(number)
        return found
