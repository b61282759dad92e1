"""Owns what an attacker can make without the key: frames and segments whose checksums hold, and the canary that tells
when a stored pickle was opened."""

from __future__ import annotations

import dataclasses
import functools
import os
import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from blake3 import blake3

from parslish import codec
from parslish.result import VALUE, pack
from parslish.store import bodies, frame
from parslish.store.frame import CONTROL, HEADER_BYTES, SEGMENT_HEADER_BYTES, Header, SegmentHeader, Type
from parslish.store.log import Log
from tests.faults.disk import MemoryDisk
from tests.faults.stores import FOLDER, KEYS

#: The attacker's own key.
THEIRS = frame.signer(b"\xee" * 32)
ELSEWHERE = "/attacker"  # a folder that forged frames would have us open
EVENT_OF_APPS = 200  # a type that readers may pass over


class Canary:
    """What leaves a mark when it is unpickled, in whichever process."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)

    @property
    def sang(self) -> bool:
        return self.mark.exists()

    def result(self) -> bytes:
        """The body of a result whose value is the canary."""
        return result(self)


def result(value: Any) -> bytes:
    """The body of a result with this value."""
    return pack(VALUE, "app", 7, 1_700_000_000.0, 0.5, (), codec.encode(value))


@dataclasses.dataclass(frozen=True)
class Frame:
    """A frame, genuine or not."""

    header: Header
    body: bytes

    def sealed(self) -> bytes:
        """Its bytes, with the length, the digest and the checksum that they are to have, and its signature as it is."""
        head = self.header
        return pack_frame(head, self.body, lambda signed: head.signature)

    def signed_part(self) -> bytes:
        return self.sealed()[: HEADER_BYTES - 20]

    def but(self, body: bytes | None = None, **fields: Any) -> Frame:
        """The same with another body, or other fields."""
        return Frame(self.header._replace(**fields), self.body if body is None else body)


def pack_frame(head: Header, body: bytes, sign: frame.Signer) -> bytes:
    """A frame as its writer would make it who has the key of `sign`."""
    about = head.type, head.flags, head.run, head.writer
    return frame.pack(sign, *about, len(body), head.seq, head.watermark, head.key, frame.digest(body)) + body


@dataclasses.dataclass(frozen=True)
class Victim:
    """A genuine segment, all that the attacker has seen of its user, and what is stored."""

    header: SegmentHeader
    frames: list[Frame]  #: of the segment
    seen: list[Frame]  #: of it and of other segments of the same user; some have the canary in them
    values: dict[bytes, Any]  #: what the segment has, by key

    @functools.cached_property
    def signed(self) -> frozenset[bytes]:
        """Every frame that the user has signed."""
        return frozenset(each.sealed() for each in self.seen)

    @property
    def results(self) -> list[Frame]:
        return [each for each in self.frames if each.header.type == Type.RESULT]

    def segment(self, frames: list[bytes]) -> bytes:
        """The segment with other frames in the place of its own."""
        return frame.pack_segment_header(self.header) + b"".join(frames)


def victim(rng: random.Random, canary: Canary, count: int = 12) -> Victim:
    """A user with two runs, who has stored what others gave him: the canary lies in signed frames, as plain bytes."""
    disk = MemoryDisk()
    values: dict[bytes, Any] = {}
    for run in (3, 4):
        log = Log(FOLDER, keys=KEYS, run_number=run, sync="manual", disk=disk)
        values = {rng.randbytes(32): rng.randrange(1000) for _ in range(count)}
        for key, value in values.items():
            log.append(Type.RESULT, result(value + 1), key)  # the older of two
            log.append(Type.EVENT, canary.result())
            log.append(Type.RESULT, result(value), key)
        log.append(EVENT_OF_APPS, pickle.dumps(canary))
        log.append(Type.TOMBSTONE, bodies.tombstone([(b"somebody", 1)]))
        # A record that others have filled: a copy of its body begins anywhere in it.
        hostile = rng.randbytes(32)
        values[hostile] = canary.result()
        log.append(Type.RESULT, result(values[hostile]), hostile)
        assert log.sync()
    contents = [content for _, content in sorted(disk.contents().items())]
    *_, last = found = [frames_of(content) for content in contents]
    header = frame.parse_segment_header(contents[-1])
    assert header is not None
    return Victim(header, last, [each for frames in found for each in frames], values)


def frames_of(content: bytes) -> list[Frame]:
    """The frames of a segment that is whole."""
    found, at = [], SEGMENT_HEADER_BYTES
    while (header := frame.parse(content, at)) is not None:
        at += HEADER_BYTES + header.length
        found.append(Frame(header, content[at - header.length : at]))
    assert at == len(content)
    return found


# ---------------------------------------------------------------------------------------- attacks on a frame

Attack = Callable[[random.Random, Victim, Canary], Frame]


def by(attack: Attack, rng: random.Random, one: Victim, canary: Canary) -> Frame:
    """What an attack makes, if it is not by chance what the user has signed."""
    while (made := attack(rng, one, canary)).sealed() in one.signed:
        pass
    return made


def _signature(rng: random.Random, one: Victim, made: Frame) -> bytes:
    """Whatever somebody without the key may write into the field."""
    guesses: list[Callable[[], bytes]] = [
        lambda: rng.randbytes(16),
        lambda: bytes(16),
        lambda: rng.choice(one.seen).header.signature,
        lambda: THEIRS(made.signed_part()),
        lambda: blake3(made.signed_part()).digest(16),
        lambda: blake3(made.signed_part(), key=one.header.key_id * 4).digest(16),
        lambda: made.header.digest,
    ]
    return rng.choice(guesses)()


def forged(rng: random.Random, one: Victim, canary: Canary) -> Frame:
    """The canary under a key of ours, or one that is looked for, as the newest record of all."""
    head = rng.choice(one.results).header
    made = Frame(
        head._replace(
            seq=rng.choice((head.seq, head.seq + 1, rng.getrandbits(64))),
            run=rng.choice((head.run, 2**32 - 1)),
            watermark=rng.choice((head.watermark, 0, 2**64 - 1)),
            key=rng.choice((head.key, rng.randbytes(32))),
        ),
        canary.result(),
    )
    return made.but(signature=_signature(rng, one, made))


def spliced(rng: random.Random, one: Victim, canary: Canary) -> Frame:
    """Parts of two genuine frames: of other records, writers, runs, types."""
    head = rng.choice(one.seen)
    other = rng.choice([each for each in one.seen if each != head])
    fields = rng.sample(("type", "run", "writer", "seq", "watermark", "key", "signature"), rng.randint(1, 6))
    made = head.but(**{name: getattr(other.header, name) for name in fields})
    return rng.choice((made, Frame(made.header, other.body)))


def replayed(rng: random.Random, one: Victim, canary: Canary) -> Frame:
    """An older record of the same writer, put forward as the newest, or as one of another call."""
    old = rng.choice(one.results)
    head = old.header
    return old.but(
        seq=head.seq + rng.randint(1, 2**20),
        run=head.run + rng.choice((0, 1)),
        key=rng.choice((head.key, rng.choice(one.results).header.key)),
    )


def downgraded(rng: random.Random, one: Victim, canary: Canary) -> Frame:
    """A genuine frame with the canary in it, turned into a result; or one with other flags."""
    holding = [each for each in one.seen if each.header.type in (Type.EVENT, EVENT_OF_APPS)]
    key = rng.choice(one.results).header.key
    turned = rng.choice(holding).but(type=Type.RESULT, key=key, writer=one.header.writer)
    flagged = rng.choice(one.results)
    flags = flagged.header.flags ^ rng.choice((CONTROL, 2, 0x8000, 0xFFFF))
    return rng.choice((turned, turned.but(flags=CONTROL), flagged.but(flags=flags)))


def bit_flipped(rng: random.Random, one: Victim, canary: Canary) -> Frame:
    """One to three bits of a genuine frame changed: anywhere but in the sync word and the checksums."""
    head = rng.choice(one.seen)
    packed = bytearray(head.signed_part() + head.header.signature)
    body = bytearray(head.body)
    for _ in range(rng.randint(1, 3)):
        place = rng.choice((rng.randrange(4, 20), rng.randrange(28, 76), rng.randrange(92, 108)))
        target = body if body and rng.random() < 0.3 else packed
        target[rng.randrange(len(body)) if target is body else place] ^= 1 << rng.randrange(8)
    fields = frame._FRAME.unpack(bytes(packed) + bytes(4))
    return Frame(Header(*fields), bytes(body))


def truncated(rng: random.Random, one: Victim, canary: Canary) -> Frame:
    """A genuine frame with a piece of its body, or with more than its body."""
    holding = [each for each in one.seen if each.body]
    head = rng.choice(holding)
    cut = head.body[rng.randrange(len(head.body)) :], head.body[: rng.randrange(len(head.body))]
    return head.but(body=rng.choice((*cut, head.body + rng.randbytes(8), head.body * 2)))


def killing(rng: random.Random, one: Victim, canary: Canary) -> Frame:
    """A tombstone for a genuine record, or a folder of the attacker as the base of ours."""
    head = rng.choice(one.results).header
    tombstone = bodies.tombstone([(head.writer, head.seq)])
    made = Frame(head._replace(type=Type.TOMBSTONE, key=frame.NO_KEY), tombstone)
    based = Frame(made.header._replace(type=Type.BASES), bodies.bases(Path(FOLDER), Path(ELSEWHERE)))
    made = rng.choice((made, based))
    return made.but(signature=_signature(rng, one, made))


ATTACKS: tuple[Attack, ...] = (forged, spliced, replayed, downgraded, bit_flipped, truncated, killing)
