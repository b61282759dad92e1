from __future__ import annotations

import multiprocessing
import os
import stat
from pathlib import Path

import pytest

from parslish.errors import UsageError
from parslish.secret import Keys, key_file

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


def _load(start: multiprocessing.synchronize.Barrier, found: multiprocessing.SimpleQueue[bytes]) -> None:
    start.wait()
    found.put(Keys.load().signing)


def test_processes_that_start_together_get_one_key(path: Path) -> None:
    context = multiprocessing.get_context("fork")
    for _ in range(5):
        start, found = context.Barrier(4), context.SimpleQueue()
        children = [context.Process(target=_load, args=(start, found)) for _ in range(4)]
        for child in children:
            child.start()
        keys = {found.get() for _ in children}
        for child in children:
            child.join()
        assert keys == {Keys.load().signing}
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


@pytest.mark.parametrize("keys", [[], [b"short"], [FIRST, b""]])
def test_a_key_has_32_bytes_and_there_is_one(keys: list[bytes]) -> None:
    with pytest.raises(UsageError):
        Keys(keys)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused_with_the_command_to_run(path: Path, mode: int) -> None:
    put(path, FIRST.hex(), mode)
    with pytest.raises(UsageError, match=f"chmod 600 {path}"):
        Keys.load()


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
