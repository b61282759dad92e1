"""What runs tasks. `base` is the contract; each other module is one way to meet it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parslish.executors.base import Executor
    from parslish.executors.cluster import DaskExecutor
    from parslish.executors.pool import PoolExecutor
    from parslish.executors.processes import ProcessPoolExecutor
    from parslish.executors.threads import ThreadPoolExecutor

__all__ = ["DaskExecutor", "Executor", "PoolExecutor", "ProcessPoolExecutor", "ThreadPoolExecutor"]

# Imported when asked for: a worker process needs none of them, and threads no processes.
_LATER = {
    "DaskExecutor": "cluster",
    "Executor": "base",
    "PoolExecutor": "pool",
    "ProcessPoolExecutor": "processes",
    "ThreadPoolExecutor": "threads",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(importlib.import_module(f"parslish.executors.{_LATER[name]}"), name)
    raise AttributeError(f"module 'parslish.executors' has no attribute {name!r}")
