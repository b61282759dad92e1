"""Owns how the runs of a run folder are found, by those who ask for them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from parslish.errors import UsageError, near
from parslish.history import lineage
from parslish.history.folder import EVENTS, numbered
from parslish.rerun.handle import RecordedRun

LAST: Final = "last"


def runs(run_dir: str | os.PathLike[str] = "runinfo") -> list[RecordedRun]:
    """The runs of a run folder that kept a record, oldest first."""
    return [RecordedRun(path) for _, path in numbered(run_dir) if (path / EVENTS).is_dir()]


def run(which: str | int | os.PathLike[str] = LAST, run_dir: str | os.PathLike[str] = "runinfo") -> RecordedRun:
    """One run.

    Args:
        which: its id, such as "003" or 3, its folder, or "last": but for runs that only verified another.
        run_dir: the folder that it is in, unless `which` is a folder.

    Raises:
        UsageError: there is no such run.
    """
    found = {path.name: path for _, path in numbered(run_dir) if (path / EVENTS).is_dir()}
    if which == LAST and found:
        return RecordedRun(lineage.last(list(found.values())))
    name = f"{which:03d}" if isinstance(which, int) else os.fspath(which)
    for each in (name, name.zfill(3)):
        if each in found:
            return RecordedRun(found[each])
    if (Path(name) / EVENTS).is_dir():
        return RecordedRun(Path(name))
    known = f"there are {', '.join(found)}" if len(found) < 20 else f"there are {len(found)}, the last is {max(found)}"
    raise UsageError(
        f"there is no run {name!r} with a record in {os.fspath(run_dir)!r}{near(name, found)}; "
        f"{known if found else 'there are none'}"
    )
