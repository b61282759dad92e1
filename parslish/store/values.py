"""Owns the words for stored values that are large: from which size on they are not in their record, and what is there
instead."""

from __future__ import annotations

from typing import Final

LARGE_BYTES: Final = 1 << 20  #: a value of so many bytes is stored apart, in a blob
BLOB: Final = 0x42  #: "B": the first byte of what stands for it in the record

Piece = bytes | memoryview  #: contiguous bytes
Encoded = bytes | memoryview  #: a value in `codec`'s form
