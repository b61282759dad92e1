"""Frames that were made without the key, each with a checksum that holds: none is opened, none is believed.

100,000 of them (and as many more as PARSLISH_SOAK says), and in the bodies of most a canary.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from parslish import codec
from parslish.memo import Memo
from parslish.result import StoredResult
from parslish.store import frame, index
from parslish.store.check import check
from parslish.store.frame import CONTROL, HEADER_BYTES, SEGMENT_HEADER_BYTES, Header, Type
from parslish.store.reader import Store, read_frames
from parslish.store.report import Kind
from parslish.store.segment import CLOSE_BODY, SPECIALS
from tests.faults.disk import MemoryDisk
from tests.faults.stores import FOLDER, KEYS, SOAK, seeded
from tests.security import forge
from tests.security.forge import ATTACKS, THEIRS, Attack, Canary, Frame, Victim

MUTATIONS = 100_000 * SOAK
BATCH = 120  # forged frames in one segment
SEGMENT = f"{FOLDER}/forged.seg"


@pytest.fixture
def canary(tmp_path: Path) -> Canary:
    return Canary(tmp_path / "sang")


def store_of(content: bytes) -> Store:
    return Store.open([FOLDER], KEYS, disk=MemoryDisk.holding({SEGMENT: content}))


def value_in(memo: Memo, key: bytes) -> object:
    known = memo.find(key, None)
    return None if known is None else known.value


def with_index(one: Victim, frames: list[bytes]) -> list[bytes]:
    """The frames of a segment, and an index and close frame that name all of them, made without the key."""
    entries, specials, at = [], [], SEGMENT_HEADER_BYTES
    for each in frames:
        header = frame.parse(each)
        assert header is not None
        if header.type == Type.RESULT:
            entries.append(index.entry(header.key, at))
        elif header.type in SPECIALS:
            specials.append(at)
        at += len(each)
    packed = index.Table.build(entries).pack(specials)
    head = one.frames[-1].header._replace(flags=CONTROL, seq=one.frames[-1].header.seq + 1, key=frame.NO_KEY)
    return [
        *frames,
        forge.pack_frame(head._replace(type=Type.INDEX), packed, THEIRS),
        forge.pack_frame(head._replace(type=Type.CLOSE), CLOSE_BODY.pack(at), THEIRS),
    ]


def mixed(rng: random.Random, one: Victim, made: list[Frame]) -> tuple[list[bytes], list[tuple[int, Header]]]:
    """Genuine and forged frames in any order; the forged ones with their places."""
    frames = [(each.sealed(), False) for each in one.frames] + [(each.sealed(), True) for each in made]
    rng.shuffle(frames)
    places, at = [], SEGMENT_HEADER_BYTES
    for each, is_forged in frames:
        header = frame.parse(each)
        assert header is not None, "the checksum of a forged frame does not hold"
        if is_forged:
            places.append((at, header))
        at += len(each)
    return [each for each, _ in frames], places


def test_the_canary_sings_when_the_signature_is_ours(canary: Canary) -> None:
    """Else its silence would prove nothing."""
    one = forge.victim(seeded("control"), canary)
    head = one.results[0].header._replace(key=b"k" * 32, seq=1000)
    signed = forge.pack_frame(head, canary.result(), frame.signer(KEYS.signing))
    content = one.segment([*(each.sealed() for each in one.frames), signed])
    Memo(store_of(content), 100).find(b"k" * 32, None)
    assert canary.sang


def test_a_genuine_segment_is_read_to_the_last_record(canary: Canary) -> None:
    """Else what is refused below could be refused for other reasons."""
    one = forge.victim(seeded("genuine"), canary)
    memo = Memo(store_of(one.segment([each.sealed() for each in one.frames])), 100)
    assert {key: value_in(memo, key) for key in one.values} == one.values


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_a_forged_frame_is_neither_opened_nor_believed(attack: Attack, canary: Canary) -> None:
    rng = seeded(f"forged {attack.__name__}")
    one = forge.victim(rng, canary)
    genuine = {(each.header.writer, each.header.seq, each.header.type, each.body) for each in one.frames}
    for batch in range(MUTATIONS // len(ATTACKS) // BATCH + 1):
        made = [forge.by(attack, rng, one, canary) for _ in range(BATCH)]
        frames, places = mixed(rng, one, made)
        content = one.segment(with_index(one, frames) if batch % 2 else frames)
        disk = MemoryDisk.holding({SEGMENT: content})

        store = Store.open([FOLDER], KEYS, disk=disk)
        memo = Memo(store, 10_000)
        for key in {each.header.key for each in made} | one.values.keys():
            assert all((r.writer, r.seq, r.type, r.body) in genuine for r in store.find(key)), f"batch {batch}"
            assert value_in(memo, key) == one.values.get(key), f"batch {batch}: a forged frame was believed"
        told = {finding.sentence.split(" has ")[0] for finding in store.report.of(Kind.UNTRUSTED)}
        for at, header in places:
            if header.type == Type.RESULT and header.writer == one.header.writer:
                assert f"the record at byte {at}" in told, f"batch {batch}: {header} was not looked at"
        assert not store.report.of(Kind.MISSING), "a forged base was followed"

        for record in read_frames(FOLDER, KEYS, disk=disk):
            assert (record.writer, record.seq, record.type, record.body) in genuine, f"batch {batch}"
    assert not canary.sang


def test_verify_names_each_forged_record_and_opens_none(canary: Canary) -> None:
    rng = seeded("verify")
    one = forge.victim(rng, canary)
    made = [forge.forged(rng, one, canary) for _ in range(BATCH)]
    frames, places = mixed(rng, one, made)
    verdict = check(FOLDER, keys=KEYS, disk=MemoryDisk.holding({SEGMENT: one.segment(frames)}))
    assert verdict.state == "corrupt"
    assert {fault.offset for fault in verdict.faults if fault.kind is Kind.UNTRUSTED} == {at for at, _ in places}
    assert not canary.sang


def test_a_record_inside_a_record_is_no_record(canary: Canary) -> None:
    """A signed value that others chose has a whole frame in it, with the canary; the frames before it are damaged, so
    that the search for the next frame meets it."""
    rng = seeded("nested")
    one = forge.victim(rng, canary)
    inner = forge.forged(rng, one, canary).but(key=b"k" * 32)
    outer = one.results[0].but(body=forge.result(inner.sealed()))
    signed = forge.pack_frame(outer.header, outer.body, frame.signer(KEYS.signing))
    for cut in range(HEADER_BYTES + len(StoredResult.unpack(outer.body).encoded)):
        content = one.segment([signed[cut:]])
        assert value_in(Memo(store_of(content), 10), b"k" * 32) is None
    assert codec.decode(StoredResult.unpack(outer.body).encoded) == inner.sealed()
    assert not canary.sang
