"""A compaction that is killed with SIGKILL right before its N-th call that changes anything, or right after it.

    compactor.py FOLDER N WHEN

WHEN is `before` or `after`. It ends well when it has fewer calls.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from parslish.care import compact, rewrite
from parslish.secret import Keys
from parslish.store.disk import Disk


class Killing(Disk):
    """Kills this process at a call."""

    def __init__(self, call: int, *, before: bool) -> None:
        self._left, self._before = call, before
        for name in ("write", "writev", "fsync", "unlink", "rename"):
            setattr(self, name, self._counted(getattr(os, name)))

    def open(self, path: Any, flags: int, mode: int = 0o777) -> int:  # type: ignore[override]
        if flags & os.O_CREAT:
            return int(self._counted(os.open)(path, flags, mode))
        return os.open(path, flags, mode)

    def _counted(self, call: Any) -> Any:
        def counted(*args: Any) -> Any:
            self._left -= 1
            if not self._left and self._before:
                os.kill(os.getpid(), signal.SIGKILL)
            answer = call(*args)
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        return counted


if __name__ == "__main__":
    disk = Killing(int(sys.argv[2]), before=sys.argv[3] == "before")
    rewrite.carry_out(compact.plan([Path(sys.argv[1])], Keys.load(), disk=disk))
