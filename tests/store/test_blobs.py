"""Large values in files of their own: stored once, whole or not at all, and never taken for something else."""

from __future__ import annotations

import contextlib
import errno
import os
import random
from pathlib import Path

import pytest
from blake3 import blake3

from parslish.errors import StoreCorrupt
from parslish.store import blobs
from parslish.store.blobs import Blobs, Reference
from parslish.store.disk import Disk
from tests.faults.disk import FailingCalls, MemoryDisk
from tests.faults.stores import FOLDER, SOAK, seeded

WHERE = Path(FOLDER)
SECTIONS = [[b"a pickle, ", b"in pieces"], [b"memory beside it" * 1000], [b""]]


def memory_disk() -> MemoryDisk:
    disk = MemoryDisk()
    disk.folders |= {"/run", FOLDER}
    return disk


def stored(disk: Disk, reference: Reference) -> list[bytes]:
    return [bytes(section) for section in blobs.read(WHERE, reference, disk)]


def whole(sections: list[list[bytes]]) -> list[bytes]:
    return [b"".join(section) for section in sections]


def test_the_sections_come_back_each_in_memory_of_its_own() -> None:
    disk = memory_disk()
    reference = Blobs(WHERE, disk).put(SECTIONS)
    assert stored(disk, reference) == whole(SECTIONS)
    assert reference.digest == blake3(b"".join(whole(SECTIONS))).digest()
    assert blobs.reference_in(reference.pack()) == reference
    assert blobs.check(disk, WHERE, reference) is None
    assert disk.open_descriptors == 0


def test_equal_content_is_stored_once_and_written_once(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir(mode=0o700)
    store = Blobs(tmp_path / "store")
    assert store.put(SECTIONS) == store.put(SECTIONS)
    Blobs(tmp_path / "store").put(SECTIONS)  # another process, which cannot know whether ours is whole
    (file,) = (tmp_path / "store").iterdir()
    assert file.name.endswith(blobs.SUFFIX)
    assert file.stat().st_mode & 0o777 == 0o600
    before = file.stat().st_mtime_ns
    store.put(SECTIONS)
    assert file.stat().st_mtime_ns == before


@pytest.mark.parametrize("body", [b"", b"B", b"B" * 40, b"B" * 42, b"\x80" + bytes(40)])
def test_what_is_no_reference_is_a_value(body: bytes) -> None:
    assert blobs.reference_in(body) is None


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO, None])
def test_an_error_at_any_call_leaves_the_whole_blob_or_nothing(code: int | None) -> None:
    calls = ("open", "write", "fsync", "rename")
    for first in range(50):
        disk = memory_disk()
        failing = disk.before = FailingCalls(first, calls, code)
        reference = None
        try:
            reference = Blobs(WHERE, disk).put(SECTIONS)
        except OSError as exc:
            assert exc.errno == code
            assert all(name.endswith(blobs.SUFFIX) for name in disk.files)
        assert disk.open_descriptors == 0
        disk.before = lambda call: None
        if reference is not None:
            assert stored(disk, reference) == whole(SECTIONS)  # a short write is gone on with
        assert stored(disk, Blobs(WHERE, disk).put(SECTIONS)) == whole(SECTIONS)
        if not failing.failed:
            return
    pytest.fail("there is no end to the calls")


def test_after_a_power_cut_a_blob_that_was_stored_is_there() -> None:
    rng = seeded("blobs and power cuts")
    for _ in range(200 * SOAK):
        disk = memory_disk()
        store = Blobs(WHERE, disk)
        content = [[rng.randbytes(rng.randrange(2000))] for _ in range(3)]
        reference = store.put(content)
        assert stored(disk.after_power_cut(rng), reference) == whole(content)


def test_after_a_power_cut_at_any_call_there_is_the_whole_blob_or_none() -> None:
    rng = seeded("blobs and power cuts in the middle")

    class Cut(Exception):
        pass

    for first in range(20):
        for _ in range(20 * SOAK):
            disk = memory_disk()
            calls = iter(range(100))

            def cut(call: str, calls: object = calls, first: int = first) -> None:
                if next(calls) == first:  # type: ignore[call-overload]
                    raise Cut

            disk.before = cut
            reference = None
            with contextlib.suppress(Cut):
                reference = Blobs(WHERE, disk).put(SECTIONS)
            left = disk.after_power_cut(rng)
            for name in left.files:
                if name.endswith(blobs.SUFFIX):
                    assert stored(left, Reference(bytes.fromhex(Path(name).stem), _sizes())) == whole(SECTIONS)
            if reference is not None:
                assert stored(left, reference) == whole(SECTIONS)


def _sizes() -> tuple[int, ...]:
    return tuple(map(len, whole(SECTIONS)))


@pytest.mark.parametrize("when", ["open", "write", "fsync"])
def test_memory_that_others_change_meanwhile_is_stored_as_it_was_at_one_moment(when: str) -> None:
    disk = memory_disk()
    memory = bytearray(b"before" * 1000)
    changes = iter([True])

    def change(call: str) -> None:
        if call == when and next(changes, False):
            memory[:6] = b"after!"

    disk.before = change
    reference = Blobs(WHERE, disk).put([[b"head"], [memoryview(memory)]])
    assert stored(disk, reference)[1] in (b"before" * 1000, bytes(memory))
    assert [name for name in disk.files if not name.endswith(blobs.SUFFIX)] == []


@pytest.mark.parametrize("seed", range(5))
def test_a_damaged_or_missing_blob_is_nothing_and_says_so(seed: int) -> None:
    rng = random.Random(seed)
    disk = memory_disk()
    reference = Blobs(WHERE, disk).put(SECTIONS)
    path = os.fspath(blobs.path_of(WHERE, reference.digest))
    content = disk.contents()[path]
    at = rng.randrange(len(content))
    flipped = content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :]
    for damaged in (flipped, content[:at], content + b"x", b""):
        broken = MemoryDisk.holding({path: damaged})
        with pytest.raises(StoreCorrupt, match=r"\.blob"):
            blobs.read(WHERE, reference, broken)
        assert "blob" in (blobs.check(broken, WHERE, reference) or "")
    del disk.files[path]
    with pytest.raises(StoreCorrupt, match="cannot be read"):
        blobs.read(WHERE, reference, disk)
    assert blobs.check(disk, WHERE, reference) is not None


def test_a_link_or_a_pipe_under_its_name_is_not_followed(tmp_path: Path) -> None:
    reference = Blobs(tmp_path).put(SECTIONS)
    path = blobs.path_of(tmp_path, reference.digest)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreCorrupt, match="symbolic link"):
        blobs.read(tmp_path, reference)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(StoreCorrupt, match="regular file"):
        blobs.read(tmp_path, reference)


def test_a_blob_that_somebody_removes_is_written_anew_when_its_value_comes_again() -> None:
    disk = memory_disk()
    store = Blobs(WHERE, disk)
    reference = store.put(SECTIONS)
    disk.unlink(blobs.path_of(WHERE, reference.digest))
    assert store.put(SECTIONS) == reference
    assert stored(disk, reference) == whole(SECTIONS)
