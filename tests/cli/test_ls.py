"""`parslish checkpoint ls`: which stores there are, and which records."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
from pathlib import Path

import pytest

from parslish.care.items import Item, items
from parslish.cli.output import size
from parslish.history import card
from parslish.result import VALUE, StoredResult
from parslish.secret import Keys
from parslish.store import bodies
from parslish.store.frame import Type
from parslish.store.log import Log
from tests.cli.conftest import Call
from tests.cli.stores import key, make_run, result, spoil, three
from tests.cli.test_output import on_terminal


def test_each_store_is_listed_with_its_run_state_records_size_apps_and_time(call: Call) -> None:
    first = make_run({key(1): result("relax"), key(2): result("relax"), key(3): result("scf")})
    card.write(first.parent.parent, {"started": 1_700_000_000.0, "ended": "completed"})
    make_run(three())
    done = call("checkpoint", "ls")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0].split() == ["run", "state", "records", "size", "apps", "started"]
    assert lines[1].split()[:7] == ["000", "clean", "3", *size(first.stat().st_size).split(), "relax", "2,"]
    assert "relax 2, scf 1 " in lines[1] and " 2023-11-1" in lines[1]
    assert lines[2].split()[5:] == ["app0", "1,", "app1", "1,", "app2", "1", "?"]
    assert lines[3].startswith("2 stores, 6 records, ")


def test_json_of_stores_has_the_documented_fields(call: Call) -> None:
    segment = make_run(three())
    card.write(segment.parent.parent, {"started": 5, "time_ended": 6.5, "ended": "completed"})
    assert call("checkpoint", "ls", "--json").json == [
        {
            "path": "runinfo/000/checkpoint",
            "run": "000",
            "state": "clean",
            "in_use": False,
            "segments": 1,
            "records": 3,
            "size_bytes": segment.stat().st_size,
            "apps": {"app0": 1, "app1": 1, "app2": 1},
            "started": 5.0,
            "time_ended": 6.5,
            "ended": "completed",
        }
    ]


@pytest.mark.parametrize("started", ["soon", None, [], 1e300, float("nan")])
def test_a_run_card_of_nonsense_costs_no_more_than_its_facts(call: Call, started: object) -> None:
    segment = make_run(three())
    (segment.parent.parent / "run.json").write_text(json.dumps({"started": started, "ended": 7}))
    (store,) = call("checkpoint", "ls", "--json").json
    assert (store["started"], store["ended"], store["records"]) == (None, None, 3)


def test_a_store_is_in_use_while_its_writer_is_alive_and_torn_when_it_is_not(call: Call) -> None:
    segment = make_run(three(), close=False)
    facts = {"ended": None, "host": socket.gethostname(), "pid": os.getpid()}
    card.write(segment.parent.parent, facts)
    assert call("checkpoint", "ls").out.splitlines()[1].split()[:3] == ["000", "in", "use"]
    card.write(segment.parent.parent, facts | {"ended": "killed"})
    done = call("checkpoint", "ls", "--json")
    assert (done.code, done.json[0]["state"], done.json[0]["in_use"]) == (0, "torn", False)


@pytest.mark.parametrize("close", [True, False])
@pytest.mark.parametrize("back", [0, 60])
def test_a_corrupt_store_is_told_by_state_and_exit_code(call: Call, close: bool, back: int) -> None:
    make_run(three())
    segment = make_run(three(), close=close)
    content = bytearray(segment.read_bytes())
    content[content.index(b"app1") - back] ^= 1  # in a body, or in the header before it
    segment.write_bytes(content)
    done = call("checkpoint", "ls")
    assert done.code == 3
    assert [line.split()[1:3] for line in done.out.splitlines()[1:3]] == [["clean", "3"], ["corrupt", "2"]]


def test_of_many_apps_those_with_the_most_records_are_shown(call: Call) -> None:
    make_run({key(n): result(f"app{min(n, 7)}") for n in range(12)})
    done = call("checkpoint", "ls")
    assert "app7 5, app0 1, app1 1, app2 1, app3 1 and 3 more" in done.out


def test_without_our_key_stores_are_listed_and_records_are_not(call: Call, tmp_path: Path) -> None:
    make_run(three())
    (tmp_path / "key").rename(tmp_path / "elsewhere")
    done = call("checkpoint", "ls")
    assert done.code == 0
    assert done.out.splitlines()[1].split()[2:] == ["3", *done.out.splitlines()[1].split()[3:5], "?", "?"]
    assert not (tmp_path / "key").exists()
    done = call("checkpoint", "ls", "--records")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("parslish: records are read with the key that signed them, and there is none in")


def test_a_store_of_another_key_is_listed_without_its_apps_and_its_records_are_refused(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(three())
    monkeypatch.setenv("PARSLISH_KEY_FILE", str(tmp_path / "other"))
    Keys.load()
    assert call("checkpoint", "ls", "--json").json[0]["apps"] is None
    done = call("checkpoint", "ls", "--records")
    assert done.out == "0 records\n"
    assert "signed with a key that is not ours" in done.err


def test_records_are_listed_with_key_app_task_time_duration_and_size(call: Call) -> None:
    make_run(three())
    done = call("checkpoint", "ls", "--records")
    lines = done.out.splitlines()
    assert lines[0].split() == ["key", "app", "task", "completed", "took", "size", "counts"]
    key_digits, app, task, day, _, took, unit, *rest = lines[2].split()
    assert (key_digits, app, task, took, unit) == ("010101010101", "app1", "7", "12", "ms")
    assert day.startswith("2023-11-1")
    assert rest == [str(len(result("app1"))), "B", "yes"]
    assert lines[4] == "3 records"


def test_a_single_store_or_segment_lists_its_records(call: Call) -> None:
    segment = make_run(three())
    for path in (segment.parent, segment):
        assert call("checkpoint", "ls", path).out.splitlines()[-1] == "3 records"
    for paths in ([segment.parent.parent], [segment.parent.parent.parent], [segment, segment.parent]):
        assert "store" in call("checkpoint", "ls", *paths).out.splitlines()[-1]


def test_json_of_records_says_all_that_is_known(call: Call) -> None:
    segment = make_run(three())
    found = call("checkpoint", "ls", segment, "--json").json
    first = next(items([segment], Keys.load()))
    assert found[0] == {
        "key": key(0).hex(),
        "app": "app0",
        "task": 7,
        "kind": "value",
        "completed": 1_700_000_000.0,
        "duration_s": 0.012,
        "size_bytes": len(result("app0")),
        "run": 0,
        "segment": str(segment),
        "offset": first.offset,
        "record": 0,
        "blob": None,
        "counts": True,
    }
    # What is known and not shown: its writer is in the segment's name, and `live` is called `counts`.
    assert {each.name for each in dataclasses.fields(Item)} - {"writer"} == {
        "key", "app", "task_id", "kind", "completed", "duration", "size_bytes", "run_number", "segment", "offset",
        "seq", "blob", "live",
    }  # fmt: skip


def test_a_record_counts_unless_a_newer_one_is_listed_or_it_was_killed(call: Call) -> None:
    old = make_run({key(1): result("old"), key(2): result("kept")})
    new = make_run({key(1): result("new"), key(3): result("killed")})
    killed = next(item for item in items([new], Keys.load()) if item.app == "killed")
    log = Log(new.parent, keys=Keys.load(), run_number=1)
    log.append(Type.TOMBSTONE, bodies.tombstone([killed.name]))
    assert log.close()
    counts = {each["app"]: each["counts"] for each in call("checkpoint", "ls", "--records", "--json").json}
    assert counts == {"old": False, "kept": True, "new": True, "killed": False}
    assert call("checkpoint", "ls", old, "--json").json[0]["counts"] is True  # of what is listed


def test_app_and_run_choose_and_may_be_repeated(call: Call) -> None:
    make_run({key(1): result("relax"), key(2): result("scf")})
    make_run({key(3): result("relax"), key(4): result("md")})

    def listed(*options: str) -> list[tuple[int, str]]:
        found = call("checkpoint", "ls", "--records", "--json", *options)
        assert found.code == 0
        return [(each["run"], each["app"]) for each in found.json]

    assert listed("--app", "relax") == [(0, "relax"), (1, "relax")]
    assert listed("--app", "scf", "--app", "md") == [(0, "scf"), (1, "md")]
    assert listed("--run", "001") == listed("--run", "1") == [(1, "relax"), (1, "md")]
    assert listed("--run", "0", "--run", "1", "--app", "md") == [(1, "md")]
    stores = call("checkpoint", "ls", "--app", "md", "--json").json
    assert [(each["run"], each["records"]) for each in stores] == [("001", 1)]


@pytest.mark.parametrize("options", [["--app", "nix"], ["--run", "7"], ["--run", "0" * 5000 + "7", "--records"]])
def test_a_choice_that_nothing_is_like_is_exit_code_1(call: Call, options: list[str]) -> None:
    make_run(three())
    assert call("checkpoint", "ls", *options).code == 1


def test_an_option_that_means_nothing_here_is_wrong_usage(call: Call) -> None:
    make_run(three())
    for options, sentence in (
        (["--run", "x"], "--run takes the id of a run, as 007 or 7, not 'x': see  parslish checkpoint ls"),
        (
            ["--limit", "2"],
            "--limit is about records, and here stores are listed: add --records, or name a single store",
        ),
    ):
        assert call("checkpoint", "ls", *options) == (2, "", f"parslish: {sentence}\n")


def test_a_store_that_is_spelled_in_several_ways_is_one(call: Call) -> None:
    store = make_run(three()).parent
    (store.parent.parent / "link").symlink_to(store)
    paths = ["runinfo", "runinfo/000", "runinfo/../runinfo/000/checkpoint", store, store.parent.parent / "link"]
    (found,) = call("checkpoint", "ls", "--json", *paths).json
    assert found["path"] == "runinfo/000/checkpoint"


def test_json_has_no_number_that_json_does_not_know(call: Call) -> None:
    body = StoredResult(VALUE, "relax", 7, float("inf"), float("nan"), (), b"\x80not a pickle.").pack()
    make_run({key(1): body})
    done = call("checkpoint", "ls", "--records", "--json")
    (found,) = json.loads(done.out, parse_constant=pytest.fail)
    assert (found["completed"], found["duration_s"], found["task"]) == (None, None, 7)


def test_at_40_columns_app_and_task_are_there(tmp_path: Path) -> None:
    make_run({key(n): result("relax_structure_of_silicon") for n in range(3)})
    code = f"import os; os.chdir({str(tmp_path)!r}); os.environ['PARSLISH_KEY_FILE'] = {str(tmp_path / 'key')!r}"
    code += "; from parslish.cli import main; main(['checkpoint', 'ls', '--records']); main(['checkpoint', 'ls'])"
    shown = on_terminal(code, 40)
    assert all(len(line) <= 40 for line in shown.splitlines()), shown
    title, row = (next(line for line in shown.splitlines() if word in line).split() for word in ("key", "010101"))
    assert (title[:3], row[0], row[2]) == (["key", "app", "task"], "010101010101", "7")
    assert len(row[1]) >= 10 and row[1].startswith("relax_str")
    assert "not shown, for want of room: completed, took, size" in " ".join(shown.split())
    assert "relax_st" in shown.split("3 records")[1]


def test_long_listings_of_records_end_at_a_limit_that_can_be_moved(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parslish.cli.checkpoint_ls._LIMIT", 4)
    make_run({key(n): result() for n in range(6)})

    def shown(*options: str) -> tuple[int, str]:
        *rows, last = call("checkpoint", "ls", "--records", *options).out.splitlines()
        return len(rows) - 1, last

    assert shown() == (4, "6 records, 2 of them not shown: see --limit")
    assert shown("--limit", "5") == (5, "6 records, 1 of them not shown: see --limit")
    assert shown("--limit", "0") == (6, "6 records")
    assert len(call("checkpoint", "ls", "--records", "--json").json) == 6
    assert len(call("checkpoint", "ls", "--records", "--json", "--limit", "2").json) == 2


def test_a_damaged_record_is_passed_over_with_a_warning(call: Call) -> None:
    segment = make_run(three())
    spoil(segment)
    done = call("checkpoint", "ls", segment)
    assert (done.code, done.out.splitlines()[-1]) == (3, "2 records")
    assert f"parslish: warning: {segment}: the record at byte " in done.err


def test_hostile_names_do_not_reach_the_terminal(call: Call) -> None:
    make_run({key(1): result("relax\x1b[2J\x1b]0;owned\x07\n\u202efake")})
    for options in ([], ["--records"]):
        done = call("checkpoint", "ls", *options)
        assert "\x1b" not in done.out and "\x07" not in done.out and "\u202e" not in done.out
        assert "relax fake" in done.out
    assert call("checkpoint", "ls", "--records", "--json").json[0]["app"].startswith("relax\x1b[2J")
