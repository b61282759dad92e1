"""Exports and imports as the tests of care make them, on a disk that tells what it does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from parslish.care.items import Item, items
from parslish.care.moving import Copied, export, import_
from parslish.care.selection import Filter
from parslish.care.transfer import plan_export, plan_import
from parslish.secret import Keys
from parslish.store.disk import OS_DISK, Disk
from tests.care.stores import KEYS, OTHER_KEYS

ALL = Filter()


class Hooked(Disk):
    """The real disk, with a say before each call that changes something."""

    def __init__(self, before: Callable[[str], object]) -> None:
        for name in ("open", "write", "writev", "fsync", "rename", "unlink", "mkdir"):
            setattr(self, name, self._hooked(name, getattr(OS_DISK, name), before))

    @staticmethod
    def _hooked(name: str, call: Callable[..., Any], before: Callable[[str], object]) -> Callable[..., Any]:
        def hooked(*args: Any, **kwargs: Any) -> Any:
            before(name)
            return call(*args, **kwargs)

        return hooked


def exported(source: Path, target: Path, chosen: Filter = ALL, *, disk: Disk = OS_DISK, keys: Keys = KEYS) -> Copied:
    return export(plan_export([source], chosen, KEYS, disk=disk), target, keys)


def imported(
    source: Path, run_dir: Path, chosen: Filter = ALL, *, theirs: Keys | None = KEYS, disk: Disk = OS_DISK
) -> Copied:
    transfer = plan_import([source], run_dir, chosen, OTHER_KEYS, theirs, disk=disk)
    return import_(transfer, run_dir, OTHER_KEYS)


def by_key(where: Path, keys: Keys) -> dict[bytes, Item]:
    found = list(items([where], keys))
    assert all(item.live for item in found)
    return {item.key: item for item in found}
