"""Owns the facts of stored results and of stores, as listings and selections want them. No value is opened (I6)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack

from parslish.care.frames import Frame, Reading
from parslish.history import alive, card
from parslish.history.folder import CHECKPOINT, numbered
from parslish.result import EXCEPTION, StoredResult
from parslish.secret import Keys
from parslish.store import blobs, folder
from parslish.store.blobs import Reference
from parslish.store.bodies import Name
from parslish.store.disk import OS_DISK, Disk
from parslish.store.frame import NewerFormat, Type
from parslish.store.loading import NoSegment, load, quickly
from parslish.store.report import Kind, Report
from parslish.store.source import Source


@dataclass(frozen=True, slots=True)
class Item:
    """One stored result.

    Args:
        key: what it is filed under, 32 bytes.
        completed: when it was computed, seconds since the epoch; `duration`: seconds that took.
        kind: "value", or "exception" for a remembered failure.
        size_bytes: of the record's body and its blob.
        run_number, writer, seq: what names it; `segment` and `offset`: where it is.
        blob: what a large value is kept in.
        live: whether it is the one that counts for its key, in the stores that were read together.
    """

    key: bytes
    app: str
    task_id: int
    completed: float
    duration: float
    kind: str
    size_bytes: int
    run_number: int
    writer: bytes
    seq: int
    segment: Path
    offset: int
    blob: Reference | None
    live: bool

    @property
    def name(self) -> Name:
        """What a tombstone calls it."""
        return self.writer, self.seq


def items(
    paths: Iterable[str | os.PathLike[str]],
    keys: Keys | None,
    *,
    report: Report | None = None,
    shared: bool = False,
    bases: bool = False,
    disk: Disk = OS_DISK,
) -> Iterator[Item]:
    """The results of stores that are read together: by run, writer, and the order in which they were written.

    Args:
        paths: folders or segments.
        keys: whose signatures count; None: records count whoever signed them.
        report: takes what is passed over.
        shared: accept what other users own or can write to.
        bases: the results too of the folders that these build upon.

    Raises:
        BadCheckpoint: as `Store.open`.
    """
    reading = Reading(paths, keys, report=report, shared=shared, bases=bases, disk=disk)
    return (item for _, item in results(reading))


def results(reading: Reading) -> Iterator[tuple[Frame, Item]]:
    """The results among the frames of stores, each once."""
    given: set[Name] = set()
    for segment in reading.in_order():
        for found in reading.frames(segment):
            if found.header.type != Type.RESULT or found.name in given:
                continue
            if found.header.writer in reading.split_writers:
                given.add(found.name)
            item = item_of(found, live=reading.is_live(found))
            if item is not None:
                yield found, item
            else:
                reading.tell(Kind.NEWER, found.segment, f"the record at byte {found.offset} is of a newer parslish", 1)


def item_of(found: Frame, *, live: bool) -> Item | None:
    """The facts of a result; None when it is of a form that this version does not know."""
    stored = _facts(found.body)
    if stored is None:
        return None
    header = found.header
    blob = blobs.reference_in(stored.encoded)
    return Item(
        key=header.key,
        app=stored.app,
        task_id=stored.task_id,
        completed=stored.completed,
        duration=stored.duration,
        kind="exception" if stored.kind == EXCEPTION else "value",
        size_bytes=header.length + (blob.size if blob else 0),
        run_number=header.run,
        writer=header.writer,
        seq=header.seq,
        segment=found.segment,
        offset=found.offset,
        blob=blob,
        live=live,
    )


def _facts(body: bytes) -> StoredResult | None:
    try:
        stored = StoredResult.unpack(body)
    except (ValueError, TypeError, msgpack.exceptions.UnpackException):
        return None
    numbers = (stored.task_id, stored.completed, stored.duration)
    return stored if isinstance(stored.app, str) and all(isinstance(each, int | float) for each in numbers) else None


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """One run's store, as its run card and its segments tell.

    Args:
        run: the run's id, as "007".
        started: seconds since the epoch; None when the card does not say.
        ended: how the run ended; None when it has not, was killed, or the card does not say.
        parent: the folder of the run that it continued.
        records: stored results, superseded ones included; `segments`: files; `size_bytes`: of all files.
        alive: whether a writer may still be at it.
    """

    run: str
    path: Path
    started: float | None
    ended: str | None
    parent: str | None
    segments: int
    records: int
    size_bytes: int
    alive: bool


def stores(run_dir: str | os.PathLike[str], *, disk: Disk = OS_DISK) -> list[StoreInfo]:
    """The stores of a run folder in the order of their runs. Signatures are not checked."""
    found = ((run, run / CHECKPOINT) for _, run in numbered(run_dir))
    return [_store(run, path, disk) for run, path in found if path.is_dir()]


def _store(run: Path, path: Path, disk: Disk) -> StoreInfo:
    facts = card.read(run)
    segments = folder.segments(disk, path)
    return StoreInfo(
        run=run.name,
        path=path,
        started=_of(facts, "started", int | float),
        ended=_of(facts, "ended", str),
        parent=_of(facts, "parent", str),
        segments=len(segments),
        records=sum(_records(each, disk) for each in segments),
        size_bytes=_size_bytes(path, disk),
        alive=alive.store(path, disk),
    )


def _of(facts: dict[str, Any], name: str, kind: Any) -> Any:
    return facts.get(name) if isinstance(facts.get(name), kind) else None


def _records(segment: Path, disk: Disk) -> int:
    try:
        found = load(Source(disk, segment, shared=True), quickly)
    except (OSError, NoSegment, NewerFormat):
        return 0
    return len(found.entries if found.table is None else found.table)


def _size_bytes(path: Path, disk: Disk) -> int:
    total = 0
    for name in disk.listdir(path):
        if name.endswith((folder.SUFFIX, blobs.SUFFIX, blobs.UNFINISHED)):
            try:
                total += disk.stat(path / name, follow_symlinks=False).st_size
            except FileNotFoundError:
                continue
    return total
