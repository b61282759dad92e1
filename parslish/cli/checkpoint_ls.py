"""Owns `parslish checkpoint ls`: which stores there are, and which records are in them.

It cannot run what a store holds: facts are read as msgpack, and values not at all.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import click

from parslish.care.items import Item
from parslish.cli.output import (
    FINE,
    NOT_SO,
    TROUBLE,
    Column,
    counted,
    json_list,
    json_option,
    line,
    say,
    seconds,
    size,
    table,
    when,
)
from parslish.cli.places import Place, every_place, known_keys
from parslish.cli.store_look import StoreLook
from parslish.errors import UsageError
from parslish.history import alive, card
from parslish.secret import Keys, key_file
from parslish.store import blobs, folder
from parslish.store.check import CORRUPT, TORN, UNREAD, worst
from parslish.store.report import Kind

_STORES: Final = (
    Column("run"),
    Column("state"),
    Column("records", right=True),
    Column("size", right=True),
    Column("apps", narrow="fold"),
    Column("started", narrow="drop"),
)
_RECORDS: Final = (
    Column("key"),
    Column("app", narrow="cut"),
    Column("task", right=True),
    Column("completed", narrow="drop"),
    Column("took", right=True, narrow="drop"),
    Column("size", right=True, narrow="drop"),
    Column("counts"),
)
_KEY_DIGITS: Final = 12
_LIMIT: Final = 1000
_SHOWN_APPS: Final = 5


class _Store(NamedTuple):
    """A row of the listing of stores; `apps` is None where the records are not ours to read."""

    place: Place
    state: str
    in_use: bool
    segments: int
    records: int
    size_bytes: int
    apps: Counter[str] | None
    facts: dict[str, Any]


@click.command("ls")
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(readable=False))
@click.option("--records", is_flag=True, help="List records instead of stores.")
@click.option("--app", "apps", multiple=True, metavar="NAME", help="Only records of this app; may be repeated.")
@click.option("--run", "runs", multiple=True, metavar="ID", help="Only stores of this run; may be repeated.")
@click.option(
    "--limit", type=click.IntRange(0), help=f"Print that many records (0: all); else {_LIMIT:,}, in JSON all."
)
@json_option
def ls(
    paths: tuple[str, ...],
    records: bool,
    apps: tuple[str, ...],
    runs: tuple[str, ...],
    limit: int | None,
    as_json: bool,
) -> int:
    """List the stores of run folders, or the records of a store.

    PATH is a run folder (the default is runinfo), a run, a store or a segment. Where a single store or segment is
    named, its records are listed. Nothing is unpickled.

    A store is in use while its writer may be alive. A record counts unless one of the same key that is listed too is
    newer, or it was invalidated.

    Exit codes: 0 fine, 1 nothing is as --app and --run say, 2 wrong usage, 3 a store is corrupt or cannot be read.
    """
    there = every_place(paths)
    _refuse_unknown(runs, there)
    found = [place for place in there if not runs or _is_one_of(place.run, runs)]
    is_store = len(paths) == 1 and [place.path for place in there] == [Path(paths[0])]
    if limit is not None and not (records or is_store):
        raise UsageError("--limit is about records, and here stores are listed: add --records, or name a single store")
    keys = known_keys()
    if records or is_store:
        if limit is None:
            limit = 0 if as_json else _LIMIT
        number, state = _list_records(found, keys, apps, limit or None, as_json)
    else:
        stores = [store for place in found if (store := _store(place, keys, apps))]
        _list_stores(stores, as_json)
        number = len(stores)
        state = worst(store.state for store in stores)
    return TROUBLE if state in (UNREAD, CORRUPT) else NOT_SO if (apps or runs) and not number else FINE


def _refuse_unknown(runs: Iterable[str], found: Sequence[Place]) -> None:
    """Refuse the name of a run that no run can have."""
    for each in runs:
        if not each.isdecimal() and each not in {place.run for place in found}:
            raise UsageError(f"--run takes the id of a run, as 007 or 7, not {each!r}: see  parslish checkpoint ls")


def _is_one_of(run: str, runs: Iterable[str]) -> bool:
    """`7` means run 007."""
    return any(run == each or (run.isdecimal() and run.lstrip("0") == each.lstrip("0")) for each in runs)


def _store(place: Place, keys: Keys | None, wanted: Sequence[str]) -> _Store | None:
    """A store as the listing has it; None when it has no record of the apps that are wanted."""
    look = StoreLook([place], keys)
    (verdict,) = look.verdicts
    apps = None
    if keys is not None:
        apps = Counter(item.app for item in look.items() if not wanted or item.app in wanted)
        if not apps and (look.report.of(Kind.UNTRUSTED) or place.trouble):
            apps = None
    for one in verdict.segments:
        if one.state == UNREAD:
            say(f"warning: {one.path}: {one.sentence}")
    if wanted and not apps:
        return None
    return _Store(
        place,
        look.state,
        look.state == TORN and _in_use(place.path),
        0 if place.trouble else len(verdict.segments),
        sum(one.records for one in verdict.segments) if apps is None else apps.total(),
        0 if place.trouble else _size_bytes(place.path),
        apps,
        card.read(place.path.parent),
    )


def _in_use(path: Path) -> bool:
    return alive.store(path) if path.is_dir() else alive.segment(path) is not None


def _size_bytes(store: Path) -> int:
    """Of all segments and blobs, begun ones too, as far as they can be seen: some may go while we look."""
    if not store.is_dir():
        return store.stat().st_size
    total = 0
    with os.scandir(store) as entries:
        for entry in entries:
            if entry.name.endswith((folder.SUFFIX, blobs.SUFFIX, blobs.UNFINISHED)):
                with contextlib.suppress(OSError):
                    total += entry.stat(follow_symlinks=False).st_size
    return total


def _list_stores(stores: Sequence[_Store], as_json: bool) -> None:
    if as_json:
        json_list(_store_json(store) for store in stores)
        return
    table(_STORES, [_store_row(store) for store in stores])
    records, size_bytes = sum(store.records for store in stores), sum(store.size_bytes for store in stores)
    line(f"{counted(len(stores), 'store')}, {counted(records, 'record')}, {size(size_bytes)}")


def _store_row(store: _Store) -> tuple[str, ...]:
    return (
        store.place.run or str(store.place.path),
        "in use" if store.in_use else store.state,
        f"{store.records:,}",
        size(store.size_bytes),
        _apps(store.apps),
        when(_time(store, "started")),
    )


def _apps(apps: Counter[str] | None) -> str:
    """The apps with the most records."""
    if apps is None:
        return "?"
    shown = [f"{app} {number:,}" for app, number in apps.most_common(_SHOWN_APPS)]
    return ", ".join(shown) + (f" and {len(apps) - _SHOWN_APPS:,} more" if len(apps) > _SHOWN_APPS else "")


def _time(store: _Store, name: str) -> float | None:
    """A time from the run's card, which anybody may have written."""
    time_s = store.facts.get(name)
    return float(time_s) if isinstance(time_s, int | float) and abs(time_s) < 1e12 else None


def _store_json(store: _Store) -> dict[str, Any]:
    ended = store.facts.get("ended")
    return {
        "path": str(store.place.path),
        "run": store.place.run or None,
        "state": store.state,
        "in_use": store.in_use,
        "segments": store.segments,
        "records": store.records,
        "size_bytes": store.size_bytes,
        "apps": store.apps,
        "started": _time(store, "started"),
        "time_ended": _time(store, "time_ended"),
        "ended": ended if isinstance(ended, str) else None,
    }


def _list_records(
    found: Sequence[Place], keys: Keys | None, apps: Sequence[str], limit: int | None, as_json: bool
) -> tuple[int, str]:
    """Print records; returns how many there are, and the worst state."""
    if keys is None:
        raise UsageError(
            f"records are read with the key that signed them, and there is none in {str(key_file())!r}: "
            f"set PARSLISH_KEY_FILE, or look at stores, without --records"
        )
    look = StoreLook(found, keys)
    every = (item for item in look.items() if not apps or item.app in apps)
    number = (_records_json if as_json else _records_table)(every, limit)
    for finding in look.report.warnings:
        say(f"warning: {finding}")
    return number, look.state


def _records_table(every: Iterator[Item], limit: int | None) -> int:
    rows = [_item_row(item) for item in islice(every, limit)]
    rest = sum(1 for _ in every)
    table(_RECORDS, rows)
    line(counted(len(rows) + rest, "record") + (f", {rest:,} of them not shown: see --limit" if rest else ""))
    return len(rows) + rest


def _records_json(every: Iterator[Item], limit: int | None) -> int:
    number = json_list(_item_json(item) for item in islice(every, limit))
    return number + sum(1 for _ in every)  # to the end, whatever is printed: damage may be there


def _item_row(item: Item) -> tuple[str, ...]:
    return (
        item.key.hex()[:_KEY_DIGITS],
        item.app,
        str(item.task_id),
        when(item.completed),
        seconds(item.duration),
        size(item.size_bytes),
        "yes" if item.live else "no",
    )


def _item_json(item: Item) -> dict[str, Any]:
    return {
        "key": item.key.hex(),
        "app": item.app,
        "task": item.task_id,
        "kind": item.kind,
        "completed": item.completed,
        "duration_s": item.duration,
        "size_bytes": item.size_bytes,
        "run": item.run_number,
        "segment": str(item.segment),
        "offset": item.offset,
        "record": item.seq,
        "blob": item.blob.digest.hex() if item.blob else None,
        "counts": item.live,
    }
