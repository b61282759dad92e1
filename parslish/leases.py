"""Owns leases: the files by which kernels on one run folder tell each other which keys they are computing. Waiting for
another's is left to `turns`.

A lease saves work and decides nothing: a kernel goes on without where the disk refuses, and two that compute one key
are as right as one. Nothing is locked, since network file systems may know no locks: a lease is a file that only one
kernel can make, and counts for as long as that kernel touches it, or until others on its machine see that its process
is gone.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import secrets
import socket
import stat
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from parslish.history import alive
from parslish.store import folder

FOLDER: Final = "leases"
LEASE_S = 60.0  #: a lease that was not touched for so long counts no longer
TOUCHES: Final = 4  #: in that time, by its kernel
_TRIES: Final = 10  # to take a lease while rivals do
_CONTENT_BYTES: Final = 4096
_RUN_ID: Final = re.compile(r"[0-9]{3,9}")
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CLOCK: Final = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

logger = logging.getLogger("parslish")


class Leases:
    """The leases of one kernel, for any number of threads. Nothing is made on the disk before the first is taken.

    Args:
        run_dir: the run folder that the kernels share.
        run_id: this kernel's run, so that others know where its results will be.
    """

    def __init__(self, run_dir: str | os.PathLike[str], run_id: str) -> None:
        self.held: dict[bytes, Path] = {}
        self.met: set[str] = set()  #: the runs whose leases were in our way
        self._folder = Path(run_dir).absolute() / FOLDER
        self._token = secrets.token_hex(8)
        self._machine = alive.machine()
        facts = {
            "host": socket.gethostname(),
            "machine": self._machine,
            "pid": os.getpid(),
            "run": run_id,
            "token": self._token,
        }
        self._content = json.dumps(facts).encode()
        self._lock = threading.Lock()  # guards the three below
        self._is_made = self._is_warned = False
        self._keeper: threading.Thread | None = None
        self._ended = threading.Event()

    def take(self, key: bytes) -> bool:
        """Whether a key is this kernel's to compute: it has the lease, or nobody can have one. False: another has."""
        try:
            if not self._take(self._path(key)):
                return False
        except OSError as exc:
            self._warn(exc)
            return True
        self.held[key] = self._path(key)
        self._keep()
        if self._ended.is_set():
            self.release(key)
        return True

    def release(self, key: bytes) -> None:
        """Give a lease back, if it is held."""
        path = self.held.pop(key, None)
        if path is None:
            return
        try:
            # It may have expired, while this process was stopped, and be another's by now.
            if _read(path)[0] == self._content:
                os.unlink(path)
        except FileNotFoundError:
            pass
        except OSError as exc:
            self._warn(exc)

    def free(self, keys: Iterable[bytes], *, expired: bool) -> set[bytes]:
        """The keys that nobody holds; with `expired`, those whose lease has expired are among them."""
        try:
            names = set(os.listdir(self._folder))
            return {
                key for key in keys if key.hex() not in names or (expired and self._is_expired(self._path(key), True))
            }
        except OSError as exc:
            self._warn(exc)
            return set(keys)

    def close(self) -> None:
        """Give all leases back; none is taken any more."""
        self._ended.set()
        with self._lock:
            keeper = self._keeper
        if keeper is not None:
            keeper.join()
        for key in list(self.held):
            self.release(key)

    def _take(self, path: Path) -> bool:
        self._make_folder()
        for _ in range(_TRIES):
            if self._create(path):
                return True
            try:
                if not self._is_expired(path):
                    return False
                if self._take_over(path):
                    return True
            except FileNotFoundError:  # given back meanwhile
                continue
        return False

    def _create(self, path: Path) -> bool:
        try:
            fd = os.open(path, _NEW, 0o600)
        except FileExistsError:
            return False
        try:
            os.write(fd, self._content)
        except OSError:
            os.unlink(path)
            raise
        finally:
            os.close(fd)
        return True

    def _is_expired(self, path: Path, if_gone: bool | None = None) -> bool:
        """Raises FileNotFoundError when there is no such lease, unless it is said what that means."""
        try:
            content, touched_s = _read(path)
        except FileNotFoundError:
            if if_gone is None:
                raise
            return if_gone
        with contextlib.suppress(ValueError, LookupError, ArithmeticError, AttributeError, TypeError, RecursionError):
            if self._is_of_the_dead(json.loads(content)):  # may be half written, or not ours
                return True
        # On either side: when the clock is set back, leases of the dead must not live on until it is there again.
        return abs(self._now_s() - touched_s) > LEASE_S

    def _is_of_the_dead(self, facts: dict[str, Any]) -> bool:
        run = facts["run"]
        if _RUN_ID.fullmatch(run):
            self.met.add(run)
        return bool(self._machine) and facts["machine"] == self._machine and not alive.exists(facts["pid"])

    def _now_s(self) -> float:
        """What the clock of the file system says, which is what leases have their times from."""
        fd = os.open(self._folder / "clock", _CLOCK, 0o600)
        try:
            os.utime(fd)
            return os.fstat(fd).st_mtime
        finally:
            os.close(fd)

    def _take_over(self, path: Path) -> bool:
        """Put our lease in the place of an expired one. Only one rival at a time can have made the next lease."""
        following = path.with_suffix(".next")
        if not self._create(following):
            if self._is_expired(following):  # its maker was killed right then
                os.unlink(following)
            return False
        try:
            if not self._is_expired(path):  # a rival was here before
                return False
            os.rename(following, path)
            return True
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(following)

    def _make_folder(self) -> None:
        with self._lock:
            if self._is_made:
                return
            with contextlib.suppress(FileExistsError):
                os.mkdir(self._folder, 0o700)
            found = os.stat(self._folder, follow_symlinks=False)
            refused = folder.refusal(found, False) if stat.S_ISDIR(found.st_mode) else "is no folder"
            if refused:
                raise OSError(f"{str(self._folder)!r} {refused}")
            self._is_made = True

    def _keep(self) -> None:
        with self._lock:
            if self._keeper is not None or self._ended.is_set():
                return
            keeper = threading.Thread(target=self._touch_all, name="parslish-leases", daemon=True)
            with contextlib.suppress(RuntimeError):  # the interpreter is ending: for that long it lasts
                keeper.start()
                self._keeper = keeper

    def _touch_all(self) -> None:
        while not self._ended.wait(LEASE_S / TOUCHES):
            for path in list(self.held.values()):
                try:
                    os.utime(path, follow_symlinks=False)
                except FileNotFoundError:
                    pass  # given back
                except OSError as exc:
                    self._warn(exc)

    def _path(self, key: bytes) -> Path:
        return self._folder / key.hex()

    def _warn(self, exc: OSError) -> None:
        with self._lock:
            if self._is_warned:
                return
            self._is_warned = True
        logger.warning(
            "leases cannot be kept in %r (%s): what is exclusive may be computed by several kernels at once",
            str(self._folder),
            exc.strerror or exc,
        )


def _read(path: Path) -> tuple[bytes, float]:
    """What is in a lease, and when it was touched. Opened anew, so that a network file system asks its server."""
    fd = os.open(path, _READ)
    try:
        return os.read(fd, _CONTENT_BYTES), os.fstat(fd).st_mtime
    finally:
        os.close(fd)
