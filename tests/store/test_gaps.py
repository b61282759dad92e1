"""Damage at the start of a segment is told, with the number of records that it costs, as far as that can be known."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from parslish.secret import Keys
from parslish.store import frame
from parslish.store.check import SegmentVerdict, check
from parslish.store.frame import CONTROL, HEADER_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader, Type
from parslish.store.log import Log
from parslish.store.reader import Store
from tests.faults.stores import KEYS

COUNT = 20
WRITER = b"writer 1"
BODY = b"a value"
FRAME = HEADER_BYTES + len(BODY)


def write(folder: Path, *, close: bool) -> Path:
    log = Log(folder, keys=KEYS)
    for n in range(COUNT):
        log.append(Type.RESULT, BODY, bytes([n]) * 32)
    assert (log.close if close else log.sync)()
    (segment,) = folder.iterdir()
    return segment


def verdict_on(segment: Path) -> SegmentVerdict:
    """What is said of a segment, and that a reader says the same."""
    (verdict,) = (one for one in check(segment.parent).segments if one.path == segment)
    told = [one for one in Store.open([segment.parent], KEYS).report.warnings if one.path == segment]
    assert [(one.sentence, one.records) for one in told] == (
        [(verdict.sentence, verdict.lost)] if verdict.state == "corrupt" else []
    )
    return verdict


def behind(number: int) -> int:
    return SEGMENT_HEADER_BYTES + number * FRAME


#: A change, and how many of the first ten records it costs.
HEADERS: dict[str, tuple[Callable[[bytes], bytes], int]] = {
    "zeroed": (lambda c: bytes(SEGMENT_HEADER_BYTES) + c[SEGMENT_HEADER_BYTES:], 0),
    "flipped bit": (lambda c: c[:20] + bytes([c[20] ^ 1]) + c[21:], 0),
    "taken out": (lambda c: c[SEGMENT_HEADER_BYTES:], 0),
    "zeroed with ten records": (lambda c: bytes(SEGMENT_HEADER_BYTES + 10 * FRAME) + c[behind(10) :], 10),
    "taken out with ten records": (lambda c: c[behind(10) :], 10),
    "taken out with nine and a half": (lambda c: c[behind(10) - 60 :], 10),
    "garbage with ten records": (lambda c: os.urandom(behind(10)) + c[behind(10) :], 10),
    "taken out with all but the last record": (lambda c: c[behind(COUNT - 1) :], COUNT - 1),
}


@pytest.mark.parametrize("close", [True, False], ids=["closed", "torn"])
@pytest.mark.parametrize("case", HEADERS)
def test_a_damaged_start_is_corrupt_and_its_cost_is_told(case: str, close: bool, tmp_path: Path) -> None:
    change, lost = HEADERS[case]
    segment = write(tmp_path / "a", close=close)
    segment.write_bytes(change(segment.read_bytes()))
    verdict = verdict_on(segment)
    assert (verdict.state, verdict.lost, verdict.records) == ("corrupt", lost, COUNT - lost), verdict.sentence
    assert ("no record is lost" in verdict.sentence) == (lost == 0)


@pytest.mark.parametrize("case", HEADERS)
def test_under_a_name_of_its_own_a_damaged_start_is_corrupt_and_no_loss_is_denied(case: str, tmp_path: Path) -> None:
    change, lost = HEADERS[case]
    written = write(tmp_path / "a", close=True)
    segment = written.rename(written.with_name("copy.seg"))
    segment.write_bytes(change(segment.read_bytes()))
    verdict = verdict_on(segment)
    assert (verdict.state, verdict.records) == ("corrupt", COUNT - lost)
    assert "how many are lost before them nobody can tell" in verdict.sentence


def test_a_segment_that_is_emptied_while_it_is_written_is_corrupt(tmp_path: Path) -> None:
    log = Log(tmp_path, keys=KEYS)
    for n in range(COUNT):
        log.append(Type.RESULT, BODY, bytes([n]) * 32)
        if n == 7:
            assert log.sync()
            (segment,) = tmp_path.iterdir()
            segment.write_bytes(b"")
    assert log.close()
    verdict = verdict_on(segment)
    assert (verdict.state, verdict.lost, verdict.records) == ("corrupt", 8, COUNT - 8)


def segment_of(folder: Path, ordinal: int, first: int, frames: list[tuple[int, bytes, int]]) -> Path:
    """A segment of frames as (number, body, watermark), where b"" makes a control frame, under its proper name."""
    sign = frame.signer(KEYS.signing)
    content = frame.pack_segment_header(SegmentHeader(1, ordinal, WRITER, first, KEYS.id, 0))
    for seq, body, watermark in frames:
        type, flags = (Type.EVENT, 0) if body else (Type.SYNCED, CONTROL)
        content += frame.pack(sign, type, flags, 1, WRITER, len(body), seq, watermark, b"", frame.digest(body)) + body
    path = folder / f"20261121T000000.000000-host-1-{WRITER.hex()}-{ordinal}.seg"
    path.write_bytes(content)
    return path


def two(folder: Path) -> tuple[Path, Path]:
    """What a writer leaves that has lost its first segment to a failed fsync: 0 to 2 in it, 2 to 4 in the next."""
    earlier = segment_of(folder, 0, 0, [(0, b"a", 0), (1, b"b", 0), (2, b"", 2), (2, b"c", 2)])
    later = segment_of(folder, 1, 2, [(2, b"c", 2), (3, b"d", 2), (4, b"e", 2), (5, b"", 5)])
    return earlier, later


WRECKS: dict[str, Callable[[bytes], bytes]] = {"emptied": lambda c: b"", "zeros": lambda c: bytes(len(c))}


@pytest.mark.parametrize("wreck", WRECKS)
def test_an_emptied_segment_is_corrupt_where_the_next_one_tells_what_it_had(wreck: str, tmp_path: Path) -> None:
    earlier, later = two(tmp_path)
    assert check(tmp_path).state == "torn"
    earlier.write_bytes(WRECKS[wreck](earlier.read_bytes()))
    verdict = verdict_on(earlier)
    assert (verdict.state, verdict.lost) == ("corrupt", 2)
    assert verdict.sentence == "2 records that had been synced cannot be read; 0 records can"
    assert verdict_on(later).state == "torn"


@pytest.mark.parametrize("wreck", WRECKS)
def test_an_emptied_segment_that_nothing_durable_was_in_is_torn(wreck: str, tmp_path: Path) -> None:
    alone = segment_of(tmp_path, 0, 0, [(0, b"a", 0)])
    alone.write_bytes(WRECKS[wreck](alone.read_bytes()))
    assert verdict_on(alone).state == "torn"
    segment_of(tmp_path, 1, 0, [(0, b"a", 0), (1, b"b", 0), (2, b"", 2)])
    assert verdict_on(alone).state == "torn"


def test_a_later_segment_without_its_header_is_measured_by_the_one_before(tmp_path: Path) -> None:
    earlier, later = two(tmp_path)
    content = later.read_bytes()
    later.write_bytes(content[SEGMENT_HEADER_BYTES:])
    assert (verdict_on(later).state, verdict_on(later).lost) == ("corrupt", 0)
    later.write_bytes(content[SEGMENT_HEADER_BYTES + 2 * (HEADER_BYTES + 1) :])
    assert (verdict_on(later).state, verdict_on(later).lost) == ("corrupt", 1)  # 3; the earlier one has 2
    assert verdict_on(earlier).state == "torn"
    earlier.unlink()  # as a compaction does
    assert "nobody can tell" in verdict_on(later).sentence


def test_a_header_that_is_torn_before_anything_was_durable_is_no_damage(tmp_path: Path) -> None:
    segment = segment_of(tmp_path, 0, 0, [(0, b"a", 0), (1, b"b", 0)])
    segment.write_bytes(bytes(SEGMENT_HEADER_BYTES) + segment.read_bytes()[SEGMENT_HEADER_BYTES:])
    assert verdict_on(segment).state == "torn"
    segment.unlink()
    segment_of(tmp_path, 0, 0, [(0, b"a", 0), (1, b"b", 0), (2, b"", 2)])
    later = segment_of(tmp_path, 1, 2, [(2, b"c", 2), (3, b"d", 2)])
    later.write_bytes(bytes(SEGMENT_HEADER_BYTES) + later.read_bytes()[SEGMENT_HEADER_BYTES:])
    assert verdict_on(later).state == "torn"


def test_a_name_of_another_writer_is_not_believed(tmp_path: Path) -> None:
    segment = segment_of(tmp_path, 3, 7, [(7, b"a", 7), (8, b"", 8)])
    segment.write_bytes(segment.read_bytes()[SEGMENT_HEADER_BYTES:])
    other = segment.rename(segment.with_name(f"x-{b'writer 2'.hex()}-0.seg"))
    assert (verdict_on(other).state, verdict_on(other).lost) == ("corrupt", 0)
    assert "nobody can tell" in verdict_on(other).sentence


def test_a_damaged_start_is_told_whosever_key_it_was(tmp_path: Path) -> None:
    segment = write(tmp_path / "a", close=True)
    segment.write_bytes(segment.read_bytes()[behind(10) :])
    assert check(tmp_path / "a", keys=Keys([bytes(32)])).segments[0].lost == 10
