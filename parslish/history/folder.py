"""Owns the folder of a run: how it is made, named and numbered, and how the runs before it are found."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from parslish.errors import ConfigurationError

CHECKPOINT = "checkpoint"
EVENTS = "events"
MARKS = "marks"  # what is said of a run later on

# Nine digits at most: a folder that has a date and time for its name is no run, and its number fits no segment.
_RUN_ID = re.compile(r"[0-9]{3,9}")


def numbered(root: str | os.PathLike[str]) -> Iterator[tuple[int, Path]]:
    """The runs in a run folder in the order of their numbers (999 before 1000), whatever else lies there."""
    try:
        names = os.listdir(root)
    except (FileNotFoundError, NotADirectoryError):
        return
    ids = sorted((int(name), name) for name in names if _RUN_ID.fullmatch(name))
    yield from ((number, Path(root, name)) for number, name in ids)


def create(root: str | os.PathLike[str]) -> tuple[int, Path]:
    """Make the next run's folder, 0700, and return its number and path.

    `mkdir` decides between kernels that start at the same time: the one that loses takes the next number.
    """
    try:
        number = max((number for number, _ in numbered(root)), default=-1) + 1
        Path(root).mkdir(parents=True, exist_ok=True)
        while True:
            path = Path(root, f"{number:03d}")
            try:
                path.mkdir(mode=0o700)
                return number, path.absolute()
            except FileExistsError:
                number += 1
    except OSError as exc:
        raise ConfigurationError(
            f"run_dir={str(root)!r} cannot be written ({exc.strerror}); name a folder that can, with run_dir="
        ) from exc
