"""`parslish checkpoint export` and `import`: what they ask and print, their exit codes, and what they leave out."""

from __future__ import annotations

import json
import os
import pickle
import sys
import time
from pathlib import Path
from typing import Any

import click
import pytest

from parslish.care.items import items
from parslish.history.folder import CHECKPOINT
from parslish.result import VALUE, StoredResult
from parslish.secret import Keys
from parslish.store import bodies
from parslish.store.disk import OS_DISK
from parslish.store.frame import Type
from parslish.store.log import Log
from parslish.store.reader import Store
from tests.cli.conftest import Call, Done
from tests.cli.stores import key, make_run, result, spoil, three
from tests.cli.test_commands_page import SECTIONS, fields

STORE = Path("runinfo/000/checkpoint")


def aged(app: str, days: float) -> bytes:
    return StoredResult(VALUE, app, 7, time.time() - days * 86400, 0.1, (), b"\x80...").pack()


def apps(*stores: Path | str) -> list[str]:
    found = items(stores or [STORE], Keys.load())
    return sorted(item.app for item in found)


@pytest.fixture
def aging() -> Path:
    make_run({key(1): aged("relax", 40), key(2): aged("relax", 1), key(3): aged("energy", 40)})
    return STORE


# ---------------------------------------------------------------- what is copied


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
    assert "1 store holds records that no key of yours has signed" in refused.err
    assert 0 < refused.err.index("--key FILE") < refused.err.index("--trust")
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


# ---------------------------------------------------------------- what is not copied


@pytest.mark.parametrize("options", [["--yes"], ["--dry-run"]])
@pytest.mark.parametrize("command", [["export", "runinfo", "out"], ["import", "runinfo", "--into", "out"]])
def test_what_is_damaged_is_told_and_the_rest_is_copied(call: Call, command: list[str], options: list[str]) -> None:
    spoil(make_run(three()))
    done = call("checkpoint", *command, *options)
    assert done.code == 3
    assert "warning: not copied: " in done.err and "damaged" in done.err
    if options == ["--yes"]:
        assert apps(Path("out") if command[0] == "export" else Path("out/000/checkpoint")) == ["app0", "app2"]


def plant(number: int, signed_with: Keys | None = None) -> None:
    """Segments that no key of ours has signed."""
    for n in range(number):
        log = Log(STORE, keys=signed_with or Keys([b"k" * 32]), run_number=0)
        log.append(Type.RESULT, result("planted"), key(100 + n))
        assert log.close()


@pytest.mark.parametrize("command", [["export", "runinfo", "out"], ["import", "runinfo", "--into", "out"]])
def test_planted_segments_block_nothing_and_nobody_is_told_to_trust_them(
    call: Call, aging: Path, command: list[str]
) -> None:
    ours = set(STORE.glob("*.seg"))
    plant(1)
    (planted,) = set(STORE.glob("*.seg")) - ours
    done = call("checkpoint", *command, "--yes")
    assert done.code == 3
    assert f"not copied: {planted}: 1 record not signed with your key" in done.err
    assert "--key FILE" in done.err and "--trust" not in done.err
    assert apps(Path("out") if command[0] == "export" else Path("out/000/checkpoint")) == ["energy", "relax", "relax"]


def test_many_planted_segments_are_few_lines_and_all_in_json(call: Call, aging: Path) -> None:
    plant(25)
    done = call("checkpoint", "export", "out", "--dry-run", "--json")
    assert len(done.err.splitlines()) == 22 and "5 things more" in done.err
    assert [each["records"] for each in done.json["skipped"]] == [1] * 25


def test_a_run_that_may_not_be_read_is_told_and_the_others_are_copied(
    call: Call, aging: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(three())
    listdir = os.listdir

    def refuse(path: Any = ".") -> list[str]:
        if "001" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return listdir(path)

    monkeypatch.setattr(os, "listdir", refuse)
    monkeypatch.setattr(os, "access", lambda *args, **options: False)
    monkeypatch.setattr(type(OS_DISK), "listdir", staticmethod(refuse))
    done = call("checkpoint", "export", "out", "--yes")
    assert done.code == 3
    assert "not copied: runinfo/001/checkpoint: permission denied" in done.err
    assert apps("out") == ["energy", "relax", "relax"]
    done = call("checkpoint", "import", "runinfo/001", "runinfo/000", "--into", "mine", "--yes")
    assert done.code == 3
    assert "not copied: runinfo/001: permission denied" in done.err
    assert apps("mine/000/checkpoint") == ["energy", "relax", "relax"]
    done = call("checkpoint", "export", "runinfo/001/checkpoint", "out1", "--yes")
    assert done.code == 3 and "ermission denied" in done.err


def test_what_was_invalidated_in_the_run_folder_is_told_and_not_taken(call: Call, aging: Path) -> None:
    assert call("checkpoint", "export", "out", "--yes").code == 0
    log = Log(STORE, keys=Keys.load(), run_number=0)
    log.append(Type.TOMBSTONE, bodies.tombstone([next(Store.open([STORE], Keys.load()).find(key(3))).name], {}))
    assert log.close()
    done = call("checkpoint", "import", "out", "--yes")
    assert done.code == 1
    assert done.out.endswith("2 more are there already; 1 was invalidated there: not taken (--invalidated takes it)\n")
    found = call("checkpoint", "import", "out", "--yes", "--json").json
    assert (found["records"], found["already_there"], found["invalidated_there"]) == (0, 2, 1)
    assert not Path("runinfo/001").exists()
    assert call("checkpoint", "import", "out", "--invalidated", "--yes").code == 0
    assert apps("runinfo/001/checkpoint") == ["energy"]


def test_what_could_be_read_when_it_was_planned_and_no_longer_is_told(
    call: Call, aging: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = Log(STORE, keys=Keys.load(), run_number=0)
    add.append(Type.RESULT, result("late"), key(9))
    assert add.close()
    late = next(path for path in STORE.glob("*.seg") if b"late" in path.read_bytes())

    def damage(question: str) -> bool:
        spoil(late, b"late", b"LATE")
        return True

    on_a_terminal(monkeypatch)
    monkeypatch.setattr(click, "confirm", damage)
    done = call("checkpoint", "export", "out")
    assert done.code == 3 and "1 record fewer than planned could be read" in done.err
    assert apps("out") == ["energy", "relax", "relax"]


# ---------------------------------------------------------------- exit codes, and what is said


def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)


@pytest.mark.parametrize(
    ("answer", "code"), [("n", 1), ("", 1), (EOFError(), 1), (KeyboardInterrupt(), 130)], ids=["n", "", "^D", "^C"]
)
def test_who_does_not_say_yes_changes_nothing_and_is_told(
    call: Call, aging: Path, monkeypatch: pytest.MonkeyPatch, answer: str | BaseException, code: int
) -> None:
    def answered(prompt: str) -> str:
        if isinstance(answer, str):
            return answer
        raise answer

    on_a_terminal(monkeypatch)
    monkeypatch.setattr("click.termui.visible_prompt_func", answered)
    done = call("checkpoint", "export", "out")
    assert done.code == code and not Path("out").exists()
    assert ("nothing was changed" in done.out.splitlines()) is (code == 1)


@pytest.mark.parametrize("options", [["--dry-run"], ["--yes"]])
def test_a_target_that_is_there_is_told_before_anything_is_read(
    call: Call, aging: Path, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("out").mkdir()
    monkeypatch.setattr("parslish.cli.checkpoint_move.plan_export", None)
    done = call("checkpoint", "export", "runinfo", "out", *options)
    assert (done.code, done.out) == (2, "")
    assert "'out' is there already: name a folder that is not" in done.err


def test_a_path_without_a_target_is_no_target(call: Call, aging: Path) -> None:
    done = call("checkpoint", "export", "runinfo", "--yes")
    assert done.code == 2
    assert done.err == "parslish: no TARGET was given for 'runinfo': parslish checkpoint export runinfo TARGET\n"


def test_a_run_folder_has_a_name_and_is_a_folder(call: Call, aging: Path) -> None:
    for into in ("", "file"):
        Path("file").touch()
        done = call("checkpoint", "import", "runinfo", "--into", into, "--yes")
        assert done.code == 2
        assert "--into" in done.err and "run_dir" not in done.err
    assert not Path("000").exists()


@pytest.mark.parametrize("command", [["export", "runinfo", "out"], ["import", "runinfo", "--into", "out"]])
@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(30, "Read-only file system")])
def test_a_target_that_cannot_be_written_is_trouble(
    call: Call, aging: Path, monkeypatch: pytest.MonkeyPatch, command: list[str], error: OSError
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise error

    monkeypatch.setattr(type(OS_DISK), "mkdir", staticmethod(refuse))
    monkeypatch.setattr(os, "mkdir", refuse)
    done = call("checkpoint", *command, "--yes")
    assert done.code == 3
    assert f"'out' cannot be written: {error.strerror}" in done.err and "run_dir" not in done.err


@pytest.mark.parametrize("command", [["export", "runinfo", "out"], ["import", "runinfo", "--into", "out"]])
def test_a_store_that_is_open_to_others_is_trouble_and_the_option_is_named(
    call: Call, aging: Path, command: list[str]
) -> None:
    STORE.chmod(0o777)
    done = call("checkpoint", *command, "--yes")
    assert done.code == 3
    assert "can be written by others" in done.err and "--shared" in done.err
    assert call("checkpoint", *command, "--yes", "--shared").code == 0


@pytest.mark.parametrize(("options", "says"), [(["--trust"], "leave out --trust"), ([], "--reachable-from: takes")])
def test_options_are_named_as_they_are_given(call: Call, aging: Path, options: list[str], says: str) -> None:
    call("checkpoint", "export", "out", "--yes")
    done = call("checkpoint", "import", "out", "--into", "mine", "--reachable-from", "0", "--yes", *options)
    assert done.code == 2
    assert says in done.err and "reachable_from" not in done.err


def test_a_key_that_may_not_be_read_is_told_and_none_is_made(
    call: Call, aging: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise PermissionError(13, "Permission denied", "key")

    monkeypatch.setattr(Path, "exists", refuse)
    monkeypatch.setattr("parslish.secret.os.open", refuse)
    done = call("checkpoint", "export", "runinfo", "out", "--yes")
    assert done.code == 2 and "cannot be read (Permission denied)" in done.err


@pytest.mark.parametrize("command", [["export", "runinfo", "out"], ["import", "runinfo", "--into", "out"]])
def test_json_is_json_whatever_a_record_says(call: Call, command: list[str]) -> None:
    nonsense = StoredResult(VALUE, "nan", 7, float("nan"), float("inf"), (), b"\x80...").pack()
    make_run({key(1): nonsense})
    done = call("checkpoint", *command, "--json", "--yes")
    assert json.loads(done.out, parse_constant=pytest.fail)["copied"] == 1


@pytest.mark.parametrize("command", [["export", "runinfo", "out"], ["import", "runinfo", "--into", "out"]])
def test_every_field_of_json_is_in_the_page_of_commands(call: Call, command: list[str]) -> None:
    spoil(make_run(three()))
    found = call("checkpoint", *command, "--json", "--dry-run").json
    assert found["skipped"]
    found.pop("apps")  # their names are no fields
    for field in fields(found):
        assert f"`{field}`" in SECTIONS["parslish checkpoint export"], field
