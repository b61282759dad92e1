"""Owns copying results between stores as `transfer` has planned it: their records are signed anew, and their blobs go
with them, unopened.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from parslish.care import unfinished
from parslish.care.copying import copy_blob
from parslish.care.frames import Frame, Reading
from parslish.care.here import checkpoints
from parslish.care.items import Item, results
from parslish.care.transfer import Transfer
from parslish.care.writing import refused, write_segment
from parslish.errors import ConfigurationError, StoreCorrupt, UsageError
from parslish.history import card, lineage
from parslish.history.folder import CHECKPOINT, create
from parslish.secret import Keys
from parslish.store import folder
from parslish.store.disk import Disk
from parslish.store.frame import WRITER_BYTES, Type

Taken = tuple[Frame, Item]
IMPORTED = "imported"  #: how the run "ended" that an import looks like


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied: where it is now, how many results, and a sentence on each large value that could not be."""

    path: Path
    records: int
    lost: tuple[str, ...]


def export(transfer: Transfer, target: Path, keys: Keys) -> Copied:
    """Write the results into a new store.

    Args:
        target: its folder, which must not be there yet.
        keys: the first signs.

    Raises:
        UsageError: there is something under the target's name.
        StoreFull, StoreError: it cannot be written. Nothing is there then, unless it was only its name that could not
            be made durable.
    """
    disk = transfer.disk
    _refuse_nothing(transfer)
    refuse_target(target)
    unfinished.sweep(target.absolute().parent)
    new = unfinished.path_for(target)
    try:
        try:
            folder.make(disk, new)
            records, lost = _copy(transfer, new, keys, None)
            disk.rename(new, target)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        folder.sync(disk, target.absolute().parent)
    except OSError as exc:
        raise refused(f"{str(target)!r} cannot be written", exc) from exc
    return Copied(target, records, lost)


def refuse_target(target: Path) -> None:
    """Say why nothing can be exported under a name. Raises UsageError."""
    if os.path.lexists(target):
        raise UsageError(f"{str(target)!r} is there already: name a folder that is not")


def import_(transfer: Transfer, run_dir: Path, keys: Keys) -> Copied:
    """Copy the results into a new run of a run folder, where scripts find them.

    Args:
        keys: the first signs.

    Raises:
        UsageError: it is no folder.
        StoreFull, StoreError: a record cannot be written; the same again copies what is missing.
    """
    disk = transfer.disk
    _refuse_nothing(transfer)
    before = lineage.of(checkpoints(run_dir), named=False)  # who continues the last run, continues it still
    try:
        number, run = create(run_dir)
    except ConfigurationError as exc:
        if isinstance(exc.__cause__, OSError):
            raise refused(f"{str(run_dir)!r} cannot be written", exc.__cause__) from exc
        raise
    facts = _facts(transfer, number, before) | {"started": disk.time(), "ended": None}
    card.write(run, facts)
    target = run / CHECKPOINT
    try:
        folder.make(disk, target)
        records, lost = _copy(transfer, target, keys, number)
    except OSError as exc:
        card.write(run, facts | {"ended": "failed", "time_ended": disk.time()})
        raise refused(f"{str(target)!r} cannot be written", exc) from exc
    card.write(run, facts | {"ended": IMPORTED, "time_ended": disk.time(), "counts": {IMPORTED: records}})
    return Copied(target, records, lost)


def _refuse_nothing(transfer: Transfer) -> None:
    if not transfer.records:
        raise UsageError(
            "there is nothing to copy: no result is as was asked for, or all are there already, or were invalidated "
            "there; widen what you ask for, or add --invalidated"
        )


def _facts(transfer: Transfer, number: int, before: lineage.Lineage) -> dict[str, object]:
    from parslish.history.journal import run_facts  # here: listings do without all that a run needs

    sources = [os.path.abspath(source) for source in transfer.sources]
    signed = "anybody" if transfer.keys is None else [each.hex() for each in transfer.keys.ids()]
    return run_facts(number, before.root, before.parent) | {IMPORTED: {"from": sources, "signed by": signed}}


def _copy(transfer: Transfer, target: Path, keys: Keys, run: int | None) -> tuple[int, tuple[str, ...]]:
    """Copy into a store's folder, under one run number or each result under its own. Raises OSError."""
    disk, bases = transfer.disk, transfer.keys is not None
    reading = Reading(transfer.sources, transfer.keys, shared=transfer.shared, bases=bases, disk=disk)

    def taken() -> Iterator[Taken]:
        return (each for each in results(reading) if transfer.takes(each[1]))

    def number(each: Taken) -> int:
        return each[1].run_number if run is None else run

    try:
        # Before the records that refer to them.
        lost = _copy_blobs(taken(), target, disk)
        whole = (each for each in taken() if each[1].blob is None or each[1].blob.digest not in lost)
        records = 0
        for of_run, found in groupby(whole, key=number):
            contents = ((Type.RESULT, item.key, frame.body) for frame, item in found)
            writer = os.urandom(WRITER_BYTES)
            records += write_segment(target, contents, keys=keys, run=of_run, writer=writer, disk=disk).frames
    finally:
        reading.close()
    return records, tuple(lost.values())


def _copy_blobs(taken: Iterable[Taken], target: Path, disk: Disk) -> dict[bytes, str]:
    """Copy the blobs of results, each once; returns those that cannot be read, and why. Raises OSError."""
    lost: dict[bytes, str] = {}
    done: set[bytes] = set()
    for _, item in taken:
        if item.blob is not None and item.blob.digest not in done:
            try:
                copy_blob(item.segment.parent, item.blob, target, disk)
                done.add(item.blob.digest)
                lost.pop(item.blob.digest, None)
            except StoreCorrupt as exc:  # another store may have it whole
                lost[item.blob.digest] = str(exc)
    if done:
        folder.sync(disk, target)
    return lost
