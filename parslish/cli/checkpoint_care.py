"""Owns `parslish checkpoint compact` and `prune`: each prints what it is going to do, and asks.

What is done, and how it survives a kill, is in `parslish.care`. No value is opened.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from parslish.care import compact as compacting
from parslish.care import prune as pruning
from parslish.care.plan import Plan, StorePlan
from parslish.care.rewrite import carry_out
from parslish.care.selection import Filter
from parslish.cli.asking import may_go_on, own_keys
from parslish.cli.choosing import change_options, choice_options, ended_option
from parslish.cli.output import FINE, NOT_SO, Column, counted, json_value, line, size, table
from parslish.cli.places import places
from parslish.errors import UsageError
from parslish.history.folder import CHECKPOINT

_PLAN: Final = (
    Column("run"),
    Column("records", right=True),
    Column("superseded", right=True),
    Column("invalidated", right=True),
    Column("chosen", right=True),
    Column("stay", right=True),
    Column("size now", right=True),
    Column("size after", right=True),
    Column("left alone", right=True),
)
_SHOWN_LEFT: Final = 20  # segments that are left alone, for people
_LOST: Final = {True: "to go, too", False: "--force lets go of that"}

_paths = click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(readable=False))


@click.command()
@_paths
@ended_option
@change_options
def compact(
    paths: tuple[str, ...],
    ended: tuple[str, ...],
    dry_run: bool,
    yes: bool,
    force: bool,
    shared: bool,
    as_json: bool,
) -> int:
    """Drop what does not count, and put the rest together.

    PATH is a run folder (the default is runinfo), a run or a store. What stays is signed with your first key. A result
    does not count when a newer one in the same store has its key, or when it was invalidated: parslish undo cannot take
    that back any more. Segments whose writer may be alive are left alone, unless --ended says that it is not, and so
    are those of other accounts, and damaged ones, unless --force is given. A kill at any moment loses nothing; the same
    again finishes the work.

    Exit codes: 0 fine, 1 not confirmed, 2 wrong usage, 3 a store cannot be read or written.
    """
    plan = compacting.plan(_stores(paths), own_keys(), force=force, shared=shared, ended=ended)
    return _thin_out(plan, dry_run, yes, as_json)


@click.command()
@_paths
@choice_options
@ended_option
@change_options
def prune(
    paths: tuple[str, ...],
    ended: tuple[str, ...],
    dry_run: bool,
    yes: bool,
    force: bool,
    shared: bool,
    as_json: bool,
    **chosen: Any,
) -> int:
    """Let results go: by app, run, age, size or reachability.

    PATH is a run folder (the default is runinfo), a run or a store. What fulfils all that is given goes. But what the
    runs of --reachable-from computed or reused stays, and so do the most recent results that fit into --max-size.
    What is left alone, and what a kill does, is as with compact.

    Exit codes: 0 fine, 1 not confirmed, 2 wrong usage, 3 a store cannot be read or written.
    """
    plan = pruning.plan(_stores(paths), Filter(**chosen), own_keys(), force=force, shared=shared, ended=ended)
    return _thin_out(plan, dry_run, yes, as_json)


def _stores(paths: tuple[str, ...]) -> list[Path]:
    found = [place.path for place in places(paths)]
    for path in found:
        if not path.is_dir():
            raise UsageError(f"{str(path)!r} is a segment: name its store, {str(path.parent)!r}")
    return found


def _thin_out(plan: Plan, dry_run: bool, yes: bool, as_json: bool) -> int:
    if not as_json:
        _print(plan)
    goes_on = not (plan.is_empty or dry_run)
    if goes_on and not may_go_on(yes, as_json):
        return NOT_SO
    if goes_on:
        carry_out(plan)
    if as_json:
        json_value({"done": goes_on, "stores": [_store_json(store) for store in plan.stores]})
    elif goes_on:
        line("done")
    return FINE


def _print(plan: Plan) -> None:
    table(_PLAN, [_row(store) for store in plan.stores if not store.is_empty])
    for store in plan.stores:
        for path, reason in list(store.left.items())[:_SHOWN_LEFT]:
            line(f"{path}: left alone: {reason}")
        if len(store.left) > _SHOWN_LEFT:
            line(f"{store.path}: {counted(len(store.left) - _SHOWN_LEFT, 'more segment')} left alone: --json has them")
        _print_fates(store)
    if plan.is_empty:
        held = any(store.held for store in plan.stores)
        line("nothing was removed" if held else "nothing to do")


def _print_fates(store: StorePlan) -> None:
    if store.killed:
        results = counted(store.killed, "invalidated result")
        line(f"{store.path}: {results} to go for good: undo cannot take that back any more")
    if store.lost:
        results = counted(store.lost, "result")
        line(f"{store.path}: {results} without a large value, which is gone or damaged: {_LOST[store.lets_go_of_lost]}")
    if store.held == 1:
        line(f"{store.path}: 1 chosen record stays, since its segment is left alone")
    elif store.held:
        line(f"{store.path}: {store.held:,} chosen records stay, since their segment is left alone")


def _row(store: StorePlan) -> tuple[str, ...]:
    return (
        store.path.absolute().parent.name if store.path.name == CHECKPOINT else str(store.path),
        f"{store.records:,}",
        f"{store.superseded:,}",
        f"{store.killed:,}",
        f"{store.chosen:,}",
        f"{store.records_after:,}",
        size(store.size_bytes),
        size(store.size_bytes_after),
        f"{len(store.left):,}",
    )


def _store_json(store: StorePlan) -> dict[str, Any]:
    return {
        "path": str(store.path),
        "records": store.records,
        "records_after": store.records_after,
        "superseded": store.superseded,
        "invalidated": store.killed,
        "chosen": store.chosen,
        "lost": store.lost,
        "held": store.held,
        "size_bytes": store.size_bytes,
        "size_bytes_after": store.size_bytes_after,
        "segments": [str(path) for path in store.old],
        "blobs": [str(path) for path in store.blobs],
        "left_alone": [{"path": str(path), "reason": reason} for path, reason in store.left.items()],
    }
