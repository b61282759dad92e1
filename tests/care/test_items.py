"""What a listing knows of results and stores, without opening any."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import parslish
from parslish.care import compact
from parslish.care.items import items, stores
from parslish.cli import main
from parslish.errors import BadCheckpoint
from parslish.result import EXCEPTION, StoredResult
from parslish.store import frame
from parslish.store.disk import OS_DISK
from parslish.store.reader import Store
from parslish.store.report import Kind, Report
from tests.care.stores import (
    BASE,
    FOLDER,
    KEYS,
    NOW,
    OTHER_KEYS,
    Writer,
    body,
    files,
    key,
    large,
    rich,
)
from tests.faults.disk import MemoryDisk


def test_an_item_has_the_facts_of_its_record() -> None:
    disk = MemoryDisk()
    failed = StoredResult(EXCEPTION, "fails", 9, NOW + 1, 2.5, (), b"\x80...").pack()
    contents = {key(1): body("relax", task=8), key(2): failed, key(3): large(FOLDER, disk, b"12345")}
    Writer(disk).add(contents).close()
    one, other, third = items([FOLDER], KEYS, disk=disk)
    assert (one.key, one.app, one.task_id, one.completed, one.duration) == (key(1), "relax", 8, NOW, 0.5)
    assert (one.kind, one.size_bytes, one.run_number, one.seq, one.live) == ("value", len(contents[key(1)]), 3, 0, True)
    assert (one.offset, one.segment.parent, one.blob) == (64, FOLDER, None)
    assert (other.kind, other.seq, other.writer) == ("exception", 1, one.writer)
    assert third.blob is not None
    assert third.size_bytes == len(contents[key(3)]) + 5


def test_what_counts_is_what_a_script_would_find() -> None:
    disk, keys = rich()
    for folders in ([FOLDER], [BASE], [FOLDER, BASE]):
        found = [item for item in items(folders, KEYS, disk=disk) if item.live]
        expected = {each: name_of_or_none(disk, each, folders) for each in keys}
        assert {item.key: item.name for item in found} == {each: name for each, name in expected.items() if name}
        assert len({item.key for item in found}) == len(found)


def name_of_or_none(disk: MemoryDisk, wanted: bytes, folders: list[Path]) -> object:
    # Without the bases, which `items` reads only when it is told to.
    found = Store.open(folders, KEYS, disk=disk).find(wanted)
    return next((record.name for record in found if record.folder in folders), None)


def test_bases_are_read_when_asked_for() -> None:
    disk, _ = rich()
    alone = {item.key for item in items([FOLDER], KEYS, disk=disk)}
    assert {item.key for item in items([FOLDER], KEYS, bases=True, disk=disk)} - alone == {key(60)}


def test_a_damaged_record_is_passed_over_and_the_one_below_it_counts() -> None:
    disk = MemoryDisk()
    Writer(disk).add({key(1): body(text=b"older")}).close()
    Writer(disk, run=4).add({key(1): body(text=b"newer"), key(2): body()}).close()
    spoilt = next(file for file in disk.files.values() if b"newer" in file.content)
    spoilt.content[spoilt.content.index(b"newer")] ^= 1
    report = Report()
    found = list(items([FOLDER], KEYS, report=report, disk=disk))
    assert {(item.key, item.run_number, item.live) for item in found} == {(key(1), 3, True), (key(2), 4, True)}
    assert [finding.kind for finding in report.warnings] == [Kind.CORRUPT]


def test_what_others_signed_is_not_listed_unless_anybody_counts() -> None:
    disk = MemoryDisk()
    Writer(disk, keys=OTHER_KEYS).add({key(1): body()}).close()
    report = Report()
    assert list(items([FOLDER], KEYS, report=report, disk=disk)) == []
    assert [finding.kind for finding in report.findings] == [Kind.UNTRUSTED]
    assert [item.key for item in items([FOLDER], None, disk=disk)] == [key(1)]


def test_a_record_that_only_claims_to_be_ours_is_passed_over() -> None:
    disk = MemoryDisk()
    Writer(disk).add({key(1): body(text=b"forged"), key(2): body()}).close()
    (segment,) = (file for file in disk.files.values())
    forged = frame.parse(bytes(segment.content), 64)
    assert forged is not None
    content = segment.content[176 : 176 + forged.length]
    header = frame.pack(
        frame.signer(OTHER_KEYS.signing), forged.type, 0, forged.run, forged.writer, forged.length, forged.seq,
        forged.watermark, forged.key, frame.digest(bytes(content)),
    )  # fmt: skip
    segment.content[64:176] = header
    report = Report()
    assert [item.key for item in items([FOLDER], KEYS, report=report, disk=disk)] == [key(2)]
    assert [finding.kind for finding in report.findings] == [Kind.UNTRUSTED]
    assert compact.plan([FOLDER], KEYS, disk=disk).stores[0].old == ()
    assert "not ours" in next(iter(compact.plan([FOLDER], KEYS, force=True, disk=disk).stores[0].left.values()))


@pytest.mark.parametrize("hostile", [b"", b"\xc1", b"\x97\x01\x00\x01\x02\x03\x04\x90", b"\x92\x01", b"\x80\x04."])
def test_a_body_that_is_no_result_is_passed_over_and_told(hostile: bytes) -> None:
    disk = MemoryDisk()
    Writer(disk).add({key(1): hostile, key(2): body()}).close()
    report = Report()
    assert [item.key for item in items([FOLDER], KEYS, report=report, disk=disk)] == [key(2)]
    assert [finding.kind for finding in report.findings] == [Kind.NEWER]


def test_a_path_that_is_not_there_is_an_error() -> None:
    with pytest.raises(BadCheckpoint, match="no such file"):
        items([Path("/nowhere")], KEYS, disk=MemoryDisk())


def test_a_segment_that_is_replaced_while_the_folder_is_read_costs_nothing() -> None:
    disk = MemoryDisk()
    Writer(disk).add({key(1): body()}).close()
    Writer(disk).add({key(2): body()}).close()
    last = FOLDER / files(disk, ".seg")[-1]
    replaced: list[Path] = []

    def replace(call: str) -> None:
        if call == "open" and not replaced:
            replaced.append(last)
            Writer(disk).add({key(2): body()}).close()
            disk.unlink(last)

    disk.before = replace
    report = Report()
    assert {item.key for item in items([FOLDER], KEYS, report=report, disk=disk)} == {key(1), key(2)}
    assert replaced and report.findings == []


def test_stores_are_listed_with_what_their_cards_say(tmp_path: Path) -> None:
    for number in (0, 1, 10):
        where = tmp_path / f"{number:03}" / "checkpoint"
        Writer(OS_DISK, where, run=number).add({key(n): body() for n in range(number + 1)}).close()
    Writer(OS_DISK, tmp_path / "001" / "checkpoint", run=1).add(
        {key(9): large(tmp_path / "001" / "checkpoint", OS_DISK)}
    ).leave()
    facts = {"started": 5.5, "ended": "completed", "parent": "/x/000", "pid": 1, "host": "elsewhere"}
    (tmp_path / "010" / "run.json").write_text(json.dumps(facts))
    (tmp_path / "001" / "run.json").write_text(json.dumps({"started": "yesterday", "ended": 7}))
    (tmp_path / "002").mkdir()
    one, two, ten = stores(tmp_path)
    assert (one.run, one.path, one.segments, one.records) == ("000", tmp_path / "000" / "checkpoint", 1, 1)
    assert (one.started, one.ended, one.parent, one.alive) == (None, None, None, False)
    assert (two.started, two.ended, two.segments, two.records, two.alive) == (None, None, 2, 3, True)
    assert two.size_bytes == sum(each.stat().st_size for each in two.path.iterdir())
    assert (ten.run, ten.started, ten.ended, ten.parent, ten.records) == ("010", 5.5, "completed", "/x/000", 11)
    assert stores(tmp_path / "nowhere") == []


def test_what_a_kill_left_of_a_large_value_counts_for_the_size_of_a_store(
    capsys: pytest.CaptureFixture[str],
) -> None:
    where = Path("runinfo/000/checkpoint")
    Writer(OS_DISK, where, run=0).add({key(1): body()}).close()
    (where / "0123.unfinished").write_bytes(bytes(5_000))
    (where / "notes.txt").write_bytes(bytes(300))
    whole = 5_000 + sum(each.stat().st_size for each in where.glob("*.seg"))
    assert main(["checkpoint", "ls", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["size_bytes"] == stores("runinfo")[0].size_bytes == whole


def test_looking_after_stores_imports_nothing_that_unpickles(tmp_path: Path) -> None:
    where = tmp_path / "000" / "checkpoint"
    Writer(OS_DISK, where, run=0).add({key(1): body()}).close()
    Writer(OS_DISK, where, run=1).add({key(1): body()}).close()
    code = f"""
import sys
from pathlib import Path
from parslish.care import compact, items, prune, rewrite, selection
from parslish.secret import Keys
keys, where = Keys([bytes(range(32))]), Path({str(where)!r})
assert len(list(items.items([where], keys))) == 2
items.stores(where.parent.parent)
prune.plan([where], selection.Filter(apps=("relax",)), keys)
rewrite.carry_out(compact.plan([where], keys))
print(sorted({{"pickle", "_pickle", "dill", "cloudpickle", "parslish.codec"}} & set(sys.modules)))
"""
    root = str(Path(parslish.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": root}, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "[]\n", done.stderr
    assert len(list(where.glob("*.seg"))) == 1
