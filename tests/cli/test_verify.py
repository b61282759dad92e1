"""`parslish checkpoint verify`: what it says of stores, and with which exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from parslish.history.folder import CHECKPOINT, EVENTS, create
from parslish.secret import Keys
from parslish.store.blobs import Blobs, path_of
from parslish.store.frame import HEADER_BYTES, SEGMENT_HEADER_BYTES, Type
from parslish.store.log import Log
from tests.cli.conftest import Call
from tests.cli.stores import key, make_run, result, spoil, three


def test_whole_stores_are_clean(call: Call) -> None:
    make_run(three())
    make_run(three())
    done = call("checkpoint", "verify")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0].split() == ["run", "state", "records", "size", "segment"]
    assert [line.split()[:3] for line in lines[1:3]] == [["000", "clean", "3"], ["001", "clean", "3"]]
    assert lines[3:] == ["clean: 2 stores, 2 segments, 6 records, 0 large values"]


def test_a_store_whose_writer_was_killed_is_torn_and_that_is_fine(call: Call) -> None:
    segment = make_run(three(), close=False)
    done = call("checkpoint", "verify", segment.parent)
    assert done.code == 0
    assert f"{segment}\n  torn: not closed; 3 records readable\n" in done.out
    assert done.out.splitlines()[-1].startswith("torn: ")


def test_a_damaged_record_makes_the_store_corrupt_and_is_named(call: Call) -> None:
    segment = make_run(three())
    make_run(three())
    spoil(segment)
    done = call("checkpoint", "verify")
    assert done.code == 3
    offset = SEGMENT_HEADER_BYTES + HEADER_BYTES + len(result("app0"))
    where = segment.relative_to(Path.cwd())
    assert f"{where}\n  corrupt: 1 record that had been synced cannot be read; 2 records can" in done.out
    assert f"  byte {offset}: record 1 (010101010101) is damaged\n" in done.out
    assert done.out.splitlines()[-1] == "corrupt: 2 stores, 2 segments, 5 records, 0 large values"


def test_json_has_the_documented_fields(call: Call) -> None:
    segment = make_run(three())
    spoil(segment)
    done = call("checkpoint", "verify", "--json")
    assert done.code == 3
    found = done.json
    assert list(found) == ["state", "signatures_checked", "stores"]
    assert (found["state"], found["signatures_checked"]) == ("corrupt", True)
    (store,) = found["stores"]
    assert list(store) == ["path", "run", "state", "blobs", "blob_faults", "segments"]
    assert (store["path"], store["run"], store["state"]) == ("runinfo/000/checkpoint", "000", "corrupt")
    (one,) = store["segments"]
    assert list(one) == ["path", "state", "sentence", "records", "lost", "size_bytes", "ours", "faults"]
    assert (one["records"], one["lost"], one["size_bytes"], one["ours"]) == (2, 1, segment.stat().st_size, True)
    assert one["faults"] == [
        {
            "kind": "corrupt",
            "path": str(segment.relative_to(Path.cwd())),
            "offset": SEGMENT_HEADER_BYTES + HEADER_BYTES + len(result("app0")),
            "record": 1,
            "key": key(1).hex(),
            "sentence": "record 1 (010101010101) is damaged",
        }
    ]


def with_blob() -> tuple[Path, Path]:
    """A run with a result whose value is in a blob; its segment and the blob."""
    _, run = create("runinfo")
    (run / CHECKPOINT).mkdir()
    reference = Blobs(run / CHECKPOINT).put([[b"large" * 1000]])
    log = Log(run / CHECKPOINT, keys=Keys.load(), run_number=0)
    log.append(Type.RESULT, result(encoded=reference.pack()), key(1))
    assert log.close()
    (segment,) = (run / CHECKPOINT).glob("*.seg")
    return segment, path_of(run / CHECKPOINT, reference.digest)


def test_large_values_are_read_too(call: Call) -> None:
    _, blob = with_blob()
    done = call("checkpoint", "verify")
    assert (done.code, done.out.splitlines()[-1]) == (0, "clean: 1 store, 1 segment, 1 record, 1 large value")
    blob.write_bytes(b"smaller")
    done = call("checkpoint", "verify")
    assert done.code == 3
    assert f"{blob.name} is not what was stored" in done.out
    assert "record 0 (010101010101): its value in" in done.out


def test_a_large_value_that_is_missing_is_found_where_our_key_is(call: Call, tmp_path: Path) -> None:
    _, blob = with_blob()
    blob.unlink()
    assert call("checkpoint", "verify").code == 3
    (tmp_path / "key").rename(tmp_path / "elsewhere")
    done = call("checkpoint", "verify")
    assert done.code == 0
    assert done.err == (
        "parslish: there is no key here, so neither signatures nor references to large values were checked\n"
    )
    assert not (tmp_path / "key").exists(), "who only looks makes no key"
    assert call("checkpoint", "verify", "--json").json["signatures_checked"] is False


def test_a_key_that_others_can_read_is_told_and_not_used(call: Call, tmp_path: Path) -> None:
    make_run(three())
    (tmp_path / "key").chmod(0o644)
    done = call("checkpoint", "verify")
    assert done.code == 0
    assert "can be read by others" in done.err


def test_a_store_of_somebody_else_is_intact_and_said_not_to_be_ours(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = make_run(three())
    monkeypatch.setenv("PARSLISH_KEY_FILE", str(tmp_path / "other"))
    Keys.load()
    done = call("checkpoint", "verify", segment)
    assert done.code == 0
    assert "1 segment signed with a key that is not ours: nothing of that is loaded here\n" in done.out


def test_a_path_may_be_a_run_folder_a_run_a_store_or_a_segment_and_each_store_is_read_once(call: Call) -> None:
    segment = make_run(three())
    run = segment.parent.parent
    for path in (run.parent, run, segment.parent, segment):
        done = call("checkpoint", "verify", path, path, "--json")
        assert done.code == 0
        (store,) = done.json["stores"]
        assert (store["run"], store["segments"][0]["path"]) == ("000", str(segment))


def test_the_record_of_a_run_is_a_store_that_can_be_named(call: Call) -> None:
    run = make_run(three()).parent.parent
    log = Log(run / EVENTS, keys=Keys.load(), run_number=0)
    log.append(Type.EVENT, b"an event")
    assert log.close()
    (store,) = call("checkpoint", "verify", run / EVENTS, "--json").json["stores"]
    assert (store["run"], store["state"], store["segments"][0]["records"]) == ("000", "clean", 1)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("missing", "cannot load checkpoint 'missing': no such file or directory"),
        (".", "'.' holds no runs and no segments: name a run folder (as 'runinfo'), a run, a store or a segment"),
    ],
)
def test_a_path_that_holds_no_store_is_wrong_usage(call: Call, path: str, sentence: str) -> None:
    assert call("checkpoint", "verify", path) == (2, "", f"parslish: {sentence}\n")


def test_a_file_that_is_no_segment_is_corrupt(call: Call, tmp_path: Path) -> None:
    (tmp_path / "text.seg").write_text("hello")
    done = call("checkpoint", "verify", "text.seg")
    assert done.code == 3
    assert "text.seg\n  corrupt: is not a segment of a parslish store" in done.out


def test_many_faults_are_cut_for_people_and_not_in_json(call: Call) -> None:
    segment = make_run({key(n): result(f"bad{n}") for n in range(30)})
    spoil(segment, b"bad", b"sad")
    done = call("checkpoint", "verify")
    assert done.out.count("is damaged") == 20
    assert "  and 10 more: --json has them" in done.out
    assert len(call("checkpoint", "verify", "--json").json["stores"][0]["segments"][0]["faults"]) == 30


def test_hostile_names_do_not_reach_the_terminal(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "\x1b]0;owned\x07store"
    folder.mkdir()
    (folder / "\x1b[2Jx\n\udcff.seg").write_text("hello")
    done = call("checkpoint", "verify", folder)
    assert done.code == 3
    assert "\x1b" not in done.out and "\x07" not in done.out
    assert "x \ufffd.seg\n  corrupt" in done.out
    assert "\x1b" not in call("checkpoint", "verify", folder, "--json").out
    done = call("checkpoint", "verify", tmp_path / "\x1b[31mmissing")
    assert "\x1b" not in done.err
