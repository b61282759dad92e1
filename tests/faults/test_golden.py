"""T19: stores that earlier versions wrote are read as they were written.

A store of each version is kept in `tests/data/`, signed with the key 00 01 … 1f: `base` and `closed` were closed,
the second builds upon the first; `torn` was killed, and cut within its last record. `run` is what a script leaves:
results that were returned and raised, a large one, an invalidation, and a record with each kind of event.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from parslish import codec
from parslish.history import event
from parslish.history.record import RunRecord
from parslish.result import EXCEPTION, VALUE, StoredResult
from parslish.store import blobs, bodies
from parslish.store.check import check
from parslish.store.frame import Type
from parslish.store.reader import Record, Store, read_frames
from parslish.store.report import Kind
from tests.data import make_store
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
    parts = ("base", "closed", "torn", "run/checkpoint", "run/events")
    assert {part: check(golden / part).state for part in parts} == {**dict.fromkeys(parts, "clean"), "torn": "torn"}
    torn = Store.open([golden / "torn"], KEYS).report.of(Kind.TORN)
    assert [finding.sentence for finding in torn] == ["not closed; 3 records readable"]


# ------------------------------------------------------------------------------- what is in the bodies


def stored(golden: Path) -> list[tuple[Record, StoredResult]]:
    """The results of the run, in the order in which they were stored."""
    frames = read_frames(golden / "run" / "checkpoint", KEYS, types=[Type.RESULT])
    return [(record, StoredResult.unpack(record.body)) for record in frames]


def test_the_facts_and_values_of_results_are_those_that_were_stored(golden: Path) -> None:
    found = stored(golden)
    facts = [(each.kind, each.app, each.task_id, each.completed, each.duration, each.outputs) for _, each in found]
    done = make_store.COMPLETED, 0.5
    assert facts == [
        (VALUE, "relax", 0, *done, list(make_store.OUTPUTS)),
        (EXCEPTION, "scf", 1, *done, []),
        (VALUE, "relax", 2, *done, []),
        (VALUE, "scf", 3, *done, []),
        (VALUE, "scf", 4, *done, []),
    ]
    small, failure, large, dilled, wrong = (codec.decode(each.encoded, record.folder) for record, each in found)
    assert (small, large, dilled, wrong) == (make_store.SMALL, make_store.LARGE, make_store.DILLED, "wrong")
    assert (type(failure), failure.args) == (ValueError, make_store.FAILURE.args)


def test_a_large_value_is_in_a_blob_of_several_sections(golden: Path) -> None:
    (reference,) = [one for _, each in stored(golden) if (one := blobs.reference_in(each.encoded))]
    assert len(reference.sizes) == 3
    assert sorted(reference.sizes[1:]) == sorted(len(make_store.LARGE[each]) for each in ("left", "right"))
    path = blobs.path_of(golden / "run" / "checkpoint", reference.digest)
    assert [path] == list((golden / "run" / "checkpoint").glob("*.blob"))
    assert path.stat().st_size == reference.size


def test_an_invalidation_counts_and_says_what_was_said(golden: Path) -> None:
    where = golden / "run" / "checkpoint"
    assert [len(list(Store.open([where], KEYS).find(bytes([n]) * 32))) for n in range(6)] == [1, 1, 1, 1, 0, 0]
    (tombstone,) = read_frames(where, KEYS, types=[Type.TOMBSTONE])
    wrong, _ = stored(golden)[4]
    assert bodies.kills(tombstone.body) == [wrong.name]
    facts = bodies.tombstone_facts(tombstone.body)
    assert {name: facts[name] for name in make_store.TOMBSTONE} == make_store.TOMBSTONE


def test_each_kind_of_event_says_what_it_said(golden: Path) -> None:
    (group,) = read_frames(golden / "run" / "events", KEYS, types=[Type.EVENT])
    assert list(event.unpack(group.body)) == make_store.EVENTS
    assert {each["kind"] for each in make_store.EVENTS} >= set(list(event.Kind)[:15])


def test_a_golden_run_can_be_asked(golden: Path) -> None:
    record = RunRecord(golden / "run", KEYS)
    assert [(task.path, task.status) for task in record] == [
        ("-/scan[2]/relax[Si]", "done"),
        ("-/scan[2]/relax[Si]/relax[1]", "failed"),
        ("-/relax[2]", "reused"),
    ]
    assert (record.status, record.started, [mark.what for mark in record.marks]) == ("failed", 1.5, ["restart"])


def test_what_is_written_today_has_the_form_that_was_written_then(tmp_path: Path) -> None:
    """A form is changed on purpose: with a version of its own, a golden store of the new one, and the page."""
    golden = copy_of(VERSIONS[-1], tmp_path)
    for record, each in stored(golden):
        assert each.pack() == record.body
        reference = blobs.reference_in(each.encoded)
        assert reference is None or reference.pack() == each.encoded
    (group,) = read_frames(golden / "run" / "events", KEYS, types=[Type.EVENT])
    assert event.pack(make_store.rows()) == group.body
    (tombstone,) = read_frames(golden / "run" / "checkpoint", KEYS, types=[Type.TOMBSTONE])
    assert bodies.tombstone(bodies.kills(tombstone.body), make_store.TOMBSTONE) == tombstone.body
    (base,) = read_frames(golden / "closed", KEYS, types=[Type.BASES])
    assert bodies.bases(make_store.ROOT / "closed", make_store.ROOT / "base") == base.body
