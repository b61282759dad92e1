from __future__ import annotations

import multiprocessing
import signal

import pytest

from parslish.store import frame
from parslish.store.frame import Header, NewerFormat, SegmentHeader, Type

SIGN = frame.signer(b"k" * 32)
WRITER = b"writer-1"
HEADER = SegmentHeader(3, 1, WRITER, 9, b"key-id..", -5)


def packed(body: bytes = b"body", key: bytes = b"\x07" * 32) -> bytes:
    digest = frame.digest(body)
    return frame.pack(SIGN, Type.RESULT, 0, 3, WRITER, len(body), 9, 4, key, digest) + body


def parsed(block: bytes) -> Header:
    header = frame.parse(block)
    assert header is not None
    return header


def test_a_frame_comes_back_as_it_was_packed() -> None:
    header = parsed(packed())
    assert (header.type, header.flags, header.run, header.writer) == (Type.RESULT, 0, 3, WRITER)
    assert (header.length, header.seq, header.watermark, header.key) == (4, 9, 4, b"\x07" * 32)
    assert frame.is_whole(header, b"body")
    assert frame.is_signed(header, packed(), SIGN)


def test_a_frame_is_found_at_any_place() -> None:
    assert frame.parse(b"xyz" + packed(), 3) == frame.parse(packed())


def test_a_frame_without_a_key_has_zeros_for_one() -> None:
    assert parsed(packed(key=b"")).key == frame.NO_KEY


@pytest.mark.parametrize("length", [0, 1, frame.HEADER_BYTES - 1])
def test_less_than_a_header_is_none(length: int) -> None:
    assert frame.parse(packed()[:length]) is None


def test_another_body_is_not_whole() -> None:
    header = parsed(packed())
    assert not frame.is_whole(header, b"bode")
    assert not frame.is_whole(header, b"bod")
    assert not frame.is_whole(header, b"body+")


def test_another_key_did_not_sign() -> None:
    assert not frame.is_signed(parsed(packed()), packed(), frame.signer(b"x" * 32))


def test_a_large_body_has_the_digest_of_the_specification() -> None:
    from blake3 import blake3

    body = bytes(3 << 20)
    assert frame.digest(body) == blake3(body).digest()[:16]


def _exit_with_a_digest(body: bytes) -> None:
    signal.alarm(30)  # so that it ends, should it wait for threads that a fork does not take along
    frame.digest(body)


def test_a_large_body_is_digested_in_a_forked_process_too() -> None:
    body = bytes(3 << 20)
    frame.digest(body)
    child = multiprocessing.get_context("fork").Process(target=_exit_with_a_digest, args=(body,))
    child.start()
    child.join(60)
    assert child.exitcode == 0


def test_a_segment_header_comes_back_as_it_was_packed() -> None:
    assert frame.parse_segment_header(frame.pack_segment_header(HEADER) + b"more") == HEADER


def test_a_damaged_segment_header_is_none() -> None:
    whole = frame.pack_segment_header(HEADER)
    for at in range(len(whole)):
        assert frame.parse_segment_header(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]) is None
    assert frame.parse_segment_header(whole[:-1]) is None


def test_a_later_version_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame, "VERSION", 3)
    later = frame.pack_segment_header(HEADER)
    monkeypatch.undo()
    with pytest.raises(NewerFormat, match=r"newer parslish \(format 3; this one reads up to 1\): upgrade"):
        frame.parse_segment_header(later)
