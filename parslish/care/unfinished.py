"""Owns the folders that exports are made in until they get their name, and removes what killed exports have left.

Whoever may be alive is never touched (I5): a folder goes only when its maker was a process of this machine, since its
last start, and is gone.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from pathlib import Path
from typing import Final

from blake3 import blake3

from parslish.history import alive
from parslish.store import blobs, folder

_NAME: Final = re.compile(r"\..+\.(?P<machine>[0-9a-f]{16})-(?P<pid>\d{1,9})-[0-9a-f]{16}")
_CONTENT: Final = (folder.SUFFIX, blobs.SUFFIX, blobs.UNFINISHED)
_KEPT_CHARACTERS: Final = 40  # of a target's name: a file system takes 255 bytes in all


def path_for(target: Path) -> Path:
    """A new name beside the target, which tells who works there."""
    maker = f"{_machine() or '0' * 16}-{os.getpid()}"
    return target.absolute().with_name(f".{target.name[:_KEPT_CHARACTERS]}.{maker}-{secrets.token_hex(8)}")


def sweep(where: Path) -> None:
    """Remove what killed exports have left in a folder, as far as that is known; trouble leaves it there."""
    with contextlib.suppress(OSError):
        # Where others can rename things, a store of ours might lie under such a name.
        if folder.refusal(os.stat(where), shared=False) is None:
            for name in os.listdir(where):
                if _is_dead(name):
                    _remove(where / name)


def _is_dead(name: str) -> bool:
    match = _NAME.fullmatch(name)
    return match is not None and match["machine"] == _machine() and not alive.exists(int(match["pid"]))


def _remove(path: Path) -> None:
    """Remove a folder of ours with what an export puts there; anything else in it stays."""
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        return
    with contextlib.suppress(OSError):
        for name in os.listdir(path):
            if name.endswith(_CONTENT):
                os.unlink(path / name)
        os.rmdir(path)


def _machine() -> str:
    """What tells this machine since its last start from others, short enough for a name; empty when not known."""
    known = alive.machine()
    return blake3(known.encode()).hexdigest()[:16] if known else ""
