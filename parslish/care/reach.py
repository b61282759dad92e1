"""Owns what runs have reached: the results that they computed or reused, as their records of events say."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from parslish.care.items import Item
from parslish.care.selection import number_of
from parslish.errors import BadCheckpoint, StoreError, UsageError
from parslish.history import alive, event
from parslish.history.event import Kind as Event
from parslish.history.folder import CHECKPOINT, EVENTS, numbered
from parslish.secret import Keys
from parslish.store.disk import OS_DISK, Disk
from parslish.store.frame import Type
from parslish.store.reader import read_frames
from parslish.store.report import Kind, Report, foreign

_WITH_KEY: Final = frozenset({Event.END, Event.REUSE, Event.FAIL})


class Reached:
    """The results that runs computed or reused.

    Args:
        run_dir: the folder of the runs.
        runs: their ids.
        force: go by what can be read.

    Raises:
        UsageError: there is no such run, or it is still going.
        StoreError: its record is missing or damaged, so that more may be lost than meant.
    """

    def __init__(
        self,
        run_dir: str | os.PathLike[str],
        runs: Sequence[str],
        keys: Keys,
        *,
        force: bool = False,
        shared: bool = False,
        disk: Disk = OS_DISK,
    ) -> None:
        self._keys: set[bytes] = set()
        self._origins: set[tuple[int, int]] = set()  # run and task: under an app's earlier name the key is another
        self._runs = {number_of(run) for run in runs}
        found = dict(numbered(run_dir))
        for number in sorted(self._runs):
            if number not in found:
                raise UsageError(f"there is no run {number} in {os.fspath(run_dir)!r}: {_known(found)}")
            self._add(found[number], keys, force, shared, disk)

    def __contains__(self, item: object) -> bool:
        return isinstance(item, Item) and (
            item.run_number in self._runs or item.key in self._keys or (item.run_number, item.task_id) in self._origins
        )

    def _add(self, run: Path, keys: Keys, force: bool, shared: bool, disk: Disk) -> None:
        if not force and alive.run(run):
            raise UsageError(f"run {run.name} is still going, so what it will reuse is not known: wait, or use --force")
        report = Report()
        try:
            for frame in read_frames(run / EVENTS, keys, types={Type.EVENT}, shared=shared, disk=disk, report=report):
                self._note(frame.body)
        except BadCheckpoint as exc:
            if not force:
                raise StoreError(f"run {run.name} has no record of what it reused ({exc.reason}); {_FORCE}") from exc
        if report.of(Kind.UNTRUSTED) and not force:
            raise StoreError(f"the record of run {run.name} is {foreign()}; {_FORCE}")
        if report.warnings and not force:
            raise StoreError(f"the record of run {run.name} is damaged: {report.warnings[0]}; {_FORCE}")

    def _note(self, body: bytes) -> None:
        for one in event.unpack(body):
            if one["kind"] in _WITH_KEY and isinstance(one.get("key"), bytes):
                self._keys.add(one["key"])
            if one["kind"] is Event.REUSE and one.get("origin_run") is not None:
                self._origins.add((one["origin_run"], one["origin_task"]))


_FORCE: Final = f"--force takes the results in its own {CHECKPOINT} folder, and what can be read of the rest, for all"


def _known(found: dict[int, Path]) -> str:
    names = [path.name for path in found.values()]
    return f"it holds runs {names[0]} to {names[-1]}" if names else "it holds no runs"
