from __future__ import annotations

import errno
from pathlib import Path

import pytest

from parslish.errors import BadCheckpoint
from parslish.secret import Keys
from parslish.store import frame
from parslish.store.blobs import Blobs, Reference, path_of, reference_in
from parslish.store.check import Verdict, check, glance
from parslish.store.disk import Disk
from parslish.store.frame import CONTROL, HEADER_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader, Type
from parslish.store.log import Log
from parslish.store.report import Kind
from tests.faults.stores import KEYS, SOAK, sample, seeded


def write(folder: Path, count: int, *, close: bool = True) -> Path:
    log = Log(folder, keys=KEYS)
    for n in range(count):
        log.append(Type.RESULT, b"value %d" % n, bytes([n]) * 32)
    assert (log.close if close else log.sync)()
    (segment,) = folder.iterdir()
    return segment


def test_a_closed_store_is_clean(tmp_path: Path) -> None:
    segment = write(tmp_path / "a", 3)
    verdict = check(tmp_path / "a")
    assert verdict.state == "clean"
    assert [(one.path, one.sentence, one.records) for one in verdict.segments] == [(segment, "whole, 3 records", 3)]


def test_a_store_that_was_not_closed_is_torn(tmp_path: Path) -> None:
    write(tmp_path / "a", 1, close=False)
    verdict = check(tmp_path / "a")
    assert verdict.state == "torn"
    assert verdict.segments[0].sentence == "not closed; 1 record readable"


def test_a_changed_byte_is_corrupt_and_the_sentence_counts_the_cost(tmp_path: Path) -> None:
    segment = write(tmp_path / "a", 3)
    segment.write_bytes(segment.read_bytes().replace(b"value 1", b"value X"))
    verdict = check(tmp_path / "a")
    assert verdict.state == "corrupt"
    assert verdict.segments[0].lost == 1
    assert verdict.segments[0].sentence == "1 record that had been synced cannot be read; 2 records can"


def test_damage_among_what_was_synced_is_corrupt_though_it_costs_no_record(tmp_path: Path) -> None:
    log = Log(tmp_path, keys=KEYS, sync="manual")
    for body in (b"first", b"second"):
        log.append(Type.EVENT, body)
        assert log.sync()
    (segment,) = tmp_path.iterdir()
    content = bytearray(segment.read_bytes())
    content[content.index(b"first") + 20] ^= 1  # in the mark behind it that it was synced
    segment.write_bytes(content)
    verdict = check(tmp_path)
    assert verdict.state == "corrupt"
    assert "no record is lost" in verdict.segments[0].sentence
    log.close()


def test_the_worst_segment_decides(tmp_path: Path) -> None:
    write(tmp_path / "a", 3).rename(tmp_path / "clean.seg")
    write(tmp_path / "b", 3, close=False).rename(tmp_path / "torn.seg")
    assert check(tmp_path).state == "torn"
    (tmp_path / "text.seg").write_text("not a segment")
    verdict = check(tmp_path)
    assert verdict.state == "corrupt"
    assert [one.state for one in verdict.segments] == ["clean", "corrupt", "torn"]


def test_one_segment_can_be_checked(tmp_path: Path) -> None:
    assert check(write(tmp_path / "a", 3)).state == "clean"


def test_an_empty_store_is_clean(tmp_path: Path) -> None:
    assert check(tmp_path).state == "clean"


def test_a_path_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadCheckpoint):
        check(tmp_path / "missing")


FRAME = HEADER_BYTES + len(b"value 0")


def faults(verdict: Verdict) -> list[tuple[Kind, int | None, int | None, bytes]]:
    return [(fault.kind, fault.offset, fault.seq, fault.key[:1]) for fault in verdict.faults]


def test_a_damaged_record_is_named_by_segment_offset_number_and_key(tmp_path: Path) -> None:
    segment = write(tmp_path / "a", 3)
    segment.write_bytes(segment.read_bytes().replace(b"value 1", b"value X"))
    verdict = check(tmp_path / "a")
    assert faults(verdict) == [(Kind.CORRUPT, SEGMENT_HEADER_BYTES + FRAME, 1, b"\1")]
    (fault,) = verdict.faults
    assert (fault.path, fault.sentence) == (segment, f"record 1 ({'01' * 6}) is damaged")


def test_a_damaged_header_is_told_by_its_bytes_and_the_number_that_is_missing(tmp_path: Path) -> None:
    segment = write(tmp_path / "a", 3)
    content = bytearray(segment.read_bytes())
    content[SEGMENT_HEADER_BYTES + FRAME + 50] ^= 1  # in its key
    segment.write_bytes(content)
    (fault,) = check(tmp_path / "a").faults
    assert (fault.kind, fault.offset, fault.seq) == (Kind.CORRUPT, SEGMENT_HEADER_BYTES + FRAME, 1)
    assert fault.sentence == f"{FRAME} bytes are no record, where record 1 should be"


def test_records_that_were_cut_out_are_told_where_they_should_be(tmp_path: Path) -> None:
    segment = write(tmp_path / "a", 4)
    content = segment.read_bytes()
    at = SEGMENT_HEADER_BYTES + FRAME
    segment.write_bytes(content[:at] + content[at + 2 * FRAME :])
    (fault, *_) = check(tmp_path / "a").faults
    assert (fault.kind, fault.offset, fault.seq) == (Kind.CORRUPT, at, 1)
    assert fault.sentence == "records 1 to 2 should be here"


def test_a_torn_end_is_told_as_one(tmp_path: Path) -> None:
    segment = write(tmp_path / "a", 3, close=False)
    segment.write_bytes(segment.read_bytes() + b"half a frame")
    verdict = check(tmp_path / "a")
    assert verdict.state == "torn"
    assert [(fault.kind, fault.sentence) for fault in verdict.faults] == [(Kind.TORN, "12 bytes are no record")]


def test_what_is_corrupt_has_a_fault_that_says_where_and_what_is_not_has_none() -> None:
    rng = seeded("faults")
    one = sample(rng, 12, closed=True)
    for _ in range(300 * SOAK):
        content = bytearray(one.content)
        kind = rng.choice(("flip", "cut", "zero", "drop"))
        at = rng.randrange(len(content))
        if kind == "flip":
            content[at] ^= 1 << rng.randrange(8)
        elif kind == "cut":
            del content[at:]
        elif kind == "zero":
            content[at : at + 40] = bytes(len(content[at : at + 40]))
        else:
            del content[at : at + rng.randrange(1, 300)]
        verdict = check(Path(one.path).parent, disk=one.damaged(bytes(content)))
        kinds = {fault.kind for fault in verdict.faults}
        assert (Kind.CORRUPT in kinds) == (verdict.state == "corrupt"), (kind, at, verdict)
        assert all(fault.offset is None or 0 <= fault.offset <= len(content) for fault in verdict.faults)


def segment_of(folder: Path, ordinal: int, first: int, frames: list[tuple[int, bytes, int]]) -> Path:
    """A segment that was not closed, of frames as (number, body, watermark); the body b"" makes a control frame."""
    sign, writer = frame.signer(KEYS.signing), b"writer 1"
    content = frame.pack_segment_header(SegmentHeader(1, ordinal, writer, first, KEYS.id, 0))
    for seq, body, watermark in frames:
        type, flags = (Type.EVENT, 0) if body else (Type.SYNCED, CONTROL)
        content += frame.pack(sign, type, flags, 1, writer, len(body), seq, watermark, b"", frame.digest(body)) + body
    path = folder / f"{ordinal}.seg"
    path.write_bytes(content)
    return path


def test_records_that_another_segment_has_are_not_missing(tmp_path: Path) -> None:
    segment_of(tmp_path, 0, 0, [(0, b"first", 0), (2, b"third", 0)])
    other = segment_of(tmp_path, 1, 1, [(1, b"second", 0), (3, b"", 3)])
    assert (check(tmp_path).state, check(tmp_path).faults) == ("torn", [])
    other.unlink()
    assert [(fault.kind, fault.seq) for fault in check(tmp_path).faults] == [(Kind.TORN, 1)]


def test_no_fault_is_worse_than_its_segment(tmp_path: Path) -> None:
    damaged = segment_of(tmp_path, 0, 0, [(0, b"first", 0), (1, b"", 0), (1, b"", 0)])
    segment_of(tmp_path, 1, 1, [(1, b"second", 1), (2, b"", 2)])
    content = bytearray(damaged.read_bytes())
    content[-1 - HEADER_BYTES] ^= 1  # between what was not known to be synced, as far as the segment itself says
    damaged.write_bytes(content)
    verdict = check(tmp_path)
    assert verdict.state == "torn"
    assert [fault.kind for fault in verdict.faults] == [Kind.TORN]


def test_a_record_that_is_not_signed_with_our_key_makes_its_segment_corrupt_where_the_key_is_known(
    tmp_path: Path,
) -> None:
    segment = write(tmp_path / "a", 2)
    content = segment.read_bytes()
    header = frame.parse(content, SEGMENT_HEADER_BYTES)
    assert header is not None
    body = b"forged!"
    forger = frame.signer(bytes(32))
    forged = frame.pack(
        forger, header.type, 0, header.run, header.writer, 7, 0, header.watermark, header.key, frame.digest(body)
    )
    segment.write_bytes(content[:SEGMENT_HEADER_BYTES] + forged + body + content[SEGMENT_HEADER_BYTES + FRAME :])
    assert check(tmp_path / "a").state == "clean"  # without a key there is no telling
    verdict = check(tmp_path / "a", keys=KEYS)
    assert verdict.state == "corrupt"
    assert faults(verdict) == [(Kind.UNTRUSTED, SEGMENT_HEADER_BYTES, 0, b"\0")]
    assert verdict.segments[0].sentence == "whole, 2 records; 1 not signed with our key"


def test_a_store_of_another_key_is_intact_and_said_not_to_be_ours(tmp_path: Path) -> None:
    write(tmp_path / "a", 2)
    assert check(tmp_path / "a", keys=KEYS).segments[0].ours is True
    verdict = check(tmp_path / "a", keys=Keys([bytes(32)]))
    assert (verdict.state, verdict.segments[0].ours, verdict.faults) == ("clean", False, [])
    assert check(tmp_path / "a").segments[0].ours is None


def with_blob(folder: Path) -> tuple[Path, Reference]:
    """A store of one plain record and one whose value is in a blob; the path of that and what refers to it."""
    log = Log(folder, keys=KEYS)
    log.append(Type.RESULT, b"plain", bytes(32))
    reference = Blobs(folder).put([[b"much" * 1000], [b"more"]])
    log.append(Type.RESULT, reference.pack(), bytes([1]) * 32)
    assert log.close()
    return path_of(folder, reference.digest), reference


def test_a_whole_blob_is_counted_and_no_fault(tmp_path: Path) -> None:
    with_blob(tmp_path)
    verdict = check(tmp_path, keys=KEYS, blob_of=reference_in)
    assert (verdict.state, verdict.blobs, verdict.faults) == ("clean", 1, [])


def test_a_missing_blob_is_told_with_the_record_that_refers_to_it_where_the_key_is_known(tmp_path: Path) -> None:
    blob, _ = with_blob(tmp_path)
    blob.unlink()
    assert check(tmp_path).state == "clean"
    verdict = check(tmp_path, keys=KEYS, blob_of=reference_in)
    assert verdict.state == "corrupt"
    ((kind, offset, seq, key),) = faults(verdict)
    assert (kind, seq, key) == (Kind.MISSING, 1, b"\1")
    assert offset == SEGMENT_HEADER_BYTES + HEADER_BYTES + len(b"plain")
    assert "No such file" in verdict.faults[0].sentence


@pytest.mark.parametrize("change", [lambda c: c[:-1], lambda c: b"X" + c[1:], lambda c: c + b"X", lambda c: b""])
def test_a_damaged_blob_is_found_without_a_key_and_its_record_with_one(tmp_path: Path, change: object) -> None:
    blob, _ = with_blob(tmp_path)
    blob.write_bytes(change(blob.read_bytes()))  # type: ignore[operator]
    verdict = check(tmp_path)
    assert verdict.state == "corrupt"
    assert [(fault.kind, fault.path) for fault in verdict.faults] == [(Kind.CORRUPT, blob)]
    verdict = check(tmp_path, keys=KEYS, blob_of=reference_in)
    assert [fault.kind for fault in verdict.faults] == [Kind.MISSING, Kind.CORRUPT]
    (segment,) = verdict.segments
    assert check(segment.path, keys=KEYS, blob_of=reference_in).state == "corrupt"


def test_what_is_asked_about_a_record_is_asked_only_when_it_is_ours(tmp_path: Path) -> None:
    with_blob(tmp_path)
    asked: list[bytes] = []
    check(tmp_path, keys=Keys([bytes(32)]), blob_of=asked.append)
    assert asked == []
    check(tmp_path, keys=KEYS, blob_of=asked.append)
    assert asked[0] == b"plain"


def test_other_names_that_end_like_a_blob_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "notes.blob").write_text("mine")
    (tmp_path / "ab.blob").write_text("mine")
    assert (check(tmp_path).state, check(tmp_path).blobs) == ("clean", 0)


def test_a_segment_that_compaction_replaces_meanwhile_is_not_missed(tmp_path: Path) -> None:
    old = write(tmp_path / "a", 2)

    class Compacting(Disk):
        @staticmethod
        def open(path: Path, *args: int) -> int:
            if path == old and old.exists():
                old.rename(old.with_name("new.seg"))
            return Disk.open(path, *args)

    verdict = check(tmp_path / "a", disk=Compacting())
    assert [(one.path.name, one.state) for one in verdict.segments] == [("new.seg", "clean")]


def test_a_segment_that_is_listed_and_cannot_be_opened_is_told(tmp_path: Path) -> None:
    write(tmp_path / "a", 2)

    class Stale(Disk):
        @staticmethod
        def open(path: Path, *args: int) -> int:
            raise OSError(errno.ESTALE, "Stale file handle")

    verdict = check(tmp_path / "a", disk=Stale())
    assert [(one.state, one.sentence) for one in verdict.segments] == [("unread", "is listed, but is not there")]


def test_a_glance_tells_the_state_as_far_as_the_index_or_the_headers_do(tmp_path: Path) -> None:
    segment = write(tmp_path / "a", 3)
    write(tmp_path / "b", 3, close=False).rename(tmp_path / "a" / "torn.seg")
    (tmp_path / "a" / "text.seg").write_text("not a segment")
    assert [(one.state, one.records) for one in glance(tmp_path / "a").segments] == [
        ("clean", 3),
        ("corrupt", 0),
        ("torn", 3),
    ]
    segment.write_bytes(segment.read_bytes().replace(b"value 1", b"value X"))
    assert glance(segment).state == "clean"
    with pytest.raises(BadCheckpoint):
        glance(tmp_path / "missing")
