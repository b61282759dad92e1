"""What is left alone: what moving would change the meaning of, or take away from somebody."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from parslish.care import compact, prune
from parslish.care.plan import Plan
from parslish.care.rewrite import carry_out
from parslish.care.selection import Filter
from parslish.secret import Keys, key_file
from parslish.store import blobs, frame
from parslish.store.disk import OS_DISK, Disk
from tests.care.stores import (
    FOLDER,
    KEYS,
    NEWER_KEYS,
    OTHER_KEYS,
    Writer,
    body,
    copied,
    files,
    key,
    large,
    live,
    name_of,
    tombstone_of,
    with_version,
)
from tests.faults.disk import MemoryDisk

BOTH_KEYS = Keys([KEYS.signing, OTHER_KEYS.signing])
ALL = [key(n) for n in range(9)]
Planner = Callable[..., Plan]


def pruning(stores: list[Path], keys: Keys, **options: Any) -> Plan:
    return prune.plan(stores, Filter(apps=("other",)), keys, **options)


class OwnedDisk(MemoryDisk):
    """A disk on which files belong to other accounts, or cannot be opened by us."""

    def __init__(self) -> None:
        super().__init__()
        self.owners: dict[str, int] = {}
        self.closed: set[str] = set()

    def open(self, path: Any, flags: int, mode: int = 0o777) -> int:  # type: ignore[override]
        if os.fspath(path) in self.closed:
            raise PermissionError(13, os.strerror(13), os.fspath(path))
        return super().open(path, flags, mode)

    def _stat(self, name: str) -> Any:
        found = super()._stat(name)
        found.st_uid = self.owners.get(name, found.st_uid)
        return found


# ---------------------------------------------------------------- tombstones that cannot be read


def invalidated(disk: MemoryDisk, keys: Keys = KEYS) -> str:
    """A store in which a result was invalidated, and with all that pruning and compacting would do; returns the
    segment that holds the tombstone."""
    results = {key(1): body("relax", b"invalid"), key(2): body("other"), key(3): large(FOLDER, disk, b"stays")}
    Writer(disk).add(results).close()
    Writer(disk).add({key(4): body("other"), key(5): body("relax")}).close()
    large(FOLDER, disk, b"of nobody")
    before = set(files(disk, ".seg"))
    Writer(disk, keys=keys).kill([name_of(disk, key(1))]).close()
    (segment,) = set(files(disk, ".seg")) - before
    return str(FOLDER / segment)


@pytest.mark.parametrize("planner", [compact.plan, pruning])
@pytest.mark.parametrize("hidden", ["newer", "refused", "unreadable"])
def test_nothing_moves_where_tombstones_may_be_that_cannot_be_read(hidden: str, planner: Planner) -> None:
    disk = OwnedDisk()
    segment = invalidated(disk)
    file = disk.files[segment]
    before = live(disk, ALL)
    assert key(1) not in before
    if hidden == "newer":
        file.content[:] = with_version(file.content, 99)
    elif hidden == "refused":
        file.mode |= 0o022
    else:
        disk.closed.add(segment)
    contents = disk.contents()
    plan = planner([FOLDER], KEYS, disk=disk)
    carry_out(plan)
    assert disk.contents() == contents
    left = dict(plan.stores[0].left)
    left.pop(Path(segment))
    assert len(left) == 2
    for reason in left.values():
        assert f"{segment} may hold tombstones that name records of it: " in reason, "which file"
        assert "mend that first" in reason, "and what to do"
    file.content[:] = with_version(file.content, 1)
    file.mode &= ~0o022
    disk.closed.clear()
    assert live(disk, ALL) == before


@pytest.mark.parametrize("planner", [compact.plan, pruning])
def test_what_a_tombstone_names_that_another_key_has_signed_stays_where_it_is(planner: Planner) -> None:
    disk = MemoryDisk()
    segment = invalidated(disk, OTHER_KEYS)
    before = live_of_both(disk)
    assert key(1) not in before
    plan = planner([FOLDER], KEYS, disk=disk)
    carry_out(plan)
    (reason,) = (reason for reason in plan.stores[0].left.values() if "names a record of it" in reason)
    assert segment in reason and f"put that key below yours in {key_file()}" in reason
    after = live_of_both(disk)
    assert after == {each: content for each, content in before.items() if each in after}
    assert {key(3), key(5)} <= after.keys()
    assert len(files(disk, ".blob")) == 2


def live_of_both(disk: Disk) -> dict[bytes, bytes]:
    return live(disk, ALL, keys=BOTH_KEYS)


def test_an_undo_that_another_key_has_signed_holds_its_tombstone_and_what_that_names() -> None:
    disk = MemoryDisk()
    Writer(disk).add({key(1): body(text=b"valid again")}).close()
    Writer(disk).add({key(2): body()}).kill([name_of(disk, key(1))]).close()
    Writer(disk, keys=OTHER_KEYS).kill([tombstone_of(disk, key(2))]).close()
    before = live_of_both(disk)
    assert key(1) in before
    carry_out(compact.plan([FOLDER], KEYS, disk=disk))
    assert live_of_both(disk) == before


def test_a_forged_tombstone_in_a_segment_of_ours_holds_what_it_names() -> None:
    disk = MemoryDisk()
    segment = invalidated(disk)
    forge(disk.files[segment].content)
    plan = compact.plan([FOLDER], KEYS, disk=disk).stores[0]
    (named,) = (path for path, reason in plan.left.items() if "names a record of it" in reason)
    assert b"invalid" in disk.contents()[str(named)]


def forge(content: bytearray) -> None:
    """Sign the first frame of a segment with another key."""
    header = frame.parse(bytes(content), 64)
    assert header is not None
    content[64:176] = frame.pack(
        frame.signer(OTHER_KEYS.signing), header.type, 0, header.run, header.writer, header.length, header.seq,
        header.watermark, header.key, frame.digest(bytes(content[176 : 176 + header.length])),
    )  # fmt: skip


def test_segments_that_others_have_signed_and_that_hold_no_tombstones_hold_nothing() -> None:
    disk = MemoryDisk()
    Writer(disk, keys=OTHER_KEYS).add({key(9): body()}).close()
    Writer(disk).add({key(1): body()}).close()
    Writer(disk).add({key(1): body(text=b"later")}).close()
    plan = compact.plan([FOLDER], KEYS, disk=disk)
    assert (len(plan.stores[0].old), len(plan.stores[0].left)) == (2, 1)


@pytest.mark.parametrize("hidden", ["nothing", "another key", "newer", "refused", "a store that is refused"])
def test_what_a_tombstone_in_another_run_may_name_stays_where_it_is(tmp_path: Path, hidden: str) -> None:
    first, second, without = (tmp_path / run / "checkpoint" for run in ("000", "001", "002"))
    without.parent.mkdir(parents=True)  # a run that stores nothing
    Writer(OS_DISK, first, run=0).add({key(1): body(text=b"wrong"), key(3): body(text=b"old")}).close()
    Writer(OS_DISK, first, run=0).add({key(3): body(text=b"new")}).close()
    signed = OTHER_KEYS if hidden == "another key" else KEYS
    if hidden != "nothing":
        Writer(OS_DISK, second, run=1, keys=signed).kill([name_of(OS_DISK, key(1), first)]).close()
        (segment,) = second.glob("*.seg")
        if hidden == "newer":
            segment.write_bytes(with_version(segment.read_bytes(), 99))
        elif hidden != "another key":
            (segment if hidden == "refused" else second).chmod(0o777)
    plan = compact.plan([first], KEYS)
    carry_out(plan)
    if hidden == "nothing":
        assert plan.stores[0].left == {}
        return
    if hidden == "newer":
        segment.write_bytes(with_version(segment.read_bytes(), 1))
    segment.chmod(0o600)
    second.chmod(0o700)
    assert set(live(OS_DISK, [key(1), key(3)], second, first, keys=BOTH_KEYS)) == {key(3)}
    reasons = list(plan.stores[0].left.values())
    assert any(str(second) in reason for reason in reasons)
    assert len(reasons) == (1 if hidden == "another key" else 2)


# ---------------------------------------------------------------- other accounts


@pytest.mark.parametrize("planner", [compact.plan, pruning])
def test_what_belongs_to_another_account_is_left_alone_though_it_is_shared(planner: Planner) -> None:
    disk = OwnedDisk()
    Writer(disk).add({key(1): body("other"), key(2): large(FOLDER, disk, b"hers")}).close()
    large(FOLDER, disk, b"hers, and of nobody")
    disk.owners = dict.fromkeys(disk.files, 1234)
    hers = disk.contents()
    Writer(disk).add({key(3): body("other"), key(4): body("other")}).close()
    Writer(disk).add({key(4): body("relax", b"later")}).close()
    plan = planner([FOLDER], KEYS, shared=True, disk=disk)
    carry_out(plan)
    (reason,) = plan.stores[0].left.values()
    assert "belongs to another account (uid 1234)" in reason
    assert {path: disk.contents().get(path) for path in hers} == hers
    assert len(plan.stores[0].old) == 2


# ---------------------------------------------------------------- writers on hosts that cannot be asked


@pytest.fixture
def elsewhere() -> MemoryDisk:
    """A store whose writer was killed on another host."""
    disk = MemoryDisk()
    Writer(disk).add({key(1): body("other"), key(2): body()}).leave()
    large(FOLDER, disk, b"of nobody")
    (name,) = files(disk, ".seg")
    first, _, *rest = name.split("-")
    disk.rename(FOLDER / name, FOLDER / "-".join([first, "cluster07", *rest]))
    return copied(disk)


@pytest.mark.parametrize("planner", [compact.plan, pruning])
def test_a_segment_of_another_host_goes_once_the_user_says_that_its_processes_have_ended(
    elsewhere: MemoryDisk, planner: Planner
) -> None:
    plan = planner([FOLDER], KEYS, disk=elsewhere)
    (reason,) = plan.stores[0].left.values()
    assert reason.endswith(
        "cluster07 may still write to it; if all processes on cluster07 have ended, say --ended cluster07"
    )
    assert planner([FOLDER], KEYS, ended=("another",), disk=elsewhere).stores[0].left == plan.stores[0].left
    carry_out(planner([FOLDER], KEYS, ended=("another", "cluster07"), disk=elsewhere))
    assert not any("cluster07" in name for name in files(elsewhere, ".seg"))
    assert files(elsewhere, ".blob") == []
    assert set(live(elsewhere, ALL)) == ({key(2)} if planner is pruning else {key(1), key(2)})


# ---------------------------------------------------------------- damage


def test_why_a_damaged_segment_is_left_alone_says_what_to_do() -> None:
    disk = MemoryDisk()
    Writer(disk).add({key(1): body(text=b"spoilt"), key(2): body()}).close()
    content = next(iter(disk.files.values())).content
    content[content.index(b"spoilt")] ^= 1
    plan = compact.plan([FOLDER], NEWER_KEYS, disk=disk).stores[0]
    assert list(plan.left.values()) == ["record 0 is damaged; --force rewrites what can be read and drops it"]


@pytest.mark.parametrize("wrong", ["gone", "cut short", "changed"])
def test_a_result_whose_large_value_is_lost_is_told_and_goes_by_force(wrong: str) -> None:
    disk = MemoryDisk()
    Writer(disk, run=2).add({key(1): body(text=b"older")}).close()
    Writer(disk).add({key(1): large(FOLDER, disk, b"lost"), key(2): large(FOLDER, disk, b"whole")}).close()
    Writer(disk).add({key(3): body()}).close()
    spoilt = next(path for path, content in disk.contents().items() if content == b"lost")
    if wrong == "gone":
        disk.unlink(spoilt)
    else:
        disk.files[spoilt].content[:] = b"los" if wrong == "cut short" else b"LOST"
    told = compact.plan([FOLDER], KEYS, disk=disk).stores[0]
    assert (told.lost, told.lets_go_of_lost) == (0 if wrong == "changed" else 1, False), "it is not read for that"
    forced = compact.plan([FOLDER], KEYS, force=True, disk=disk)
    assert (forced.stores[0].lost, forced.stores[0].lets_go_of_lost) == (1, True)
    carry_out(forced)
    assert live(disk, ALL) == {key(1): body(text=b"older"), key(2): large(FOLDER, disk, b"whole"), key(3): body()}
    assert len(files(disk, blobs.SUFFIX)) == 1
    assert compact.plan([FOLDER], KEYS, force=True, disk=disk).is_empty


def test_a_result_whose_large_value_is_gone_takes_no_other_ones_place() -> None:
    disk = MemoryDisk()
    Writer(disk).add({key(1): body(text=b"older")}).close()
    Writer(disk, run=4).add({key(1): large(FOLDER, disk, b"gone")}).close()
    Writer(disk, run=4).add({key(2): body()}).close()
    disk.unlink(FOLDER / files(disk, ".blob")[0])
    carry_out(compact.plan([FOLDER], KEYS, disk=disk))
    assert any(b"older" in content for content in disk.contents().values())


def test_a_large_value_that_cannot_be_read_now_is_not_lost() -> None:
    disk = OwnedDisk()
    Writer(disk).add({key(1): large(FOLDER, disk, b"needed")}).close()
    disk.closed.add(str(FOLDER / files(disk, ".blob")[0]))
    plan = compact.plan([FOLDER], KEYS, force=True, disk=disk)
    assert (plan.is_empty, plan.stores[0].lost) == (True, 0)
