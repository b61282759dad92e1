from __future__ import annotations

from pathlib import Path

import pytest

from parslish.errors import BadCheckpoint
from parslish.store.check import check
from parslish.store.frame import Type
from parslish.store.log import Log
from tests.faults.stores import KEYS


def write(folder: Path, count: int, *, close: bool = True) -> Path:
    log = Log(folder, keys=KEYS)
    for n in range(count):
        log.append(Type.RESULT, b"value %d" % n, bytes([n]) * 32)
    assert (log.close if close else log.sync)()
    (segment,) = folder.iterdir()
    return segment


def test_a_closed_store_is_clean(tmp_path: Path) -> None:
    segment = write(tmp_path / "a", 3)
    verdict = check(tmp_path / "a")
    assert verdict.state == "clean"
    assert [(one.path, one.sentence, one.records) for one in verdict.segments] == [(segment, "whole, 3 records", 3)]


def test_a_store_that_was_not_closed_is_torn(tmp_path: Path) -> None:
    write(tmp_path / "a", 1, close=False)
    verdict = check(tmp_path / "a")
    assert verdict.state == "torn"
    assert verdict.segments[0].sentence == "not closed; 1 record readable"


def test_a_changed_byte_is_corrupt_and_the_sentence_counts_the_cost(tmp_path: Path) -> None:
    segment = write(tmp_path / "a", 3)
    segment.write_bytes(segment.read_bytes().replace(b"value 1", b"value X"))
    verdict = check(tmp_path / "a")
    assert verdict.state == "corrupt"
    assert verdict.segments[0].lost == 1
    assert verdict.segments[0].sentence == "1 record that had been synced cannot be read; 2 records can"


def test_damage_among_what_was_synced_is_corrupt_though_it_costs_no_record(tmp_path: Path) -> None:
    log = Log(tmp_path, keys=KEYS, sync="manual")
    for body in (b"first", b"second"):
        log.append(Type.EVENT, body)
        assert log.sync()
    (segment,) = tmp_path.iterdir()
    content = bytearray(segment.read_bytes())
    content[content.index(b"first") + 20] ^= 1  # in the mark behind it that it was synced
    segment.write_bytes(content)
    verdict = check(tmp_path)
    assert verdict.state == "corrupt"
    assert "no record is lost" in verdict.segments[0].sentence
    log.close()


def test_the_worst_segment_decides(tmp_path: Path) -> None:
    write(tmp_path / "a", 3).rename(tmp_path / "clean.seg")
    write(tmp_path / "b", 3, close=False).rename(tmp_path / "torn.seg")
    assert check(tmp_path).state == "torn"
    (tmp_path / "text.seg").write_text("not a segment")
    verdict = check(tmp_path)
    assert verdict.state == "corrupt"
    assert [one.state for one in verdict.segments] == ["clean", "corrupt", "torn"]


def test_one_segment_can_be_checked(tmp_path: Path) -> None:
    assert check(write(tmp_path / "a", 3)).state == "clean"


def test_an_empty_store_is_clean(tmp_path: Path) -> None:
    assert check(tmp_path).state == "clean"


def test_a_path_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadCheckpoint):
        check(tmp_path / "missing")
