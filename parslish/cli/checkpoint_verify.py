"""Owns `parslish checkpoint verify`, which reads every byte of stores and changes nothing.

It cannot run what a store holds: facts are read as msgpack, and values not at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import click

from parslish.cli.output import FINE, TROUBLE, Column, counted, json_option, json_value, line, say, size, table
from parslish.cli.places import Place, every_place, known_keys
from parslish.result import StoredResult
from parslish.secret import Keys
from parslish.store.blobs import Reference, reference_in
from parslish.store.check import CLEAN, CORRUPT, UNREAD, SegmentVerdict, Verdict, check, unlisted, worst
from parslish.store.faults import Fault
from parslish.store.report import Kind

_COLUMNS: Final = (
    Column("run"),
    Column("state"),
    Column("records", right=True),
    Column("size", right=True),
    Column("segment", narrow="cut"),
)
_SHOWN_FAULTS: Final = 20  # of a segment, for people


@click.command()
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(readable=False))
@json_option
def verify(paths: tuple[str, ...], as_json: bool) -> int:
    """Read every byte of stores: clean, torn, unread or corrupt.

    PATH is a run folder (the default is runinfo), a run, a store or a segment. Nothing is unpickled, and no key is
    needed; with the key, signatures are checked too, and whether large values are there.

    A store is torn when its writer was killed or is still at work; that is ordinary. It is unread where a newer
    parslish wrote it, or something keeps us from reading it. It is corrupt when something that was durable is not what
    was written.

    Exit codes: 0 clean or torn, 2 wrong usage, 3 corrupt or unread.
    """
    there = every_place(paths)
    keys = known_keys()
    verdicts = [(place, _verdict(place, keys)) for place in there]
    state = worst(verdict.state for _, verdict in verdicts)
    if as_json:
        stores = [_store_json(place, verdict) for place, verdict in verdicts]
        json_value({"state": state, "signatures_checked": keys is not None, "stores": stores})
    else:
        _print(verdicts, state)
        if keys is None:
            say("there is no key here, so neither signatures nor references to large values were checked")
    return TROUBLE if state in (UNREAD, CORRUPT) else FINE


def _verdict(place: Place, keys: Keys | None) -> Verdict:
    if place.trouble:
        return unlisted(place.path, place.trouble)
    return check(place.path, keys=keys, blob_of=blob_of)


def blob_of(body: bytes) -> Reference | None:
    """The blob that a result's body refers to, if it does."""
    try:
        return reference_in(StoredResult.unpack(body).encoded)
    except ValueError:
        return None  # no result, or of a newer version: what it refers to is not known


def _print(verdicts: list[tuple[Place, Verdict]], state: str) -> None:
    segments = [(place, one) for place, verdict in verdicts for one in verdict.segments]
    table(_COLUMNS, [(place.run, *_row(one)) for place, one in segments])
    for _, one in segments:
        if one.state != CLEAN:
            line(str(one.path))
            for sentence in _details(one):
                line(f"  {sentence}")
    for _, verdict in verdicts:
        for fault in verdict.blob_faults:
            line(str(fault.path))
            line(f"  {CORRUPT if fault.kind is Kind.CORRUPT else UNREAD}: {fault.sentence}")
    records = sum(one.records for _, one in segments)
    blobs = sum(verdict.blobs for _, verdict in verdicts)
    others = sum(one.ours is False for _, one in segments)
    if others:
        line(f"{counted(others, 'segment')} signed with a key that is not ours: nothing of that is loaded here")
    parts = [(len(verdicts), "store"), (len(segments), "segment"), (records, "record"), (blobs, "large value")]
    line(f"{state}: {', '.join(counted(number, noun) for number, noun in parts)}")


def _row(one: SegmentVerdict) -> tuple[str, ...]:
    return one.state, f"{one.records:,}", size(one.size_bytes), one.path.name


def _details(one: SegmentVerdict) -> Iterator[str]:
    """What there is to say of a segment beyond its row."""
    yield f"{one.state}: {one.sentence}"
    for fault in one.faults[:_SHOWN_FAULTS]:
        if fault.offset is not None:
            yield f"byte {fault.offset}: {fault.sentence}"
    if len(one.faults) > _SHOWN_FAULTS:
        yield f"and {len(one.faults) - _SHOWN_FAULTS:,} more: --json has them"


def _store_json(place: Place, verdict: Verdict) -> dict[str, Any]:
    return {
        "path": str(place.path),
        "run": place.run or None,
        "state": verdict.state,
        "blobs": verdict.blobs,
        "blob_faults": [_fault_json(fault) for fault in verdict.blob_faults],
        "segments": [_segment_json(one) for one in verdict.segments],
    }


def _segment_json(one: SegmentVerdict) -> dict[str, Any]:
    return {
        "path": str(one.path),
        "state": one.state,
        "sentence": one.sentence,
        "records": one.records,
        "lost": one.lost,
        "size_bytes": one.size_bytes,
        "ours": one.ours,
        "faults": [_fault_json(fault) for fault in one.faults],
    }


def _fault_json(fault: Fault) -> dict[str, Any]:
    return {
        "kind": fault.kind.value,
        "path": str(fault.path),
        "offset": fault.offset,
        "record": fault.seq,
        "key": fault.key.hex() or None,
        "sentence": fault.sentence,
    }
