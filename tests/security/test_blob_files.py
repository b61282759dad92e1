"""Large values whose files others have changed: the signed record names the content, and nothing else is opened."""

from __future__ import annotations

import logging
import os
import pickle
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import parslish
from parslish import Config, python_app
from parslish.store.blobs import SUFFIX
from parslish.store.values import LARGE_BYTES
from tests.security.accounts import BOB, needs_root
from tests.security.forge import Canary

Attack = Callable[[Path, bytes], None]
SIZE = 2 * LARGE_BYTES


@pytest.fixture
def canary(tmp_path: Path) -> Canary:
    return Canary(tmp_path / "sang")


def large(runs: list[str]) -> list[bytes]:
    """A run of a script with two large results."""

    def fill(letter: str) -> bytes:
        runs.append(letter)
        return letter.encode() * SIZE

    app = python_app(fill, cache=True)
    with parslish.load(Config(checkpoint_mode="task_exit")):
        return [app(letter).result() for letter in "ab"]


def blobs() -> list[Path]:
    return sorted(Path("runinfo/000/checkpoint").glob(f"*{SUFFIX}"))


def exchanged(path: Path, evil: bytes) -> None:
    """Another genuine blob under this name, and this one under its."""
    other = next(each for each in blobs() if each != path)
    ours = path.read_bytes()
    path.write_bytes(other.read_bytes())
    other.write_bytes(ours)


def replaced(path: Path, evil: bytes) -> None:
    """A pickle of the same length."""
    path.write_bytes(evil.ljust(path.stat().st_size, b"\0"))


def longer(path: Path, evil: bytes) -> None:
    path.write_bytes(evil + path.read_bytes())


def flipped(path: Path, evil: bytes) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def linked(path: Path, evil: bytes) -> None:
    """A link to the very content, which may be another the next moment."""
    path.rename("elsewhere")
    path.symlink_to(Path("elsewhere").absolute())


def endless(path: Path, evil: bytes) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def pipe(path: Path, evil: bytes) -> None:
    path.unlink()
    os.mkfifo(path)


def bound(path: Path, evil: bytes) -> None:
    path.unlink()
    here = os.getcwd()
    os.chdir(path.parent)  # the address of a socket is short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path.name)
    os.chdir(here)


def huge(path: Path, evil: bytes) -> None:
    os.truncate(path, 1 << 42)


def removed(path: Path, evil: bytes) -> None:
    path.unlink()


ATTACKS: tuple[Attack, ...] = (
    exchanged, replaced, longer, flipped, linked, endless, pipe, bound, huge, removed,
)  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_what_is_not_the_content_that_was_stored_is_computed_again(
    attack: Attack, canary: Canary, caplog: pytest.LogCaptureFixture
) -> None:
    runs: list[str] = []
    first = large(runs)
    for path in blobs()[:1] if attack is exchanged else blobs():
        attack(path, pickle.dumps(canary))
    assert large(runs) == first
    assert runs == ["a", "b"] * 2
    warned = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert len(warned) == 1 and "2 results cannot be opened and are computed again" in warned[0]
    assert not canary.sang


def test_a_blob_that_nobody_refers_to_is_not_opened(canary: Canary) -> None:
    runs: list[str] = []
    large(runs)
    for name in ("0" * 64, "../x".replace("/", "_"), "a" * 63):
        (blobs()[0].parent / f"{name}{SUFFIX}").write_bytes(pickle.dumps(canary))
    large(runs)
    assert runs == ["a", "b"]
    assert not canary.sang


@needs_root
def test_content_decides_and_not_the_owner() -> None:
    runs: list[str] = []
    first: Any = large(runs)
    for path in blobs():
        os.chown(path, BOB, BOB)
    assert large(runs) == first
    assert runs == ["a", "b"]
