"""Owns what can be said of a Parsl checkpoint without opening it: how many results it holds, and why they stay there.

It is a row of bare pickles, unsigned, so opening it runs whatever it says; and its keys are MD5 sums of pickles, from
which the keys of the same calls here cannot be made.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from parslish.errors import UsageError

NAME = "tasks.pkl"
_PICKLE = b"\x80"  # what protocol 2 and later begin with
_FIELDS = frozenset({"hash", "exception", "result"})


def refuse(path: str | os.PathLike[str]) -> None:
    """Say why a Parsl checkpoint cannot be imported.

    Args:
        path: `tasks.pkl` or the folder it is in; anything else is passed over.

    Raises:
        UsageError: it is one.
        OSError: it cannot be read.
    """
    file = Path(path, NAME) if os.path.isdir(path) else Path(path)
    if not file.is_file():
        return
    with open(file, "rb") as stream:
        if stream.peek(1)[:1] != _PICKLE:
            return
        results, is_cut = _count(stream)
    held = "1 result" if results == 1 else f"{results:,} results"
    raise UsageError(
        f"{str(file)!r} is a Parsl checkpoint of {held}{', and what was to follow is torn' if is_cut else ''}: it is "
        f"unsigned, so that opening it could run anything, and its keys say nothing here; run the script once with "
        f"parslish, which stores the results under keys of its own"
    )


def _count(stream: BinaryIO) -> tuple[int, bool]:
    """How many results there are, and whether the last is torn. Nothing is unpickled: only opcodes are looked at."""
    import pickletools  # here: it imports pickle, which listings are to do without

    results = 0
    while stream.read(1):
        stream.seek(-1, os.SEEK_CUR)
        named = set()
        try:
            for _, argument, _ in pickletools.genops(stream):
                if isinstance(argument, str) and argument in _FIELDS:
                    named.add(argument)
        except Exception:  # pickletools raises whatever bytes that are no pickle make it raise
            return results, True
        results += named == _FIELDS
    return results, False
