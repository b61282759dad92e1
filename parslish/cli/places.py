"""Owns what a path on the command line means: the stores of a run folder, of a run, a store, or one segment."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from parslish.cli.output import say
from parslish.errors import BadCheckpoint, UsageError
from parslish.history.folder import CHECKPOINT, EVENTS, numbered
from parslish.secret import Keys, key_file
from parslish.store.check import CLEAN, CORRUPT, TORN
from parslish.store.folder import SUFFIX

RUN_DIR: Final = "runinfo"  #: where runs are kept, unless the configuration says otherwise


class Place(NamedTuple):
    """A store, or one segment of it; `run` is the run's id, "" where the path does not tell."""

    path: Path
    run: str


def places(paths: tuple[str, ...]) -> list[Place]:
    """The stores that paths mean; without paths those of `runinfo`.

    Raises:
        BadCheckpoint: a path is not there or cannot be listed.
        UsageError: it holds neither runs nor segments.
    """
    found = [place for path in paths or (RUN_DIR,) for place in _at(Path(path))]
    return list(dict.fromkeys(found))


def _at(path: Path) -> list[Place]:
    try:
        names = os.listdir(path) if path.is_dir() else None
        path.stat()
    except OSError as exc:
        raise BadCheckpoint(path, (exc.strerror or str(exc)).lower()) from exc
    if names is None:
        return [Place(path, _run_of(path.parent))]
    runs = [run for _, run in numbered(path)]
    if runs:
        return [Place(run / CHECKPOINT, run.name) for run in runs if (run / CHECKPOINT).is_dir()]
    if CHECKPOINT in names:
        return [Place(path / CHECKPOINT, _run_of(path / CHECKPOINT))]
    if path.name in (CHECKPOINT, EVENTS) or any(name.endswith(SUFFIX) for name in names):
        return [Place(path, _run_of(path))]
    raise UsageError(
        f"{str(path)!r} holds no runs and no segments: name a run folder (as {RUN_DIR!r}), a run, a store or a segment"
    )


def _run_of(store: Path) -> str:
    return store.absolute().parent.name if store.absolute().name in (CHECKPOINT, EVENTS) else ""


def known_keys() -> Keys | None:
    """The user's keys; None when there are none yet, or, with a warning, when they cannot be used: who only looks makes
    no key, and can do without."""
    try:
        return Keys.load() if key_file().exists() else None
    except UsageError as exc:
        say(f"warning: {exc}")
        return None


def worst(states: Iterable[str]) -> str:
    """The worst of the states of stores; clean for none."""
    return max(states, key=(CLEAN, TORN, CORRUPT).index, default=CLEAN)
