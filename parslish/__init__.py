"""parslish: Python functions as tasks that run in parallel, are remembered, and survive a kill.

Reading order: `kernel` (the way of a call, as a picture), `apps`, `task`, `table`, `graph`, `identity`, `memo`,
`checkpoint`, `store`, `executors`, `run`.

What is needed by every script is imported here; the rest when it is first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# Under its own name too: scripts say `from parslish import *` and then `parslish.get_all_checkpoints()`.
import parslish
from parslish.apps import App, app, bash_app, join_app, python_app
from parslish.bash import AUTO_LOGNAME
from parslish.config import Config
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
from parslish.task import State as States
from parslish.utils import get_all_checkpoints, get_last_checkpoint
from parslish.version import VERSION as __version__

if TYPE_CHECKING:
    from parslish.executors.cluster import DaskExecutor
    from parslish.executors.facade import ParslPoolExecutor
    from parslish.executors.pool import PoolExecutor
    from parslish.executors.processes import ProcessPoolExecutor
    from parslish.staging import (
        FTPInTaskStaging,
        NoOpFileStaging,
        Staging,
        ZipFileStaging,
        default_staging,
    )

_LATER = {
    "DaskExecutor": "parslish.executors.cluster",
    "FTPInTaskStaging": "parslish.staging",
    "NoOpFileStaging": "parslish.staging",
    "ParslPoolExecutor": "parslish.executors.facade",
    "PoolExecutor": "parslish.executors.pool",
    "ProcessPoolExecutor": "parslish.executors.processes",
    "Staging": "parslish.staging",
    "ZipFileStaging": "parslish.staging",
    "default_staging": "parslish.staging",
}

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
    "PoolExecutor",
    "ProcessPoolExecutor",
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
    "ZipAuthorityError",
    "ZipFileStaging",
    "__version__",
    "app",
    "bash_app",
    "clear",
    "default_staging",
    "dfk",
    "get_all_checkpoints",
    "get_last_checkpoint",
    "id_for_memo",
    "join_app",
    "load",
    "parslish",
    "python_app",
    "set_file_logger",
    "set_stream_logger",
    "wait_for_current_tasks",
]


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(importlib.import_module(_LATER[name]), name)
    raise AttributeError(f"module 'parslish' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
