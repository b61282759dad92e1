"""Owns compacting: what does not count in a store goes, and what counts is put together, signed with the first key.

So a store of many segments opens faster, and a key that was rotated out is needed no longer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from parslish.care.leaving import Outside
from parslish.care.plan import Plan, plan_store
from parslish.secret import Keys
from parslish.store.disk import OS_DISK, Disk


def plan(
    stores: Iterable[Path],
    keys: Keys,
    *,
    force: bool = False,
    shared: bool = False,
    ended: Collection[str] = (),
    disk: Disk = OS_DISK,
) -> Plan:
    """Plan to compact stores, each for itself; `rewrite.carry_out` does it.

    Args:
        stores: their folders.
        keys: whose signatures count; the first signs.
        force: take what can be read of damaged segments too, and let go of the rest of them, and of the results whose
            large value is lost.
        shared: accept what others can write to; what they own is read, and left alone.
        ended: hosts of which the user says that their processes have ended.

    Raises:
        BadCheckpoint: as `Store.open`.
        OSError: a folder cannot be read.
    """
    outside = Outside(keys, shared=shared, disk=disk)
    plans = [
        plan_store(Path(each), keys, outside, force=force, shared=shared, ended=ended, disk=disk) for each in stores
    ]
    return Plan(tuple(plans), keys, shared, ended, disk)
