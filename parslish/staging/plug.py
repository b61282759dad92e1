"""Owns the plug between the kernel and staging: which provider stages a file, and what the task becomes."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from parslish.errors import ConfigurationError
from parslish.files import File
from parslish.staging.base import Function, NoOpFileStaging, Staging
from parslish.staging.fetch import FTPInTaskStaging, HTTPInTaskStaging
from parslish.staging.filesystem import FilesystemStaging
from parslish.staging.zipped import ZipFileStaging

#: For executors that name no `storage_access`. The first that can stage a file does.
default_staging: list[Staging] = [
    NoOpFileStaging(),
    FTPInTaskStaging(),
    HTTPInTaskStaging(),
    ZipFileStaging(),
    FilesystemStaging(),
]


class DataManager:
    """Staging as one kernel sees it.

    Args:
        dfk: the kernel. Of its `executors`, by label, those that stage have `storage_access`, a list of
            `Staging`, and `working_dir`, the folder for staged files on the worker.
    """

    def __init__(self, dfk: Any) -> None:
        self.dfk = dfk

    def stage_in(self, executor: str, file: File, func: Function) -> tuple[File | Future[Any], Function]:
        """For an input: the copy that the task gets, or the future of it; and the function to run.

        Raises:
            ConfigurationError: no provider of the executor can stage it.
        """
        copy = file.cleancopy()
        provider = self._provider(executor, copy, "in")
        future = provider.stage_in(self, executor, copy, None)
        func = provider.replace_task(self, executor, copy, func) or func
        return (copy if future is None else future), func

    def stage_out(
        self, executor: str, file: File, func: Function, app_fu: Any
    ) -> tuple[File, Function, Future[Any] | None]:
        """For an output: the copy that the task gets; the function to run; and the future that ends when the
        file is in its place, None where that is so when `app_fu` ends.

        Raises:
            ConfigurationError: no provider of the executor can stage it.
        """
        copy = file.cleancopy()
        provider = self._provider(executor, copy, "out")
        future = provider.stage_out(self, executor, copy, app_fu)
        return copy, provider.replace_task_stage_out(self, executor, copy, func) or func, future

    def working_dir(self, executor: str) -> str:
        """The folder for an executor's staged files; "" is the worker's current one."""
        return getattr(self.dfk.executors[executor], "working_dir", None) or ""

    def _provider(self, executor: str, file: File, way: str) -> Staging:
        for provider in self._providers(executor):
            if provider.can_stage_in(file) if way == "in" else provider.can_stage_out(file):
                return provider
        raise ConfigurationError(
            f"executor {executor!r} cannot stage {way} {file.url}: its storage_access has no provider that "
            f"does so for {file.scheme!r}"
        )

    def _providers(self, executor: str) -> Sequence[Staging]:
        named = getattr(self.dfk.executors[executor], "storage_access", None)
        return default_staging if named is None else named
