"""Owns what a run's record says of what it is a run of: a script, a workflow, or what somebody types at a prompt."""

from __future__ import annotations

import builtins
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

SCRIPT, WORKFLOW, INTERACTIVE = "script", "workflow", "interactive"
_AT_A_PROMPT: Final = frozenset({"", "-"})  # what `sys.argv` begins with there, or where the program comes by stdin
_NOT_SHOWN: Final = "inputs"  # bytes

_given: ContextVar[Mapping[str, Any] | None] = ContextVar("parslish-entry", default=None)


@contextmanager
def given(facts: Mapping[str, Any]) -> Iterator[None]:
    """The kernel that is made in the block is for this."""
    token = _given.set(facts)
    try:
        yield
    finally:
        _given.reset(token)


def take() -> dict[str, Any]:
    """What a run that begins here is a run of, with its `kind`."""
    return dict(_given.get() or _of_process())


def for_card(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What a listing may read of it."""
    return {name: fact for name, fact in facts.items() if name != _NOT_SHOWN}


def _of_process() -> dict[str, Any]:
    if _is_interactive():
        return {"kind": INTERACTIVE}
    config = os.environ.get("PARSLISH_CONFIG")  # as `config.FILE_VARIABLE`
    facts = {"kind": SCRIPT, "command": list(sys.orig_argv), "cwd": _began_in()}
    return {**facts, "config": os.path.abspath(config)} if config else facts


def _began_in() -> str:
    """The folder from which the command names the program's file: the program may have gone elsewhere since."""
    here, file = os.getcwd(), getattr(sys.modules.get("__main__"), "__file__", None) or ""
    for word in map(os.path.normpath, sys.orig_argv[1:]):
        if file.endswith(f"{os.sep}{word}") and not os.path.exists(os.path.join(here, word)):
            return file[: -len(word) - 1] or os.sep
    return here


def _is_interactive() -> bool:
    """Whether nobody could start the same program again."""
    if hasattr(sys, "ps1") or hasattr(builtins, "__IPYTHON__") or "ipykernel" in sys.modules:
        return True
    return not sys.argv or sys.argv[0] in _AT_A_PROMPT
