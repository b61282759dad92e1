"""A reader of stores that was written from `FORMAT.md` alone: nothing of parslish is used, so what it reads is what the
page says."""

from __future__ import annotations

import hmac
import pickle
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgpack
from blake3 import blake3

MAGIC = bytes.fromhex("8950534c0d0a1a0a")
SYNC = bytes.fromhex("9ef71db3")
SEGMENT_HEADER = struct.Struct("<8sHHII8sQ8sqQI")
FRAME_HEADER = struct.Struct("<4sHHI8sQQQ32s16s16sI")
RESULT, EVENT, TOMBSTONE, BASES, INDEX, CLOSE = 1, 2, 3, 4, 17, 18
Name = tuple[bytes, int]


class NewerVersion(Exception):
    """The page is about version 1."""


class Frame(NamedTuple):
    """A frame that is whole and ours."""

    type: int
    run: int
    writer: bytes
    seq: int
    key: bytes
    body: bytes
    folder: Path


class Result(NamedTuple):
    """What a result's body says."""

    kind: int
    app: str
    task: int
    completed: float
    duration: float
    outputs: list[Any]
    run: int
    value: Any


class Header(NamedTuple):
    """The header of a frame, as it stands there."""

    sync: bytes
    type: int
    flags: int
    run: int
    writer: bytes
    length: int
    seq: int
    watermark: int
    key: bytes
    digest: bytes
    signature: bytes
    crc: int


class Segment:
    """One segment, read whole."""

    def __init__(self, path: Path, keys: list[bytes]) -> None:
        self.path, self.content = path, path.read_bytes()
        self.writer: bytes | None = None
        self.keys = keys
        head = self.content[: SEGMENT_HEADER.size]
        if len(head) == SEGMENT_HEADER.size and head[:8] == MAGIC and zlib.crc32(head[:60]) == int_of(head[60:]):
            _, version, _, self.run, _, self.writer, _, key_id, *_ = SEGMENT_HEADER.unpack(head)
            if version > 1:
                raise NewerVersion(version)
            self.keys = [key for key in keys if id_of(key) == key_id]

    def header(self, at: int) -> Header | None:
        """The header at a place, if it is valid."""
        block = self.content[at : at + FRAME_HEADER.size]
        if len(block) < FRAME_HEADER.size:
            return None
        head = Header(*FRAME_HEADER.unpack(block))
        is_valid = head.sync == SYNC and head.crc == zlib.crc32(block[:108])
        return head if is_valid and self.writer in (None, head.writer) else None

    def body(self, at: int, head: Header) -> bytes | None:
        """Its body, if the frame is whole."""
        body = self.content[at + FRAME_HEADER.size : at + FRAME_HEADER.size + head.length]
        return body if len(body) == head.length and blake3(body).digest(16) == head.digest else None

    def is_ours(self, at: int, head: Header) -> bool:
        signed = self.content[at : at + 92]
        return any(hmac.compare_digest(blake3(signed, key=key).digest(16), head.signature) for key in self.keys)

    def places(self) -> Iterator[tuple[int, Header]]:
        """The valid headers, one behind the other."""
        at = SEGMENT_HEADER.size if self.writer else 0
        search_from = at
        while at < len(self.content):
            head = self.header(at)
            if head is not None:
                yield at, head
                search_from = at + FRAME_HEADER.size
                if search_from + head.length <= len(self.content):
                    at = search_from + head.length
                    continue
            at = self.content.find(SYNC, search_from)
            while at >= 0 and self.header(at) is None:
                at = self.content.find(SYNC, at + 1)
            if at < 0:
                return

    def frames(self) -> Iterator[Frame]:
        """What is whole and ours, but for control frames."""
        for at, head in self.places():
            body = self.body(at, head)
            if body is not None and not head.flags & 1 and self.is_ours(at, head):
                yield Frame(head.type, head.run, head.writer, head.seq, head.key, body, self.path.parent)

    def index(self) -> list[tuple[bytes, int]] | None:
        """The keys and places that the index names, and None if there is no index that holds."""
        at = len(self.content) - 120
        close = self.header(at)
        if close is None or close.type != CLOSE or (body := self.body(at, close)) is None:
            return None
        place = int_of(body)
        head = self.header(place)
        if head is None or head.type != INDEX or (packed := self.body(place, head)) is None:
            return None
        if place + FRAME_HEADER.size + head.length != at:
            return None
        n, s, b = struct.unpack_from("<QII", packed)
        fan_out = struct.unpack_from(f"<{2**b + 1}I", packed, 16 + 8 * s)
        start = 16 + 8 * s + 4 * (2**b + 1)
        entries = [packed[start + 40 * i : start + 40 * (i + 1)] for i in range(n)]
        assert len(packed) == start + 40 * n and entries == sorted(entries) and fan_out[-1] == n
        for number, entry in enumerate(entries):
            prefix = int.from_bytes(entry[:32], "big") >> (256 - b)
            assert fan_out[prefix] <= number < fan_out[prefix + 1]
        return [(entry[:32], int.from_bytes(entry[32:], "big")) for entry in entries]


def int_of(block: bytes) -> int:
    return int.from_bytes(block, "little")


def id_of(key: bytes) -> bytes:
    return blake3(key, derive_key_context="parslish 2026 key id").digest(8)


def frames(folders: list[Path], keys: list[bytes]) -> dict[Name, Frame]:
    """The frames of stores and of those that they build upon, each once."""
    found: dict[Name, Frame] = {}
    read: set[Path] = set()
    while folders:
        folder = folders.pop(0).resolve()
        if folder in read:
            continue
        read.add(folder)
        for path in sorted(folder.glob("*.seg")):
            for frame in Segment(path, keys).frames():
                found.setdefault((frame.writer, frame.seq), frame)
                if frame.type == BASES:
                    folders += _bases(frame)
    return found


def _bases(frame: Frame) -> Iterator[Path]:
    for pair in msgpack.unpackb(frame.body):
        for path in pair:
            base = frame.folder / path.decode()  # which an absolute path replaces
            if base.is_dir():
                yield base
                break


def dead(found: dict[Name, Frame]) -> set[Name]:
    """The frames that tombstones name which count."""
    kills = {
        name: {(writer, seq) for writer, seq in msgpack.unpackb(frame.body)["kills"]}
        for name, frame in found.items()
        if frame.type == TOMBSTONE
    }

    def counts(name: Name) -> bool:
        return not any(name in named and counts(other) for other, named in kills.items())

    return {name for tombstone, named in kills.items() if counts(tombstone) for name in named}


def results(folders: list[Path], keys: list[bytes]) -> dict[bytes, Result]:
    """The results that count, by key."""
    found = frames(list(folders), keys)
    killed = dead(found)
    best: dict[bytes, Frame] = {}
    for name, frame in found.items():
        if frame.type == RESULT and name not in killed:
            other = best.get(frame.key)
            if other is None or (other.run, other.writer, other.seq) < (frame.run, frame.writer, frame.seq):
                best[frame.key] = frame
    return {key: result(frame) for key, frame in best.items()}


def result(frame: Frame) -> Result:
    """A result, opened."""
    unpacker = msgpack.Unpacker()
    unpacker.feed(frame.body)
    version, *facts = unpacker.unpack()
    if version != 1:
        raise NewerVersion(version)
    return Result(*facts, frame.run, value(frame.body[unpacker.tell() :], frame.folder))


def value(stored: bytes, folder: Path) -> Any:
    """A value from its stored form."""
    buffers: list[bytes] = []
    if stored[0] == 0x42 and len(stored) > 33 and not (len(stored) - 33) % 8:
        digest, sizes = stored[1:33], struct.unpack(f"<{(len(stored) - 33) // 8}Q", stored[33:])
        blob = (folder / f"{digest.hex()}.blob").read_bytes()
        if len(blob) != sum(sizes) or blake3(blob).digest() != digest:
            raise ValueError("the blob is damaged")
        sections = []
        for size in sizes:
            sections.append(blob[:size])
            blob = blob[size:]
        stored, *buffers = sections
    if stored[0] == 0x44:
        import dill

        return dill.loads(stored[1:])
    assert stored[0] == 0x80
    return pickle.loads(stored, buffers=buffers)


def events(folder: Path, keys: list[bytes], kinds: dict[int, tuple[str, list[str]]]) -> list[dict[str, Any]]:
    """The events of a run, in the order in which they were written; `kinds` as the table of the page has them."""
    found = sorted(frames([folder], keys).values(), key=lambda frame: (frame.run, frame.writer, frame.seq))
    rows = [
        row
        for frame in found
        if frame.type == EVENT
        for row in msgpack.unpackb(frame.body, strict_map_key=False, unicode_errors="surrogatepass")
    ]
    return [
        {"kind": kinds[kind][0], **dict(zip(kinds[kind][1], fields, strict=False))}
        for kind, *fields in rows
        if kind in kinds
    ]
