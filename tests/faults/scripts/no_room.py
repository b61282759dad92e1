"""A script whose disk refuses for a while, or from some moment on.

    no_room.py FOLDER KIND END MODE SYNC SIZE

Three runs in FOLDER: one before; one in which the disk refuses, until there is room again (END `room`) or to the end
(END `full`); and one after, which computes nothing that was kept. KIND: see `KINDS`. SIZE: bytes of a result.

Lines: `seen N` for each result of the second run; `degraded` and `recovered`; `verdict WORD` of each checkpoint;
`kept N` and `lost N` for what the third run loads and computes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import parslish
from parslish import Config, DataFlowKernel, ThreadPoolExecutor, python_app
from parslish.store.check import check
from parslish.store.log import Log

BEFORE, FULL, AFTER = range(5), range(5, 400), range(400, 405)
WHILE_FULL = 5  # results that come when the kernel is known to be degraded
PATIENCE_S = 30.0
executed: set[int] = set()
_ROOM = resource.getrlimit(resource.RLIMIT_FSIZE), resource.getrlimit(resource.RLIMIT_NOFILE)


# -------------------------------------------------------------------------------------- kinds of trouble


def fill_blocks(kernel: DataFlowKernel) -> None:
    """No block is free."""
    with open("ballast", "wb", buffering=0) as ballast:
        for size in (1 << 16, 1 << 9, 1):
            with contextlib.suppress(OSError):
                while ballast.write(bytes(size)):
                    pass


def free_blocks(kernel: DataFlowKernel) -> None:
    os.unlink("ballast")


def fill_inodes(kernel: DataFlowKernel) -> None:
    """No inode is free: an open file can grow, a new one cannot be made."""
    os.mkdir("many")
    try:
        for number in range(1_000_000):
            os.close(os.open(f"many/{number}", os.O_CREAT))
    except OSError as exc:
        assert exc.errno == errno.ENOSPC


def free_inodes(kernel: DataFlowKernel) -> None:
    shutil.rmtree("many")


def make_read_only(kernel: DataFlowKernel) -> None:
    """The checkpoint's folder is on a file system that is read-only."""
    folder = os.path.join(kernel.run_dir, "checkpoint")
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)


def make_writable(kernel: DataFlowKernel) -> None:
    subprocess.run(["umount", os.path.join(kernel.run_dir, "checkpoint")], check=True)


def remove_folder(kernel: DataFlowKernel) -> None:
    """Somebody removes the checkpoint's folder, and puts a file in its place."""
    folder = Path(kernel.run_dir, "checkpoint")
    shutil.rmtree(folder)
    folder.write_text("in the way")


def give_place(kernel: DataFlowKernel) -> None:
    Path(kernel.run_dir, "checkpoint").unlink()


def limit_files(kernel: DataFlowKernel) -> None:
    """Files grow no more."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000, _ROOM[0][1]))


def unlimit_files(kernel: DataFlowKernel) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, _ROOM[0])


def limit_descriptors(kernel: DataFlowKernel) -> None:
    """No descriptor is free."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (os.open(os.devnull, os.O_RDONLY), _ROOM[1][1]))


def unlimit_descriptors(kernel: DataFlowKernel) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, _ROOM[1])


#: name → what begins it, what ends it
KINDS: dict[str, tuple[Callable[[DataFlowKernel], None], Callable[[DataFlowKernel], None]]] = {
    "blocks": (fill_blocks, free_blocks),
    "inodes": (fill_inodes, free_inodes),
    "read-only": (make_read_only, make_writable),
    "vanished": (remove_folder, give_place),
    "file size": (limit_files, unlimit_files),
    "descriptors": (limit_descriptors, unlimit_descriptors),
}


# -------------------------------------------------------------------------------------- the runs


@python_app(cache=True, version="1")
def cell(number: int, size: int) -> tuple[int, bytes]:
    executed.add(number)
    return number, bytes([number % 256]) * size


def see(number: int, size: int) -> None:
    assert cell(number, size).result(PATIENCE_S) == (number, bytes([number % 256]) * size)
    print("seen", number)


def trouble(kernel: DataFlowKernel, kind: str, end: str, size: int) -> None:
    """The second run."""
    begin, over = KINDS[kind]
    begin(kernel)
    for number in FULL:
        see(number, size)
        if kernel.degraded:
            break
    assert kernel.degraded, "the disk never refused"
    print("degraded")
    for more in range(number + 1, number + 1 + WHILE_FULL):
        see(more, size)
    for earlier in BEFORE:  # what was stored before is there all the while
        see(earlier, size)
    if end == "room":
        over(kernel)
        deadline = time.monotonic() + PATIENCE_S
        while kernel.degraded and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not kernel.degraded
        print("recovered")
        for after in AFTER:
            see(after, size)


def main(folder: str, kind: str, end: str, mode: Any, sync: Any, size: int) -> None:
    os.chdir(folder)
    kwdefaults: Any = Log.__init__.__kwdefaults__
    kwdefaults["retry_s"] = 0.1
    config = Config([ThreadPoolExecutor()], checkpoint_mode=mode, sync=sync, checkpoint_period=0.02)
    with parslish.load(config):
        for number in BEFORE:
            see(number, size)
    executed.clear()
    with parslish.load(config) as kernel:
        trouble(kernel, kind, end, size)
    assert executed.isdisjoint(BEFORE)
    if end == "full":
        KINDS[kind][1](kernel)
    for checkpoint in parslish.get_all_checkpoints():
        print("verdict", check(checkpoint).state)
    submitted = {*BEFORE, *executed}
    executed.clear()
    with parslish.load(config):
        for number in submitted:
            see(number, size)
    for number in submitted:
        print("lost" if number in executed else "kept", number)


if __name__ == "__main__":
    main(*sys.argv[1:-1], size=int(sys.argv[-1]))  # type: ignore[arg-type]
