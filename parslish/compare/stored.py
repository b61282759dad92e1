"""Owns by how much stored results differ: it opens records whose signatures held (I6), and leaves the rest to
`difference`."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from parslish import codec
from parslish.compare.difference import EQUAL, UNKNOWN, Difference, difference
from parslish.errors import SerializationError, StoreCorrupt
from parslish.result import StoredResult

if TYPE_CHECKING:
    from pathlib import Path

    from parslish.store.reader import Store


class ValueDifference:
    """Tells by how much the stored results of two keys differ, by unpickling them.

    Args:
        store_a, store_b: where the first and the second key are looked up.
    """

    def __init__(self, store_a: Store, store_b: Store) -> None:
        self._a, self._b = store_a, store_b

    def __call__(self, key_a: bytes, key_b: bytes) -> Difference:
        """Compare the most recent result of each; where one is not stored, or cannot be opened, that is unknown."""
        found_a, found_b = _newest(self._a, key_a), _newest(self._b, key_b)
        if found_a is None or found_b is None:
            which = "first" if found_b is not None else "second" if found_a is not None else "first and the second"
            return Difference(UNKNOWN, notes=(f"of the {which} nothing is stored",))
        (result_a, folder_a), (result_b, folder_b) = found_a, found_b
        if result_a.kind == result_b.kind and result_a.encoded == result_b.encoded:
            return Difference(EQUAL)
        try:
            return difference(codec.decode(result_a.encoded, folder_a), codec.decode(result_b.encoded, folder_b))
        except (SerializationError, StoreCorrupt) as exc:
            return Difference(UNKNOWN, notes=(str(exc),))


def _newest(store: Store, key: bytes) -> tuple[StoredResult, Path] | None:
    for record in store.find(key):
        with contextlib.suppress(ValueError):
            return StoredResult.unpack(record.body), record.folder
    return None
