"""Owns that no bash command outlives the worker that started it: starts commands under a guard.

Each worker process with commands has one guard, a shell that reads from a pipe which commands run. When the pipe
ends because the worker is gone, by SIGKILL too, it kills the groups that still ran. A command registers itself
before it becomes the user's, and until then holds the pipe open: so there is no moment at which it runs and the
guard does not know it, as there is when the worker registers it after the start.

Not used instead: PR_SET_PDEATHSIG, which reaches the shell and not what it started, and needs a `preexec_fn`,
that is a fork in a process with threads.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import subprocess

SHELL = "/bin/bash"

_GUARD = """
declare -A groups
while read -r sign group; do
    if [[ $sign == + ]]; then groups[$group]=1; else unset "groups[$group]"; fi
done
for group in "${!groups[@]}"; do kill -KILL -- "-$group"; done
"""
# Its stdin is the guard's pipe, and then nothing: a group in the background that reads from the terminal would
# be stopped by it, for ever.
_REGISTER = f'echo "+ $$" >&0; exec {SHELL} -c "$1" </dev/null'


def start(command: str, stdout: Any, stderr: Any) -> subprocess.Popen[bytes]:
    """Start a command in a session, and so a process group, of its own; the group dies with this process.

    Args:
        command: as after `bash -c`.
        stdout, stderr: as `subprocess.Popen` takes them.

    Raises:
        OSError, ValueError: as `subprocess.Popen`.
    """
    return _guard.start(command, stdout, stderr)


def ended(process: subprocess.Popen[bytes]) -> None:
    """A command has ended: what it left in the background is no longer looked after.

    To be called before `process` is waited for, while its number cannot be another's.
    """
    _guard.ended(process.pid)


class _Guard:
    """The guard of this process: started with the first command, and again if somebody killed it."""

    def __init__(self) -> None:
        # Guards the two fields below. Held over the start of the guard, and over writing a line to its pipe.
        self._lock = threading.Lock()
        self._groups: set[int] = set()
        self._shell: subprocess.Popen[bytes] | None = None

    def start(self, command: str, stdout: Any, stderr: Any) -> subprocess.Popen[bytes]:
        import subprocess  # 3 ms that only workers with commands should pay

        pipe = self._pipe()
        try:
            process = subprocess.Popen(
                ["/bin/sh", "-c", _REGISTER, "sh", command],
                stdin=pipe,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        finally:
            os.close(pipe)
        with self._lock:
            self._groups.add(process.pid)
        return process

    def ended(self, group: int) -> None:
        with self._lock:
            self._groups.discard(group)
            self._tell(f"- {group}\n")

    def close(self) -> None:
        """End the guard, and with it whatever still runs."""
        with self._lock:
            if self._shell is not None:
                self._shell.communicate()
                self._shell = None

    def abandon(self) -> None:
        """Let go of a guard that is another process's child. Takes no lock: its holder may not exist here."""
        if self._shell is not None and self._shell.stdin is not None:
            self._shell.stdin.close()
            self._shell.returncode = 0  # not ours to wait for, says Popen's destructor

    def _pipe(self) -> int:
        """An own descriptor of the pipe of a guard that lives, so that nobody else can close it."""
        with self._lock:
            if self._shell is None or self._shell.poll() is not None:
                self.abandon()
                self._shell = _start()
                self._tell("".join(f"+ {group}\n" for group in self._groups))
            assert self._shell.stdin is not None
            return os.dup(self._shell.stdin.fileno())

    def _tell(self, lines: str) -> None:
        assert self._shell is not None and self._shell.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it was killed; the next start finds out
            self._shell.stdin.write(lines.encode())


def _start() -> subprocess.Popen[bytes]:
    import subprocess

    # A session of its own: Ctrl-C in the terminal must not end it before those it watches. Unbuffered: what
    # a broken pipe refused must not be tried again when the file is closed.
    return subprocess.Popen(
        [SHELL, "-c", _GUARD],
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _forget() -> None:
    """In a forked child: let go of the parent's guard, which would wait for the child as well."""
    global _guard
    inherited, _guard = _guard, _Guard()
    inherited.abandon()


_guard = _Guard()
os.register_at_fork(after_in_child=_forget)
atexit.register(lambda: _guard.close())
