"""Owns every exception of parslish, in one tree split by what the caller can do about it.

=================  ==========================================  =======================================
branch             what happened                               what to do
=================  ==========================================  =======================================
`UsageError`       the call or the configuration is wrong      fix it; the sentence says how
`TaskError`        an app, or one it depends on, failed        look at the task; `__cause__` is the root
`WorkerLost`       the process that ran a task died            retry, or give it more memory
`StoreError`       results cannot be kept, or not be read      see `StoreFull`, `StoreCorrupt`, `Untrusted`
`InternalError`    parslish broke its own rules                report it
=================  ==========================================  =======================================

Each exception carries its facts as attributes and one sentence that ends in the next step.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


class ParslishError(Exception):
    """The root of the tree: `except ParslishError` catches all that parslish itself raises."""


# ------------------------------------------------------------------------------------- fix the call


class UsageError(ParslishError):
    """The call or the configuration is wrong: nothing was done, nothing was lost."""


class ConfigurationError(UsageError):
    """A configuration field is unknown, has a value it does not take, or contradicts another."""


class ConfigurationTypeError(ConfigurationError, TypeError):
    """A configuration field is unknown, or was given a value it does not take (a TypeError, as in Parsl)."""


class NoDataFlowKernelError(UsageError):
    """An app was called, or the kernel asked for, and none is loaded."""


class KernelClosed(NoDataFlowKernelError, RuntimeError):
    """A task was submitted to a kernel that has been cleaned up (a NoDataFlowKernelError, as in Parsl, and a
    RuntimeError, as of executors shut down)."""


class InvalidResourceSpecification(UsageError):
    """An executor was asked for a resource that it does not know or does not have."""

    def __init__(self, invalid_keys: Iterable[str], message: str = "") -> None:
        self.invalid_keys = set(invalid_keys)
        super().__init__(message or f"Invalid resource specification: {sorted(self.invalid_keys)}")


class BadCheckpoint(UsageError):
    """A checkpoint that was named cannot be loaded."""

    def __init__(self, path: str | Path, reason: str) -> None:
        self.path, self.reason = str(path), reason
        super().__init__(path, reason)

    def __str__(self) -> str:
        return f"cannot load checkpoint {self.path!r}: {self.reason}"


class BadStdStreamFile(UsageError, TypeError):
    """A `stdout` or `stderr` keyword is neither a path, nor a pair of path and mode, nor AUTO_LOGNAME."""


class ZipAuthorityError(UsageError, ValueError):
    """A zip URL names a host; archives are local: write zip:/path/to.zip/inside."""

    def __init__(self, url: str) -> None:
        self.url = url
        super().__init__(url)

    def __str__(self) -> str:
        return f"{self.url!r} names a host, and archives are local: write zip:/path/to.zip/inside"


class Unidentifiable(UsageError):
    """An argument has no stable identity, so the call cannot be memoized (raised with `strict_keys=True`).

    `argument` is the parameter's name ("" while it is not known); `kind` the type that has no identity.
    """

    def __init__(self, kind: str, reason: str, argument: str = "") -> None:
        self.kind, self.reason, self.argument = kind, reason, argument
        super().__init__(kind, reason, argument)

    def __str__(self) -> str:
        where = f"argument {self.argument!r}" if self.argument else "a value"
        return (
            f"{where} of type {self.kind} has no stable identity ({self.reason}); give its class a "
            f"__parslish_key__ method, register the type with parslish.id_for_memo, or name the argument "
            f"in ignore_for_cache"
        )


# ------------------------------------------------------------------------------------- the app failed


class TaskError(ParslishError):
    """A task could not give a result."""


class AppException(TaskError):
    """Base of the errors that apps run by parslish raise (a Python app's own exceptions stay as they are)."""


class AppBadFormatting(AppException):
    """A bash app's command line could not be made."""


class Paused(TaskError):
    """A task was not begun, as its run was told to pause before it."""


def is_of_pause(exc: BaseException | None) -> bool:
    """Whether something was raised because a task was not begun, however far up."""
    while exc is not None and not isinstance(exc, Paused):
        exc = exc.__cause__
    return exc is not None


class AppTimeout(AppException):
    """A task ran longer than its `walltime`."""


class BashAppNoReturn(AppException):
    """A bash app's function returned something other than a command line."""


class BashExitFailure(AppException):
    """A bash app's command ended with an exit code other than 0."""

    def __init__(self, app_name: str, exitcode: int, stderr: str | None = None) -> None:
        self.app_name, self.exitcode, self.stderr = app_name, exitcode, stderr
        super().__init__(app_name, exitcode, stderr)

    def __str__(self) -> str:
        where = f"; its stderr is in {self.stderr}" if self.stderr else ""
        return f"bash_app {self.app_name} failed with unix exit code {self.exitcode}{where}"


class MissingOutputs(AppException):
    """A bash app ended well, but files it was to write are not there."""

    def __init__(self, app_name: str, outputs: Iterable[Any]) -> None:
        self.app_name, self.outputs = app_name, list(outputs)
        super().__init__(app_name, self.outputs)

    def __str__(self) -> str:
        missing = ", ".join(str(f) for f in self.outputs)
        return f"bash_app {self.app_name} ended without its output files: {missing}"


class PropagatedError(TaskError):
    """A task failed because others did: base of `DependencyError` and `JoinError`.

    `dependent_exceptions_tids` is the list of (exception, "task N" or the repr of a plain future).
    """

    _what = "Failure propagated to"

    def __init__(self, dependent_exceptions_tids: list[tuple[BaseException, str]], task_id: int) -> None:
        self.dependent_exceptions_tids, self.task_id = dependent_exceptions_tids, task_id
        super().__init__(dependent_exceptions_tids, task_id)
        self.__cause__ = _root_cause(dependent_exceptions_tids[0][0])

    def __str__(self) -> str:
        named = [tid for _, tid in self.dependent_exceptions_tids]
        causes = ", ".join(named[:5]) + (f" and {len(named) - 5} more" if len(named) > 5 else "")
        root = self.__cause__
        return f"{self._what} task {self.task_id} with failed {causes}: {type(root).__name__}: {root}"


class DependencyError(PropagatedError):
    """A task was not run, because a task it takes a result from failed; `__cause__` is the first failure."""

    _what = "Dependency failure for"


class JoinError(PropagatedError):
    """A task that a join app returned failed; `__cause__` is the first failure."""

    _what = "Join failure for"


def _root_cause(exc: BaseException) -> BaseException:
    # Each knows its own root: walking down to it anew would make a chain of failures quadratic (I10).
    while isinstance(exc, PropagatedError):
        exc = exc.__cause__ or exc.dependent_exceptions_tids[0][0]
    return exc


class SerializationError(TaskError):
    """A function, argument, result or exception could not cross to or from a worker process."""


# ------------------------------------------------------------------------------------- the worker died


class WorkerLost(TaskError):
    """The worker that ran a task died: by a signal, by exiting, or for want of memory.

    `pid`, `exitcode` (negative: the signal's number) and `peak_memory` (bytes) are None where unknown.
    """

    def __init__(
        self,
        task: str,
        *,
        pid: int | None = None,
        exitcode: int | None = None,
        peak_memory: int | None = None,
    ) -> None:
        self.task, self.pid, self.exitcode, self.peak_memory = task, pid, exitcode, peak_memory
        super().__init__(task)

    def __reduce__(self) -> tuple[Any, ...]:
        return _worker_lost, (self.task, self.pid, self.exitcode, self.peak_memory)

    def __str__(self) -> str:
        if self.exitcode is None:
            how = "was lost"
        elif self.exitcode < 0:
            how = f"was killed by signal {-self.exitcode}"
        else:
            how = f"ended with exit code {self.exitcode}"
        memory = f", peak memory {self.peak_memory / 2**20:.0f} MiB" if self.peak_memory else ""
        return (
            f"the worker process (pid {self.pid}) that ran {self.task} {how}{memory}; "
            f"raise `retries`, or give the task fewer neighbours or more memory"
        )


def _worker_lost(task: str, pid: int | None, exitcode: int | None, peak_memory: int | None) -> WorkerLost:
    return WorkerLost(task, pid=pid, exitcode=exitcode, peak_memory=peak_memory)


class WorkersUnavailable(TaskError):
    """No worker process can be started, so a task could not run; `reason` says why the last one did not."""

    def __init__(self, task: str, reason: str) -> None:
        self.task, self.reason = task, reason
        super().__init__(task, reason)

    def __str__(self) -> str:
        return f"{self.task} did not run: worker processes do not start ({self.reason})"


# ------------------------------------------------------------------------------------- the store


class StoreError(ParslishError):
    """Results cannot be written, or not be read; tasks and their futures are not affected."""


class StoreFull(StoreError):
    """No space, or no quota, is left for results: free some; writing resumes by itself."""


class StoreCorrupt(StoreError):
    """Stored bytes are not those that were written; the record is passed over and computed again."""


class Untrusted(StoreError):
    """A record's signature was made with a key that is not ours, so it is not opened."""


# ------------------------------------------------------------------------------------- report it


class InternalError(ParslishError):
    """parslish broke one of its invariants: please report it, with the traceback."""


def near(given: object, known: Iterable[str]) -> str:
    """The words ` (did you mean 'x'?)` when one of `known` is close to `given`, else an empty string."""
    import difflib  # here: neither it nor pathlib is worth a worker's time to start

    match = difflib.get_close_matches(str(given), list(known), n=1, cutoff=0.6)
    return f" (did you mean {match[0]!r}?)" if match else ""
