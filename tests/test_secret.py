from __future__ import annotations

import copy
import errno
import multiprocessing
import os
import pickle
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from parslish import secret
from parslish.errors import UsageError
from parslish.secret import Keys, key_file

STARTED = 20  # processes that start at the same moment
FIRST, SECOND = b"\x01" * 32, b"\x02" * 32


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the key is in these tests."""
    where = tmp_path / "config" / "key"
    monkeypatch.setenv("PARSLISH_KEY_FILE", str(where))
    return where


def put(path: Path, text: str, mode: int = 0o600) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def test_the_first_use_makes_a_key_and_later_uses_find_it(path: Path) -> None:
    keys = Keys.load()
    assert len(keys.signing) == 32
    assert Keys.load().signing == keys.signing
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert os.listdir(path.parent) == ["key"]


def test_two_homes_have_two_keys(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Keys.load()
    monkeypatch.setenv("PARSLISH_KEY_FILE", str(tmp_path / "other"))
    assert Keys.load().signing != mine.signing


def at_once(what: Callable[[], Keys], count: int) -> set[bytes]:
    """The signing keys that `what` gives in processes that begin it at the same moment."""
    context = multiprocessing.get_context("fork")
    start, found = context.Barrier(count), context.SimpleQueue()

    def child() -> None:
        start.wait()
        found.put(what().signing)

    children = [context.Process(target=child) for _ in range(count)]
    for each in children:
        each.start()
    keys = {found.get() for _ in children}
    for each in children:
        each.join()
    return keys


def test_processes_that_start_together_get_one_key(path: Path) -> None:
    for _ in range(3):
        assert at_once(Keys.load, STARTED) == {Keys.load().signing}
        assert os.listdir(path.parent) == ["key"]
        path.unlink()


def test_the_first_key_signs_and_all_verify(path: Path) -> None:
    put(path, f"{SECOND.hex()}\n\n  {FIRST.hex()}  \n")
    keys = Keys.load()
    assert keys.signing == SECOND
    assert keys.all() == (SECOND, FIRST)
    assert keys.find(Keys([FIRST]).id) == FIRST
    assert keys.find(keys.id) == SECOND
    assert keys.find(b"somebody") is None


def test_the_id_and_the_repr_do_not_tell_the_key() -> None:
    keys = Keys([FIRST, SECOND])
    assert len(keys.id) == 8
    assert keys.id not in FIRST
    assert FIRST.hex() not in repr(keys)


def test_keys_do_not_leave_the_process() -> None:
    with pytest.raises(TypeError, match="stay in the process"):
        pickle.dumps(Keys([FIRST]))
    with pytest.raises(TypeError, match="stay in the process"):
        copy.copy(Keys([FIRST]))


@pytest.mark.parametrize("keys", [[], [b"short"], [FIRST, b""]])
def test_a_key_has_32_bytes_and_there_is_one(keys: list[bytes]) -> None:
    with pytest.raises(UsageError):
        Keys(keys)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused_with_the_command_to_run(path: Path, mode: int) -> None:
    put(path, FIRST.hex(), mode)
    with pytest.raises(UsageError, match=f"chmod 600 {path}"):
        Keys.load()


def test_the_command_to_run_can_be_pasted_into_a_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "my keys; touch oops" / "key"
    put(path, FIRST.hex(), 0o644)
    monkeypatch.setenv("PARSLISH_KEY_FILE", str(path))
    with pytest.raises(UsageError, match="can be read by others") as caught:
        Keys.load()
    command = str(caught.value).split("run  ")[1]
    subprocess.run(command, shell=True, check=True, cwd=tmp_path)
    assert Keys.load().signing == FIRST
    assert not (tmp_path / "oops").exists()


@pytest.mark.parametrize(("text", "line"), [("hello\n", 1), (FIRST.hex() + "\nabcd\n", 2)])
def test_a_line_that_is_no_key_is_named_and_not_shown(path: Path, text: str, line: int) -> None:
    put(path, text)
    with pytest.raises(UsageError, match=f"line {line} of the key file") as caught:
        Keys.load()
    assert text.split()[-1] not in str(caught.value)


def test_an_empty_key_file_is_not_replaced_in_silence(path: Path) -> None:
    put(path, "\n")
    with pytest.raises(UsageError, match="holds no key"):
        Keys.load()


def test_a_key_file_that_is_no_file_is_refused(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(UsageError, match="not a regular file"):
        Keys.load()
    path.rmdir()
    os.mkfifo(path, 0o600)
    with pytest.raises(UsageError, match="not a regular file"):
        Keys.load()


def test_a_key_file_that_is_too_large_is_refused(path: Path) -> None:
    put(path, f"{FIRST.hex()}\n" * 1100)
    with pytest.raises(UsageError, match="too large"):
        Keys.load()


def test_the_umask_decides_nothing(path: Path) -> None:
    for umask in (0, 0o077, 0o277):
        path.parent.mkdir()
        before = os.umask(umask)
        try:
            Keys.load()
            secret.rotate()
            secret.export(path.with_name("exported"))
        finally:
            os.umask(before)
        assert {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()} == {0o600}
        shutil.rmtree(path.parent)


def test_folders_above_the_key_are_made_for_their_owner_only(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARSLISH_KEY_FILE", str(path.parent / "a" / "b" / "key"))
    before = os.umask(0)
    try:
        Keys.load()
    finally:
        os.umask(before)
    made = (path.parent, path.parent / "a", path.parent / "a" / "b")
    assert [stat.S_IMODE(each.stat().st_mode) for each in made] == [0o700] * 3


def test_a_home_that_cannot_be_written_names_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PARSLISH_KEY_FILE", str(tmp_path / "file" / "key"))
    with pytest.raises(UsageError, match="set PARSLISH_KEY_FILE"):
        Keys.load()


def test_the_key_is_in_the_configuration_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PARSLISH_KEY_FILE", raising=False)
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    assert key_file() == Path("/home/ada/.config/parslish/key")
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    assert key_file() == Path("/home/ada/.config/parslish/key")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert key_file() == tmp_path / "parslish" / "key"
    monkeypatch.setenv("PARSLISH_KEY_FILE", "~/elsewhere")
    assert key_file() == Path("/home/ada/elsewhere")


# ------------------------------------------------------------------------------------- rotation


def test_a_rotation_makes_a_key_that_signs_and_the_older_ones_go_on_verifying(path: Path) -> None:
    put(path, f"{SECOND.hex()}\n{FIRST.hex()}\n")
    keys = secret.rotate()
    assert keys.signing not in (FIRST, SECOND)
    assert keys.all() == (keys.signing, SECOND, FIRST)
    assert Keys.load().all() == keys.all()
    assert os.listdir(path.parent) == ["key"]


def test_the_first_rotation_may_be_the_first_use(path: Path) -> None:
    assert len(secret.rotate().all()) == 2


def test_a_link_to_the_key_file_goes_on_being_one(path: Path) -> None:
    put(path, FIRST.hex())
    real = path.with_name("real")
    path.rename(real)
    path.symlink_to(real)
    keys = secret.rotate()
    assert path.is_symlink()
    assert real.read_text().split() == [key.hex() for key in keys.all()]


def test_rotations_at_the_same_moment_lose_no_key(path: Path) -> None:
    before = Keys.load()
    put_first = at_once(secret.rotate, 8)
    after = Keys.load().all()
    assert len(after) == 9
    assert after[-1] == before.signing
    assert put_first <= set(after)


@pytest.mark.parametrize("call", ["open", "fchmod", "write", "fsync", "replace"])
def test_a_rotation_that_fails_leaves_the_keys_as_they_were(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    put(path, FIRST.hex())
    real_open = os.open

    def full(*args: Any, **kwargs: Any) -> Any:
        if call == "open" and not args[1] & os.O_CREAT:
            return real_open(*args, **kwargs)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(UsageError, match="cannot be replaced"):
            secret.rotate()
    assert Keys.load().all() == (FIRST,)
    assert os.listdir(path.parent) == ["key"]


def test_a_short_write_is_no_rotation(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(path, FIRST.hex())
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda fd, content: write(fd, content[:70]))
        with pytest.raises(UsageError, match="No space left"):
            secret.rotate()
    assert Keys.load().all() == (FIRST,)


def test_a_full_key_file_takes_no_more_and_says_what_to_remove(path: Path) -> None:
    put(path, "".join(f"{number.to_bytes(32, 'big').hex()}\n" for number in range(1, 1009)))
    with pytest.raises(UsageError, match="remove its last lines"):
        secret.rotate()
    assert len(Keys.load().all()) == 1008


# ------------------------------------------------------------------------------------- keys of other accounts


def test_exported_keys_verify_in_another_account_and_do_not_sign(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(path, f"{SECOND.hex()}\n{FIRST.hex()}\n")
    exported = tmp_path / "from-ada"
    assert secret.export(exported).all() == (SECOND, FIRST)
    assert stat.S_IMODE(exported.stat().st_mode) == 0o600
    monkeypatch.setenv("PARSLISH_KEY_FILE", str(tmp_path / "mine"))
    mine = Keys.load()
    both = Keys.load(trusted=[exported])
    assert both.signing == mine.signing
    assert both.all() == (mine.signing, SECOND, FIRST)
    assert both.ids() == (mine.id, Keys([SECOND]).id, Keys([FIRST]).id)


def test_an_export_replaces_nothing(path: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis").write_text("years of work")
    with pytest.raises(UsageError, match="is there already: name a file that is not there yet"):
        secret.export(tmp_path / "thesis")
    assert (tmp_path / "thesis").read_text() == "years of work"


def test_a_trusted_key_file_that_is_not_there_is_not_made(path: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is not there.*parslish key export"):
        Keys.load(trusted=[tmp_path / "none"])
    assert not (tmp_path / "none").exists()


def test_a_trusted_key_file_is_as_closed_as_ones_own(path: Path, tmp_path: Path) -> None:
    put(tmp_path / "theirs", FIRST.hex(), 0o640)
    with pytest.raises(UsageError, match="chmod 600"):
        Keys.load(trusted=[tmp_path / "theirs"])
