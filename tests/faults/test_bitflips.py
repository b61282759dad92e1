"""T2: every bit of a segment flipped, one at a time."""

from __future__ import annotations

import pytest

from tests.faults import plan
from tests.faults.stores import SOAK, Sample, found, sample, seeded, verdict


def samples() -> list[Sample]:
    rng = seeded("bit flips")
    shapes = [(1, True), *[(4, True), (4, False), (8, True), (8, False)] * 2, (7, True)] * SOAK  # 100,000 bits
    return [sample(rng, count, closed=closed, sizes=(0, 9, 40)) for count, closed in shapes]


@pytest.mark.parametrize("one", samples(), ids=lambda one: one.name)
def test_a_flipped_bit_is_noticed_and_costs_one_record_at_most(one: Sample) -> None:
    for bit in range(len(one.content) * 8):
        content = bytearray(one.content)
        content[bit >> 3] ^= 1 << (bit & 7)
        disk = one.damaged(bytes(content))
        values, _ = found(disk, one.stored)
        assert len(values) >= len(one.stored) - 1, f"bit {bit}"
        if one.name.endswith("closed"):
            assert verdict(disk) != "clean", f"bit {bit} is not noticed"
        else:  # the verdict on a torn segment is "torn" in any case; a record that is lost must be told
            assert len(values) == len(one.stored) or verdict(disk) == "corrupt", f"bit {bit}"
    plan.count("T2", len(one.content) * 8)
