"""Owns the contract of staging; leaves the moving of bytes to the providers.

A provider stages a file by a task of its own, whose future the kernel waits for (`stage_in`, `stage_out`), or
within the task, by wrapping its function (`replace_task`, `replace_task_stage_out`). Ours do the latter: the
transfer then runs where the file is used.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from parslish.files import File

if TYPE_CHECKING:
    from parslish.staging.plug import DataManager

Function = Callable[..., Any]


class Staging:
    """Base of staging providers: one that can do nothing.

    The arguments of the four hooks: `dm`, the kernel's `DataManager` (`dm.dfk` is the kernel); `executor`, a
    label; `file`, the task's own copy of the user's File, whose `local_path` the provider sets.
    """

    def can_stage_in(self, file: File) -> bool:
        """Whether this provider can bring the file to a worker. Cheap: it is asked for each remote file."""
        return False

    def can_stage_out(self, file: File) -> bool:
        """Whether this provider can take the file from a worker to its place."""
        return False

    def stage_in(self, dm: DataManager, executor: str, file: File, parent_fut: Any) -> Future[Any] | None:
        """Start bringing the file. A future given back is waited for; its result replaces the file."""
        return None

    def stage_out(self, dm: DataManager, executor: str, file: File, app_fu: Any) -> Future[Any] | None:
        """Prepare to take the file away after `app_fu`. A future given back ends when that is done."""
        return None

    def replace_task(self, dm: DataManager, executor: str, file: File, func: Function) -> Function | None:
        """The function to run instead, which fetches the file first; None: the task's own."""
        return None

    def replace_task_stage_out(self, dm: DataManager, executor: str, file: File, func: Function) -> Function | None:
        """The function to run instead, which stores the file at the end; None: the task's own."""
        return None


class NoOpFileStaging(Staging):
    """Files that driver and workers see under the same path: nothing to do."""

    def can_stage_in(self, file: File) -> bool:
        return file.scheme == "file"

    def can_stage_out(self, file: File) -> bool:
        return file.scheme == "file"


class InTaskStaging(Staging):
    """Base of providers that move the file within the task, as the functions `fetch` and `store` of a file.

    Both run on the worker, so they are functions of a module, or None. A staged file lies at `place(file)` in
    the executor's `working_dir`, or in the worker's current folder.
    """

    schemes: frozenset[str] = frozenset()
    fetch: Callable[[File], None] | None = None
    store: Callable[[File], None] | None = None

    def place(self, file: File) -> str:
        return file.filename

    def can_stage_in(self, file: File) -> bool:
        return self.fetch is not None and file.scheme in self.schemes

    def can_stage_out(self, file: File) -> bool:
        return self.store is not None and file.scheme in self.schemes

    def stage_in(self, dm: DataManager, executor: str, file: File, parent_fut: Any) -> None:
        file.local_path = os.path.join(dm.working_dir(executor), self.place(file))

    def stage_out(self, dm: DataManager, executor: str, file: File, app_fu: Any) -> None:
        file.local_path = os.path.join(dm.working_dir(executor), self.place(file))

    def replace_task(self, dm: DataManager, executor: str, file: File, func: Function) -> Function:
        assert self.fetch is not None
        return _Before(self.fetch, file, func)

    def replace_task_stage_out(self, dm: DataManager, executor: str, file: File, func: Function) -> Function:
        assert self.store is not None
        return _After(self.store, file, func)


class _Before:
    """Runs `fetch(file)`, then the function. A class, because a closure cannot be pickled."""

    def __init__(self, fetch: Callable[[File], None], file: File, func: Function) -> None:
        self.fetch, self.file, self.func = fetch, file, func

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.fetch(self.file)
        return self.func(*args, **kwargs)


class _After:
    """Runs the function, then `store(file)`."""

    def __init__(self, store: Callable[[File], None], file: File, func: Function) -> None:
        self.store, self.file, self.func = store, file, func

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        result = self.func(*args, **kwargs)
        self.store(self.file)
        return result
