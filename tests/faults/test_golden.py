"""T19: stores that earlier versions wrote are read as they were written.

A store of each version is kept in `tests/data/`, signed with the key 00 01 … 1f: `base` and `closed` were closed,
the second builds upon the first; `torn` was killed, and cut within its last record.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from parslish.store.check import check
from parslish.store.frame import Type
from parslish.store.reader import Store, read_frames
from parslish.store.report import Kind
from tests.faults.stores import KEYS

DATA = Path(__file__).resolve().parents[1] / "data"
VERSIONS = ["store-1"]


@pytest.fixture(params=VERSIONS)
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return copy_of(request.param, tmp_path)


def copy_of(version: str, folder: Path) -> Path:
    """A copy that belongs to its user alone, whatever a checkout made of its modes."""
    copy = folder / version
    shutil.copytree(DATA / version, copy)
    for path in copy.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    return copy


def values(*folders: Path) -> dict[int, list[str]]:
    store = Store.open(folders, KEYS)
    assert not store.report.warnings
    return {n: [record.body.decode() for record in store.find(bytes([n]) * 32)] for n in range(12)}


def test_a_golden_store_gives_what_was_stored_in_it(golden: Path) -> None:
    assert values(golden / "closed", golden / "torn") == {
        **{n: [f"run 1, result {n}"] for n in range(3)},
        3: ["run 2, result 3", "run 1, result 3"],
        4: ["run 1, result 4"],  # that of run 2 has a tombstone
        **{n: [f"run 2, result {n}"] for n in range(5, 8)},
        **{n: [f"run 3, result {n}"] for n in range(8, 11)},
        11: [],
    }


def test_a_golden_store_has_its_events(golden: Path) -> None:
    assert [one.body for one in read_frames(golden / "closed", KEYS, types=[Type.EVENT])] == [b"event of run 2"]


def test_a_golden_store_has_its_verdict(golden: Path) -> None:
    assert {part: check(golden / part).state for part in ("base", "closed", "torn")} == {
        "base": "clean",
        "closed": "clean",
        "torn": "torn",
    }
    torn = Store.open([golden / "torn"], KEYS).report.of(Kind.TORN)
    assert [finding.sentence for finding in torn] == ["not closed; 3 records readable"]
