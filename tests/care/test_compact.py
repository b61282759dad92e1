"""Compacting keeps what counts and lets the rest go; a second time there is nothing to do."""

from __future__ import annotations

import errno
import gc
import random
from pathlib import Path
from typing import Any

import pytest

from parslish.care import compact, rewrite
from parslish.care.frames import Frame, Reading
from parslish.care.plan import StorePlan
from parslish.care.rewrite import carry_out
from parslish.care.writing import Written, write_segment
from parslish.errors import StoreError
from parslish.secret import Keys
from parslish.store import blobs, bodies
from parslish.store.disk import OS_DISK, Disk
from parslish.store.frame import Type
from parslish.store.reader import Store
from parslish.store.report import Kind
from tests.care.stores import (
    BASE,
    FOLDER,
    FOREIGN,
    KEYS,
    NEWER_KEYS,
    OTHER_KEYS,
    SOAK,
    Writer,
    body,
    copied,
    files,
    key,
    large,
    live,
    name_of,
    rich,
    seeded,
    state,
    tombstone_of,
    with_version,
)
from tests.faults.disk import FailingCalls, MemoryDisk

BOTH_KEYS = Keys([KEYS.signing, OTHER_KEYS.signing])


def compacted(disk: Disk, folder: Path = FOLDER, keys: Keys = KEYS, *, force: bool = False) -> StorePlan:
    plan = compact.plan([folder], keys, force=force, disk=disk)
    carry_out(plan)
    return plan.stores[0]


def frames(disk: Disk, type: int, folder: Path = FOLDER) -> list[bytes]:
    reading = Reading([folder], KEYS, disk=disk)
    return [one.body for part in reading.in_order() for one in reading.frames(part) if one.header.type == type]


def test_what_counts_is_what_counted_and_all_else_is_gone() -> None:
    disk, keys = rich()
    before, notes = live(disk, keys), files(disk, ".txt")
    plan = compacted(disk)
    assert live(disk, keys) == before
    assert state(disk) == "clean"
    assert len(files(disk, ".seg")) == 4, "one for each run number"
    assert len(files(disk, ".blob")) == 1, "of the one large value that counts"
    assert files(disk, blobs.UNFINISHED) == []
    assert files(disk, ".txt") == notes, "what is not ours is not touched"
    assert len(frames(disk, Type.RESULT)) == plan.records_after == len(before) - 1  # one of them is in the base
    assert (plan.superseded, plan.killed, plan.chosen) == (3, 1, 0)
    assert plan.records - plan.records_after == 4
    assert frames(disk, Type.EVENT) == [b"an event"]
    assert frames(disk, 200) == [b"what only newer versions know"]
    assert len(frames(disk, Type.BASES)) == 1


def test_no_descriptor_stays_open() -> None:
    disk, _ = rich()
    gc.collect()
    before = disk.open_descriptors
    compacted(disk)
    gc.collect()
    assert disk.open_descriptors == before


def test_a_second_time_there_is_nothing_to_do() -> None:
    disk, _ = rich()
    compacted(disk)
    contents = disk.contents()
    plan = compact.plan([FOLDER], KEYS, disk=disk)
    assert plan.is_empty
    carry_out(plan)
    assert disk.contents() == contents


@pytest.mark.parametrize("more", [0, 300])
def test_the_plan_tells_the_sizes_and_changes_nothing(more: int) -> None:
    disk, _ = rich()
    Writer(disk).add({key(1000 + n): body(text=bytes(200)) for n in range(more)}).close()
    contents = disk.contents()
    plan = compact.plan([FOLDER], KEYS, disk=disk).stores[0]
    assert disk.contents() == contents
    assert plan.size_bytes == _size(disk)
    compacted(disk)
    assert plan.size_bytes_after == _size(disk)


def _size(disk: MemoryDisk) -> int:
    ours = [path for suffix in (".seg", ".blob", blobs.UNFINISHED) for path in files(disk, suffix)]
    return sum(len(disk.contents()[f"{FOLDER}/{name}"]) for name in ours)


def test_tombstones_keep_naming_what_is_elsewhere_and_nothing_that_is_gone() -> None:
    disk, _ = rich()
    compacted(disk)
    (tombstone,) = frames(disk, Type.TOMBSTONE)
    assert bodies.kills(tombstone) == [FOREIGN]
    assert bodies.tombstone_facts(tombstone)["reason"] == "wrong basis"


def test_a_store_of_one_clean_segment_is_left_as_it_is() -> None:
    disk = MemoryDisk()
    Writer(disk).add({key(n): body() for n in range(3)}).close()
    assert compact.plan([FOLDER], KEYS, disk=disk).is_empty


def test_a_store_that_holds_nothing_that_counts_ends_without_segments() -> None:
    disk = MemoryDisk()
    Writer(disk).add({key(1): body()}).close()
    Writer(disk).kill([name_of(disk, key(1))]).close()
    compacted(disk)
    assert files(disk, ".seg") == []


def test_everything_is_signed_with_the_first_key_so_the_older_one_can_go() -> None:
    disk, keys = rich()
    before = live(disk, keys)
    compacted(disk, keys=NEWER_KEYS)
    compacted(disk, BASE, keys=NEWER_KEYS)
    assert live(disk, keys, keys=Keys([NEWER_KEYS.signing])) == before
    assert compact.plan([FOLDER, BASE], NEWER_KEYS, disk=disk).is_empty


def test_segments_that_are_not_signed_with_our_keys_are_left_alone_with_all_blobs() -> None:
    disk, _ = rich()
    Writer(disk, keys=OTHER_KEYS).add({key(70): large(FOLDER, disk, b"theirs")}).close()
    (theirs,) = Reading([FOLDER], OTHER_KEYS, disk=disk).segments
    content, large_values = disk.contents()[str(theirs.path)], files(disk, ".blob")
    plan = compacted(disk)
    assert "not ours" in plan.left[theirs.path]
    assert disk.contents()[str(theirs.path)] == content
    assert files(disk, ".blob") == large_values, "who knows which of them are theirs"


@pytest.mark.parametrize("force", [False, True])
def test_damaged_segments_are_left_alone_unless_forced(force: bool) -> None:
    disk, keys = rich()
    before = live(disk, keys)
    damaged = next(path for path, content in disk.contents().items() if b"first 4" in content)
    content = disk.files[damaged].content
    at = content.index(b"first 4")
    content[at] ^= 1
    plan = compacted(disk, force=force)
    del before[key(4)]
    if force:
        assert live(disk, keys) == before
        assert state(disk) == "clean"
        assert compact.plan([FOLDER], KEYS, disk=disk).is_empty
    else:
        assert "damaged" in plan.left[Path(damaged)]
        assert disk.contents()[damaged] == bytes(content)
        assert {path: sentence for path, sentence in plan.left.items() if "tombstone" in sentence} == {}


def test_a_record_that_a_tombstone_of_another_run_names_keeps_its_name(tmp_path: Path) -> None:
    first, second = (tmp_path / run / "checkpoint" for run in ("000", "001"))
    Writer(OS_DISK, first, run=0).add({key(1): body(text=b"wrong"), key(2): body()}).close()
    Writer(OS_DISK, first, run=0).add({key(3): body(text=b"old")}).close()
    Writer(OS_DISK, first, run=0).add({key(3): body(text=b"new")}).close()
    killed = name_of(OS_DISK, key(1), first)
    Writer(OS_DISK, second, run=1).kill([killed]).close()
    before = live(OS_DISK, [key(1), key(2), key(3)], first), live(OS_DISK, [key(1), key(2), key(3)], second, first)
    plan = compacted(OS_DISK, first)
    assert ["names a record of it" in reason for reason in plan.left.values()] == [True]
    assert plan.superseded == 1
    after = live(OS_DISK, [key(1), key(2), key(3)], first), live(OS_DISK, [key(1), key(2), key(3)], second, first)
    assert after == before
    assert key(1) in after[0] and key(1) not in after[1]


def test_tombstones_that_name_each_other_across_segments_are_left_alone() -> None:
    disk = MemoryDisk()
    one, other = Writer(disk), Writer(disk)
    one.add({key(1): body(), key(3): body()}).log.sync()
    other.add({key(2): body(), key(4): body()}).log.sync()
    first, second = name_of(disk, key(1)), name_of(disk, key(2))
    one.kill([second]).close()
    other.kill([first]).close()
    before = live(disk, [key(n) for n in range(5)])
    assert set(before) == {key(3), key(4)}
    plan = compacted(disk)
    assert len(plan.left) == 2
    assert live(disk, [key(n) for n in range(5)]) == before


def test_what_a_tombstone_names_goes_before_the_tombstone() -> None:
    for attempt in range(8):  # names are random, and so is their order
        disk = MemoryDisk()
        Writer(disk).add({key(1): body(), key(2): body()}).close()
        Writer(disk).kill([name_of(disk, key(1))]).close()
        (victim,) = {one.segment for one in _all(disk) if one.header.type == Type.RESULT}
        plan = compact.plan([FOLDER], KEYS, disk=disk).stores[0]
        assert plan.old[0] == victim, attempt


def _all(disk: Disk) -> list[Frame]:
    reading = Reading([FOLDER], KEYS, disk=disk)
    return [one for segment in reading.segments for one in reading.frames(segment)]


def test_a_result_of_a_newer_version_that_is_there_twice_is_kept_once() -> None:
    """As a compaction leaves it that was killed before it removed the old segments."""
    disk = MemoryDisk()
    for _ in range(2):
        Writer(disk).add({key(2): b"\x93\x02of a newer version"}).close()
    Writer(disk, run=4).add({key(2): b"\x93\x02of a newer version"}).close()
    compacted(disk)
    assert frames(disk, Type.RESULT) == [b"\x93\x02of a newer version"] * 2, "one for each run"


def test_a_result_of_a_form_that_is_not_known_is_kept_and_so_are_all_blobs() -> None:
    disk = MemoryDisk()
    Writer(disk).add({key(1): large(FOLDER, disk, b"whose"), key(2): b"\x93\x02of a newer version"}).close()
    Writer(disk).add({key(1): body()}).close()
    plan = compacted(disk)
    assert (plan.superseded, plan.records_after) == (1, 2)
    assert len(files(disk, ".blob")) == 1
    assert b"\x93\x02of a newer version" in frames(disk, Type.RESULT)


def test_a_plan_that_is_no_longer_true_is_not_carried_out() -> None:
    for change in ("gone", "another tombstone"):
        disk, _ = rich()
        plan = compact.plan([FOLDER], KEYS, disk=disk)
        if change == "gone":
            disk.unlink(plan.stores[0].old[0])
        else:
            Writer(disk).kill([name_of(disk, key(5))]).close()
        contents = disk.contents()
        with pytest.raises(Exception, match="not what it was"):
            carry_out(plan)
        assert disk.contents() == contents


@pytest.mark.parametrize("others", ["ours", "of another key", "newer"])
def test_a_tombstone_that_comes_while_new_segments_are_written_is_not_lost(
    monkeypatch: pytest.MonkeyPatch, others: str
) -> None:
    disk, keys = rich()
    named = name_of(disk, key(5))
    written: list[Path] = []

    def slowly(*args: Any, **options: Any) -> Written:
        done = write_segment(*args, **options)
        if not written:
            Writer(disk, keys=OTHER_KEYS if others == "of another key" else KEYS).kill([named]).close()
            if others == "newer":
                newest = disk.files[f"{FOLDER}/{files(disk, '.seg')[-1]}"]
                newest.content[:] = with_version(newest.content, 99)
        written.append(done.path)
        return done

    plan = compact.plan([FOLDER], KEYS, disk=disk)
    before = set(files(disk, ".seg"))
    with monkeypatch.context() as patched, pytest.raises(StoreError, match="not what it was"):
        patched.setattr(rewrite, "write_segment", slowly)
        carry_out(plan)
    assert len(written) > 1
    assert {path.name for path in written}.isdisjoint(files(disk, ".seg")), "what was written is dropped"
    assert before < set(files(disk, ".seg"))
    if others == "ours":
        before_again = live(disk, keys)
        assert key(5) not in before_again
        compacted(disk)
        assert live(disk, keys) == before_again


def test_a_tombstone_that_comes_meanwhile_and_names_what_stays_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    disk, keys = rich()
    plan = compact.plan([FOLDER], KEYS, disk=disk)

    def slowly(*args: Any, **options: Any) -> Written:
        Writer(disk).add({key(61): body()}).kill([FOREIGN]).close()
        return write_segment(*args, **options)

    monkeypatch.setattr(rewrite, "write_segment", slowly)
    before = live(disk, keys)
    carry_out(plan)
    assert live(disk, keys) == {**before, key(61): body()}


def test_what_cannot_be_read_back_is_not_put_in_the_place_of_what_can(monkeypatch: pytest.MonkeyPatch) -> None:
    disk, keys = rich()
    before = live(disk, keys)
    plan = compact.plan([FOLDER], KEYS, disk=disk)
    written: list[int] = []

    def spoilt(fd: int, data: bytes) -> int:
        written.append(fd)
        spoiled = data.replace(b"first 4", b"FIRST 4")
        return MemoryDisk.write(disk, fd, spoiled)

    monkeypatch.setattr(disk, "write", spoilt)
    with pytest.raises(Exception, match="read back"):
        carry_out(plan)
    assert written
    assert live(disk, keys) == before


def test_duplicates_that_a_failed_fsync_leaves_become_one() -> None:
    disk = MemoryDisk()
    writer = Writer(disk).add({key(1): body(), key(2): body()})
    disk.before = FailingCalls(0, ("fsync",), errno.EIO)
    writer.log.sync()
    disk.before = lambda call: None
    writer.close()
    assert len(files(disk, ".seg")) == 2
    before = live(disk, [key(1), key(2)])
    plan = compacted(disk)
    assert (plan.records, plan.records_after) == (2, 2)
    assert live(disk, [key(1), key(2)]) == before
    assert len(files(disk, ".seg")) == 1


def damage(disk: MemoryDisk, text: bytes) -> None:
    """Change a bit of the record that holds a text."""
    content = next(file.content for file in disk.files.values() if text in file.content)
    content[content.index(text)] ^= 1


@pytest.mark.parametrize("attempt", range(6))  # ids of writers are random, and so is which of two counts
def test_who_is_left_alone_keeps_the_rank_among_the_writers_of_a_run(attempt: int) -> None:
    disk = MemoryDisk()
    for n in range(5):
        Writer(disk).add({key(1): body(text=b"writer %d" % n), key(2 + n): body(text=b"spoilt %d" % n)}).close()
    damage(disk, b"spoilt 1")
    damage(disk, b"spoilt 3")
    before = live_of(disk, [key(n) for n in range(7)], KEYS)
    plan = compacted(disk)
    assert len(plan.left) == 2
    assert live_of(disk, [key(n) for n in range(7)], KEYS) == before
    assert compact.plan([FOLDER], KEYS, disk=disk).is_empty


def test_all_segments_of_a_writer_are_left_alone_or_none() -> None:
    disk = MemoryDisk()
    writer = Writer(disk).add({key(1): body(text=b"earlier"), key(2): body(text=b"spoilt")})
    assert writer.log.sync()
    writer.add({key(3): body()})
    disk.before = FailingCalls(0, ("fsync",), errno.EIO)
    writer.log.sync()
    disk.before = lambda call: None
    writer.add({key(1): body(text=b"later")}).close()
    assert len(files(disk, ".seg")) == 2
    damage(disk, b"spoilt")
    assert len(compacted(disk).left) == 2
    assert live_of(disk, [key(1)], KEYS) == {key(1): body(text=b"later")}


def test_a_blob_stays_when_somebody_came_who_may_refer_to_it() -> None:
    disk, keys = rich()
    plan = compact.plan([FOLDER], KEYS, disk=disk)
    assert len(plan.stores[0].blobs) == 2
    Writer(disk, run=9).add({key(20): large(FOLDER, disk, b"superseded")}).close()
    before = live(disk, keys)
    carry_out(plan)
    assert live(disk, keys) == before


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("number", range(40 * SOAK))
def test_whatever_a_store_holds_what_counts_stays(number: int, force: bool) -> None:
    rng = seeded(f"stores {number}")
    disk = MemoryDisk()
    keys = [key(n) for n in range(8)]
    for _ in range(rng.randrange(1, 6)):
        _write_anything(rng, disk, keys)
    if number % 2:
        segment = disk.files[f"{FOLDER}/{rng.choice(files(disk, '.seg'))}"].content
        segment[rng.randrange(64, len(segment))] ^= 1 << rng.randrange(8)
    before = {each: live_of(disk, keys, each) for each in (KEYS, OTHER_KEYS, BOTH_KEYS)}
    plan = compacted(disk, force=force)
    assert plan.size_bytes_after == _size(disk)
    assert {each: live_of(disk, keys, each) for each in (KEYS, OTHER_KEYS, BOTH_KEYS)} == before
    assert compact.plan([FOLDER], KEYS, force=force, disk=disk).is_empty
    if number % 2 == 0 or force:
        warnings = Store.open([FOLDER], KEYS, disk=copied(disk)).report.warnings
        assert [
            finding for finding in warnings if finding.kind is not Kind.UNTRUSTED and finding.path not in plan.left
        ] == []


def _write_anything(rng: random.Random, disk: MemoryDisk, keys: list[bytes]) -> None:
    """One more writer of a store."""
    writer = Writer(disk, run=rng.choice((3, 3, 4)), keys=rng.choice((KEYS, KEYS, OTHER_KEYS)))
    known = [one.name for one in _all(disk)] if FOLDER in map(Path, disk.folders) else []
    for _ in range(rng.randrange(1, 6)):
        wanted = rng.choice(keys)
        if known and rng.random() < 0.3:
            writer.kill(rng.sample(known, min(len(known), 2)))
        elif rng.random() < 0.2:
            writer.add({wanted: large(FOLDER, disk, rng.randbytes(4))})
        else:
            writer.add({wanted: body(text=rng.randbytes(8))})
    rng.choice((writer.close, writer.leave))()


def live_of(disk: MemoryDisk, keys: list[bytes], signed: Keys) -> dict[bytes, bytes]:
    store = Store.open([FOLDER], signed, disk=disk)
    return {each: record.body for each in keys if (record := next(store.find(each), None))}


def test_a_tombstone_that_moves_is_undone_by_nothing_that_stays() -> None:
    disk, keys = rich()
    before = live(disk, keys)
    assert key(2) in before, "its tombstone is undone"
    undone = tombstone_of(disk, key(30))
    compacted(disk)
    assert undone not in {one.name for one in _all(disk)}
    assert live(disk, keys) == before
