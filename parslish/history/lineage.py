"""Owns which run a new run continues. A run that continues another shares its root, and so its replays.

The rule: checkpoints that are named are continued; without names, the last run of the run folder is, unless it
was completed. A completed script that is started again starts afresh.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeGuard

from parslish.history import card

COMPLETED = "completed"
PAUSED = "paused"
DID_NOT_START = "did not start"
VERIFY = "verify"  # the style of orders to compute stored results once more
_ROOT_LENGTH = 32


class Lineage(NamedTuple):
    """The id of the first run of a chain, and the folder of the run that is continued, if one is."""

    root: str
    parent: str | None


def of(checkpoints: Sequence[str], *, named: bool) -> Lineage:
    """The lineage of a run that loads these checkpoint folders, the last of which is the newest."""
    if checkpoints:
        parent = Path(checkpoints[-1]).absolute().parent
        facts = card.read(parent)
        root = facts.get("root")
        if _is_root(root) and (named or facts.get("ended") != COMPLETED):
            return Lineage(root, str(parent))
    return Lineage(os.urandom(16).hex(), None)


def _is_root(root: object) -> TypeGuard[str]:
    """Nothing vouches for a card: what stands there must at least be fit to go into keys."""
    return isinstance(root, str) and root.isascii() and len(root) <= _ROOT_LENGTH


def chain(run: Path) -> list[Path]:
    """A run and those that it continues, the first of them first; beside it, where the run folder was moved."""
    found: list[Path] = []
    current: Path | None = run
    while current is not None and current not in found:
        found.insert(0, current)
        parent = card.read(current).get("parent")
        places = [current.parent / Path(parent).name, Path(parent)] if isinstance(parent, str) else []
        current = next((place for place in places if place.is_dir()), None)
    return found


def last(runs: Sequence[Path]) -> Path:
    """The last of some runs that people mean by that: none that only verified results of another."""
    for run in reversed(runs):
        told = card.read(run).get("orders")
        if not (isinstance(told, dict) and told.get("style") == VERIFY):
            return run
    return runs[-1]
