from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgpack
import pytest

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
    assert relative == Path("/moved/001/checkpoint"), "resolved, so that in a chain of stores it does not grow"
    assert absolute == Path("/runs/001/checkpoint")


def test_a_folder_with_undecodable_bytes_in_its_name_can_be_a_base() -> None:
    name = os.fsdecode(b"/runs/\xff\xfe")
    ((_, absolute),) = bodies.base_paths(bodies.bases(Path("/runs/a"), Path(name)), Path("/runs/a"))
    assert str(absolute) == name


NONSENSE: list[Any] = [
    None,
    5,
    "text",
    {"kills": 5},
    {"kills": {"writer-1": 4}},
    {
        "kills": [
            4,
            [b"writer-1"],
            [b"writer-1", 4, 4],
            ["writer-1", 4],
            [b"writer", 4],
            [b"writer-1", -1],
            [4, b"writer-1"],
        ]
    },
    [5, b"abc", [b"one"], ["a", "b"], [b"nul\0", b"/b"], [1, 2], [[b"a"], b"b"]],
]


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x91", b"\x81\x90\x00", *map(msgpack.packb, NONSENSE)])
def test_what_is_neither_tombstone_nor_base_says_nothing(body: bytes) -> None:
    assert bodies.kills(body) == bodies.base_paths(body, Path("/runs/a")) == []
    assert isinstance(bodies.tombstone_facts(body), dict)


def test_of_a_tombstone_that_is_half_nonsense_the_other_half_counts() -> None:
    assert bodies.kills(msgpack.packb({"kills": [7, [b"writer-1", 4]]})) == [(b"writer-1", 4)]
