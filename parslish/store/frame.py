"""Owns the bytes of a segment: its header, and the header of each frame (FORMAT.md is the specification).

Pure functions over bytes: no I/O, no clock, no lock. What a body means is left to the other layers.
"""

from __future__ import annotations

import enum
import hmac
import struct
import zlib
from collections.abc import Callable
from typing import Final, NamedTuple

from blake3 import blake3

from parslish.identity.atoms import PARALLEL_BYTES, hasher

MAGIC: Final = b"\x89PSL\r\n\x1a\n"  # as PNG's: a text-mode transfer or a cut to 7 bits breaks it
VERSION: Final = 1
SYNC: Final = b"\x9e\xf7\x1d\xb3"
NO_KEY: Final = bytes(32)
WRITER_BYTES: Final = 8
CONTROL: Final = 1  # flag: a frame about other frames; it takes no sequence number of its own
FIRST_OPTIONAL: Final = 128  # types from here on may be passed over by a reader that does not know them

_SEGMENT: Final = struct.Struct("<8sHHII8sQ8sq8sI")
_SIGNED: Final = struct.Struct("<4sHHI8sQQQ32s16s")
_FRAME: Final = struct.Struct("<4sHHI8sQQQ32s16s16sI")
_CRC: Final = struct.Struct("<I")
SEGMENT_HEADER_BYTES: Final = _SEGMENT.size
HEADER_BYTES: Final = _FRAME.size
_SIGNED_BYTES: Final = _SIGNED.size
_CHECKED_BYTES: Final = _FRAME.size - _CRC.size
# By names of their own: `pack` and `parse` run once for each record, and to look them up is a tenth of that.
_pack, _pack_crc, _unpack, _crc32, _new = _SIGNED.pack, _CRC.pack, _FRAME.unpack_from, zlib.crc32, tuple.__new__

Signer = Callable[[bytes], bytes]


class Type(enum.IntEnum):
    """What a frame holds."""

    RESULT = 1  #: a stored result, filed under its key
    EVENT = 2  #: events of a run
    TOMBSTONE = 3  #: names frames that no longer count
    BASES = 4  #: folders this one builds upon
    SYNCED = 16  #: nothing but its watermark
    INDEX = 17  #: where each key is
    CLOSE = 18  #: the segment is whole; where the index is


KNOWN_TYPES: Final = frozenset(int(type) for type in Type)


class SegmentHeader(NamedTuple):
    """The first 64 bytes of a segment."""

    run: int
    ordinal: int  #: how many segments its writer opened before
    writer: bytes
    first: int  #: sequence number of its first frame
    key_id: bytes
    created_us: int  #: wall clock, microseconds since 1970; for people, never for order (I7)


class NewerFormat(ValueError):
    """A segment of a later version than this code knows."""

    def __init__(self, version: int) -> None:
        self.version = version
        super().__init__(f"written by a newer parslish (format {version}; this one reads up to {VERSION}): upgrade")


def pack_segment_header(header: SegmentHeader) -> bytes:
    """The 64 bytes that open a segment."""
    run, ordinal, writer, first, key_id, created_us = header
    checked = _SEGMENT.pack(MAGIC, VERSION, 0, run, ordinal, writer, first, key_id, created_us, bytes(8), 0)
    return checked[: -_CRC.size] + _CRC.pack(zlib.crc32(checked[: -_CRC.size]))


def parse_segment_header(block: bytes) -> SegmentHeader | None:
    """The header at the start of `block`, or None when it is damaged.

    Raises:
        NewerFormat: it is whole, and of a later version.
    """
    if len(block) < _SEGMENT.size or not block.startswith(MAGIC):
        return None
    _, version, _, *fields, _, crc = _SEGMENT.unpack_from(block)
    if crc != zlib.crc32(block[: _SEGMENT.size - _CRC.size]):
        return None
    if version > VERSION:
        raise NewerFormat(version)
    return SegmentHeader(*fields)


class Header(NamedTuple):
    """The header of one frame, 112 bytes; its body follows."""

    sync: bytes
    type: int
    flags: int
    run: int
    writer: bytes
    length: int  #: bytes of the body
    seq: int  #: the writer's count of frames; in a control frame, the number that the next one will get
    watermark: int  #: every frame of the writer below this number was synced when this one was written
    key: bytes
    digest: bytes
    signature: bytes
    crc: int


def signer(key: bytes) -> Signer:
    """What signs headers with that key."""
    base = blake3(key=key)
    # A copy of a prepared hasher is a quarter cheaper than a keyed one from scratch.
    return lambda signed: base.copy().update(signed).digest(16)


def digest(body: bytes) -> bytes:
    """The checksum of a body: 16 bytes."""
    if len(body) < PARALLEL_BYTES:
        return blake3(body).digest(16)
    return hasher(len(body)).update(body).digest(16)


def pack(
    sign: Signer,
    type: int,
    flags: int,
    run: int,
    writer: bytes,
    length: int,
    seq: int,
    watermark: int,
    key: bytes,
    body_digest: bytes,
) -> bytes:
    """The header of a frame, signed. `key` has 32 bytes, or none."""
    signed = _pack(SYNC, type, flags, run, writer, length, seq, watermark, key or NO_KEY, body_digest)
    checked = signed + sign(signed)
    return checked + _pack_crc(_crc32(checked))


def parse(block: bytes, at: int = 0) -> Header | None:
    """The header at `block[at:]`, or None when none is there whole. Its signature is not checked."""
    if len(block) - at < HEADER_BYTES:
        return None
    fields = _unpack(block, at)
    if fields[0] != SYNC or fields[11] != _crc32(block[at : at + _CHECKED_BYTES]):
        return None
    return _new(Header, fields)  # Header._make costs as much again as the rest of this function


def is_signed(header: Header, block: bytes, sign: Signer, at: int = 0) -> bool:
    """Whether the header that was parsed at `block[at:]` was signed with the key of `sign`."""
    return hmac.compare_digest(sign(block[at : at + _SIGNED_BYTES]), header.signature)


def is_whole(header: Header, body: bytes) -> bool:
    """Whether `body` is what the header was written for."""
    return len(body) == header.length and hmac.compare_digest(digest(body), header.digest)
