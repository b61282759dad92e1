"""What is kept of frames until they are durable: as little as can be, and enough to write them again."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from parslish.store import frame
from parslish.store.frame import SegmentHeader, Type
from parslish.store.log import Log
from parslish.store.pending import Entry, Group, Queue, Unsynced
from parslish.store.segment import SegmentWriter
from tests.faults.disk import MemoryDisk
from tests.faults.stores import FOLDER, KEYS, records, seeded

FIRST = 7  # the number of the first frame
PATH = Path(FOLDER)


def numbered(count: int, *, awaited: Sequence[int] = ()) -> list[Entry]:
    entries = []
    for seq, (key, body) in enumerate(records(seeded("pending"), count, (0, 40, 3000)).items(), FIRST):
        entries.append(Entry(Type.RESULT, body, key, None, (print,) if seq - FIRST in awaited else None))
        entries[-1].seq = seq
    entries[-1].type = Type.EVENT
    return entries


def segment(disk: MemoryDisk) -> SegmentWriter:
    disk.mkdir(FOLDER)
    return SegmentWriter(disk, PATH, SegmentHeader(1, 0, bytes(8), FIRST, KEYS.id, 0), frame.signer(KEYS.signing))


def facts(entries: Sequence[Entry]) -> list[tuple[Any, ...]]:
    return [(each.type, each.key, each.body, each.seq, each.size_bytes, each.when_synced) for each in entries]


def test_entries_are_made_anew_from_the_frames_that_were_written() -> None:
    entries = numbered(5)
    written = segment(MemoryDisk()).append(entries, 0)
    group = Group(entries, written)
    assert written is not None
    assert (group.count, group.next_seq, group.size_bytes) == (5, FIRST + 5, len(written))
    assert not group.awaited
    assert facts(group.entries()) == facts(entries)
    assert facts(group.entries()) == facts(entries)


def test_entries_that_somebody_waits_for_are_kept_as_they_are() -> None:
    entries = numbered(3, awaited=[1])
    group = Group(entries, segment(MemoryDisk()).append(entries, 0))
    assert group.awaited is entries
    assert group.entries() is entries


def test_what_was_too_large_to_be_joined_is_kept_as_it_is() -> None:
    entries = [Entry(Type.EVENT, bytes(1 << 20), frame.NO_KEY)]
    entries[0].seq = FIRST
    written = segment(MemoryDisk()).append(entries, 0)
    assert written is None
    group = Group(entries, written)
    assert group.entries() is entries
    assert group.size_bytes == entries[0].size_bytes


@pytest.mark.parametrize("awaited", [(), (0,)], ids=["as bytes", "as entries"])
def test_bodies_that_are_left_to_the_file_are_read_from_it(awaited: Sequence[int]) -> None:
    disk = MemoryDisk()
    entries, file = numbered(4, awaited=awaited), segment(disk)
    bodies, place = [each.body for each in entries], file.size
    group = Group(entries, file.append(entries, 0))
    group.leave_to_file(file.path, place)
    left = group.entries()
    assert [each.body for each in left] == [None] * 4
    assert [each.read_back(disk) for each in left] == bodies
    disk.truncate(disk.open(file.path, 1), place + 10)
    assert [each.read_back(disk) for each in left] == [None if body else b"" for body in bodies]


def test_what_is_unsynced_is_counted_in_entries_and_bytes() -> None:
    groups = [Group(entries, None) for entries in (numbered(3), numbered(2))]
    unsynced = Unsynced()
    for each in groups:
        unsynced.append(each)
    assert (len(unsynced), unsynced.count, unsynced.size_bytes) == (2, 5, sum(each.size_bytes for each in groups))
    assert unsynced.first() is groups[0]
    unsynced.pop()
    assert (len(unsynced), unsynced.count, unsynced.size_bytes) == (1, 2, groups[1].size_bytes)
    assert unsynced.first() is groups[1]
    unsynced.pop()
    assert (len(unsynced), unsynced.count, unsynced.size_bytes) == (0, 0, 0)


def test_a_queue_keeps_its_order_and_its_size() -> None:
    first, second, third, fourth = numbered(4)
    queue = Queue()
    queue.append(third)
    queue.append(fourth)
    queue.put_before([first, second])
    assert list(queue) == [first, second, third, fourth]
    queue.put_off()
    assert queue.pop() is second
    assert queue.first() is third
    assert queue.size_bytes == sum(each.size_bytes for each in (first, third, fourth))


def test_what_waits_for_its_fsync_is_nothing_to_the_garbage_collector() -> None:
    log = Log(FOLDER, keys=KEYS, sync="manual", disk=MemoryDisk())
    stored = records(seeded("collector"), 501, (60,))
    (key, body), *others = stored.items()
    log.append(Type.RESULT, body, key)  # the segment is open
    called: list[bytes] = []
    gc.collect()
    before = len(gc.get_objects())
    for key, body in others:
        log.post(Type.RESULT, body, key, when_written=(called.append, key))
    log.write()
    assert len(gc.get_objects()) - before < 20
    assert called == [key for key, _ in others]
    assert log.close()
