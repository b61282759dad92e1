"""What cannot be read, was not signed by us, or was invalidated is not copied, and is told; the rest is copied."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from parslish.care.frames import Reading
from parslish.care.moving import export, import_
from parslish.care.transfer import plan_export, plan_import
from parslish.errors import BadCheckpoint, Untrusted, UsageError
from parslish.store.disk import OS_DISK
from tests.care.moves import ALL, by_key, imported
from tests.care.stores import KEYS, OTHER_KEYS, Writer, body, key, name_of


def test_an_export_of_what_others_have_signed_is_refused_and_says_to_import_it_first(source: Path) -> None:
    with pytest.raises(Untrusted, match=r"import them first \(parslish checkpoint import --key FILE\)") as refused:
        plan_export([source], ALL, OTHER_KEYS)
    assert "--trust" not in str(refused.value)


def test_what_others_have_signed_is_told_and_the_rest_is_copied(source: Path, tmp_path: Path) -> None:
    Writer(OS_DISK, source, run=9, keys=OTHER_KEYS).add({key(7): body("planted"), key(1): body("planted")}).close()
    for transfer in (plan_export([source], ALL, KEYS), plan_import([source], tmp_path / "mine", ALL, OTHER_KEYS, KEYS)):
        assert (transfer.records, [finding.records for finding in transfer.findings]) == (3, [2])
        assert "--trust" not in transfer.advice
    copied = export(plan_export([source], ALL, KEYS), tmp_path / "out", KEYS)
    assert set(by_key(copied.path, KEYS)) == {key(1), key(2), key(3)}


@pytest.mark.parametrize("wrong", ["a link", "open to others", "no segment"])
def test_a_segment_that_cannot_be_read_is_told_and_the_rest_is_copied(source: Path, tmp_path: Path, wrong: str) -> None:
    _, second = sorted(source.glob("*.seg"))
    if wrong == "a link":
        os.rename(second, tmp_path / "elsewhere")
        second.symlink_to(tmp_path / "elsewhere")
    elif wrong == "open to others":
        second.chmod(0o666)
    else:
        second.write_bytes(b"planted" * 100)
    transfer = plan_export([source], ALL, KEYS)
    assert [finding.path for finding in transfer.findings] == [second]
    assert set(by_key(export(transfer, tmp_path / "out", KEYS).path, KEYS)) == {key(1), key(2), key(3), key(4)}


def test_a_store_that_cannot_be_read_is_told_and_the_others_are_copied(source: Path, tmp_path: Path) -> None:
    other = tmp_path / "theirs" / "004" / "checkpoint"
    Writer(OS_DISK, other, run=4).add({key(9): body()}).close()
    other.chmod(0o777)
    transfer = plan_import([other, source], tmp_path / "runinfo", ALL, OTHER_KEYS, KEYS)
    assert (transfer.sources, transfer.records) == ((source,), 3)
    (finding,) = transfer.findings
    assert finding.path == other and "can be written by others" in finding.sentence
    with pytest.raises(BadCheckpoint, match="can be written by others"):
        plan_export([other], ALL, KEYS)
    with pytest.raises(BadCheckpoint, match="can be written by others"):
        plan_export([other, other], ALL, KEYS)


def test_a_file_that_is_no_segment_is_an_error_where_it_was_named(source: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("notes")
    with pytest.raises(BadCheckpoint, match="is not a segment"):
        plan_export([source, tmp_path / "notes.txt"], ALL, KEYS)


def test_what_was_invalidated_in_the_run_folder_is_counted_and_not_taken(source: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "runinfo"
    where = imported(source, run_dir).path
    killer = Writer(OS_DISK, where, run=0, keys=OTHER_KEYS)
    killer.kill([name_of(OS_DISK, key(1), where, OTHER_KEYS), name_of(OS_DISK, key(2), where, OTHER_KEYS)])
    killer.close()
    Writer(OS_DISK, run_dir / "001" / "checkpoint", run=1, keys=OTHER_KEYS).add({key(2): body("mended")}).close()
    transfer = plan_import([source], run_dir, ALL, OTHER_KEYS, KEYS)
    assert (transfer.records, transfer.known, transfer.invalidated) == (0, 2, 1)
    with pytest.raises(UsageError, match=r"invalidated there.*--invalidated"):
        import_(transfer, run_dir, OTHER_KEYS)
    Writer(OS_DISK, source, run=6).add({key(9): body("new")}).close()
    transfer = plan_import([source], run_dir, ALL, OTHER_KEYS, KEYS)
    assert (transfer.records, transfer.known, transfer.invalidated) == (1, 2, 1)
    assert set(by_key(import_(transfer, run_dir, OTHER_KEYS).path, OTHER_KEYS)) == {key(9)}
    transfer = plan_import([source], run_dir, ALL, OTHER_KEYS, KEYS, invalidated=True)
    assert (transfer.records, transfer.known, transfer.invalidated) == (1, 3, 0)
    assert set(by_key(import_(transfer, run_dir, OTHER_KEYS).path, OTHER_KEYS)) == {key(1)}
    again = plan_import([source], run_dir, ALL, OTHER_KEYS, KEYS)
    assert (again.records, again.known, again.invalidated) == (0, 4, 0)


def test_an_invalidation_that_was_taken_back_keeps_nothing_from_being_imported(source: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "runinfo"
    where = run_dir / "000" / "checkpoint"
    writer = Writer(OS_DISK, where, run=0, keys=OTHER_KEYS).kill([name_of(OS_DISK, key(1), source)])
    writer.close()
    assert plan_import([source], run_dir, ALL, OTHER_KEYS, KEYS).invalidated == 1, "named from here, and stored there"
    (tombstone,) = Reading([where], OTHER_KEYS).tombstones
    Writer(OS_DISK, where, run=0, keys=OTHER_KEYS).kill([tombstone.name]).close()
    assert plan_import([source], run_dir, ALL, OTHER_KEYS, KEYS).invalidated == 0
