"""Owns which kernel is the loaded one: the one that apps without a kernel of their own use."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from parslish.errors import ConfigurationError, NoDataFlowKernelError

if TYPE_CHECKING:
    from parslish.config import Config
    from parslish.kernel import DataFlowKernel

_loaded: DataFlowKernel | None = None


def load(config: Config | dict[str, Any] | str | os.PathLike[str] | None = None) -> DataFlowKernel:
    """Start a kernel and make it the one that apps use.

    Args:
        config: a `Config`, a config dict, the path of a TOML file, or None for two local threads.

    Returns:
        The kernel; as a context manager it cleans up at the end of the block.

    Raises:
        ConfigurationError: the configuration is wrong, or a kernel is loaded already.
    """
    global _loaded
    if _loaded is not None and not _loaded.cleanup_called:
        raise ConfigurationError(
            "a configuration is loaded already; call parslish.clear() first, or make a second kernel with "
            "DataFlowKernel(config=…) and name it in the apps' data_flow_kernel="
        )
    from parslish.kernel import DataFlowKernel

    _loaded = DataFlowKernel(config=config)
    return _loaded


def clear() -> None:
    """Forget the loaded kernel, so that another can be loaded. It is not cleaned up: `dfk().cleanup()` does."""
    global _loaded
    _loaded = None


def forget(kernel: DataFlowKernel) -> None:
    """`kernel` has ended; if it was the loaded one, none is."""
    global _loaded
    if _loaded is kernel:
        _loaded = None


def current_kernel() -> DataFlowKernel:
    """The loaded kernel.

    Raises:
        NoDataFlowKernelError: none is loaded.
    """
    if _loaded is None:
        raise NoDataFlowKernelError("Must first load config: call parslish.load() before the first app is called")
    return _loaded


def wait_for_current_tasks() -> None:
    """Wait until all tasks submitted so far to the loaded kernel are done."""
    current_kernel().wait_for_current_tasks()
