"""Owns bodies that lie in several pieces of memory, so that a large value is written from where it is, instead of
being copied to stand in one piece with the facts before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

LARGE_BYTES: Final = 1 << 20  #: copying less than this is cheaper than taking care of the pieces

Piece = bytes | memoryview


class Parts:
    """The bytes of the pieces, one after the other; `LARGE_BYTES` or more.

    Args:
        pieces: contiguous bytes each.
        lent: some of it is memory that others may change, once they hear that the frame is written: who keeps the body
            longer needs `bytes` of it.
    """

    __slots__ = ("_size_bytes", "lent", "pieces")

    def __init__(self, pieces: Sequence[Piece], *, lent: bool = False) -> None:
        self.pieces = pieces
        self.lent = lent
        self._size_bytes = sum(map(len, pieces))

    def __len__(self) -> int:
        return self._size_bytes

    def __bytes__(self) -> bytes:
        return b"".join(self.pieces)


Body = bytes | Parts
