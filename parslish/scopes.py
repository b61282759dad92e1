"""Owns scopes: blocks of a program that are places in its run, so that the calls of a loop can be addressed.

    for i, molecule in enumerate(molecules):
        with parslish.scope("relax", i):
            energy(geometry(molecule))

gives the calls the paths `-/relax[3]/geometry[0]` and `-/relax[3]/energy[0]`, in whatever order the rounds of the loop
come, and the same ones in each re-execution.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
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


_current: ContextVar[Block | None] = ContextVar("parslish-scope", default=None)
#: The block that this thread, or coroutine, is in.
current: Callable[[], Block | None] = _current.get


@contextmanager
def scope(name: str, label: object = None) -> Iterator[None]:
    """Make a block of the program a place of its own: the calls in it are counted by themselves.

    Args:
        name: what kind of block it is, such as "scan".
        label: which of them, such as a number or a name; the same one again goes on in the same place. Without, the
            blocks of a name are counted in the order in which they make their first call.

    Raises:
        UsageError: a name or label with a character that paths need for themselves.
    """
    for given in (name, label):
        if given is not None and (not str(given) or not _RESERVED.isdisjoint(str(given))):
            raise UsageError(f"scope({name!r}, {label!r}): a name without / [ ] and quotes is needed, not {given!r}")
    block = Block(_current.get(), name, None if label is None else str(label), object())
    token = _current.set(block)
    try:
        yield
    finally:
        _current.reset(token)


class Scopes:
    """The scopes of one run.

    Args:
        on_new: told of each.
    """

    def __init__(self, on_new: Callable[[Scope], None]) -> None:
        self._on_new = on_new
        self._lock = threading.Lock()  # guards what follows
        self._known: dict[tuple[Calls | None, Scope | None, str, object], Scope] = {}
        self._counts: dict[tuple[Calls | None, Scope | None, str], int] = {}

    def of(self, block: Block, parent: Task | None) -> Scope:
        """The scope that a block is for calls under a parent."""
        outer = None if block.outer is None else self.of(block.outer, parent)
        within = None if parent is None else parent.calls  # of each try of a join its own
        key = within, outer, block.name, block.identity if block.label is None else block.label
        with self._lock:
            found = self._known.get(key)
            if found is None:
                found = self._known[key] = Scope(
                    len(self._known), parent, outer, block.name, self._label(block, within, outer)
                )
                self._on_new(found)
        return found

    def _label(self, block: Block, within: Calls | None, outer: Scope | None) -> str:
        if block.label is not None:
            return block.label
        namesakes = within, outer, block.name
        self._counts[namesakes] = self._counts.get(namesakes, -1) + 1
        return str(self._counts[namesakes])
