"""Owns pruning: results that are chosen go, and with them whatever does not count in the stores that they are in."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from parslish.care.items import items
from parslish.care.leaving import Outside
from parslish.care.plan import Plan, plan_store
from parslish.care.reach import Reached
from parslish.care.selection import Choice, Filter, both, but, most_recent
from parslish.errors import UsageError
from parslish.history.folder import CHECKPOINT
from parslish.secret import Keys
from parslish.store.disk import OS_DISK, Disk


def plan(
    stores: Sequence[Path],
    chosen: Filter,
    keys: Keys,
    *,
    force: bool = False,
    shared: bool = False,
    ended: Collection[str] = (),
    disk: Disk = OS_DISK,
) -> Plan:
    """Plan to let go of results; `rewrite.carry_out` does it.

    Args:
        stores: folders, seen together where sizes are counted.
        chosen: what goes; but what `reachable_from` names stays, and so do the most recent results, as many as fit
            into `max_bytes`.
        keys: whose signatures count; the first signs.
        force: go by what can be read of damaged segments and records of runs.
        shared: accept what others can write to; what they own is read, and left alone.
        ended: hosts of which the user says that their processes have ended.

    Raises:
        UsageError: nothing was chosen, or a run is not known.
        BadCheckpoint: as `Store.open`.
        StoreError: the record of a run is damaged.
        OSError: a folder cannot be read.
    """
    if chosen.is_empty:
        raise UsageError("prune: all results would go: say which, by app, run, key, age, size or reachability")
    goes = _choice(stores, chosen, keys, force, shared, disk)
    outside = Outside(keys, shared=shared, disk=disk)
    plans = [
        plan_store(Path(each), keys, outside, goes=goes, force=force, shared=shared, ended=ended, disk=disk)
        for each in stores
    ]
    return Plan(tuple(plans), keys, shared, ended, disk)


def _choice(stores: Sequence[Path], chosen: Filter, keys: Keys, force: bool, shared: bool, disk: Disk) -> Choice:
    goes = chosen.choice(disk.time())
    if chosen.reachable_from:
        run_dir = run_dir_of(stores)
        goes = but(goes, Reached(run_dir, chosen.reachable_from, keys, force=force, shared=shared, disk=disk))
    if chosen.max_bytes is not None:
        found = filter(goes, items(stores, keys, shared=shared, disk=disk))
        fits = most_recent(found, chosen.max_bytes)
        goes = both(goes, lambda item: not fits(item))
    return goes


def run_dir_of(stores: Sequence[Path]) -> Path:
    """The run folder that stores are in. Raises UsageError."""
    found = {path.absolute().parent.parent for path in map(Path, stores) if path.absolute().name == CHECKPOINT}
    if len(found) != 1:
        raise UsageError(
            "--reachable-from: takes stores of one run folder, since runs are known there by their numbers"
        )
    return found.pop()
