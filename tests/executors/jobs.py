"""What the executors' tests run: functions that a worker imports in no time, because nothing here is heavy."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

PATIENCE_S = 60.0


def identity(value: Any) -> Any:
    return value


def add(a: int, b: int = 0, *, c: int = 0) -> int:
    return a + b + c


def fail(message: str) -> None:
    raise ValueError(message)


def raise_(kind: type[BaseException]) -> None:
    raise kind("raised by a task")


def pid(*_: Any) -> int:
    return os.getpid()


def parent() -> int:
    return os.getppid()


def wait_for(gate: str) -> str:
    """Return when the file `gate` exists."""
    deadline = time.monotonic() + PATIENCE_S
    while not Path(gate).exists():
        if time.monotonic() > deadline:
            raise TimeoutError(gate)
        time.sleep(0.005)
    return gate


def maybe_wait(gate: str | None) -> str | None:
    """Sometimes long: waits for the gate if there is one."""
    return wait_for(gate) if gate else None


def say_and_wait(say: str, gate: str) -> int:
    """Write our pid to the file `say`, then wait."""
    with open(say + ".new", "w") as out:
        out.write(str(os.getpid()))
    os.rename(say + ".new", say)
    wait_for(gate)
    return os.getpid()


def hold_the_interpreter(say: str, seconds: int) -> None:
    """Sleep in C without letting go of the interpreter lock."""
    Path(say).write_text(str(os.getpid()))
    ctypes.PyDLL(None).sleep(seconds)


def nested(executor_class: type, arguments: dict[str, Any], value: int) -> int:
    """Use an executor inside a task."""
    executor = executor_class(**arguments)
    executor.start()
    try:
        return int(executor.submit(add, None, value, 1).result(PATIENCE_S))
    finally:
        executor.shutdown()


def append(line: str, path: str) -> None:
    with open(path, "a") as out:
        out.write(line)


def print_(text: str) -> None:
    print(text)


def main_path() -> list[str]:
    return list(sys.path)


def fork_and_return() -> int:
    """The child returns from the task as well, as code that forgets os._exit does."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    return child


def leave_a_child(say: str) -> None:
    """Die, and leave a forked child that holds copies of all our descriptors."""
    if child := os.fork():
        Path(say).write_text(str(child))
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(PATIENCE_S)


def close_descriptors() -> None:
    os.closerange(3, 256)
    time.sleep(PATIENCE_S)


def close_descriptors_and_hold() -> None:
    sleep = ctypes.PyDLL(None).sleep
    os.closerange(3, 256)
    sleep(int(PATIENCE_S))


# ------------------------------------------------------------------------------------- ways to be lost


def _quietly() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def kill_self() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_self_instead(*_: Any) -> None:
    kill_self()


def exit_with(code: int) -> None:
    os._exit(code)


def segfault() -> None:
    _quietly()
    ctypes.string_at(8)


def abort() -> None:
    _quietly()
    os.abort()


def die_in_thread() -> None:
    thread = threading.Thread(target=kill_self)
    thread.start()
    thread.join(PATIENCE_S)


def stamp_and_die(stamp: str) -> None:
    Path(stamp).write_text(repr(time.time()))
    kill_self()


def grow_and_wait(size_bytes: int, gate: str) -> None:
    block = bytearray(size_bytes)
    wait_for(gate)
    del block


def exceed_memory() -> None:
    """Allocate beyond a limit; the limit is lifted again."""
    old = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, old[1]))
    try:
        bytearray(1 << 31)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, old)


def stop_self(say: str) -> None:
    Path(say).write_text(str(os.getpid()))
    os.kill(os.getpid(), signal.SIGSTOP)


# ------------------------------------------------------------------------------------- what does not cross


class Fatal:
    """Kills whoever opens it, unless that is the process that made it."""

    def __init__(self) -> None:
        self.home = os.getpid()

    def __setstate__(self, state: dict[str, Any]) -> None:
        if os.getpid() != state["home"]:
            kill_self()


class OpensNowhere:
    def __reduce__(self) -> Any:
        return fail, ("cannot be opened",)


class TwoArguments(Exception):
    """Pickles, but does not unpickle: `args` holds one argument and `__init__` takes two."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")


class NoText(Exception):
    def __reduce__(self) -> Any:
        raise TypeError("not me")

    def __str__(self) -> str:
        raise RuntimeError("no words")


def raise_two_arguments() -> None:
    raise TwoArguments("one", "two")


def raise_no_text() -> None:
    raise NoText


def unpicklable() -> Any:
    return (value for value in ())


def opens_nowhere() -> Any:
    return OpensNowhere()


def swallow(*_: Any) -> None:
    with contextlib.suppress(Exception):
        sys.stdout.flush()
