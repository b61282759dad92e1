"""Owns what the tests need of the machine besides Python: tools that make real faults. Where one is missing, a test is
skipped with a sentence that says how to get it."""

from __future__ import annotations

import ctypes
import functools
import os
import shutil
import subprocess
from collections.abc import Sequence

import pytest

#: tool → the package of Debian and its like that has it
PACKAGES = {"strace": "strace", "unshare": "util-linux", "mount": "mount", "mkfs.ext4": "e2fsprogs"}
PTRACERS = 0x59616D61  # PR_SET_PTRACER
_ANY = ctypes.c_ulong(-1)


def need(*tools: str) -> None:
    """Skip the test when a tool is missing."""
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is missing: as root,  apt-get install {PACKAGES[tool]}")


def need_strace() -> None:
    """Skip the test where no process may be traced."""
    need("strace")
    if why := _why(["strace", "-o", os.devnull, "-e", "inject=fsync:error=EIO", "true"]):
        pytest.skip(f"strace may not trace here ({why}): allow ptrace, in a container with --cap-add SYS_PTRACE")


def need_mounts() -> Sequence[str]:
    """The command that gives another one mounts of its own; the test is skipped where there is none."""
    need("unshare", "mount")
    command = own_mounts()
    if command is None:
        pytest.skip("nothing can be mounted here: be root, or  sysctl kernel.unprivileged_userns_clone=1")
    return command


def own_mounts() -> Sequence[str] | None:
    """The same; None where there is none."""
    # Root itself, where it may, else root of a namespace of users.
    for command in (["unshare", "--mount"], ["unshare", "--user", "--map-root-user", "--mount"]):
        if not _why([*command, "mount", "-t", "tmpfs", "none", "/mnt"]):
            return command
    return None


def need_loop_devices() -> Sequence[str]:
    """As `need_mounts`, for file systems in a file, which root alone may mount."""
    need("mkfs.ext4")
    command = need_mounts()
    if len(command) > 2 or not os.path.exists("/dev/loop-control"):
        pytest.skip("no loop device can be mounted here: be root, and  modprobe loop")
    return command


@functools.cache
def _answer(command: tuple[str, ...]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    return said[-1] if done.returncode else ""


def _why(command: Sequence[str]) -> str:
    """Why a command fails; empty when it does not."""
    return _answer(tuple(command))


def let_anybody_trace() -> None:
    """Where only parents may trace, let this process be traced by all of the same user."""
    ctypes.CDLL(None).prctl(PTRACERS, _ANY, 0, 0, 0)


def run(*command: str | os.PathLike[str]) -> None:
    """Run a tool that must do what it is told."""
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stderr}"
