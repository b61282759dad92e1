from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from parslish.errors import BadCheckpoint
from parslish.secret import Keys
from parslish.store import bodies, frame, index, source, view
from parslish.store.frame import Type
from parslish.store.log import Log
from parslish.store.reader import Record, Store, read_frames
from parslish.store.report import Kind
from tests.faults.stores import KEYS, records, seeded

KEY = b"\x01" * 32
OTHER_KEYS = Keys([b"\xee" * 32])


def write(folder: Path, *bodies: bytes, run_number: int = 0, keys: Keys = KEYS, key: bytes = KEY) -> list[Record]:
    """A closed segment with these results under one key; returns the records."""
    log = Log(folder, keys=keys, run_number=run_number)
    for body in bodies:
        log.append(Type.RESULT, body, key)
    assert log.close()
    return [record for record in Store.open([folder], keys).find(key) if record.body in bodies]


def values(*paths: Path, key: bytes = KEY, keys: Keys = KEYS) -> list[bytes]:
    return [record.body for record in Store.open(paths, keys).find(key)]


def kinds(store: Store) -> list[Kind]:
    return [finding.kind for finding in store.report.findings]


class TestPrecedence:
    def test_the_highest_run_number_comes_first(self, tmp_path: Path) -> None:
        write(tmp_path / "b", b"nine", run_number=9)
        write(tmp_path / "a", b"ten", run_number=10)
        assert values(tmp_path / "a", tmp_path / "b") == [b"ten", b"nine"]
        assert values(tmp_path / "b", tmp_path / "a") == [b"ten", b"nine"]

    def test_within_a_run_the_last_one_written_comes_first(self, tmp_path: Path) -> None:
        write(tmp_path / "a", b"first", b"second", b"third")
        assert values(tmp_path / "a") == [b"third", b"second", b"first"]

    def test_two_writers_of_one_run_have_one_order_however_they_are_loaded(self, tmp_path: Path) -> None:
        write(tmp_path / "a", b"one")
        write(tmp_path / "b", b"two")
        assert values(tmp_path / "a", tmp_path / "b") == values(tmp_path / "b", tmp_path / "a")

    def test_a_record_that_is_loaded_twice_is_given_once(self, tmp_path: Path) -> None:
        write(tmp_path / "a", b"one")
        shutil.copytree(tmp_path / "a", tmp_path / "copy")
        assert values(tmp_path / "a", tmp_path / "copy", tmp_path / "a") == [b"one"]

    def test_a_damaged_record_gives_way_to_the_one_before(self, tmp_path: Path) -> None:
        write(tmp_path / "a", b"good")
        write(tmp_path / "b", b"damaged", run_number=1)
        (segment,) = (tmp_path / "b").iterdir()
        segment.write_bytes(segment.read_bytes().replace(b"damaged", b"Damaged"))
        store = Store.open([tmp_path / "a", tmp_path / "b"], KEYS)
        assert [record.body for record in store.find(KEY)] == [b"good"]
        assert list(store.find(KEY))
        assert kinds(store) == [Kind.CORRUPT]


def test_a_record_tells_where_it_comes_from(tmp_path: Path) -> None:
    (record,) = write(tmp_path / "a", b"body", run_number=12)
    assert (record.body, record.run_number, record.seq, record.folder) == (b"body", 12, 0, tmp_path / "a")
    assert (record.type, record.key, len(record.writer)) == (Type.RESULT, KEY, 8)


def test_a_key_is_in_the_store_or_not(tmp_path: Path) -> None:
    write(tmp_path / "a", b"one", b"two")
    store = Store.open([tmp_path / "a"], KEYS)
    assert KEY in store
    assert b"\x02" * 32 not in store
    assert len(store) == 2


def test_a_single_segment_can_be_opened(tmp_path: Path) -> None:
    write(tmp_path / "a", b"one")
    assert values(*(tmp_path / "a").iterdir()) == [b"one"]


@pytest.mark.parametrize("own_table", [1, 1 << 15], ids=["own tables", "shared table"])
def test_many_segments_are_searched_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_table: int) -> None:
    monkeypatch.setattr(view, "OWN_TABLE_RECORDS", own_table)
    monkeypatch.setattr(source, "MAX_OPEN", 3)
    stored = {}
    for run in range(10):
        part = records(seeded(f"run {run}"), 20)
        stored |= part
        log = Log(tmp_path / str(run), keys=KEYS, run_number=run)
        for key, body in part.items():
            log.append(Type.RESULT, body, key)
        (log.close if run % 2 else log.sync)()
    store = Store.open([tmp_path / str(run) for run in range(10)], KEYS)
    assert {key: record.body for key in stored for record in store.find(key)} == stored
    assert len(store) == len(stored)


def test_threads_may_read_while_descriptors_are_recycled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MAX_OPEN", 1)
    keys = [bytes([n]) * 32 for n in range(6)]
    for n, key in enumerate(keys):
        write(tmp_path / str(n), b"body %d" % n, key=key)
    store = Store.open([tmp_path / str(n) for n in range(6)], KEYS)
    wrong = []

    def look() -> None:
        for turn in range(300):
            n = turn % 6
            if [record.body for record in store.find(keys[n])] != [b"body %d" % n]:
                wrong.append(turn)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert not store.report.findings


def test_descriptors_are_given_back(tmp_path: Path) -> None:
    write(tmp_path / "a", b"one")
    before = len(os.listdir("/proc/self/fd"))
    store = Store.open([tmp_path / "a"], KEYS)
    assert list(store.find(KEY))
    store.close()
    assert len(os.listdir("/proc/self/fd")) == before
    assert list(store.find(KEY)), "it opens them again"


class TestTombstones:
    def kill(self, folder: Path, *names: tuple[bytes, int]) -> Record:
        log = Log(folder, keys=KEYS)
        log.append(Type.TOMBSTONE, bodies.tombstone(names))
        assert log.close()
        *_, last = [one for one in read_frames(folder, KEYS, types=[Type.TOMBSTONE]) if one.writer == _writer(log)]
        return last

    def test_a_killed_record_is_not_found_and_the_one_before_is(self, tmp_path: Path) -> None:
        second, first = write(tmp_path / "a", b"first", b"second")
        self.kill(tmp_path / "b", second.name)
        assert values(tmp_path / "a", tmp_path / "b") == [b"first"]
        assert values(tmp_path / "a") == [b"second", b"first"]
        assert first.seq == 0

    def test_killing_the_tombstone_undoes_it_and_killing_that_one_again_does_it(self, tmp_path: Path) -> None:
        (record,) = write(tmp_path / "a", b"one")
        tombstone = self.kill(tmp_path / "a", record.name)
        assert values(tmp_path / "a") == []
        undone = self.kill(tmp_path / "a", tombstone.name)
        assert values(tmp_path / "a") == [b"one"]
        self.kill(tmp_path / "a", undone.name)
        assert values(tmp_path / "a") == []

    def test_a_tombstone_of_a_segment_that_was_not_closed_counts(self, tmp_path: Path) -> None:
        (record,) = write(tmp_path / "a", b"one")
        log = Log(tmp_path / "a", keys=KEYS)
        log.append(Type.TOMBSTONE, bodies.tombstone([record.name]))
        assert values(tmp_path / "a") == []
        log.close()

    def test_a_strangers_tombstone_kills_nothing(self, tmp_path: Path) -> None:
        (record,) = write(tmp_path / "a", b"one")
        log = Log(tmp_path / "a", keys=OTHER_KEYS)
        log.append(Type.TOMBSTONE, bodies.tombstone([record.name]))
        assert log.close()
        assert values(tmp_path / "a") == [b"one"]


def _writer(log: Log) -> bytes:
    return log._writer._id


class TestBases:
    def based(self, folder: Path, *bases: Path) -> Path:
        log = Log(folder, keys=KEYS)
        for base in (*bases, *bases, folder):
            log.add_base(base)
        assert log.close()
        return folder

    def test_bases_are_opened_with_it_and_theirs_too(self, tmp_path: Path) -> None:
        write(tmp_path / "1", b"one")
        self.based(tmp_path / "2", tmp_path / "1")
        self.based(tmp_path / "3", tmp_path / "2")
        assert values(tmp_path / "3") == [b"one"]
        assert values(*(tmp_path / "3").iterdir()) == [b"one"]

    def test_a_base_is_recorded_once_and_never_the_folder_itself(self, tmp_path: Path) -> None:
        self.based(tmp_path / "2", tmp_path / "1")
        assert len(list(read_frames(tmp_path / "2", KEYS, types=[Type.BASES]))) == 1

    def test_a_circle_ends(self, tmp_path: Path) -> None:
        write(tmp_path / "1", b"one")
        self.based(tmp_path / "1", tmp_path / "2")
        self.based(tmp_path / "2", tmp_path / "1")
        assert values(tmp_path / "2") == [b"one"]

    def test_the_first_of_a_long_chain_is_found_from_the_last(self, tmp_path: Path) -> None:
        write(tmp_path / "0" / "checkpoint", b"one")
        for number in range(1, 300):
            self.based(tmp_path / f"{number}" / "checkpoint", tmp_path / f"{number - 1}" / "checkpoint")
        store = Store.open([tmp_path / "299" / "checkpoint"], KEYS)
        assert [record.body for record in store.find(KEY)] == [b"one"]
        assert kinds(store) == []

    def test_a_missing_base_is_reported_and_no_error(self, tmp_path: Path) -> None:
        store = Store.open([self.based(tmp_path / "2", tmp_path / "1")], KEYS)
        assert kinds(store) == [Kind.MISSING]
        assert str(tmp_path / "1") in str(store.report.findings[0])

    def test_folders_that_moved_together_find_each_other(self, tmp_path: Path) -> None:
        write(tmp_path / "old" / "1", b"one")
        self.based(tmp_path / "old" / "2", tmp_path / "old" / "1")
        (tmp_path / "old").rename(tmp_path / "new")
        assert values(tmp_path / "new" / "2") == [b"one"]

    def test_a_folder_that_moved_alone_finds_its_base(self, tmp_path: Path) -> None:
        write(tmp_path / "1", b"one")
        self.based(tmp_path / "2", tmp_path / "1")
        (tmp_path / "far" / "off").mkdir(parents=True)
        (tmp_path / "2").rename(tmp_path / "far" / "off" / "2")
        assert values(tmp_path / "far" / "off" / "2") == [b"one"]


@pytest.mark.parametrize("type", [Type.TOMBSTONE, Type.BASES])
@pytest.mark.parametrize("body", [b"\xc1", b"\x05", b"\x81\xa5kills\x05"])
def test_nonsense_that_is_signed_costs_itself_and_is_reported(tmp_path: Path, type: Type, body: bytes) -> None:
    write(tmp_path / "a", b"one")
    log = Log(tmp_path / "a", keys=KEYS)
    log.append(type, body)
    log.close()
    store = Store.open([tmp_path / "a"], KEYS)
    assert [record.body for record in store.find(KEY)] == [b"one"]
    assert kinds(store) == [Kind.CORRUPT]


class TestTrust:
    def test_a_record_under_an_unknown_key_is_a_miss_and_reported(self, tmp_path: Path) -> None:
        write(tmp_path / "a", b"theirs", keys=OTHER_KEYS)
        store = Store.open([tmp_path / "a"], KEYS)
        assert KEY not in store
        assert kinds(store) == [Kind.UNTRUSTED]
        assert store.report.findings[0].records == 1

    def test_an_older_key_still_verifies(self, tmp_path: Path) -> None:
        write(tmp_path / "a", b"mine")
        both = Keys([OTHER_KEYS.signing, KEYS.signing])
        assert values(tmp_path / "a", keys=both) == [b"mine"]

    def test_a_header_that_claims_our_key_does_not_help_a_forger(self, tmp_path: Path) -> None:
        write(tmp_path / "a", b"forged", keys=OTHER_KEYS)
        (segment,) = (tmp_path / "a").iterdir()
        content = segment.read_bytes()
        header = frame.parse_segment_header(content)
        assert header is not None
        forged = frame.pack_segment_header(header._replace(key_id=KEYS.id))
        segment.write_bytes(forged + content[len(forged) :])
        store = Store.open([tmp_path / "a"], KEYS)
        assert list(store.find(KEY)) == []
        assert kinds(store) == [Kind.UNTRUSTED]

    def test_a_body_that_was_exchanged_with_its_checksums_is_not_opened(self, tmp_path: Path) -> None:
        write(tmp_path / "a", b"honest")
        (segment,) = (tmp_path / "a").iterdir()
        content = segment.read_bytes()
        header = frame.parse(content, frame.SEGMENT_HEADER_BYTES)
        assert header is not None
        forged = frame.pack(lambda signed: header.signature, *header[1:5], 6, *header[6:9], frame.digest(b"forged"))
        place = frame.SEGMENT_HEADER_BYTES
        segment.write_bytes(content[:place] + forged + b"forged" + content[place + len(forged) + 6 :])
        store = Store.open([tmp_path / "a"], KEYS)
        assert list(store.find(KEY)) == []
        assert kinds(store) == [Kind.UNTRUSTED]

    def test_an_index_that_points_elsewhere_gives_no_wrong_value(self, tmp_path: Path) -> None:
        write(tmp_path / "a", b"one")
        (segment,) = (tmp_path / "a").iterdir()
        content = segment.read_bytes()
        other_key = b"\x02" * 32
        body = index.Table.build([index.entry(other_key, frame.SEGMENT_HEADER_BYTES)]).pack([])
        size = len(body) + frame.HEADER_BYTES
        place = len(content) - 8 - frame.HEADER_BYTES - size
        old = frame.parse(content, place)
        assert old is not None
        forged = frame.pack(lambda signed: old.signature, *old[1:5], len(body), *old[6:9], frame.digest(body))
        segment.write_bytes(content[:place] + forged + body + content[place + size :])
        store = Store.open([tmp_path / "a"], KEYS)
        assert len(store._view.places(other_key)) == 1, "the forged index is in use"
        assert list(store.find(other_key)) == []

    def test_a_folder_that_others_can_write_is_refused_unless_shared(self, tmp_path: Path) -> None:
        write(tmp_path / "a", b"one")
        (tmp_path / "a").chmod(0o770)
        with pytest.raises(BadCheckpoint, match="chmod go-w"):
            Store.open([tmp_path / "a"], KEYS)
        assert list(Store.open([tmp_path / "a"], KEYS, shared=True).find(KEY))

    def test_a_segment_that_others_can_write_costs_itself(self, tmp_path: Path) -> None:
        write(tmp_path / "a", b"one")
        (planted,) = (tmp_path / "a").iterdir()
        write(tmp_path / "a", b"two")
        planted.chmod(0o666)
        store = Store.open([tmp_path / "a"], KEYS)
        assert [record.body for record in store.find(KEY)] == [b"two"]
        assert kinds(store) == [Kind.REFUSED]

    def test_links_pipes_and_folders_are_not_followed(self, tmp_path: Path) -> None:
        write(tmp_path / "a", b"one")
        write(tmp_path / "b", b"two")
        (segment,) = (tmp_path / "a").iterdir()
        (tmp_path / "b" / "link.seg").symlink_to(segment)
        os.mkfifo(tmp_path / "b" / "pipe.seg")
        (tmp_path / "b" / "folder.seg").mkdir()
        store = Store.open([tmp_path / "b"], KEYS)
        assert [record.body for record in store.find(KEY)] == [b"two"]
        assert kinds(store) == [Kind.REFUSED] * 3


class TestNamedPaths:
    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"just some text", "is not a segment of a parslish store"),
            (os.urandom(300_000), "is not a segment of a parslish store"),
        ],
        ids=["text", "bytes"],
    )
    def test_a_file_that_is_no_segment_is_an_error(self, tmp_path: Path, content: bytes, reason: str) -> None:
        (tmp_path / "tasks.pkl").write_bytes(content)
        with pytest.raises(BadCheckpoint, match=reason):
            Store.open([tmp_path / "tasks.pkl"], KEYS)

    def test_a_path_that_is_not_there_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(BadCheckpoint, match="no such file or directory"):
            Store.open([tmp_path / "missing"], KEYS)

    def test_a_link_is_an_error_that_says_so(self, tmp_path: Path) -> None:
        write(tmp_path / "a", b"one")
        (segment,) = (tmp_path / "a").iterdir()
        (tmp_path / "link").symlink_to(segment)
        with pytest.raises(BadCheckpoint, match="symbolic link"):
            Store.open([tmp_path / "link"], KEYS)

    def test_a_link_to_a_folder_is_followed(self, tmp_path: Path) -> None:
        write(tmp_path / "a", b"one")
        (tmp_path / "link").symlink_to(tmp_path / "a")
        assert values(tmp_path / "link") == [b"one"]

    def test_a_newer_format_is_an_error_if_named_and_a_finding_if_listed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(frame, "VERSION", 3)
        write(tmp_path / "a", b"one")
        monkeypatch.undo()
        with pytest.raises(BadCheckpoint, match="format 3; this one reads up to 1"):
            Store.open((tmp_path / "a").iterdir(), KEYS)
        assert kinds(Store.open([tmp_path / "a"], KEYS)) == [Kind.NEWER]

    def test_an_empty_folder_is_an_empty_store(self, tmp_path: Path) -> None:
        store = Store.open([tmp_path], KEYS)
        assert len(store) == 0
        assert not store.report.findings


def test_an_index_that_something_follows_is_not_believed(tmp_path: Path) -> None:
    write(tmp_path / "a", b"one")
    (segment,) = (tmp_path / "a").iterdir()
    content = segment.read_bytes()
    header = frame.parse(content, frame.SEGMENT_HEADER_BYTES)
    assert header is not None
    sign = frame.signer(KEYS.signing)
    late = frame.pack(sign, Type.RESULT, 0, 0, header.writer, 4, 1, 0, KEY, frame.digest(b"late")) + b"late"
    close_at = len(content) - frame.HEADER_BYTES - 8
    segment.write_bytes(content[:close_at] + late + content[close_at:])
    assert values(tmp_path / "a") == [b"late", b"one"]


def test_types_of_the_future_are_passed_over_or_told(tmp_path: Path) -> None:
    log = Log(tmp_path / "a", keys=KEYS)
    log.append(200, b"optional")
    log.append(Type.RESULT, b"one", KEY)
    assert log.sync()
    assert not Store.open([tmp_path / "a"], KEYS).report.warnings
    log.append(99, b"needed")
    assert log.sync()
    store = Store.open([tmp_path / "a"], KEYS)
    assert [finding.kind for finding in store.report.warnings] == [Kind.NEWER]
    assert KEY in store
    log.close()


def test_a_file_that_goes_away_while_it_is_read_is_a_miss(tmp_path: Path) -> None:
    write(tmp_path / "a", b"one")
    store = Store.open([tmp_path / "a"], KEYS)
    store.close()
    shutil.rmtree(tmp_path / "a")
    assert list(store.find(KEY)) == []
    assert kinds(store) == [], "who removes results knows that they are gone"


class TestReadFrames:
    def test_frames_come_in_the_order_they_were_written(self, tmp_path: Path) -> None:
        log = Log(tmp_path / "a", keys=KEYS)
        for n in range(100):
            log.append(Type.EVENT, b"event %d" % n)
        log.append(Type.RESULT, b"result", KEY)
        log.sync()
        events = [record.body for record in read_frames(tmp_path / "a", KEYS, types=[Type.EVENT])]
        assert events == [b"event %d" % n for n in range(100)]
        assert len(list(read_frames(tmp_path / "a", KEYS))) == 101
        log.close()
        assert len(list(read_frames(tmp_path / "a", KEYS))) == 101

    def test_another_users_frames_are_not_given(self, tmp_path: Path) -> None:
        write(tmp_path / "a", b"one", keys=OTHER_KEYS)
        assert list(read_frames(tmp_path / "a", KEYS)) == []
