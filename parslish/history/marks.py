"""Owns marks: what is said of a run after it was recorded, in frames of their own beside its record."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from parslish.history import event
from parslish.history.event import Kind
from parslish.history.folder import MARKS
from parslish.history.record import Mark
from parslish.secret import Keys
from parslish.store.frame import Type
from parslish.store.log import Log
from parslish.store.reader import read_frames


def write(run: Path, keys: Keys, what: str, facts: Mapping[str, Any]) -> None:
    """Say something of a run; on return it is on the disk.

    Raises:
        StoreError: the disk refuses.
    """
    # Each is in a file of its own, and none is ever removed, so later ones have higher numbers.
    facts = {**facts, "number": len(os.listdir(run / MARKS)) if (run / MARKS).is_dir() else 0}
    log = Log(run / MARKS, keys=keys, run_number=int(run.name) if run.name.isdecimal() else 0, sync="manual")
    try:
        log.append(Type.EVENT, event.pack([(Kind.MARK, time.time(), what, facts)]))
    finally:
        log.close()
    if log.trouble is not None:
        raise log.trouble


def in_order(found: Iterable[Mark]) -> list[Mark]:
    """Marks as they were made: several processes may have, each in a file of its own."""
    return sorted(found, key=lambda mark: mark.facts.get("number", 0))


def read(run: Path, keys: Keys) -> Iterator[Mark]:
    """What was said of a run, in the order in which it was."""
    if (run / MARKS).is_dir():
        found = (row for frame in read_frames(run / MARKS, keys, types={Type.EVENT}) for row in event.rows(frame.body))
        yield from in_order(Mark(*row[1:4]) for row in found if row[0] == Kind.MARK and event.fits(row))
