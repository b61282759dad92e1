"""Owns orders: what a run that re-executes another is told to do otherwise, and how it is told.

Orders are written down beside the run that is re-executed, in frames that are signed. The new run gets them by `given`
in this process, and in another one by an environment variable, which the first kernel there takes.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgpack

from parslish.errors import UsageError
from parslish.history.lineage import VERIFY

if TYPE_CHECKING:
    from parslish.secret import Keys

VARIABLE: Final = "PARSLISH_ORDERS"
MARK: Final = "orders"
#: How a run is executed again, or `VERIFY`; this and "only" without its program.
RESUME, ALL, FROM, FROM_FAILURE, ONLY, REDISPATCH = "resume", "all", "from", "from failure", "only", "redispatch"


@dataclass(frozen=True)
class Edit:
    """What somebody put in a task's place: arguments by name, or a result, as `codec` encodes them; and why."""

    arguments: bytes | None = None
    result: bytes | None = None
    reason: str = ""


@dataclass(frozen=True)
class Orders:
    """What a re-execution is told.

    Args:
        id: what they are called.
        parent: the folder of the run that is executed again; `root`: what its chain shares.
        style: one of the words above.
        reuse: whether results of earlier runs may be used.
        forced: path → why; these tasks are computed whatever is known, and so is whatever has one of `forced_keys`.
        partly: those of them that are joins of which only what is forced among their children is computed.
        expression: a selection that is decided for each task as it comes; what it means is forced too.
        dependents: whether what depends on a forced task is forced.
        pause: a selection; its tasks are not begun.
        replace: name of an app → "module:name" of what runs instead, or that itself.
        edits: path → what was put there.
        selected: the ids of the tasks that a record-driven re-execution makes again.
        run_dir: the run folder that the program had then; `kernel`: which of its kernels there it was, from 0.
        since: the number of a run; results of those before it are not used.
    """

    id: str
    parent: Path
    root: str
    style: str
    reuse: bool = True
    forced: Mapping[str, str] = field(default_factory=dict)
    forced_keys: Mapping[bytes, str] = field(default_factory=dict)
    partly: frozenset[str] = frozenset()
    expression: str | None = None
    dependents: bool = False
    pause: str | None = None
    replace: Mapping[str, str | Callable[..., Any]] = field(default_factory=dict)
    edits: Mapping[str, Edit] = field(default_factory=dict)
    selected: tuple[int, ...] = ()
    run_dir: str = ""
    kernel: int = 0
    since: int | None = None

    def write(self, keys: Keys) -> None:
        """Write them down beside the run that they are about. Raises StoreError."""
        from parslish.history import marks  # here: a run without orders need not load it

        marks.write(self.parent, keys, MARK, {"id": self.id, "body": self._packed()})
        if self.replace:
            _replacements[self.id] = self.replace

    @property
    def is_by_record(self) -> bool:
        """Whether the program is not run, but what was recorded of it."""
        return self.style in (ONLY, VERIFY)

    @property
    def address(self) -> str:
        """What the environment variable says."""
        return f"{self.id}@{self.parent}"

    def _packed(self) -> bytes:
        facts = {
            "root": self.root,
            "style": self.style,
            "reuse": self.reuse,
            "forced": dict(self.forced),
            "keys": list(self.forced_keys.items()),
            "partly": sorted(self.partly),
            "expression": self.expression,
            "dependents": self.dependents,
            "pause": self.pause,
            "replace": {name: place_of(each) for name, each in self.replace.items()},
            "edits": {path: (each.arguments, each.result, each.reason) for path, each in self.edits.items()},
            "selected": self.selected,
            "run_dir": self.run_dir,
            "kernel": self.kernel,
            "since": self.since,
        }
        packed: bytes = msgpack.packb(facts)
        return packed

    @classmethod
    def read(cls, parent: Path, id: str, keys: Keys) -> Orders:
        """The orders of that id beside a run.

        Raises:
            UsageError: there are none that we signed.
        """
        from parslish.history import marks

        for mark in marks.read(parent, keys):
            if mark.what == MARK and mark.facts.get("id") == id:
                return cls._unpacked(id, parent, mark.facts["body"])
        raise UsageError(f"run {parent} has no orders {id!r} that are signed with a key of yours; unset {VARIABLE}")

    @classmethod
    def _unpacked(cls, id: str, parent: Path, body: bytes) -> Orders:
        facts = msgpack.unpackb(body, use_list=False)
        return cls(
            id=id,
            parent=parent,
            root=facts["root"],
            style=facts["style"],
            reuse=facts["reuse"],
            forced=facts["forced"],
            forced_keys=dict(facts["keys"]),
            partly=frozenset(facts["partly"]),
            expression=facts["expression"],
            dependents=facts["dependents"],
            pause=facts["pause"],
            replace=_replacements.get(id) or facts["replace"],
            edits={path: Edit(*each) for path, each in facts["edits"].items()},
            selected=facts["selected"],
            run_dir=facts.get("run_dir", ""),
            kernel=facts.get("kernel", 0),
            since=facts.get("since"),
        )


#: Of orders that this process has given, by id: what is written of a function may not be enough to find it.
_replacements: dict[str, Mapping[str, str | Callable[..., Any]]] = {}

_given: ContextVar[Orders | None] = ContextVar("parslish-orders", default=None)


@contextmanager
def given(orders: Orders) -> Iterator[None]:
    """The next kernel that is made in this context has these orders."""
    token = _given.set(orders)
    try:
        yield
    finally:
        _given.reset(token)


_kernels: Counter[str] = Counter()  # of this process, by their run folders


def count_kernel(run_dir: str) -> int:
    """How many kernels this process has made with a run folder before the one that is being made."""
    here = os.path.realpath(run_dir)
    _kernels[here] += 1
    return _kernels[here] - 1


def take(keys: Keys, run_dir: str, kernel: int) -> Orders | None:
    """The orders for a kernel that is being made; None as a rule. Nobody else gets them.

    Args:
        run_dir: its run folder; `kernel`: as `count_kernel`.

    Raises:
        SystemExit: the environment names orders that cannot be read or obeyed: exit code 2, and one sentence.
    """
    orders = _given.get()
    if orders is not None:
        _given.set(None)
        return orders
    if VARIABLE not in os.environ:
        return None
    try:
        found = _of_environment(keys, os.path.realpath(run_dir), kernel)
    except UsageError as exc:
        print(f"parslish: {exc}".encode(errors="backslashreplace").decode(), file=sys.stderr)
        raise SystemExit(2) from None
    if found is not None:
        del os.environ[VARIABLE]
    return found


def _of_environment(keys: Keys, here: str, kernel: int) -> Orders | None:
    """The orders that the environment names; None when they are for another kernel of this program."""
    id, _, parent = os.environ[VARIABLE].partition("@")
    found = Orders.read(Path(parent), id, keys)
    there = os.path.realpath(found.parent.parent)
    if there != here and found.run_dir == here:
        raise UsageError(
            f"run {found.parent.name} was made in {here} and lies in {there} now, but its program still has the former "
            f"as its run folder; move the runs back, or give the program run_dir={there!r}"
        )
    return found if there == here and found.kernel == kernel else None


def place_of(replacement: str | Callable[..., Any]) -> str:
    """Where a replacement is found by another process; "" where it is not."""
    if isinstance(replacement, str):
        return replacement
    function: Any = vars(replacement)["func"] if hasattr(replacement, "__parslish_app__") else replacement
    module, name = getattr(function, "__module__", ""), getattr(function, "__qualname__", "")
    return "" if module == "__main__" or "<" in name or not (module and name) else f"{module}:{name}"
