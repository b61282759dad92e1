"""Owns the functions that Parsl scripts import from `utils`; leaves reading checkpoints to the store."""

from __future__ import annotations

import getpass
import os
import re
from typing import Any

from parslish.errors import BadStdStreamFile, ConfigurationError

# The modes of open() that write.
_MODE = re.compile(r"[wax](\+?[bt]?|[bt]\+)")


def get_all_checkpoints(rundir: str | os.PathLike[str] = "runinfo") -> list[str]:
    """The checkpoint folders of all runs in a run folder, oldest first; [] when there is none.

    Args:
        rundir: the run folder, as in `Config.run_dir`.

    Raises:
        ConfigurationError: it is there, and cannot be listed.
    """
    root = os.path.abspath(rundir)
    try:
        runs = [name for name in os.listdir(root) if name.isdecimal() and name.isascii()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as exc:
        raise ConfigurationError(
            f"run_dir={str(rundir)!r} cannot be listed ({exc.strerror}); name a folder that can, with run_dir="
        ) from exc
    # By number: as texts, "1000" comes before "999".
    found = (os.path.join(root, run, "checkpoint") for run in sorted(runs, key=lambda run: (int(run), run)))
    return [folder for folder in found if os.path.isdir(folder)]


def get_last_checkpoint(rundir: str | os.PathLike[str] = "runinfo") -> list[str]:
    """The checkpoint folder of the last run that has one, as a list of one; [] when there is none.

    Args:
        rundir: the run folder, as in `Config.run_dir`.
    """
    return get_all_checkpoints(rundir)[-1:]


def get_std_fname_mode(fdname: str, stdfspec: Any) -> tuple[str, str]:
    """The file and mode that a `stdout` or `stderr` keyword means; a lone path appends.

    Args:
        fdname: "stdout" or "stderr", for the error.
        stdfspec: a path (text, path object or File), or a pair (path, mode).

    Raises:
        BadStdStreamFile: it is neither, or the mode is not one of `open()` that writes.
    """
    path, mode = stdfspec if isinstance(stdfspec, tuple) and len(stdfspec) == 2 else (stdfspec, "a+")
    if not isinstance(path, str | os.PathLike):
        raise BadStdStreamFile(f"{fdname}: got {stdfspec!r}, takes a path, or a pair of path and mode")
    if not isinstance(mode, str) or not _MODE.fullmatch(mode):
        raise BadStdStreamFile(f"{fdname}: got the mode {mode!r}, takes one that writes, such as 'a' or 'w'")
    name = os.fspath(path)
    if not isinstance(name, str) or not name:
        raise BadStdStreamFile(f"{fdname}: got the path {name!r}, takes a text that is not empty")
    return name, mode


def user_name() -> str:
    """The name of the account that this process runs in, or its number."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
