"""Owns which large values are lost: what a record refers to is not there, or is not what was stored."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from parslish.identity.atoms import hasher
from parslish.store import blobs
from parslish.store.blobs import Reference
from parslish.store.disk import Disk
from parslish.store.source import Source


class LostValues:
    """The large values of a store that are lost; each is looked at once.

    Args:
        where: the store's folder.
        sizes: of its files.
        thorough: read them, too; without it, their sizes decide which of them are whole.
    """

    def __init__(self, where: Path, sizes: Mapping[Path, int], disk: Disk, *, thorough: bool) -> None:
        self._where, self._sizes, self._disk, self._thorough = where, sizes, disk, thorough
        self._known: dict[tuple[bytes, int], bool] = {}

    def __contains__(self, reference: object) -> bool:
        if not isinstance(reference, Reference):
            return False
        asked = reference.digest, reference.size
        if asked not in self._known:
            path = blobs.path_of(self._where, reference.digest)
            is_listed = self._sizes.get(path) == reference.size
            self._known[asked] = (self._thorough or not is_listed) and _is_lost(path, reference, self._disk)
        return self._known[asked]


def _is_lost(path: Path, reference: Reference, disk: Disk) -> bool:
    """Whether a large value can never be read again: what only fails to be read now is not lost."""
    state = hasher(reference.size)
    try:
        source = Source(disk, path, shared=True)  # its digest tells whether it is the one
        if source.size != reference.size:
            return True
        for place in range(0, reference.size, blobs.CHUNK_BYTES):
            state.update(source.read(place, min(blobs.CHUNK_BYTES, reference.size - place)))
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return state.digest() != reference.digest
