"""A stored result's facts are read without opening its value."""

from __future__ import annotations

import concurrent.futures
import contextlib
import random

import msgpack
import pytest

from parslish import codec
from parslish.result import EXCEPTION, VALUE, StoredResult


@pytest.mark.parametrize("size", [0, 1, 500, 5_000_000])
def test_what_is_packed_is_unpacked(size: int) -> None:
    encoded = codec.encode(b"x" * size)
    stored = StoredResult(VALUE, "app", 7, 1.5, 0.25, (("/tmp/out", 3, 4),), encoded)
    found = StoredResult.unpack(stored.pack())
    assert (found.kind, found.app, found.task_id, found.completed, found.duration) == (VALUE, "app", 7, 1.5, 0.25)
    assert list(found.outputs) == [("/tmp/out", 3, 4)]
    assert codec.decode(found.encoded) == b"x" * size


def test_a_large_value_is_not_copied_on_the_way_out() -> None:
    encoded = codec.encode(b"x" * 5_000_000)
    found = StoredResult.unpack(StoredResult(VALUE, "app", 7, 1.5, 0.25, (), encoded).pack()).encoded
    assert isinstance(found, memoryview)
    assert found == encoded


def test_facts_longer_than_usual_are_read_too() -> None:
    outputs = tuple((f"/folder/{i}" * 10, i, i) for i in range(100))
    stored = StoredResult(EXCEPTION, "a" * 300, 1, 0.0, 0.0, outputs, b"value")
    found = StoredResult.unpack(stored.pack())
    assert (found.kind, found.app, tuple(found.outputs), found.encoded) == (EXCEPTION, "a" * 300, outputs, b"value")


@pytest.mark.parametrize("body", [msgpack.packb([2, 0, "newer"]), msgpack.packb({"a": 1}), msgpack.packb([])])
def test_another_version_or_no_result_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="version 1"):
        StoredResult.unpack(body)


def test_what_a_body_was_damaged_by_has_no_part_in_the_next() -> None:
    """Bodies of all kinds, sound and cut short, read one after the other by several threads, in an order of chance."""
    sound = [
        StoredResult(VALUE, "a" * size, size, 0.5, 0.25, [(f"/out/{i}", i, i) for i in range(files)], b"\x80" * size)
        for size in (1, 100, 600, 70_000)
        for files in (0, 3, 60, 600)
    ]
    packed = [each.pack() for each in sound]

    def read(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(300):
            which = chance.randrange(len(sound))
            if chance.random() < 0.5:
                cut = packed[which][: chance.randrange(60)]
                with contextlib.suppress(ValueError):  # it may be whole, but for its value
                    StoredResult.unpack(chance.choice([cut, b"\xc1" + cut, b"\x93" + cut, b"\x01" + cut]))
            assert StoredResult.unpack(packed[which]) == sound[which], (seed, which)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(read, range(20)))
