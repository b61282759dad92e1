"""A reader follows a store that others write to, and never falls with a segment that others remove."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from parslish.store import bodies, frame, listing
from parslish.store.disk import Disk
from parslish.store.frame import Type
from parslish.store.log import Log
from parslish.store.reader import Store, read_frames
from parslish.store.report import Kind
from tests.faults.stores import KEYS, rewrite

KEY = b"\x01" * 32


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    """Somebody who writes to the folder `a`, and is not done with it."""
    one = Log(tmp_path / "a", keys=KEYS, sync="manual")
    yield one
    one.close()


def put(log: Log, *numbers: int) -> None:
    for number in numbers:
        log.append(Type.RESULT, b"body %d" % number, key(number))


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


def found(store: Store, *numbers: int) -> list[int]:
    """Which of these results are found, each as often as it is."""
    return [number for number in numbers for record in store.find(key(number)) if record.body == b"body %d" % number]


def removed(folder: Path) -> None:
    """Others have put a new segment in the place of those that are there."""
    for _ in rewrite(str(folder), Disk()):
        pass


class Counting(Disk):
    """Counts calls, and says of removed files what a server of files says."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.is_remote = False
        self._names: dict[int, Any] = {}

    def open(self, path: Any, flags: int, mode: int = 0o777) -> int:  # type: ignore[override]
        self.calls["open"] += 1
        fd = os.open(path, flags, mode)
        self._names[fd] = path
        return fd

    def pread(self, fd: int, size: int, offset: int) -> bytes:  # type: ignore[override]
        self.calls["pread"] += 1
        if self.is_remote and not os.path.exists(self._names[fd]):
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return os.pread(fd, size, offset)

    def listdir(self, path: Any) -> list[str]:  # type: ignore[override]
        self.calls["listdir"] += 1
        return os.listdir(path)


class TestGrowth:
    def test_what_is_appended_is_found_after_a_refresh(self, tmp_path: Path, log: Log) -> None:
        put(log, 1)
        store = Store.open([tmp_path / "a"], KEYS)
        put(log, 2, 3)
        assert found(store, 1, 2, 3) == [1]
        assert store.refresh()
        assert found(store, 1, 2, 3) == [1, 2, 3]
        assert not store.refresh(), "nothing is new"
        put(log, 4)
        log.close()
        assert store.refresh()
        assert found(store, 1, 2, 3, 4) == [1, 2, 3, 4]
        assert len(store) == 4
        assert not store.report.warnings

    def test_new_segments_and_new_folders_are_found(self, tmp_path: Path, log: Log) -> None:
        put(log, 1)
        store = Store.open([tmp_path / "a"], KEYS)
        store.follow(lambda: [tmp_path / "b", tmp_path / "never"])
        other = Log(tmp_path / "a", keys=KEYS)
        put(other, 2)
        assert other.close()
        assert store.refresh()
        later = Log(tmp_path / "b", keys=KEYS, run_number=1)
        put(later, 3)
        assert store.refresh()
        assert found(store, 1, 2, 3) == [1, 2, 3]
        put(later, 4)
        assert later.close()
        assert store.refresh()
        assert found(store, 4) == [4]
        assert not store.report.findings or {one.kind for one in store.report.findings} == {Kind.TORN}

    def test_a_folder_that_is_followed_does_not_bring_those_it_builds_upon(self, tmp_path: Path, log: Log) -> None:
        put(log, 1)
        later = Log(tmp_path / "b", keys=KEYS)
        later.add_base(tmp_path / "a")
        put(later, 2)
        assert later.close()
        store = Store.open([], KEYS)
        store.follow(lambda: [tmp_path / "b"])
        assert store.refresh()
        assert found(store, 1, 2) == [2]

    def test_a_base_that_is_noted_later_is_loaded(self, tmp_path: Path, log: Log) -> None:
        put(log, 1)
        later = Log(tmp_path / "b", keys=KEYS)
        put(later, 2)
        store = Store.open([tmp_path / "b"], KEYS)
        later.add_base(tmp_path / "a")
        assert store.refresh()
        assert found(store, 1, 2) == [1, 2]
        later.close()

    def test_a_tombstone_that_comes_later_kills_and_so_does_its_end(self, tmp_path: Path, log: Log) -> None:
        put(log, 1)
        store = Store.open([tmp_path / "a"], KEYS)
        (record,) = store.find(key(1))
        log.append(Type.TOMBSTONE, bodies.tombstone([record.name]))
        assert store.refresh()
        assert found(store, 1) == []
        log.append(Type.TOMBSTONE, bodies.tombstone([(record.writer, 1)]))
        assert store.refresh()
        assert found(store, 1) == [1]

    def test_many_refreshes_leave_few_tables(self, tmp_path: Path, log: Log) -> None:
        store = Store.open([tmp_path / "a"], KEYS)
        for number in range(500):
            put(log, number)
            assert store.refresh()
        assert found(store, *range(500)) == list(range(500))
        assert len(store._view.tables) < 12

    def test_the_latest_of_two_results_is_the_first_whenever_it_came(self, tmp_path: Path, log: Log) -> None:
        log.append(Type.RESULT, b"old", KEY)
        store = Store.open([tmp_path / "a"], KEYS)
        log.append(Type.RESULT, b"new", KEY)
        store.refresh()
        assert [record.body for record in store.find(KEY)] == [b"new", b"old"]


class TestCost:
    def test_an_unchanged_store_is_neither_read_nor_listed(
        self, tmp_path: Path, log: Log, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(listing, "SETTLED_S", 0.0)
        put(log, *range(100))
        disk = Counting()
        store = Store.open([tmp_path / "a"], KEYS, disk=disk)
        disk.calls.clear()
        assert not store.refresh()
        assert disk.calls == {"open": 1}, "the one segment that may grow"
        assert log.close()
        assert store.refresh()
        disk.calls.clear()
        assert not store.refresh()
        assert not disk.calls

    def test_only_what_has_grown_is_read(self, tmp_path: Path, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(listing, "SETTLED_S", 0.0)
        put(log, *range(20_000))
        disk = Counting()
        store = Store.open([tmp_path / "a"], KEYS, disk=disk)
        disk.calls.clear()
        put(log, 20_000)
        assert store.refresh()
        assert disk.calls["pread"] <= 4
        assert not disk.calls["listdir"]
        assert found(store, 20_000) == [20_000]

    def test_a_segment_that_comes_within_the_grain_of_the_folders_time_is_found(self, tmp_path: Path, log: Log) -> None:
        put(log, 1)
        store = Store.open([tmp_path / "a"], KEYS)
        before = (tmp_path / "a").stat()
        other = Log(tmp_path / "a", keys=KEYS)
        put(other, 2)
        assert other.close()
        os.utime(tmp_path / "a", ns=(before.st_atime_ns, before.st_mtime_ns))
        store.refresh()
        assert found(store, 1, 2) == [1, 2]


class TestHalfWritten:
    """What a reader may meet while a frame is on its way."""

    @pytest.fixture
    def contents(self, tmp_path: Path, log: Log) -> list[bytes]:
        """A segment: empty, and with one, two and three results, the last of which says that the first is durable."""
        steps = [b""]
        for number in range(3):
            put(log, number)
            (path,) = (tmp_path / "a").iterdir()
            steps.append(path.read_bytes())
            if not number:
                log.sync()
        return steps

    def test_at_any_byte_a_segment_may_be_read_and_what_follows_is_found_later(
        self, tmp_path: Path, contents: list[bytes]
    ) -> None:
        (path,) = (tmp_path / "a").iterdir()
        whole = contents[-1]
        for size in range(0, len(whole), 7):
            path.write_bytes(whole[:size])
            store = Store.open([tmp_path / "a"], KEYS)
            assert found(store, 0, 1, 2) == [n for n in range(3) if len(contents[n + 1]) <= size]
            with path.open("ab") as file:
                file.write(whole[size:])
            assert store.refresh()
            assert found(store, 0, 1, 2) == [0, 1, 2]
            assert not store.report.warnings, size

    def test_bytes_that_show_later_than_their_place_are_waited_for(self, tmp_path: Path, contents: list[bytes]) -> None:
        (path,) = (tmp_path / "a").iterdir()
        _, one, two, three = contents
        path.write_bytes(one)
        store = Store.open([tmp_path / "a"], KEYS)
        path.write_bytes(one + bytes(len(two) - len(one)) + three[len(two) :])
        store.refresh()
        assert found(store, 0, 1, 2) == [0]
        path.write_bytes(three)
        store.refresh()
        assert found(store, 0, 1, 2) == [0, 1, 2]
        assert not store.report.warnings

    def test_bytes_that_never_show_are_passed_over(self, tmp_path: Path, contents: list[bytes]) -> None:
        (path,) = (tmp_path / "a").iterdir()
        _, one, two, three = contents
        path.write_bytes(one)
        store = Store.open([tmp_path / "a"], KEYS)
        path.write_bytes(one + bytes(len(two) - len(one)) + three[len(two) :])
        store.refresh()
        store.refresh()
        assert found(store, 0, 1, 2) == [0, 2]

    def test_a_segment_that_its_writer_cut_back_is_read_anew(self, tmp_path: Path, contents: list[bytes]) -> None:
        (path,) = (tmp_path / "a").iterdir()
        _, one, two, three = contents
        header = frame.parse(two, len(one))
        assert header is not None
        sign = frame.signer(KEYS.signing)
        for body, seq in ((b"body 7", 1), (b"body 8", 5), (b"body 9" * 50, 1)):
            path.write_bytes(three)
            store = Store.open([tmp_path / "a"], KEYS)
            packed = frame.pack(
                sign, Type.RESULT, 0, header.run, header.writer, len(body), seq, 1, key(7), frame.digest(body)
            )
            path.write_bytes(one + packed + body)
            assert found(store, 1, 2) == [], "they were cut off"
            assert [record.body for record in store.find(key(7))] == [body]
            assert found(store, 0) == [0]
            assert not store.report.warnings


class TestVanished:
    @pytest.mark.parametrize("is_remote", [False, True], ids=["closed", "stale"])
    def test_a_record_is_found_in_the_segment_that_replaced_its_own(
        self, tmp_path: Path, log: Log, is_remote: bool
    ) -> None:
        put(log, *range(20))
        log.close()
        disk = Counting()
        store = Store.open([tmp_path / "a"], KEYS, disk=disk)
        removed(tmp_path / "a")
        disk.is_remote = is_remote
        if not is_remote:
            store.close()
        assert found(store, *range(20)) == list(range(20))
        assert len(store) == 20
        assert not store.report.findings

    def test_each_result_is_given_once_and_in_order_though_the_segment_goes_in_between(self, tmp_path: Path) -> None:
        for run in range(3):
            one = Log(tmp_path / "a", keys=KEYS, run_number=run)
            for number in range(2):
                one.append(Type.RESULT, b"%d of run %d" % (number, run), KEY)
            assert one.close()
        expected = [b"%d of run %d" % (number, run) for run in (2, 1, 0) for number in (1, 0)]
        for taken in range(6):
            store = Store.open([tmp_path / "a"], KEYS)
            records = store.find(KEY)
            bodies = [next(records).body for _ in range(taken)]
            removed(tmp_path / "a")
            store.close()
            assert bodies + [record.body for record in records] == expected

    def test_what_is_gone_for_good_is_a_miss_and_asked_for_once(self, tmp_path: Path, log: Log) -> None:
        put(log, 1)
        log.close()
        disk = Counting()
        store = Store.open([tmp_path / "a"], KEYS, disk=disk)
        store.close()
        for path in (tmp_path / "a").iterdir():
            path.unlink()
        assert found(store, 1) == []
        disk.calls.clear()
        assert found(store, 1) == []
        assert not disk.calls
        assert len(store) == 0
        assert not store.report.findings

    def test_a_folder_may_go_and_come_again(self, tmp_path: Path, log: Log) -> None:
        put(log, 1)
        log.close()
        store = Store.open([tmp_path / "a"], KEYS)
        (tmp_path / "a").rename(tmp_path / "b")
        store.refresh()
        assert found(store, 1) == []
        (tmp_path / "b").rename(tmp_path / "a")
        store.refresh()
        assert found(store, 1) == [1]

    def test_frames_are_read_to_the_end_though_their_segment_goes(
        self, tmp_path: Path, log: Log, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(log, *range(10))
        log.close()
        for taken in range(10):
            disk = Counting()
            frames = read_frames(tmp_path / "a", KEYS, disk=disk)
            numbers = [int.from_bytes(next(frames).key, "big") for _ in range(taken)]
            removed(tmp_path / "a")
            disk.is_remote = True
            numbers += [int.from_bytes(record.key, "big") for record in frames]
            assert sorted(numbers) == list(range(10))

    def test_threads_find_all_while_segments_are_replaced_and_others_grow(self, tmp_path: Path) -> None:
        first = Log(tmp_path / "a", keys=KEYS, sync="manual")
        put(first, *range(50))
        first.close()
        disk = Counting()
        disk.is_remote = True
        store = Store.open([tmp_path / "a"], KEYS, disk=disk)
        wrong: list[object] = []
        done = threading.Event()

        def look() -> None:
            try:
                while not done.is_set():
                    missing = set(range(50)) - set(found(store, *range(50)))
                    wrong.extend(missing)
            except BaseException as exc:
                wrong.append(exc)
                raise

        threads = [threading.Thread(target=look) for _ in range(3)]
        for thread in threads:
            thread.start()
        for turn in range(15):
            removed(tmp_path / "a")
            later = Log(tmp_path / "a", keys=KEYS, sync="manual")
            put(later, 100 + turn)
            store.refresh()
            later.close()
        done.set()
        for thread in threads:
            thread.join()
        assert not wrong
        assert found(store, *range(100, 115)) == list(range(100, 115)) or store.refresh()
        assert found(store, *range(100, 115)) == list(range(100, 115))
        assert not store.report.warnings


def test_a_child_of_a_fork_may_refresh_while_a_thread_of_its_parent_did(tmp_path: Path, log: Log) -> None:
    put(log, 1)
    store = Store.open([tmp_path / "a"], KEYS)
    with store._refreshing:
        child = os.fork()
        if not child:
            signal.alarm(20)
            store.refresh()
            os._exit(0 if found(store, 1) == [1] else 1)
    assert os.waitpid(child, 0)[1] == 0
