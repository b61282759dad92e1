"""Owns writing a whole segment at once: all of it is durable and closed, or there is none."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from parslish.errors import StoreError, StoreFull
from parslish.secret import Keys
from parslish.store import frame, index
from parslish.store.disk import Disk
from parslish.store.frame import HEADER_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader
from parslish.store.pending import Entry
from parslish.store.segment import CLOSE_BODY, SegmentWriter

_BATCH_BYTES: Final = 1 << 20
Content = tuple[int, bytes, bytes]  # of a frame: type, key, body


class Written(NamedTuple):
    """A segment, and how many frames are in it."""

    path: Path
    frames: int


def write_segment(
    where: Path, contents: Iterable[Content], *, keys: Keys, run: int, writer: bytes, disk: Disk
) -> Written:
    """Write frames into a new segment of a folder, signed with the first key.

    Raises:
        OSError: it cannot be written; nothing of it is left.
    """
    header = SegmentHeader(run, 0, writer, 0, keys.id, int(disk.time() * 1e6))
    segment = SegmentWriter(disk, where, header, frame.signer(keys.signing))
    try:
        count = _append_all(segment, contents)
        segment.fsync()
        segment.finish(count)
    except BaseException:
        with contextlib.suppress(OSError):
            disk.unlink(segment.path)
        raise
    finally:
        segment.close()
    return Written(segment.path, count)


def segment_bytes(frames_bytes: int, results: int, specials: int) -> int:
    """The size of a segment that `write_segment` makes of frames, of which so many are results, and so many tombstones
    or notes of bases."""
    table = index.Table.build([bytes(index.ENTRY_BYTES)] * results).pack([0] * specials)
    return SEGMENT_HEADER_BYTES + frames_bytes + 2 * HEADER_BYTES + len(table) + CLOSE_BODY.size


def _append_all(segment: SegmentWriter, contents: Iterable[Content]) -> int:
    batch: list[Entry] = []
    size_bytes = count = 0
    for type, key, body in contents:
        entry = Entry(type, body, key)
        entry.seq = count
        count += 1
        batch.append(entry)
        size_bytes += entry.size_bytes
        if size_bytes >= _BATCH_BYTES:
            segment.append(batch, 0)
            batch, size_bytes = [], 0
    if batch:
        segment.append(batch, 0)
    return count


def refused(sentence: str, exc: OSError) -> StoreError:
    """The error that says what cannot be written, and why the disk refuses."""
    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreFull(f"{sentence}: {exc.strerror}; make room, and do the same again")
    return StoreError(f"{sentence}: {exc.strerror or exc}; mend that, and do the same again")
