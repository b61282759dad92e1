"""`parslish key`: where the keys are, their ids, a new one, a copy for another account; and never a key itself."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from parslish.secret import Keys
from tests.cli.conftest import Call


def test_path_tells_where_the_keys_are_and_makes_none(call: Call, tmp_path: Path) -> None:
    assert call("key", "path") == (0, f"{tmp_path / 'key'}\n", "")
    assert call("key", "path", "--json").json == {"path": str(tmp_path / "key")}
    assert not (tmp_path / "key").exists()


def test_after_a_rotation_the_new_key_signs_and_the_old_one_verifies(call: Call) -> None:
    old = Keys.load().id.hex()
    done = call("key", "rotate")
    new = Keys.load().id.hex()
    assert done == (0, f"key {new} signs from now on; older keys that still verify: 1\n", "")
    assert [line.split() for line in call("key", "ls").out.splitlines()[1:]] == [
        [new, "signs", "and", "verifies"],
        [old, "verifies"],
    ]
    assert call("key", "rotate", "--json").json["verify"] == [new, old]
    assert [each["signs"] for each in call("key", "ls", "--json").json] == [True, False, False]


def test_an_export_is_a_file_that_others_cannot_read_and_comes_with_a_warning(call: Call, tmp_path: Path) -> None:
    done = call("key", "export", tmp_path / "copy")
    assert done.code == 0
    assert done.out == f"{tmp_path / 'copy'} has your keys: {Keys.load().id.hex()}\n"
    assert "as you would a password" in done.err
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o600
    assert (tmp_path / "copy").read_text() == (tmp_path / "key").read_text()
    again = call("key", "export", tmp_path / "copy", "--json")
    assert (again.code, again.out) == (2, "")
    path = str(tmp_path / "copy")
    assert again.err == f"parslish: {path!r} is there already: name a file that is not there yet\n"
    assert "name a file in a folder that you can write to" in call("key", "export", tmp_path / "none" / "copy").err


def test_a_key_file_that_others_can_read_is_refused_with_the_command_to_run(call: Call, tmp_path: Path) -> None:
    Keys.load()
    (tmp_path / "key").chmod(0o644)
    for command in ("ls", "rotate"):
        done = call("key", command)
        assert (done.code, done.out) == (2, "")
        assert f"chmod 600 {tmp_path / 'key'}" in done.err


@pytest.mark.parametrize("arguments", [["path"], ["ls"], ["rotate"], ["export", "copy"]], ids=lambda each: each[0])
@pytest.mark.parametrize("as_json", [[], ["--json"]], ids=["table", "json"])
def test_no_command_prints_a_key(call: Call, arguments: list[str], as_json: list[str]) -> None:
    Keys.load()
    done = call("key", *arguments, *as_json)
    assert done.code == 0
    for key in Keys.load().all():
        assert key.hex() not in done.out + done.err
