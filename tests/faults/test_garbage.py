"""T3: runs of garbage, of zeros, of duplicates, bytes taken out, and frames of another segment."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from parslish.store import frame
from tests.faults import plan
from tests.faults.stores import SOAK, Sample, corruption, found, sample, seeded, verdict

CASES = 700 * SOAK
Damage = Callable[[random.Random, Sample, Sample], tuple[bytes, int, int]]


def _stretch(rng: random.Random, one: Sample) -> tuple[int, int]:
    start = rng.randrange(len(one.content))
    return start, min(len(one.content), start + rng.choice((1, 16, 100, 250, 600)))


def garbage(rng: random.Random, one: Sample, other: Sample) -> tuple[bytes, int, int]:
    """Random bytes over a stretch."""
    start, end = _stretch(rng, one)
    return one.content[:start] + rng.randbytes(end - start) + one.content[end:], start, end


def zeros(rng: random.Random, one: Sample, other: Sample) -> tuple[bytes, int, int]:
    """Zeros over a stretch, as a file system gives for blocks that it never wrote."""
    start, end = _stretch(rng, one)
    return one.content[:start] + bytes(end - start) + one.content[end:], start, end


def removed(rng: random.Random, one: Sample, other: Sample) -> tuple[bytes, int, int]:
    """A stretch taken out."""
    start, end = _stretch(rng, one)
    return one.content[:start] + one.content[end:], start, end


def inserted(rng: random.Random, one: Sample, other: Sample) -> tuple[bytes, int, int]:
    """Random bytes put in between."""
    start, end = _stretch(rng, one)
    return one.content[:start] + rng.randbytes(end - start) + one.content[start:], start, start + 1


def foreign(rng: random.Random, one: Sample, other: Sample) -> tuple[bytes, int, int]:
    """A stretch replaced by bytes of another segment, whole frames among them."""
    start, end = _stretch(rng, one)
    at = rng.randrange(len(other.content))
    return one.content[:start] + other.content[at : at + end - start] + one.content[end:], start, end


def _cost(one: Sample, start: int, end: int) -> int:
    """How many records have a byte in the stretch."""
    count, at = 0, frame.SEGMENT_HEADER_BYTES
    while (header := frame.parse(one.content, at)) is not None:
        behind = at + frame.HEADER_BYTES + header.length
        count += header.type == frame.Type.RESULT and start < behind and end > at
        at = behind
    return count


@pytest.mark.parametrize("damage", [garbage, zeros, removed, inserted, foreign], ids=lambda case: case.__name__)
@pytest.mark.parametrize("closed", [True, False], ids=["closed", "torn"])
def test_damage_costs_the_records_it_touches_and_no_other(damage: Damage, closed: bool) -> None:
    rng = seeded(f"{damage.__name__} {closed}")
    one, other = sample(rng, 12, closed=closed), sample(rng, 12, closed=True)
    both = {**one.stored, **other.stored}
    for case in range(CASES):
        content, start, end = damage(rng, one, other)
        disk = one.damaged(content)
        values, _ = found(disk, both)
        assert len(values) >= len(one.stored) - _cost(one, start, end), f"case {case}: bytes {start} to {end}"
        assert not values.keys() & other.stored.keys(), f"case {case}: a frame of another segment was believed"
        if closed and content != one.content:
            assert verdict(disk) != "clean", f"case {case}: bytes {start} to {end}"
    plan.count("T3", CASES)


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "torn"])
def test_a_duplicated_stretch_gives_no_record_twice(closed: bool) -> None:
    rng = seeded(f"duplicates {closed}")
    one = sample(rng, 12, closed=closed)
    for case in range(CASES):
        start, end = _stretch(rng, one)
        disk = one.damaged(one.content[:end] + one.content[start:end] + one.content[end:])
        values, store = found(disk, one.stored)
        assert all(len(list(store.find(key))) <= 1 for key in one.stored), f"case {case}"
        cut_apart = _cost(one, end, end + 1)
        assert len(values) >= len(one.stored) - cut_apart, f"case {case}: bytes {start} to {end}"
    plan.count("T3", CASES)


def test_a_frame_whose_checksums_are_right_is_not_believed_without_a_signature() -> None:
    """Damage that only a hand can do: another body, and all checksums over it anew."""
    one = sample(seeded("made up"), 1, closed=False, sizes=(40,))
    header = frame.parse(one.content, frame.SEGMENT_HEADER_BYTES)
    assert header is not None
    other = b"made up" + bytes(33)
    made_up = frame.pack(lambda signed: header.signature, *header[1:9], frame.digest(other)) + other
    start = frame.SEGMENT_HEADER_BYTES
    disk = one.damaged(one.content[:start] + made_up + one.content[start + len(made_up) :])
    assert not found(disk, one.stored)[0]
    plan.count("T3")


def test_a_segment_inside_a_record_is_a_value_and_nothing_else() -> None:
    rng = seeded("nested")
    inner = sample(rng, 3, closed=True)
    outer = sample(rng, 2, closed=False, sizes=(50,))
    key, body = next(iter(inner.stored.items()))
    # The frame before the embedded segment is damaged, so the search for the next one meets its frames.
    damaged = outer.content[:100] + b"\x00" + outer.content[101:] + inner.content
    values, _ = found(outer.damaged(damaged), {key: body})
    assert not values


def test_a_folder_of_nothing_but_damage_opens() -> None:
    rng = seeded("hopeless")
    one = sample(rng, 3, closed=True)
    for content in (b"", b"\x00" * 5000, rng.randbytes(5000), b"not a segment", one.content[:30]):
        values, store = found(one.damaged(content), one.stored)
        assert not values
        assert len(store) == 0
        assert len(store.report.findings) == 1
    assert not corruption(found(one.damaged(b""), one.stored)[1])
