"""Owns what a path on the command line means: the stores of a run folder, of a run, a store, or one segment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

from parslish.cli.output import say
from parslish.errors import BadCheckpoint, UsageError
from parslish.history.folder import CHECKPOINT, EVENTS, numbered
from parslish.secret import Keys, key_file
from parslish.store.folder import SUFFIX

RUN_DIR: Final = "runinfo"  #: where runs are kept, unless the configuration says otherwise


class Place(NamedTuple):
    """A store, or one segment of it; `run` is the run's id, "" where the path does not tell; `trouble` why it cannot
    be listed, "" when it can."""

    path: Path
    run: str
    trouble: str = ""


def places(paths: tuple[str, ...]) -> list[Place]:
    """The stores that paths mean, as far as they can be listed, with a warning about the others.

    Raises:
        BadCheckpoint, UsageError: as `every_place`.
    """
    found = every_place(paths)
    for place in found:
        if place.trouble:
            say(f"warning: {place.path}: cannot be listed: {place.trouble}")
    return [place for place in found if not place.trouble]


def every_place(paths: tuple[str, ...]) -> list[Place]:
    """The stores that paths mean, each once, however it is spelled; without paths those of `runinfo`.

    Raises:
        BadCheckpoint: a path that was named is not there or cannot be listed.
        UsageError: it holds neither runs nor segments.
    """
    found: dict[str, Place] = {}
    for path in paths or (RUN_DIR,):
        for place in _at(Path(path)):
            found.setdefault(os.path.realpath(place.path), place)
    return list(found.values())


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
        return [place for run in runs if (place := _of_run(run))]
    if CHECKPOINT in names and (place := _of_run(path)):
        return [place]
    if path.name in (CHECKPOINT, EVENTS) or any(name.endswith(SUFFIX) for name in names):
        return [Place(path, _run_of(path))]
    raise UsageError(
        f"{str(path)!r} holds no runs and no segments: name a run folder (as {RUN_DIR!r}), a run, a store or a segment"
    )


def _of_run(run: Path) -> Place | None:
    """The store of a run; None when it has none."""
    store = run / CHECKPOINT
    try:
        os.listdir(store)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        return Place(store, _run_of(store), (exc.strerror or str(exc)).lower())
    return Place(store, _run_of(store))


def _run_of(store: Path) -> str:
    return store.absolute().parent.name if store.absolute().name in (CHECKPOINT, EVENTS) else ""


def known_keys() -> Keys | None:
    """The user's keys; None when there are none yet, or, with a warning, when they cannot be used: who only looks makes
    no key, and can do without."""
    try:
        path = key_file()
        path.stat()  # not `exists`, which may raise as well, and load would make one
        return Keys.load()
    except FileNotFoundError:
        return None
    except OSError as exc:
        say(f"warning: the key file {str(path)!r} cannot be read ({exc.strerror})")
    except UsageError as exc:
        say(f"warning: {exc}")
    return None
