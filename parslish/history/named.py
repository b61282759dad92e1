"""Owns what a path in `checkpoint_files` means: a store, or where that of a run, or those of a run folder, are. To open
them is left to the store, and so is what is wrong with a single file."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from parslish.errors import BadCheckpoint
from parslish.history import card
from parslish.history.folder import CHECKPOINT
from parslish.store.folder import SUFFIX
from parslish.utils import get_all_checkpoints

_OF_PARSL: Final = "tasks.pkl"
_NOTHING: Final = (
    "it holds no segments; name a checkpoint, such as 'runinfo/000/checkpoint', a run, such as 'runinfo/000', or the "
    "folder of all runs, such as 'runinfo'"
)

logger = logging.getLogger("parslish")


def stores(paths: Sequence[str]) -> list[str]:
    """The folders and segments that paths mean, in that order; those of a run folder oldest first.

    Raises:
        BadCheckpoint: a folder holds no results, or may mean one thing or another.
    """
    found = [each for path in paths for each in _meant(path)]
    of_parsl = [each for each in found if os.path.exists(os.path.join(each, _OF_PARSL))]
    if of_parsl:
        others = f" and {len(of_parsl) - 1} more like it" if of_parsl[1:] else ""
        logger.warning("%s is not loaded%s: it is Parsl's, and what it holds is computed again", of_parsl[0], others)
    return found


def _meant(path: str) -> list[str]:
    try:
        names = os.listdir(path)
    except OSError:  # a segment, or what no one can open: who tries to says why
        return [path]
    of_run = os.path.join(path, CHECKPOINT)
    segments = [os.path.join(path, name) for name in sorted(names) if name.endswith(SUFFIX)]
    checkpoint = [of_run] if os.path.isdir(of_run) else []
    meanings = {"segments": segments, "a checkpoint": checkpoint, "runs": get_all_checkpoints(path)}
    found = {what: there for what, there in meanings.items() if there}
    if len(found) > 1:
        examples = ", or ".join(repr(there[0]) for there in found.values())
        raise BadCheckpoint(path, f"it holds {' and '.join(found)}; name what is meant, such as {examples}")
    if not found:
        _check_empty(path)
    return checkpoint or meanings["runs"] or [path]


def _check_empty(path: str) -> None:
    """A run that has stored nothing has a checkpoint without segments; of another folder nothing could be loaded."""
    store = Path(os.path.realpath(path))
    if store.name != CHECKPOINT or not (store.parent.name.isdecimal() or (store.parent / card.NAME).exists()):
        raise BadCheckpoint(path, _NOTHING)
