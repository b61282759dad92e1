"""Owns how a bash app's command is made and run on the worker; leaves when and where to the executors.

A command runs in a process group of its own. Walltime kills the group, and so does the death of the worker,
however it dies (`bash_guard`). A process that leaves the group (`setsid`) is let go.
"""

from __future__ import annotations

import contextlib
import enum
import inspect
import os
import re
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from parslish import bash_guard
from parslish.errors import (
    AppBadFormatting,
    AppException,
    AppTimeout,
    BadStdStreamFile,
    BashAppNoReturn,
    BashExitFailure,
    MissingOutputs,
)
from parslish.utils import get_std_fname_mode

if TYPE_CHECKING:
    import subprocess

# What a bash app's caller may say beside the arguments of the app's own function.
_KEYWORDS = ("stdout", "stderr", "walltime", "outputs")


class _AutoLogname(enum.Enum):
    """One member, because an enum's member stays itself through pickle and copy."""

    AUTO_LOGNAME = -1

    def __repr__(self) -> str:
        return self.name


AUTO_LOGNAME = _AutoLogname.AUTO_LOGNAME


def auto_logname(run_dir: str, task_id: int, func_name: str, label: str | None, kind: str) -> str:
    """The file that AUTO_LOGNAME stands for: `RUN/task_logs/0000/task_0017_NAME_LABEL.stdout`.

    Args:
        run_dir: the run's folder.
        task_id: the task's number; 10,000 tasks share a folder.
        func_name, label: the app and the task's label; reduced to what is harmless in a file name.
        kind: "stdout" or "stderr".
    """
    name = f"{func_name}_{label}" if label else func_name
    safe = re.sub(r"[^A-Za-z0-9_.-]", "_", name)[:150]
    folder = os.path.join(run_dir, "task_logs", f"{task_id // 10_000:04d}")
    return os.path.join(folder, f"task_{task_id:04d}_{safe}.{kind}")


class BashRunner:
    """A bash app's function as one that runs the command it returns; crosses to workers as the function does.

    Args:
        func: returns the command line. It gets `stdout`, `stderr`, `walltime` and `outputs` if it declares
            them; their defaults in its signature count when the call does not give them.
        name: the app's name, for errors.
    """

    def __init__(self, func: Callable[..., Any], name: str | None = None) -> None:
        self.func = func
        self.__name__: str = name or str(getattr(func, "__name__", type(func).__name__))

    def __call__(self, *args: Any, **kwargs: Any) -> int:
        """Make the command and run it, as `run_command`.

        Raises:
            BashAppNoReturn: the function did not return a text.
            AppBadFormatting: it raised what a failed `.format` raises.
        """
        said = _said(self.func, args, kwargs)
        command = self._command(args, _accepted(self.func, kwargs))
        return run_command(command, app_name=self.__name__, **said)

    def _command(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        try:
            command = self.func(*args, **kwargs)
        except (KeyError, IndexError, AttributeError) as exc:
            message = f"bash_app {self.__name__} could not make its command: {type(exc).__name__}: {exc}"
            raise AppBadFormatting(message) from exc
        if not isinstance(command, str):
            kind = type(command).__name__
            raise BashAppNoReturn(f"bash_app {self.__name__} returned {kind}, takes a command line (str)")
        return command


def run_command(
    command: str,
    *,
    app_name: str,
    stdout: Any = None,
    stderr: Any = None,
    walltime: float | None = None,
    outputs: Iterable[Any] = (),
) -> int:
    """Run a command line in bash, and return 0.

    Args:
        command: as after `bash -c`.
        app_name: for errors.
        stdout, stderr: a path, appended to, or a pair (path, mode); folders are made. None: the worker's own.
        walltime: seconds until the command, with all that it started, is killed.
        outputs: files that it is to write.

    Raises:
        BashExitFailure: it ended with another code than 0; 128 + n after signal n.
        AppTimeout: it ran longer than `walltime`.
        MissingOutputs: it ended with 0, and not all outputs are there.
        BadStdStreamFile: `stdout` or `stderr` is no such thing, or cannot be opened.
        AppException: it could not be started.
    """
    with _streams(stdout, stderr) as (out, err):
        process = _start(command, app_name, out, err)
        code = _wait(process, app_name, walltime)
    if code:
        written = None if stderr is None else get_std_fname_mode("stderr", stderr)[0]
        raise BashExitFailure(app_name, code, written)
    missing = [each for each in outputs if not _exists(each)]
    if missing:
        raise MissingOutputs(app_name, missing)
    return 0


def _start(command: str, app_name: str, out: Any, err: Any) -> subprocess.Popen[bytes]:
    try:
        return bash_guard.start(command, out, err)
    except ValueError as exc:  # a null byte, a lone surrogate
        raise AppBadFormatting(f"bash_app {app_name} made a command that cannot be one: {exc}") from exc
    except OSError as exc:
        raise AppException(f"bash_app {app_name} could not start its command: {exc.strerror}") from exc


def _wait(process: subprocess.Popen[bytes], app_name: str, walltime: float | None) -> int:
    """The exit code of the command, as a shell would say it."""
    group, expired = process.pid, threading.Event()

    def expire() -> None:
        expired.set()
        _kill(group)

    timer = threading.Timer(walltime, expire) if walltime is not None else None
    try:
        with _running(timer):
            # The leader stays a zombie until `wait` below: while anyone may kill the group, its number cannot
            # go to another. (Popen.wait(timeout) would poll, and see the end up to 50 ms late.)
            os.waitid(os.P_PID, group, os.WEXITED | os.WNOWAIT)
    except BaseException:
        _kill(group)
        raise
    finally:
        bash_guard.ended(process)
        code = process.wait()
    if expired.is_set():
        raise AppTimeout(f"bash_app {app_name} ran longer than its walltime of {walltime} s and was killed")
    return 128 - code if code < 0 else code


@contextlib.contextmanager
def _running(timer: threading.Timer | None) -> Iterator[None]:
    if timer is None:
        yield
        return
    timer.name, timer.daemon = "parslish-walltime", True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


@contextlib.contextmanager
def _streams(stdout: Any, stderr: Any) -> Iterator[tuple[Any, Any]]:
    """The two files, open; None where the worker's own is meant."""
    with contextlib.ExitStack() as opened:
        out = stdout if stdout is None else opened.enter_context(_open("stdout", stdout))
        if stderr is not None and stderr == stdout:
            # One file for both must be opened once, or each would write over the other.
            yield out, out
            return
        yield out, stderr if stderr is None else opened.enter_context(_open("stderr", stderr))


def _open(kind: str, spec: Any) -> Any:
    path, mode = get_std_fname_mode(kind, spec)
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        return open(path, mode)
    except OSError as exc:
        raise BadStdStreamFile(f"{kind}: {path!r} cannot be opened: {exc.strerror}") from exc


def _exists(output: Any) -> bool:
    try:
        path = os.fspath(output)
    except ValueError:  # a remote File that is not staged: only its server could say
        return True
    return os.path.exists(path)


def _said(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """What the call says of `_KEYWORDS`: by keyword, by position, or by a default of the function."""
    bound = inspect.signature(func).bind_partial(*args, **_accepted(func, kwargs))
    bound.apply_defaults()
    said = {**bound.arguments, **kwargs}
    return {name: said[name] for name in _KEYWORDS if said.get(name) is not None}


def _accepted(func: Callable[..., Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The keyword arguments without those of `_KEYWORDS` that the function does not declare."""
    parameters = inspect.signature(func).parameters
    if any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        return kwargs
    return {name: value for name, value in kwargs.items() if name not in _KEYWORDS or name in parameters}
