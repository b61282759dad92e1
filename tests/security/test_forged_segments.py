"""Segments that were put together without the key: headers, indexes and closing marks whose checksums hold, and genuine
frames where they do not belong. Whatever they say, loading goes on, and only what the user signed is opened."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from parslish.memo import Memo
from parslish.secret import Keys
from parslish.store import frame, index
from parslish.store.check import check
from parslish.store.frame import CONTROL, SEGMENT_HEADER_BYTES, Type
from parslish.store.reader import Store, read_frames
from parslish.store.report import Kind
from parslish.store.segment import CLOSE_BODY
from tests.faults.disk import MemoryDisk
from tests.faults.stores import FOLDER, KEYS, SOAK, seeded
from tests.security import forge
from tests.security.forge import THEIRS, Canary, Frame, Victim

CASES = 800 * SOAK  # of each kind
OURS_TOO = Keys([KEYS.signing, b"\x22" * 32])  # a user who has rotated
#: Places and numbers at which arithmetic ends: of 32, 40, 63 and 64 bits.
EDGES = (0, 1, 2**31, 2**32 - 1, 2**32, 2**40 - 1, 2**40, 2**40 + 64, 2**63 - 1, 2**63, 2**64 - 1)
Forgery = Callable[[random.Random, Victim, Canary], bytes]


class Disk(MemoryDisk):
    """As the system does, `pread` refuses an offset that is no signed number of 64 bits, and not with an OSError."""

    def pread(self, fd: int, size: int, offset: int) -> bytes:  # type: ignore[override]
        if offset >= 2**63:
            raise OverflowError("Python int too large to convert to C long")
        return super().pread(fd, size, offset)


def _sealed_header(content: bytes, at: int, field: bytes) -> bytes:
    """A segment whose header has other bytes at a place, and a checksum that holds."""
    header = bytearray(content[: SEGMENT_HEADER_BYTES - 4])
    header[at : at + len(field)] = field
    return bytes(header) + struct.pack("<I", zlib.crc32(header)) + content[SEGMENT_HEADER_BYTES:]


def _frames(rng: random.Random, one: Victim, canary: Canary) -> list[bytes]:
    """The genuine frames of a segment, and a few with the canary."""
    made = [forge.forged(rng, one, canary).sealed() for _ in range(3)]
    frames = [each.sealed() for each in one.frames] + made
    rng.shuffle(frames)
    return frames


def _control(one: Victim, type: int, body: bytes) -> bytes:
    head = one.frames[-1].header
    changes = {"type": type, "flags": CONTROL, "seq": head.seq + 1, "key": frame.NO_KEY}
    return forge.pack_frame(head._replace(**changes), body, THEIRS)


def _closed(one: Victim, frames: list[bytes], packed: bytes) -> bytes:
    """A segment that ends in an index and a close frame."""
    content = one.segment(frames)
    place = CLOSE_BODY.pack(len(content))
    return content + _control(one, Type.INDEX, packed) + _control(one, Type.CLOSE, place)


def header(rng: random.Random, one: Victim, canary: Canary) -> bytes:
    """Any field of the header: version, run, ordinal, writer, first number, key id, time."""
    at, size = rng.choice(((8, 2), (10, 2), (12, 4), (16, 4), (20, 8), (28, 8), (36, 8), (44, 8), (52, 8)))
    other = rng.choice(one.seen).header.writer
    values = (rng.randbytes(size), bytes(size), b"\xff" * size, other[:size], OURS_TOO.ids()[1][:size])
    return _sealed_header(one.segment(_frames(rng, one, canary)), at, rng.choice(values))


def index_entries(rng: random.Random, one: Victim, canary: Canary) -> bytes:
    """An index that has each key at a place of its choice: of other records, within bodies, beyond all ends."""
    frames = _frames(rng, one, canary)
    size = len(one.segment(frames))
    entries = [
        index.entry(key, rng.choice((rng.randrange(size), rng.choice(EDGES)))) for key in one.values for _ in range(2)
    ]
    specials = [rng.choice((rng.randrange(size), *EDGES)) for _ in range(rng.choice((0, 0, 3)))]
    return _closed(one, frames, index.Table.build(entries).pack(specials))


def index_body(rng: random.Random, one: Victim, canary: Canary) -> bytes:
    """An index whose own numbers are wrong: counts, bits, the fan-out."""
    frames = _frames(rng, one, canary)
    packed = bytearray(index.Table.build([index.entry(key, 64) for key in one.values]).pack([64]))
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(min(len(packed), 16 + 8 + 12))
        packed[at] = rng.choice((0, 1, 16, 17, 127, 255))
    return _closed(one, frames, bytes(packed))


def close(rng: random.Random, one: Victim, canary: Canary) -> bytes:
    """A close frame that points anywhere, or has another body; or a segment cut off with one behind."""
    content = one.segment(_frames(rng, one, canary))
    content = content[: rng.randrange(SEGMENT_HEADER_BYTES, len(content))] if rng.random() < 0.5 else content
    body = rng.choice((CLOSE_BODY.pack(rng.choice((rng.randrange(len(content)), *EDGES))), b"", rng.randbytes(8)))
    return content + _control(one, Type.CLOSE, body)


def lengths(rng: random.Random, one: Victim, canary: Canary) -> bytes:
    """Frames that say they are longer than they are, up to the end of all numbers."""
    frames = _frames(rng, one, canary)
    for _ in range(3):
        at = rng.randrange(len(frames))
        packed = bytearray(frames[at][: frame.HEADER_BYTES - 4])
        packed[20:28] = struct.pack("<Q", rng.choice((rng.randrange(1 << 16), *EDGES)))
        frames[at] = bytes(packed) + struct.pack("<I", zlib.crc32(packed)) + frames[at][frame.HEADER_BYTES :]
    return one.segment(frames)


def numbers(rng: random.Random, one: Victim, canary: Canary) -> bytes:
    """Frames with numbers and watermarks from the end of all numbers."""
    frames = _frames(rng, one, canary)
    for _ in range(5):
        fields = {name: rng.choice(EDGES) for name in rng.sample(("seq", "watermark"), rng.randint(1, 2))}
        made = rng.choice(one.frames).but(**fields, flags=rng.choice((0, CONTROL)))
        frames.insert(rng.randrange(len(frames)), made.sealed())
    return one.segment(frames)


def rolled_back(rng: random.Random, one: Victim, canary: Canary) -> bytes:
    """Genuine frames of all segments of the user, left out, repeated and in any order, as far as they are signed."""
    frames = [each.sealed() for each in rng.choices(one.seen, k=rng.randint(1, 2 * len(one.seen)))]
    return one.segment(frames) if rng.random() < 0.5 else _closed(one, frames, _index_of(frames))


def _index_of(frames: list[bytes]) -> bytes:
    entries, at = [], SEGMENT_HEADER_BYTES
    for each in frames:
        entries.append(index.entry(each[44:76], at))
        at += len(each)
    return index.Table.build(entries).pack([])


FORGERIES: tuple[Forgery, ...] = (header, index_entries, index_body, close, lengths, numbers, rolled_back)


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda forgery: forgery.__name__)
def test_only_what_the_user_signed_is_read_and_loading_goes_on(forgery: Forgery, tmp_path: Path) -> None:
    rng = seeded(f"segments {forgery.__name__}")
    canary = Canary(tmp_path / "sang")
    one = forge.victim(rng, canary, count=4)
    signed = {_facts(each) for each in one.seen}
    whole = one.segment([each.sealed() for each in one.frames])
    for case in range(CASES):
        # Beside it lies the genuine one: what is wrong with a file costs that file (P2).
        beside = case % 2 == 0
        files = {f"{FOLDER}/b.seg": forgery(rng, one, canary)} | ({f"{FOLDER}/a.seg": whole} if beside else {})
        disk = Disk.holding(files)
        store = Store.open([FOLDER], OURS_TOO, disk=disk)
        memo = Memo(store, 1000)
        for key in {each.header.key for each in one.seen} - {frame.NO_KEY}:
            for record in store.find(key):
                assert (record.writer, record.seq, record.key, record.type, record.body) in signed, f"case {case}"
            if beside:
                known = memo.find(key, None)
                assert known is not None or key not in one.values, f"case {case}: a genuine record was lost"
        for record in read_frames(FOLDER, OURS_TOO, disk=disk):
            assert (record.writer, record.seq, record.key, record.type, record.body) in signed, f"case {case}"
        check(FOLDER, keys=OURS_TOO, disk=disk)
        assert disk.open_descriptors <= len(files), f"case {case}"
    assert not canary.sang


def _facts(one: Frame) -> tuple[object, ...]:
    return one.header.writer, one.header.seq, one.header.key, one.header.type, one.body


@pytest.mark.parametrize("version", [2, 3, 0x100, 0xFFFF])
def test_a_segment_of_a_later_version_is_not_read_as_one_of_ours(version: int, tmp_path: Path) -> None:
    one = forge.victim(seeded("version"), Canary(tmp_path / "sang"))
    content = _sealed_header(one.segment([each.sealed() for each in one.frames]), 8, struct.pack("<H", version))
    store = Store.open([FOLDER], KEYS, disk=MemoryDisk.holding({f"{FOLDER}/a.seg": content}))
    assert len(store) == 0
    assert [finding.kind for finding in store.report.findings] == [Kind.NEWER]


def test_a_segment_that_names_a_key_of_others_is_not_looked_into(tmp_path: Path) -> None:
    one = forge.victim(seeded("key id"), Canary(tmp_path / "sang"))
    content = _sealed_header(one.segment([each.sealed() for each in one.frames]), 36, b"somebody")
    store = Store.open([FOLDER], KEYS, disk=MemoryDisk.holding({f"{FOLDER}/a.seg": content}))
    assert len(store) == 0
    assert [finding.kind for finding in store.report.findings] == [Kind.UNTRUSTED]
    assert store.report.findings[0].records == sum(not each.header.flags & CONTROL for each in one.frames)
