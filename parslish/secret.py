"""Owns the secret keys that sign stored records; leaves signing itself to `store.frame`.

A record is opened only when its signature was made with a key of this user, or one that the user trusts: a pickle
that somebody else put into a store is never run. The keys stand in a file outside every store, one a line in
hexadecimal: the first signs, all of them verify, so a key is replaced by putting a new line above the old one
(`rotate`), and retired by removing its line.

Who can verify can sign: a key that is handed on (`export`) is to be trusted on both sides.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shlex
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from blake3 import blake3

from parslish.errors import UsageError

KEY_BYTES = 32
KEY_FILE_LIMIT = 64 * 1024  # bytes: a thousand keys; a larger file is not a key file
_ID_CONTEXT = "parslish 2026 key id"
_ELSEWHERE = "to keep the key elsewhere, set PARSLISH_KEY_FILE to a file in a folder that only you can write"
_GET_IT = "take a copy of your own of what  parslish key export  made in the other account, and name that"


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
    def load(cls, trusted: Sequence[str | os.PathLike[str]] = ()) -> Keys:
        """The user's keys, from `key_file()`; the file is made at first use.

        Args:
            trusted: further key files, of accounts whose results are to be opened too; their keys verify.

        Raises:
            UsageError: a file cannot be read or made, is open to others, or holds something else.
        """
        path = key_file()
        try:
            text = _read(path)
        except FileNotFoundError:
            _create(path)
            text = _read(path)
        return cls([*_parse(text, path), *(key for each in trusted for key in _trusted(each))])

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

    def ids(self) -> tuple[bytes, ...]:
        """What names each key, the signing one first."""
        return tuple(self._by_id)

    def __repr__(self) -> str:  # never the secrets: a repr ends in logs
        return f"<Keys {self.id.hex()} and {len(self._by_id) - 1} more>"

    def __reduce__(self) -> NoReturn:  # nor do they go to workers or into a store
        raise TypeError("keys stay in the process that has read them: load them again where they are needed")


def key_file() -> Path:
    """Where the keys are: $PARSLISH_KEY_FILE, else parslish/key in the user's configuration folder."""
    named = os.environ.get("PARSLISH_KEY_FILE")
    if named:
        return Path(os.path.expanduser(named))
    config = os.environ.get("XDG_CONFIG_HOME", "")
    # The XDG specification asks that a relative path be ignored.
    base = config if os.path.isabs(config) else os.path.expanduser("~/.config")
    if not os.path.isabs(base):
        raise UsageError(f"this account has no home folder to keep its key in; {_ELSEWHERE}")
    return Path(base, "parslish", "key")


def rotate() -> Keys:
    """Put a new key above the others in the key file: it signs from now on, and they go on verifying.

    The file is replaced at once, so a kill leaves the old or the new one. A process that runs goes on with the keys
    that it has read.

    Raises:
        UsageError: as `Keys.load`, or the file cannot be replaced, or has no room for one more.
    """
    Keys.load()
    path = Path(os.path.realpath(key_file()))  # not a link to it, which would be replaced
    try:
        with _lock(path):
            text = "".join(f"{key.hex()}\n" for key in (os.urandom(KEY_BYTES), *_parse(_read(path), path)))
            if len(text) > KEY_FILE_LIMIT:
                raise UsageError(f"the key file {str(path)!r} is full: remove its last lines, the oldest keys")
            temporary = _beside(path)
            try:
                _write_synced(temporary, text.encode())
                os.replace(temporary, path)
            finally:
                _remove(temporary)
            _sync_folder(path.parent)
    except OSError as exc:
        raise UsageError(f"the key file {str(path)!r} cannot be replaced ({exc.strerror}); {_ELSEWHERE}") from exc
    return Keys.load()


def export(target: str | os.PathLike[str]) -> Keys:
    """Write the user's keys to a new file, 0600, for an account that is to open what they signed; returns them.

    Whoever has the file can also sign results that this account opens.

    Raises:
        UsageError: as `Keys.load`; the file exists, or cannot be written.
    """
    keys = Keys.load()
    try:
        _write_synced(Path(target), "".join(f"{key.hex()}\n" for key in keys.all()).encode())
    except FileExistsError as exc:
        raise UsageError(f"{os.fspath(target)!r} is there already: name a file that is not there yet") from exc
    except OSError as exc:
        raise UsageError(
            f"the keys cannot be written to {os.fspath(target)!r} ({exc.strerror}): name a file in a folder that you "
            f"can write to"
        ) from exc
    return keys


def _key_id(key: bytes) -> bytes:
    return blake3(key, derive_key_context=_ID_CONTEXT).digest(8)


def _read(path: Path, otherwise: str = _ELSEWHERE) -> str:
    try:
        # O_NONBLOCK: a named pipe planted under this name must not hang the program.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as exc:
        raise UsageError(f"the key file {str(path)!r} cannot be read ({exc.strerror}); {otherwise}") from exc
    try:
        _refuse_exposed(path, os.fstat(fd), otherwise)
        return os.read(fd, KEY_FILE_LIMIT).decode("ascii", "replace")
    finally:
        os.close(fd)


def _refuse_exposed(path: Path, found: os.stat_result, otherwise: str) -> None:
    name = str(path)
    if not stat.S_ISREG(found.st_mode):
        raise UsageError(f"the key file {name!r} is not a regular file; {otherwise}")
    if found.st_size > KEY_FILE_LIMIT:
        raise UsageError(f"the key file {name!r} is too large to be one; {otherwise}")
    if found.st_uid not in (os.getuid(), 0):
        raise UsageError(f"the key file {name!r} belongs to another user; {otherwise}")
    if found.st_mode & 0o077:
        raise UsageError(f"the key file {name!r} can be read by others: run  chmod 600 {shlex.quote(name)}")


def _trusted(file: str | os.PathLike[str]) -> list[bytes]:
    """The keys of another account."""
    path = Path(os.path.expanduser(file))
    try:
        return _parse(_read(path, _GET_IT), path)
    except FileNotFoundError as exc:
        raise UsageError(f"the trusted key file {str(path)!r} is not there; {_GET_IT}") from exc


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
    temporary = _beside(path)
    try:
        _make_folder(path.parent)
        try:
            _write_synced(temporary, f"{os.urandom(KEY_BYTES).hex()}\n".encode())
            # A link never replaces: of two processes that start together both read the key of the first.
            with contextlib.suppress(FileExistsError):
                os.link(temporary, path)
        finally:
            _remove(temporary)
        _sync_folder(path.parent)
    except OSError as exc:
        raise UsageError(f"the key file {str(path)!r} cannot be made ({exc.strerror}); {_ELSEWHERE}") from exc


def _make_folder(path: Path) -> None:
    """Make a folder and those above it that are missing, for their owner only: others could move what is in them."""
    missing = [each for each in (path, *path.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Keep other rotations out. The lock ends with its process, so none stays behind."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            # A file system without locks: two rotations at the same time are then the user's to avoid.
            with contextlib.suppress(OSError):
                fcntl.flock(fd, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(fd), os.stat(path)):  # else it was replaced while we waited
                yield
                return
        finally:
            os.close(fd)


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.{os.urandom(8).hex()}")


def _remove(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()


def _write_synced(path: Path, content: bytes) -> None:
    # Synced, because records that outlive their key in a power cut are lost with it.
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(fd, 0o600)  # whatever the umask
        if os.write(fd, content) != len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(fd)
    finally:
        os.close(fd)


def _sync_folder(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
