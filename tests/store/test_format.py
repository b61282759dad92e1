"""FORMAT.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import parslish.store
from parslish.secret import Keys
from parslish.store import frame, index
from parslish.store.frame import SegmentHeader, Type

SPECIFICATION = Path(parslish.store.__file__).with_name("FORMAT.md").read_text()
WRITER = bytes(range(1, 9))


def _example() -> bytes:
    lines = re.findall(r"^[0-9a-f]{4}  ([0-9a-f ]+)$", SPECIFICATION, re.MULTILINE)
    return bytes.fromhex(" ".join(lines))


def test_the_example_is_what_the_code_writes() -> None:
    keys = Keys([bytes(range(32))])
    header = frame.pack_segment_header(SegmentHeader(7, 0, WRITER, 0, keys.id, 1_700_000_000_000_000))
    sign = frame.signer(keys.signing)
    body = b"hello"
    head = frame.pack(sign, Type.RESULT, 0, 7, WRITER, 5, 0, 0, b"\x11" * 32, frame.digest(body))
    assert header + head + body == _example()


def test_every_type_is_specified() -> None:
    table = SPECIFICATION.split("## Types")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| (\d+) \| (\w+) \|.*\|$", table, re.MULTILINE))
    assert {int(number): name for number, name in rows.items()} == {int(type): type.name.lower() for type in Type}


def test_the_sizes_are_those_of_the_code() -> None:
    assert f"Segment header: {frame.SEGMENT_HEADER_BYTES} bytes" in SPECIFICATION
    assert f"a header of {frame.HEADER_BYTES} bytes" in SPECIFICATION
    assert f"{index.ENTRY_BYTES} n" in SPECIFICATION
    assert frame.MAGIC.hex(" ") in SPECIFICATION
    assert frame.SYNC.hex(" ") in SPECIFICATION
