"""parslish: Python functions as tasks that run in parallel, are remembered, and survive a kill.

Reading order: `kernel` (the way of a call, as a picture), `scheduler`, `apps`, `task`, `table`, `graph`, `identity`,
`memo`, `checkpoint`, `store`, `executors`, `live_run`.

A name is imported when it is first asked for: a worker process, which needs none of them, starts in half the time.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parslish.apps import App, app, bash_app, join_app, python_app
    from parslish.bash import AUTO_LOGNAME
    from parslish.config import Config
    from parslish.dispatching.dispatched import cancel
    from parslish.dispatching.outcomes import WorkflowResult, get_result
    from parslish.dispatching.workflows import dispatch, workflow
    from parslish.errors import (
        AppBadFormatting,
        AppException,
        AppTimeout,
        BadCheckpoint,
        BadStdStreamFile,
        BashAppNoReturn,
        BashExitFailure,
        ConfigurationError,
        DependencyError,
        InternalError,
        InvalidResourceSpecification,
        JoinError,
        KernelClosed,
        MissingOutputs,
        NoDataFlowKernelError,
        ParslishError,
        Paused,
        SerializationError,
        StoreCorrupt,
        StoreError,
        StoreFull,
        TaskError,
        Unidentifiable,
        Untrusted,
        UsageError,
        WorkerLost,
        ZipAuthorityError,
    )
    from parslish.executors.base import Executor
    from parslish.executors.cluster import DaskExecutor
    from parslish.executors.facade import ParslPoolExecutor
    from parslish.executors.pool import PoolExecutor
    from parslish.executors.processes import ProcessPoolExecutor
    from parslish.executors.threads import ThreadPoolExecutor
    from parslish.files import File
    from parslish.future import AppFuture, DataFuture
    from parslish.graph import DEEP_DEPENDENCY_RESOLVER, SHALLOW_DEPENDENCY_RESOLVER
    from parslish.identity.value import id_for_memo
    from parslish.kernel import DataFlowKernel
    from parslish.loader import clear, load, wait_for_current_tasks
    from parslish.loader import current_kernel as dfk
    from parslish.logs import set_file_logger, set_stream_logger
    from parslish.memoizer import BasicMemoizer
    from parslish.random_numbers import rng
    from parslish.rerun.finding import run, runs
    from parslish.rerun.handle import RecordedRun
    from parslish.rerun.redispatch import redispatch
    from parslish.scopes import scope
    from parslish.staging import (
        FTPInTaskStaging,
        NoOpFileStaging,
        Staging,
        ZipFileStaging,
        default_staging,
    )
    from parslish.task import State as States
    from parslish.utils import get_all_checkpoints, get_last_checkpoint
    from parslish.version import VERSION as __version__

__all__ = [
    "AUTO_LOGNAME",
    "DEEP_DEPENDENCY_RESOLVER",
    "SHALLOW_DEPENDENCY_RESOLVER",
    "App",
    "AppBadFormatting",
    "AppException",
    "AppFuture",
    "AppTimeout",
    "BadCheckpoint",
    "BadStdStreamFile",
    "BashAppNoReturn",
    "BashExitFailure",
    "BasicMemoizer",
    "Config",
    "ConfigurationError",
    "DaskExecutor",
    "DataFlowKernel",
    "DataFuture",
    "DependencyError",
    "Executor",
    "FTPInTaskStaging",
    "File",
    "InternalError",
    "InvalidResourceSpecification",
    "JoinError",
    "KernelClosed",
    "MissingOutputs",
    "NoDataFlowKernelError",
    "NoOpFileStaging",
    "ParslPoolExecutor",
    "ParslishError",
    "Paused",
    "PoolExecutor",
    "ProcessPoolExecutor",
    "RecordedRun",
    "SerializationError",
    "Staging",
    "States",
    "StoreCorrupt",
    "StoreError",
    "StoreFull",
    "TaskError",
    "ThreadPoolExecutor",
    "Unidentifiable",
    "Untrusted",
    "UsageError",
    "WorkerLost",
    "WorkflowResult",
    "ZipAuthorityError",
    "ZipFileStaging",
    "__version__",
    "app",
    "bash_app",
    "cancel",
    "clear",
    "default_staging",
    "dfk",
    "dispatch",
    "get_all_checkpoints",
    "get_last_checkpoint",
    "get_result",
    "id_for_memo",
    "join_app",
    "load",
    "parslish",
    "python_app",
    "redispatch",
    "rng",
    "run",
    "runs",
    "scope",
    "set_file_logger",
    "set_stream_logger",
    "wait_for_current_tasks",
    "workflow",
]


#: Where each public name is: "module", or "module:name" where it has another name there.
_FROM: dict[str, str] = {
    "AUTO_LOGNAME": "bash",
    "App": "apps",
    "AppBadFormatting": "errors",
    "AppException": "errors",
    "AppFuture": "future",
    "AppTimeout": "errors",
    "BadCheckpoint": "errors",
    "BadStdStreamFile": "errors",
    "BashAppNoReturn": "errors",
    "BashExitFailure": "errors",
    "BasicMemoizer": "memoizer",
    "Config": "config",
    "ConfigurationError": "errors",
    "DEEP_DEPENDENCY_RESOLVER": "graph",
    "DaskExecutor": "executors.cluster",
    "DataFlowKernel": "kernel",
    "DataFuture": "future",
    "DependencyError": "errors",
    "Executor": "executors.base",
    "FTPInTaskStaging": "staging",
    "File": "files",
    "InternalError": "errors",
    "InvalidResourceSpecification": "errors",
    "JoinError": "errors",
    "KernelClosed": "errors",
    "MissingOutputs": "errors",
    "NoDataFlowKernelError": "errors",
    "NoOpFileStaging": "staging",
    "ParslPoolExecutor": "executors.facade",
    "ParslishError": "errors",
    "Paused": "errors",
    "PoolExecutor": "executors.pool",
    "ProcessPoolExecutor": "executors.processes",
    "RecordedRun": "rerun.handle",
    "SHALLOW_DEPENDENCY_RESOLVER": "graph",
    "SerializationError": "errors",
    "Staging": "staging",
    "States": "task:State",
    "StoreCorrupt": "errors",
    "StoreError": "errors",
    "StoreFull": "errors",
    "TaskError": "errors",
    "ThreadPoolExecutor": "executors.threads",
    "Unidentifiable": "errors",
    "Untrusted": "errors",
    "UsageError": "errors",
    "WorkerLost": "errors",
    "WorkflowResult": "dispatching.outcomes",
    "ZipAuthorityError": "errors",
    "ZipFileStaging": "staging",
    "__version__": "version:VERSION",
    "app": "apps",
    "bash_app": "apps",
    "cancel": "dispatching.dispatched",
    "clear": "loader",
    "default_staging": "staging",
    "dfk": "loader:current_kernel",
    "dispatch": "dispatching.workflows",
    "get_all_checkpoints": "utils",
    "get_last_checkpoint": "utils",
    "get_result": "dispatching.outcomes",
    "id_for_memo": "identity.value",
    "join_app": "apps",
    "load": "loader",
    "python_app": "apps",
    "redispatch": "rerun.redispatch",
    "rng": "random_numbers",
    "run": "rerun.finding",
    "runs": "rerun.finding",
    "scope": "scopes",
    "set_file_logger": "logs",
    "set_stream_logger": "logs",
    "wait_for_current_tasks": "loader",
    "workflow": "dispatching.workflows",
}


#: What `from parslish import *` gives too: scripts of that style go on with `parslish.get_all_checkpoints()`.
parslish = sys.modules[__name__]


def __getattr__(name: str) -> Any:
    if name in _FROM:
        module, _, inner = _FROM[name].partition(":")
        value = getattr(importlib.import_module(f"parslish.{module}"), inner or name)
        globals()[name] = value
        return value
    if not name.startswith("_") and importlib.util.find_spec(f"parslish.{name}") is not None:
        return importlib.import_module(f"parslish.{name}")
    raise AttributeError(f"module 'parslish' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
