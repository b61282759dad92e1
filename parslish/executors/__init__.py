"""What runs tasks. `base` is the contract; each other module is one way to meet it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from parslish.executors.base import Executor
from parslish.executors.threads import ThreadPoolExecutor

if TYPE_CHECKING:
    from parslish.executors.cluster import DaskExecutor
    from parslish.executors.pool import PoolExecutor
    from parslish.executors.processes import ProcessPoolExecutor

__all__ = ["DaskExecutor", "Executor", "PoolExecutor", "ProcessPoolExecutor", "ThreadPoolExecutor"]

_LATER = {"DaskExecutor": "cluster", "PoolExecutor": "pool", "ProcessPoolExecutor": "processes"}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(importlib.import_module(f"parslish.executors.{_LATER[name]}"), name)
    raise AttributeError(f"module 'parslish.executors' has no attribute {name!r}")
