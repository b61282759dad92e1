"""`parslish checkpoint compact`, `prune`, `export` and `import`: what they print, ask and leave."""

from __future__ import annotations

import os
import pickle
import sys
import time
from pathlib import Path

import click
import pytest

from parslish import secret
from parslish.care.items import items
from parslish.cli.choosing import age_of, size_of
from parslish.history.folder import CHECKPOINT
from parslish.result import VALUE, StoredResult
from parslish.secret import Keys
from parslish.store.frame import Type
from parslish.store.log import Log
from tests.cli.conftest import Call, Done
from tests.cli.stores import key, make_run, result, spoil, three
from tests.cli.test_commands_page import SECTIONS, fields

STORE = Path("runinfo/000/checkpoint")


def add(results: dict[bytes, bytes], store: Path = STORE, run: int = 0) -> None:
    """One more writer of a store."""
    log = Log(store, keys=Keys.load(), run_number=run)
    for each, body in results.items():
        log.append(Type.RESULT, body, each)
    assert log.close()


def aged(app: str, days: float) -> bytes:
    return StoredResult(VALUE, app, 7, time.time() - days * 86400, 0.1, (), b"\x80...").pack()


def apps(*stores: Path | str) -> list[str]:
    found = items(stores or [STORE], Keys.load())
    return sorted(item.app for item in found)


@pytest.fixture
def untidy() -> Path:
    """A run whose store has two segments, with one result that does not count."""
    make_run(three())
    add({key(0): result("newer")}, run=1)
    return STORE


# ---------------------------------------------------------------- compact


def test_compact_prints_its_plan_and_does_it(call: Call, untidy: Path) -> None:
    done = call("checkpoint", "compact", "--yes")
    assert (done.code, done.err) == (0, "")
    title, row, last = done.out.splitlines()
    assert title.split() == ["run", "records", "go", "stay", "size", "then", "left", "alone"]
    assert row.split()[:4] == ["000", "4", "1", "3"]
    assert last == "done"
    assert apps() == ["app1", "app2", "newer"]
    assert len(list(untidy.glob("*.seg"))) == 2, "of two run numbers"
    again = call("checkpoint", "compact", "--yes")
    assert (again.code, again.out) == (0, "nothing to do\n")


def test_a_dry_run_changes_nothing(call: Call, untidy: Path) -> None:
    before = sorted(untidy.iterdir())
    done = call("checkpoint", "compact", "--dry-run")
    assert done.code == 0 and "000" in done.out and "done" not in done.out
    assert sorted(untidy.iterdir()) == before


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_where_nobody_can_be_asked_yes_has_to_be_said(call: Call, untidy: Path, options: list[str]) -> None:
    before = sorted(untidy.iterdir())
    done = call("checkpoint", "compact", *options)
    assert done.code == 2
    assert "nothing was changed: add --yes" in done.err
    assert sorted(untidy.iterdir()) == before


@pytest.mark.parametrize(("answer", "code", "left"), [(True, 0, 3), (False, 1, 4)])
def test_on_a_terminal_it_asks(
    call: Call, untidy: Path, monkeypatch: pytest.MonkeyPatch, answer: bool, code: int, left: int
) -> None:
    asked: list[str] = []

    def confirm(question: str) -> bool:
        asked.append(question)
        return answer

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(click, "confirm", confirm)
    assert call("checkpoint", "compact").code == code
    assert asked == ["Go on?"]
    assert len(apps()) == left


def test_json_tells_the_plan_and_whether_it_was_done(call: Call, untidy: Path) -> None:
    for option, done in (("--dry-run", False), ("--yes", True)):
        found = call("checkpoint", "compact", "--json", option).json
        (store,) = found["stores"]
        assert found["done"] is done
        assert (store["path"], store["records"], store["records_after"]) == (str(STORE), 4, 3)
        assert (store["superseded"], store["invalidated"], store["chosen"], store["held"]) == (1, 0, 0, 0)
        assert (len(store["segments"]), store["blobs"], store["left_alone"]) == (2, [], [])


def test_what_is_left_alone_is_told_with_the_reason(call: Call, untidy: Path) -> None:
    damaged = next(path for path in untidy.glob("*.seg") if b"app1" in path.read_bytes())
    spoil(damaged)
    done = call("checkpoint", "compact", "--yes")
    assert done.code == 0
    assert f"{damaged}: left alone: " in done.out and "damaged" in done.out
    assert call("checkpoint", "compact", "--yes", "--force").code == 0
    assert apps() == ["app2", "newer"]


def test_a_segment_is_not_a_store(call: Call, untidy: Path) -> None:
    done = call("checkpoint", "compact", "--yes", next(untidy.glob("*.seg")))
    assert done.code == 2
    assert f"name its store, {str(untidy)!r}" in done.err


def test_without_a_key_no_store_is_ours_to_change(call: Call, untidy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARSLISH_KEY_FILE", str(untidy.absolute() / "no key"))
    done = call("checkpoint", "compact", "--yes")
    assert done.code == 2 and "there is no key" in done.err
    assert not (untidy / "no key").exists()


def test_after_a_compaction_an_older_key_can_be_retired(call: Call, untidy: Path) -> None:
    new = secret.rotate()
    assert call("checkpoint", "compact", "--yes").code == 0
    secret.key_file().write_text(new.signing.hex() + "\n")
    assert apps() == ["app1", "app2", "newer"]


# ---------------------------------------------------------------- prune


@pytest.fixture
def aging() -> Path:
    make_run({key(1): aged("relax", 40), key(2): aged("relax", 1), key(3): aged("energy", 40)})
    return STORE


@pytest.mark.parametrize(
    ("options", "stay"),
    [
        (["--app", "relax"], ["energy"]),
        (["--app", "relax", "--app", "energy"], []),
        (["--older-than", "30d"], ["relax"]),
        (["--older-than", "30d", "--app", "relax"], ["energy", "relax"]),
        (["--newer-than", "1d12h"], ["energy", "relax"]),
        (["--run", "0", "--record", key(2).hex()[:8]], ["energy", "relax"]),
        (["--run", "1"], ["energy", "relax", "relax"]),
        (["--max-size", f"{len(aged('relax', 1))}B"], ["relax"]),
        (["--max-size", "1GB"], ["energy", "relax", "relax"]),
    ],
)
def test_prune_lets_go_of_what_fulfils_all_that_is_given(
    call: Call, aging: Path, options: list[str], stay: list[str]
) -> None:
    done = call("checkpoint", "prune", *options, "--yes")
    assert (done.code, done.err) == (0, "")
    assert apps() == stay


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "all results would go: say which"),
        (["--older-than", "soon"], "'soon' is no age: takes numbers with s, m, h, d or w"),
        (["--max-size", "much"], "'much' is no size: takes a number and a unit"),
        (["--run", "last"], "run 'last': takes the number of a run"),
        (["--record", "xyz"], "first digits of a key"),
        (["--reachable-from", "9"], "there is no run 9 in"),
        (["--reachable-from", "0"], "run 000 has no record of what it reused"),
    ],
)
def test_what_prune_cannot_mean_is_said_in_a_sentence(
    call: Call, aging: Path, options: list[str], sentence: str
) -> None:
    done = call("checkpoint", "prune", *options, "--yes")
    assert done.code in (2, 3)
    assert sentence in done.err and "Traceback" not in done.err
    assert len(apps()) == 3


# ---------------------------------------------------------------- export and import


def test_export_copies_what_was_chosen_into_a_new_store(call: Call, aging: Path) -> None:
    done = call("checkpoint", "export", "out", "--app", "relax", "--yes")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == ["app    records", "relax        2", done.out.splitlines()[2], "out: 2 records"]
    assert done.out.splitlines()[2].startswith("2 records, ") and done.out.splitlines()[2].endswith(" to out")
    assert apps("out") == ["relax", "relax"]
    again = call("checkpoint", "export", "runinfo", "out", "--yes")
    assert again.code == 2 and "there already" in again.err


def test_nothing_to_copy_is_not_so(call: Call, aging: Path) -> None:
    assert call("checkpoint", "export", "out", "--app", "nothing", "--yes").code == 1
    assert not Path("out").exists()


def test_import_makes_a_run_of_what_is_not_there_yet(call: Call, aging: Path) -> None:
    call("checkpoint", "export", "out", "--yes")
    make_run({key(1): result("mine")}, root="mine")
    found = call("checkpoint", "import", "out", "--into", "mine", "--yes", "--json").json
    assert found["done"] and found["target"] == str(Path("mine/001", CHECKPOINT).absolute())
    assert (found["records"], found["already_there"], found["copied"], found["lost"]) == (2, 1, 2, [])
    assert found["apps"] == {"energy": 1, "relax": 1}
    assert apps("mine/001/checkpoint") == ["energy", "relax"]
    assert call("checkpoint", "import", "out", "--into", "mine", "--yes").code == 1


def of_another_account(call: Call, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go over to another account; returns the keys that the first one has exported."""
    assert call("key", "export", "their keys").code == 0
    monkeypatch.setenv("PARSLISH_KEY_FILE", str(Path("my key").absolute()))
    return Path("their keys")


def import_theirs(call: Call, *options: object) -> Done:
    return call("checkpoint", "import", STORE, "--into", "mine", "--yes", *options)


def test_results_of_another_account_need_its_key(call: Call, aging: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = of_another_account(call, monkeypatch)
    refused = import_theirs(call)
    assert refused.code == 3
    assert "3 records are not signed with a key of yours" in refused.err
    assert "--key FILE" in refused.err and "--trust" in refused.err
    assert not Path("mine").exists()
    assert import_theirs(call, "--key", keys).code == 0
    keys.unlink()
    assert apps("mine/000/checkpoint") == ["energy", "relax", "relax"]


def test_trust_is_explicit_and_says_what_it_means(call: Call, aging: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_another_account(call, monkeypatch)
    done = import_theirs(call, "--trust")
    assert done.code == 0
    assert "can run any program that their maker put into them" in done.err
    assert apps("mine/000/checkpoint") == ["energy", "relax", "relax"]


@pytest.mark.parametrize("named", ["tasks.pkl", ""])
def test_a_checkpoint_of_parsl_is_refused_with_the_reason(call: Call, named: str) -> None:
    where = Path("parsl/000/checkpoint")
    where.mkdir(parents=True)
    record = {"hash": "00", "exception": None, "result": 1}
    (where / "tasks.pkl").write_bytes(pickle.dumps(record) * 5)
    for path in (where / named, *([Path("parsl/000"), Path("parsl")] if not named else [])):
        done = call("checkpoint", "import", path, "--yes")
        assert done.code == 2
        assert "Parsl checkpoint of 5 results" in done.err and "run the script once with parslish" in done.err


def test_what_is_damaged_is_told_and_the_rest_is_copied(call: Call) -> None:
    spoil(make_run(three()))
    done = call("checkpoint", "export", "out", "--yes")
    assert done.code == 0
    assert "warning: " in done.err and "damaged" in done.err
    assert apps("out") == ["app0", "app2"]


def test_a_full_disk_is_trouble(call: Call, untidy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from parslish.store.disk import OS_DISK

    def full(fd: int, content: bytes) -> int:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(type(OS_DISK), "write", staticmethod(full))
    before = sorted(untidy.iterdir())
    done = call("checkpoint", "compact", "--yes")
    assert done.code == 3
    assert "No space left on device; make room" in done.err
    assert sorted(untidy.iterdir()) == before


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("0", 0),
        ("12", 12),
        ("12B", 12),
        ("500MB", 500 * 10**6),
        ("500M", 500 * 10**6),
        ("1.5 GB", 1_500_000_000),
        ("1k", 1000),
        ("1kB", 1000),
        ("1KiB", 1024),
        ("2GiB", 2**31),
        ("1TB", 10**12),
    ],
)
def test_sizes(text: str, size_bytes: int) -> None:
    assert size_of(text) == size_bytes


@pytest.mark.parametrize(
    ("text", "age_s"), [("90s", 90), ("5m", 300), ("12h", 43200), ("30d", 2592000), ("1.5h", 5400), ("1w1d", 691200)]
)
def test_ages(text: str, age_s: float) -> None:
    assert age_of(text) == age_s


@pytest.mark.parametrize("text", ["", "MB", "-1MB", "1.MB", "1iB", "1 000", "1PB", "1e3", "1MBs"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="is no size"):
        size_of(text)


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "1.d", "1y", "1d 2h", "1d2"])
def test_what_is_no_age(text: str) -> None:
    with pytest.raises(ValueError, match="is no age"):
        age_of(text)


@pytest.mark.parametrize(
    ("command", "section"),
    [("compact --dry-run", "compact"), ("prune --app app1 --dry-run", "compact"), ("export out --dry-run", "export")],
)
def test_every_field_of_json_is_in_the_page_of_commands(call: Call, untidy: Path, command: str, section: str) -> None:
    spoil(next(path for path in untidy.glob("*.seg") if b"app1" in path.read_bytes()))
    found = call("checkpoint", *command.split(), "--json").json
    found.pop("apps", None)  # their names are no fields
    for field in fields(found):
        assert f"`{field}`" in SECTIONS[f"parslish checkpoint {section}"], field
