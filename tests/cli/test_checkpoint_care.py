"""`parslish checkpoint compact`, `prune`, `export` and `import`: what they print, ask and leave."""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path

import click
import pytest

from parslish import secret
from parslish.care.items import items
from parslish.care.selection import RECORD_BYTES
from parslish.cli.choosing import age_of, size_of
from parslish.result import VALUE, StoredResult
from parslish.secret import Keys
from parslish.store import bodies
from parslish.store.blobs import Blobs
from parslish.store.frame import Type
from parslish.store.log import Log
from tests.cli.conftest import Call
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
    columns = ["run", "records", "superseded", "invalidated", "chosen", "stay", "size now", "size after", "left alone"]
    assert re.split("  +", title) == columns
    assert row.split()[:6] == ["000", "4", "1", "0", "0", "3"]
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
        assert store["lost"] == 0
        assert (len(store["segments"]), store["blobs"], store["left_alone"]) == (2, [], [])


def test_what_is_left_alone_is_told_with_the_reason(call: Call, untidy: Path) -> None:
    damaged = next(path for path in untidy.glob("*.seg") if b"app1" in path.read_bytes())
    spoil(damaged)
    done = call("checkpoint", "compact", "--yes")
    assert done.code == 0
    reason = "record 1 is damaged; --force rewrites what can be read and drops it"
    assert f"{damaged}: left alone: {reason}" in done.out
    assert call("checkpoint", "compact", "--yes", "--force").code == 0
    assert apps() == ["app2", "newer"]


def test_what_is_invalidated_goes_for_good_and_that_is_said_before(call: Call, untidy: Path) -> None:
    names = [item.name for item in items([untidy], Keys.load()) if item.app == "app1"]
    log = Log(untidy, keys=Keys.load())
    log.append(Type.TOMBSTONE, bodies.tombstone(names, {"id": "12345678"}))
    assert log.close()
    done = call("checkpoint", "compact", "--dry-run")
    assert done.out.splitlines()[1].split()[:6] == ["000", "4", "1", "1", "0", "2"]
    assert f"{untidy}: 1 invalidated result to go for good: undo cannot take that back any more" in done.out


def test_a_result_without_its_large_value_is_told_and_goes_by_force(call: Call) -> None:
    segment = make_run(three())
    reference = Blobs(segment.parent).put([[b"large"]])
    add({key(9): result("large", reference.pack())})
    next(segment.parent.glob("*.blob")).unlink()
    done = call("checkpoint", "compact", "--yes")
    gone = f"{STORE}: 1 result without a large value, which is gone or damaged: "
    assert f"{gone}--force lets go of that" in done.out
    assert call("checkpoint", "verify").code == 3
    assert f"{gone}to go, too" in call("checkpoint", "compact", "--yes", "--force").out
    assert call("checkpoint", "verify").code == 0
    assert apps() == ["app0", "app1", "app2"]


def of_another_host(segment: Path) -> None:
    first, _, *rest = segment.name.split("-")
    segment.rename(segment.with_name("-".join([first, "cluster07", *rest])))


def test_a_store_of_a_host_that_nobody_can_ask_is_changed_when_the_user_says_that_it_has_ended(call: Call) -> None:
    of_another_host(make_run({key(1): result("relax"), key(2): result("energy")}, close=False))
    done = call("checkpoint", "prune", "--app", "relax", "--yes")
    assert "if all processes on cluster07 have ended, say --ended cluster07" in done.out
    assert done.out.splitlines()[-2:] == [
        f"{STORE}: 1 chosen record stays, since its segment is left alone",
        "nothing was removed",
    ]
    assert apps() == ["energy", "relax"]
    assert call("checkpoint", "prune", "--app", "relax", "--yes", "--ended", "cluster07").code == 0
    assert apps() == ["energy"]
    of_another_host(make_run({key(3): result("relax")}, close=False))
    assert (
        call("checkpoint", "compact", "--yes", "--ended", "cluster07", "--json").json["stores"][1]["left_alone"] == []
    )


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
        (["--max-size", f"{len(aged('relax', 1)) + RECORD_BYTES}B"], ["relax"]),
        (["--max-size", f"{len(aged('relax', 1)) + RECORD_BYTES - 1}B"], []),
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
        (["--max-size", "9" * 400], f"'{'9' * 40}...' is no size: takes a number and a unit"),
        (["--older-than", f"{'9' * 400}d"], f"'{'9' * 40}...' is no age: takes numbers with s, m, h, d or w"),
        (["--run", "9" * 5000], f"run '{'9' * 40}...': takes the number of a run"),
        (["--reachable-from", "9" * 5000], f"run '{'9' * 40}...': takes the number of a run"),
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
    [("compact --dry-run", "compact"), ("prune --app app1 --dry-run", "compact")],
)
def test_every_field_of_json_is_in_the_page_of_commands(call: Call, untidy: Path, command: str, section: str) -> None:
    spoil(next(path for path in untidy.glob("*.seg") if b"app1" in path.read_bytes()))
    found = call("checkpoint", *command.split(), "--json").json
    for field in fields(found):
        assert f"`{field}`" in SECTIONS[f"parslish checkpoint {section}"], field
