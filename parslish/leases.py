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
import time
from collections import defaultdict
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final, NamedTuple

from parslish.history import alive
from parslish.store import folder

FOLDER: Final = "leases"
LEASE_S = 60.0  #: a lease that was not touched for so long counts no longer
TOUCHES: Final = 4  #: in that time, by its kernel
SAMPLES: Final = 4  #: leases of each owner that are read in a look: that of all it seems to have
LOOK_S: Final = 1.0  #: for so long an owner is taken to live on
_TRIES: Final = 10  # to take a lease while rivals do
_CONTENT_BYTES: Final = 4096
_RUN_ID: Final = re.compile(r"[0-9]{3,9}")
_NAME: Final = re.compile(r"[0-9a-f]{64}(\.next)?")
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
        self.on_release: Callable[[bytes], None] = lambda key: None
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
        self._owners: dict[bytes, _Owner | None] = {}  # who had a key when that was last read
        self._looks, self._latest = 0, self._look()
        self._lock = threading.Lock()  # guards the three below
        self._is_made = self._is_warned = False
        self._keeper: threading.Thread | None = None
        self._ended = threading.Event()

    def take(self, key: bytes) -> bool:
        """Whether a key is this kernel's to compute: it has the lease, or nobody can have one. False: another has."""
        try:
            if not self._take(key):
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
        self.on_release(key)

    def free(self, keys: Collection[bytes], *, closer: bool) -> set[bytes]:
        """The keys that nobody holds; with `closer`, also those whose owner seems to be gone: `take` makes sure."""
        try:
            names = set(os.listdir(self._folder))
            free = {key for key in keys if key.hex() not in names}
            if closer:
                free |= self._left([key for key in keys if key not in free])
        except OSError as exc:
            if not isinstance(exc, FileNotFoundError):
                self._warn(exc)
            free = set(keys)
        for key in free:
            self._owners.pop(key, None)
        return free

    def close(self) -> None:
        """Give all leases back; none is taken any more."""
        self._ended.set()
        with self._lock:
            keeper = self._keeper
        if keeper is not None:
            keeper.join()
        for key in list(self.held):
            self.release(key)

    def _take(self, key: bytes) -> bool:
        path, look = self._path(key), self._latest_look()
        for _ in range(_TRIES):
            self._make_folder()
            try:
                if self._create(path):
                    return True
                if not self._is_left(key, look):
                    return False
                if self._end(path, look, by_ours=True):
                    return True
            except FileNotFoundError:  # given back meanwhile, or the folder is gone
                self._is_made = False
        return False

    def _left(self, keys: Collection[bytes]) -> set[bytes]:
        """The keys of those who seem to be gone, by what a few leases of each owner say."""
        theirs: defaultdict[_Owner | None, list[bytes]] = defaultdict(list)
        for key in keys:
            theirs[self._owners.get(key)].append(key)
        look, left = self._look(), set[bytes]()
        self._looks, self._latest = self._looks + 1, look
        self._owners = {key: owner for owner, its in theirs.items() for key in its}
        for owner, its in theirs.items():
            for i in range(min(SAMPLES, len(its))):
                key = its[(self._looks * SAMPLES + i) % len(its)]
                try:
                    if self._is_left(key, look):
                        left.add(key)
                        # Not that of another, who has it by now, nor what nobody has signed.
                        left |= set(its) if owner is not None and self._owners[key] == owner else set()
                except OSError:  # given back, or what `take` will tell
                    left.add(key)
        return left

    def _is_left(self, key: bytes, look: _Look) -> bool:
        """Whether a lease that is in our way counts no longer. Raises FileNotFoundError when there is none."""
        owner, touched_s = _read_lease(self._path(key))
        self._owners[key] = owner
        if owner is not None and _RUN_ID.fullmatch(owner.run):
            self.met.add(owner.run)
        return look.is_over(owner, touched_s)

    def _look(self) -> _Look:
        return _Look(self._folder / "clock", self._machine)

    def _latest_look(self) -> _Look:
        """One that will do for all leases that are met within a second."""
        if time.monotonic() > self._latest.began + LOOK_S:
            self._latest = self._look()
        return self._latest

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

    def _end(self, path: Path, look: _Look, *, by_ours: bool) -> bool:
        """Remove an expired lease, or put ours in its place. Only one rival at a time can have made the next lease."""
        following = path.with_suffix(".next")
        if not self._create(following):
            if look.is_over(*_read_lease(following)):  # its maker was killed right then
                os.unlink(following)
            return False
        renamed = False
        try:
            if not look.is_over(*_read_lease(path)):  # a rival was here before
                return False
            if by_ours:
                os.rename(following, path)
                renamed = True
            else:
                os.unlink(path)
            return True
        finally:
            if not renamed:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(following)

    def _remove_left(self) -> None:
        """Remove what those who are gone have left, else it would stay until somebody asks for the same keys."""
        look = self._look()
        with contextlib.suppress(OSError):
            for name in os.listdir(self._folder):
                if self._ended.is_set():
                    return
                if _NAME.fullmatch(name):
                    with contextlib.suppress(OSError):
                        self._remove_if_left(self._folder / name, look)

    def _remove_if_left(self, path: Path, look: _Look) -> None:
        if not look.is_over(*_read_lease(path)):
            return
        if path.suffix:
            os.unlink(path)
        else:
            self._end(path, look, by_ours=False)

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
        self._remove_left()
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


class _Owner(NamedTuple):
    """Who has made a lease."""

    token: str
    run: str
    machine: str
    pid: int


class _Look:
    """What is found out once in a look at leases, whatever their number: what time it is, and who lives.

    Args:
        clock: a file whose times tell what the clock of the file system says, which leases have theirs from.
        machine: this one, as `alive.machine` has it.
    """

    def __init__(self, clock: Path, machine: str) -> None:
        self._clock, self._machine = clock, machine
        self.began = time.monotonic()
        self._dead: dict[_Owner, bool] = {}
        self._asked_at: float | None = None
        self._told_s = 0.0

    def is_over(self, owner: _Owner | None, touched_s: float) -> bool:
        """Whether a lease counts no longer."""
        if owner is not None and self._machine and owner.machine == self._machine:
            if owner not in self._dead:
                self._dead[owner] = not alive.exists(owner.pid)
            if self._dead[owner]:
                return True
        # On either side: when the clock is set back, leases of the dead must not live on until it is there again.
        return abs(self._now_s() - touched_s) > LEASE_S

    def _now_s(self) -> float:
        if self._asked_at is None or time.monotonic() > self._asked_at + LEASE_S / TOUCHES:
            self._asked_at = time.monotonic()
            fd = os.open(self._clock, _CLOCK, 0o600)
            try:
                os.utime(fd)
                self._told_s = os.fstat(fd).st_mtime
            finally:
                os.close(fd)
        return self._told_s


def _read_lease(path: Path) -> tuple[_Owner | None, float]:
    """Who has made a lease, None where that is not (yet) said, and when it was touched."""
    content, touched_s = _read(path)
    with contextlib.suppress(ValueError, LookupError, TypeError, RecursionError):
        facts = json.loads(content)
        token, run, machine, pid = (facts[field] for field in _Owner._fields)
        if all(isinstance(each, str) for each in (token, run, machine)) and 0 < pid < 1 << 31:
            return _Owner(token, run, machine, pid), touched_s
    return None, touched_s


def _read(path: Path) -> tuple[bytes, float]:
    """What is in a lease, and when it was touched. Opened anew, so that a network file system asks its server."""
    fd = os.open(path, _READ)
    try:
        return os.read(fd, _CONTENT_BYTES), os.fstat(fd).st_mtime
    finally:
        os.close(fd)
