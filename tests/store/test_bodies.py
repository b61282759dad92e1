from __future__ import annotations

import os
from pathlib import Path

from parslish.store import bodies


def test_a_tombstone_names_its_frames_and_keeps_the_facts() -> None:
    body = bodies.tombstone([(b"writer-1", 4), (b"writer-2", 1 << 40)], {"reason": "wrong basis", "user": "ada"})
    assert bodies.kills(body) == [(b"writer-1", 4), (b"writer-2", 1 << 40)]
    assert bodies.tombstone_facts(body)["reason"] == "wrong basis"


def test_facts_cannot_change_what_is_killed() -> None:
    assert bodies.kills(bodies.tombstone([(b"w" * 8, 1)], {"kills": []})) == [(b"w" * 8, 1)]


def test_a_base_is_named_from_the_folder_and_absolutely() -> None:
    body = bodies.bases(Path("/runs/002/checkpoint"), Path("/runs/001/checkpoint"))
    ((relative, absolute),) = bodies.base_paths(body, Path("/moved/002/checkpoint"))
    assert os.path.normpath(relative) == "/moved/001/checkpoint"
    assert absolute == Path("/runs/001/checkpoint")


def test_a_folder_with_undecodable_bytes_in_its_name_can_be_a_base() -> None:
    name = os.fsdecode(b"/runs/\xff\xfe")
    ((_, absolute),) = bodies.base_paths(bodies.bases(Path("/runs/a"), Path(name)), Path("/runs/a"))
    assert str(absolute) == name
