from __future__ import annotations

import pytest

from parslish.store import index
from parslish.store.index import Table
from tests.faults.stores import seeded


def _table(places: dict[bytes, list[int]]) -> Table:
    return Table.build([index.entry(key, place) for key, found in places.items() for place in found])


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 1000, 70_000])
def test_every_key_is_found_and_no_other(count: int) -> None:
    rng = seeded(f"index {count}")
    places = {rng.randbytes(32): [rng.randrange(1 << 40)] for _ in range(count)}
    table = _table(places)
    assert len(table) == count
    assert all(table.find(key) == found for key, found in places.items())
    assert not any(table.find(rng.randbytes(32)) for _ in range(100))
    assert dict(table.entries()) == {key: found[0] for key, found in places.items()}


def test_keys_that_are_not_spread_are_found_as_well() -> None:
    places = {number.to_bytes(32, "big"): [number] for number in range(5000)}
    table = _table(places)
    assert all(table.find(key) == found for key, found in places.items())


def test_all_places_of_a_key_come_rising() -> None:
    assert _table({b"k" * 32: [9, 2, 1 << 33], b"l" * 32: [3]}).find(b"k" * 32) == [2, 9, 1 << 33]


def test_bytes_across_two_entries_are_not_a_key() -> None:
    first, second = b"\x07" * 32, b"\x09" * 32
    table = _table({first: [0], second: [0]})
    across = (index.entry(first, 0) + index.entry(second, 0))[20:52]
    assert not table.find(across)
    assert table.find(first) == [0]


@pytest.mark.parametrize("count", [0, 3, 5000])
def test_a_packed_table_comes_back(count: int) -> None:
    rng = seeded(f"packed {count}")
    places = {rng.randbytes(32): [rng.randrange(1 << 40)] for _ in range(count)}
    body = _table(places).pack([5, 1 << 50])
    content = index.unpack(body)
    assert content is not None
    table, specials = content
    assert specials == [5, 1 << 50]
    assert all(table.find(key) == found for key, found in places.items())


def test_a_body_that_contradicts_itself_is_refused() -> None:
    body = _table({b"k" * 32: [1]}).pack([2])
    assert index.unpack(b"") is None
    assert index.unpack(body[:-1]) is None
    assert index.unpack(body + b"x") is None
    assert index.unpack(body[:12] + b"\xff\xff\xff\xff" + body[16:]) is None
