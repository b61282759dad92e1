"""Owns moving results between stores: their records are copied and signed anew, and their blobs with them, unopened.

What is signed by nobody we know is copied only for who says so: from then on it is ours, and will be opened.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from parslish.care import parsl
from parslish.care.copying import copy_blob
from parslish.care.frames import Frame, Reading
from parslish.care.items import Item, items, results
from parslish.care.prune import run_dir_of
from parslish.care.reach import Reached
from parslish.care.selection import Choice, Filter, both, most_recent
from parslish.care.writing import refused, write_segment
from parslish.errors import StoreCorrupt, Untrusted, UsageError
from parslish.history import card, lineage
from parslish.history.folder import CHECKPOINT, create
from parslish.secret import Keys
from parslish.store import folder
from parslish.store.disk import OS_DISK, Disk
from parslish.store.frame import WRITER_BYTES, Type
from parslish.store.reader import Store
from parslish.store.report import Finding, Kind, Report
from parslish.utils import get_all_checkpoints

Taken = tuple[Frame, Item]
IMPORTED = "imported"  #: how the run "ended" that an import looks like


@dataclass(frozen=True, slots=True)
class Transfer:
    """Results that are to be copied, and what the stores are read with.

    Args:
        sources: folders or segments.
        keys: whose signatures count; None: records count whoever signed them.
        takes: whether a result is among them.
        apps: how many there are of each app; size_bytes: of all of them.
        known: results that were chosen too, but are where they would go.
        findings: what cannot be read.
    """

    sources: tuple[Path, ...]
    keys: Keys | None
    takes: Choice
    apps: Mapping[str, int]
    size_bytes: int
    known: int
    findings: tuple[Finding, ...]
    shared: bool
    disk: Disk

    @property
    def records(self) -> int:
        """How many results."""
        return sum(self.apps.values())


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied: where it is now, how many results, and a sentence on each large value that could not be."""

    path: Path
    records: int
    lost: tuple[str, ...]


def plan_export(
    sources: Sequence[Path],
    chosen: Filter,
    keys: Keys | None,
    *,
    force: bool = False,
    shared: bool = False,
    disk: Disk = OS_DISK,
) -> Transfer:
    """Plan to copy the results that count in stores which are read together, and the stores that they build upon.

    Args:
        sources: folders or segments.
        chosen: which results.
        keys: whose signatures count; None: records count whoever signed them.
        force: go by what can be read of damaged records of runs.
        shared: accept what other users own or can write to.

    Raises:
        Untrusted: records are signed with other keys.
        BadCheckpoint, StoreError, UsageError: as for `prune.plan`.
    """
    return _plan(sources, chosen, keys, lambda key: False, force, shared, disk)


def plan_import(
    sources: Sequence[Path],
    run_dir: Path,
    chosen: Filter,
    keys: Keys,
    source_keys: Keys | None,
    *,
    force: bool = False,
    shared: bool = False,
    disk: Disk = OS_DISK,
) -> Transfer:
    """Plan to copy results into a run folder; those that it has already stay as they are.

    Args:
        run_dir: the run folder.
        keys: those that its results are signed with.
        source_keys: whose signatures count in the sources; None: records count whoever signed them.

    Raises:
        UsageError: a source is a checkpoint of Parsl's, besides what `plan_export` says.
    """
    for source in sources:
        parsl.refuse(source)
    here = Store.open(get_all_checkpoints(run_dir), keys, shared=shared, disk=disk)
    return _plan(sources, chosen, source_keys, here.__contains__, force, shared, disk)


def _plan(
    sources: Sequence[Path],
    chosen: Filter,
    keys: Keys | None,
    is_known: Callable[[bytes], bool],
    force: bool,
    shared: bool,
    disk: Disk,
) -> Transfer:
    report = Report()

    def candidates() -> Iterator[Item]:
        # What nobody signed may name any folder as one to build upon.
        return items(sources, keys, report=report, shared=shared, bases=keys is not None, disk=disk)

    takes = both(lambda item: item.live, chosen.choice(disk.time()))
    if chosen.reachable_from:
        if keys is None:
            raise UsageError("reachable_from: goes by the records of runs, which must be signed with a key of yours")
        run_dir = run_dir_of(sources)
        reached = Reached(run_dir, chosen.reachable_from, keys, force=force, shared=shared, disk=disk)
        takes = both(takes, reached.__contains__)
    if chosen.max_bytes is not None:
        takes = both(takes, most_recent(filter(takes, candidates()), chosen.max_bytes))
    apps: Counter[str] = Counter()
    size_bytes = there = 0
    for item in filter(takes, candidates()):
        if is_known(item.key):
            there += 1
        else:
            apps[item.app] += 1
            size_bytes += item.size_bytes
    _refuse_untrusted(report)
    return Transfer(
        sources=tuple(sources),
        keys=keys,
        takes=both(takes, lambda item: not is_known(item.key)),
        apps=apps,
        size_bytes=size_bytes,
        known=there,
        findings=tuple(report.warnings),
        shared=shared,
        disk=disk,
    )


def _refuse_untrusted(report: Report) -> None:
    strange = report.of(Kind.UNTRUSTED)
    if strange:
        records = sum(finding.records for finding in strange)
        raise Untrusted(
            f"{strange[0].path.parent}: {records:,} records are not signed with a key of yours: name the key file that "
            f"their account has exported (--key FILE), or say that you trust them (--trust)"
        )


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
    if os.path.lexists(target):
        raise UsageError(f"{str(target)!r} is there already: name a folder that is not")
    new = target.absolute().with_name(f".{target.name}.{secrets.token_hex(8)}")
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


def import_(transfer: Transfer, run_dir: Path, keys: Keys) -> Copied:
    """Copy the results into a new run of a run folder, where scripts find them.

    Args:
        keys: the first signs.

    Raises:
        ConfigurationError: the run folder cannot be written.
        StoreFull, StoreError: a record cannot be written; the same again copies what is missing.
    """
    disk = transfer.disk
    _refuse_nothing(transfer)
    before = lineage.of(get_all_checkpoints(run_dir), named=False)  # who continues the last run, continues it still
    number, run = create(run_dir)
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
        raise UsageError("there is nothing to copy: no result is as was asked for, or all are there already")


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
