"""Owns the two bodies that the store itself understands, both msgpack: tombstones and bases.

Only read from frames whose signature held; yet what is not of the right shape is passed over, since whoever has signed
it may have been led to. All other bodies belong to the layers above.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgpack

from parslish.store import frame

Name = tuple[bytes, int]  # of a frame: its writer and its sequence number


def tombstone(kills: Iterable[Name], facts: dict[str, Any] | None = None) -> bytes:
    """The body of a tombstone.

    Args:
        kills: the frames that no longer count, by writer and sequence number; naming a tombstone undoes it.
        facts: what else is to be kept with it (reason, user, time), as msgpack can carry it.
    """
    return _pack({**(facts or {}), "kills": [[writer, seq] for writer, seq in kills]})


def tombstone_facts(body: bytes) -> dict[str, Any]:
    """What a tombstone says, "kills" included; empty when it says nothing that can be read."""
    content = _unpack(body)
    return content if isinstance(content, dict) else {}


def kills(body: bytes) -> list[Name]:
    """The frames that a tombstone names."""
    named = tombstone_facts(body).get("kills")
    return [tuple(each) for each in named if _is_name(each)] if isinstance(named, list) else []


def bases(folder: Path, base: Path) -> bytes:
    """The body that says: the store in `folder` builds upon the one in `base`.

    The path from folder to folder comes first, so that both can be moved together.
    """
    absolute = os.path.abspath(base)
    relative = os.path.relpath(absolute, os.path.abspath(folder))
    return _pack([[os.fsencode(relative), os.fsencode(absolute)]])


def base_paths(body: bytes, folder: Path) -> list[tuple[Path, Path]]:
    """For each base that a body names, where it may be: seen from `folder`, and where it was."""
    content = _unpack(body)
    pairs = filter(_is_pair_of_paths, content) if isinstance(content, list) else ()
    # Resolved: in a chain of stores, each seen from the one before, paths would grow until no system takes them.
    return [
        (Path(os.path.realpath(folder / os.fsdecode(relative))), Path(os.fsdecode(absolute)))
        for relative, absolute in pairs
    ]


def _is_name(each: Any) -> bool:
    match each:
        case [bytes() as writer, int() as seq]:
            return len(writer) == frame.WRITER_BYTES and seq >= 0
    return False


def _is_pair_of_paths(each: Any) -> bool:
    match each:
        case [bytes() as relative, bytes() as absolute]:
            return b"\0" not in relative + absolute
    return False


def _pack(content: Any) -> bytes:
    packed: bytes = msgpack.packb(content)
    return packed


def _unpack(body: bytes) -> Any:
    """What a body holds; None when it is no msgpack."""
    try:
        return msgpack.unpackb(body, strict_map_key=False)
    except (ValueError, TypeError, OverflowError):
        return None
