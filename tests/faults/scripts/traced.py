"""A server of cases: it has everything imported, and forks a child for each, which strace disturbs.

    traced.py

Each line of its input is a case in JSON: `folder`, the working folder of the child; `scene`, a function of this file;
`thread`, the name of the one that is traced; `inject`, what strace does to it. Each line of its output is what came
of it: `code`, the child's exit code; `seen` and `executed`, the numbers of results that it saw and of tasks that it
executed; `reached`, whether the fault was. The folder has `trace`, the calls of the thread, and `err`.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import mmap
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import parslish
from parslish import Config, ThreadPoolExecutor, codec, kernel, python_app
from parslish.care import rewrite
from parslish.care.compact import plan
from parslish.errors import ParslishError
from parslish.executors import functions
from parslish.secret import Keys
from parslish.store.log import Log
from tests.faults.executor import InlineExecutor
from tests.faults.machine import let_anybody_trace

COUNT = 6  # results
LARGE = 1_200_000  # bytes of each third result: a blob
CALLS = ("mkdir", "openat", "write", "writev", "fsync", "rename", "unlink", "ftruncate")
REFUSED = 9  # exit code when the kernel says that it cannot start
HANG_S = 30

# Shared with the child, so that what it notes is no system call, and outlives a SIGKILL.
_SEEN, _EXECUTED = mmap.mmap(-1, COUNT), mmap.mmap(-1, COUNT)
Pause = Callable[[], None]


def size_of(number: int) -> int:
    return 50 if number % 3 else LARGE


@python_app(cache=True, version="1")
def cell(number: int) -> tuple[int, bytes]:
    _EXECUTED[number] += 1
    return number, bytes([number]) * size_of(number)


# -------------------------------------------------------------------------------------- scenes


def _see_all(config: Config, when_loaded: Pause) -> None:
    with parslish.load(config):
        when_loaded()
        for number in range(COUNT):
            assert cell(number).result(HANG_S) == (number, bytes([number]) * size_of(number))
            _SEEN[number] = 1


def always(when_loaded: Pause) -> None:
    """The main thread writes, the syncer syncs after each record."""
    _see_all(_config("always", InlineExecutor()), when_loaded)


def batch(when_loaded: Pause) -> None:
    """A thread of an executor writes; the main thread syncs at the end."""
    _see_all(_config("batch", ThreadPoolExecutor(max_threads=1)), when_loaded)


def compact(when_loaded: Pause) -> None:
    """The main thread writes all stores anew, since the first of the keys is another one by now."""
    checkpoints = [Path(folder) for folder in parslish.get_all_checkpoints(os.path.abspath("runinfo"))]
    rewrite.carry_out(plan(checkpoints, Keys.load()))


def _config(sync: Any, executor: Any) -> Config:
    # In a folder named in full, so that the trace shows which calls concern it.
    return Config([executor], checkpoint_mode="task_exit", sync=sync, run_dir=os.path.abspath("runinfo"))


# -------------------------------------------------------------------------------------- one case


def child(case: dict[str, Any], ready: int, go: int) -> int:
    """Do a scene; tell the number of the thread that is to be traced, and wait until it is."""

    def tell_and_wait(thread: int) -> None:
        os.write(ready, b"%d\n" % thread)
        os.read(go, 1)

    def when_loaded() -> None:
        if case["thread"] != "main":
            tell_and_wait(next(each.native_id or 0 for each in threading.enumerate() if each.name == case["thread"]))

    os.chdir(case["folder"])
    os.dup2(os.open("err", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    faulthandler.dump_traceback_later(HANG_S, exit=True)
    let_anybody_trace()
    if case["thread"] == "main":
        tell_and_wait(threading.get_native_id())
    try:
        globals()[case["scene"]](when_loaded)
    except ParslishError as exc:
        sys.stderr.write(f"{type(exc).__name__}: {exc}\n")
        return REFUSED
    return 0


def run(case: dict[str, Any]) -> dict[str, Any]:
    """Fork, have the child traced, and wait for its end."""
    _SEEN[:] = _EXECUTED[:] = bytes(COUNT)
    (from_child, ready), (go, to_child) = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        sys.exit(child(case, ready, go))
    os.close(ready)
    os.close(go)
    with open(from_child) as lines:
        thread = lines.readline().strip()
    tracer = _trace(thread, case) if thread and case["inject"] is not None else None
    if thread:
        os.write(to_child, b"!")
    os.close(to_child)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if tracer is not None:
        tracer.wait()
    return {"code": code, "seen": _numbers(_SEEN), "executed": _numbers(_EXECUTED)}


def _trace(thread: str, case: dict[str, Any]) -> subprocess.Popen[str]:
    """Start strace on a thread; return when it is at it."""
    inject = [part for each in case["inject"] for part in ("-e", f"inject={each}")]
    tracer = subprocess.Popen(
        ["strace", "-y", "-p", thread, "-o", f"{case['folder']}/trace", "-e", f"trace={','.join(CALLS)}", *inject],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert tracer.stderr is not None
    said = tracer.stderr.readline()
    assert "attached" in said, said + tracer.stderr.read()
    return tracer


def _numbers(notes: mmap.mmap) -> list[int]:
    return [number for number in range(COUNT) for _ in range(notes[number])]


def main(cases: TextIO) -> None:
    Keys.load()
    kwdefaults: Any = Log.__init__.__kwdefaults__
    kwdefaults["retry_s"] = 0.02
    gc.freeze()  # a child that ends looks through what it made itself
    for line in cases:
        print(json.dumps(run(json.loads(line))), flush=True)


if __name__ == "__main__":
    assert codec and kernel and functions  # imported before the fork, not after it
    main(sys.stdin)
