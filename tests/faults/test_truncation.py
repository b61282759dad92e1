"""T1: a segment cut off anywhere."""

from __future__ import annotations

import pytest

from parslish.store import frame
from tests.faults import plan
from tests.faults.stores import SOAK, Sample, corruption, found, sample, seeded, verdict

SIZES = (0, 1, 40, 90, 1500)


def samples() -> list[Sample]:
    rng = seeded("truncation")
    return [sample(rng, count, closed=closed, sizes=SIZES) for count in (1, 7, 12) * SOAK for closed in (True, False)]


def _ends(one: Sample) -> list[int]:
    """Where the frames end that hold the records, in the order they were written."""
    ends, at = [], frame.SEGMENT_HEADER_BYTES
    while (header := frame.parse(one.content, at)) is not None:
        at += frame.HEADER_BYTES + header.length
        if header.type == frame.Type.RESULT:
            ends.append(at)
    return ends


@pytest.mark.parametrize("one", samples(), ids=lambda one: one.name)
def test_a_cut_at_any_byte_costs_what_is_behind_it_and_no_more(one: Sample) -> None:
    ends = _ends(one)
    assert len(ends) == len(one.stored)
    for length in range(len(one.content)):
        disk = one.damaged(one.content[:length])
        values, store = found(disk, one.stored)
        assert len(values) == sum(end <= length for end in ends), f"cut at byte {length}"
        assert not corruption(store), f"cut at byte {length}: a torn end is silent"
        assert verdict(disk) == "torn", f"cut at byte {length}"
    plan.count("T1", len(one.content))


def test_a_synced_record_that_is_missing_before_a_later_one_is_reported() -> None:
    one = sample(seeded("missing"), 7, closed=False)
    first, *_, last = _ends(one)
    disk = one.damaged(one.content[:first] + one.content[last:])
    values, store = found(disk, one.stored)
    assert len(values) == 1
    assert len(corruption(store)) == 1
    assert "6 records that had been synced cannot be read" in corruption(store)[0]
    assert verdict(disk) == "corrupt"
