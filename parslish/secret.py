"""Owns the secret keys that sign stored records; leaves signing itself to `store.frame`.

A record is opened only when its signature was made with a key of this user: a pickle that somebody else put
into a store is never run. The keys stand in a file outside every store, one a line in hexadecimal: the first
signs, all of them verify, so a key is replaced by putting a new line above the old one.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from blake3 import blake3

from parslish.errors import UsageError

KEY_BYTES = 32
KEY_FILE_LIMIT = 64 * 1024  # bytes: a thousand keys; a larger file is not a key file
_ID_CONTEXT = "parslish 2026 key id"
_ELSEWHERE = "to keep the key elsewhere, set PARSLISH_KEY_FILE to a file in a folder that only you can write"


class Keys:
    """The keys of one user; immutable.

    Args:
        keys: secret keys of 32 bytes each; the first signs, all verify.

    Raises:
        UsageError: there is no key, or one of another length.
    """

    __slots__ = ("_by_id", "_signing")

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise UsageError(f"keys are one or more secrets of {KEY_BYTES} bytes each")
        self._signing = bytes(keys[0])
        self._by_id = {_key_id(key): bytes(key) for key in keys}

    @classmethod
    def load(cls) -> Keys:
        """The user's keys, from `key_file()`; the file is made at first use.

        Raises:
            UsageError: the file cannot be read or made, is open to others, or holds something else.
        """
        path = key_file()
        try:
            text = _read(path)
        except FileNotFoundError:
            _create(path)
            text = _read(path)
        return cls(_parse(text, path))

    @property
    def signing(self) -> bytes:
        """The key that signs."""
        return self._signing

    @property
    def id(self) -> bytes:
        """What names the signing key in a segment: 8 bytes that tell nothing about it."""
        return _key_id(self._signing)

    def find(self, key_id: bytes) -> bytes | None:
        """The key of that name, or None when it is not ours."""
        return self._by_id.get(key_id)

    def all(self) -> tuple[bytes, ...]:
        """Every key, the signing one first."""
        return tuple(self._by_id.values())

    def __repr__(self) -> str:  # never the secrets: a repr ends in logs
        return f"<Keys {self.id.hex()} and {len(self._by_id) - 1} older>"


def key_file() -> Path:
    """Where the keys are: $PARSLISH_KEY_FILE, else parslish/key in the user's configuration folder."""
    named = os.environ.get("PARSLISH_KEY_FILE")
    if named:
        return Path(named).expanduser()
    config = os.environ.get("XDG_CONFIG_HOME", "")
    # The XDG specification asks that a relative path be ignored.
    base = config if os.path.isabs(config) else os.path.expanduser("~/.config")
    if not os.path.isabs(base):
        raise UsageError(f"this account has no home folder to keep its key in; {_ELSEWHERE}")
    return Path(base, "parslish", "key")


def _key_id(key: bytes) -> bytes:
    return blake3(key, derive_key_context=_ID_CONTEXT).digest(8)


def _read(path: Path) -> str:
    try:
        # O_NONBLOCK: a named pipe planted under this name must not hang the program.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as exc:
        raise UsageError(f"the key file {str(path)!r} cannot be read ({exc.strerror}); {_ELSEWHERE}") from exc
    try:
        _refuse_exposed(path, os.fstat(fd))
        return os.read(fd, KEY_FILE_LIMIT).decode("ascii", "replace")
    finally:
        os.close(fd)


def _refuse_exposed(path: Path, found: os.stat_result) -> None:
    name = str(path)
    if not stat.S_ISREG(found.st_mode):
        raise UsageError(f"the key file {name!r} is not a regular file; {_ELSEWHERE}")
    if found.st_uid not in (os.getuid(), 0):
        raise UsageError(f"the key file {name!r} belongs to another user; {_ELSEWHERE}")
    if found.st_mode & 0o077:
        raise UsageError(f"the key file {name!r} can be read by others: run  chmod 600 {name}")


def _parse(text: str, path: Path) -> list[bytes]:
    keys = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            key = bytes.fromhex(line)
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:  # the line itself is not shown: it may be most of a secret
            raise UsageError(f"line {number} of the key file {str(path)!r} is not a key of 64 hex digits")
        keys.append(key)
    if not keys:
        raise UsageError(f"the key file {str(path)!r} holds no key: remove it, and a new key will be made")
    return keys


def _create(path: Path) -> None:
    """Make the file with a new key, unless another process makes it first."""
    temporary = path.with_name(f"{path.name}.{os.urandom(8).hex()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            _write_synced(temporary, f"{os.urandom(KEY_BYTES).hex()}\n".encode())
            # A link never replaces: of two processes that start together both read the key of the first.
            with contextlib.suppress(FileExistsError):
                os.link(temporary, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()
        _sync_folder(path.parent)
    except OSError as exc:
        raise UsageError(f"the key file {str(path)!r} cannot be made ({exc.strerror}); {_ELSEWHERE}") from exc


def _write_synced(path: Path, content: bytes) -> None:
    # Synced, because records that outlive their key in a power cut are lost with it.
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, content)
        os.fsync(fd)
    finally:
        os.close(fd)


def _sync_folder(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
