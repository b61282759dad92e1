"""Owns which kernel is the current one, which apps without a kernel of their own use: the loaded one, or another on
threads that belong to that: those of its workflow, of its tasks and of bodies of its join apps."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from parslish.errors import ConfigurationError, NoDataFlowKernelError

if TYPE_CHECKING:
    from parslish.config import Config
    from parslish.kernel import DataFlowKernel

_loaded: DataFlowKernel | None = None
_used: ContextVar[DataFlowKernel | None] = ContextVar("parslish-kernel", default=None)


def load(config: Config | dict[str, Any] | str | os.PathLike[str] | None = None) -> DataFlowKernel:
    """Start a kernel and make it the one that apps use.

    Args:
        config: a `Config`, a config dict, the path of a TOML file, or None: the file that $PARSLISH_CONFIG names, else
            two local threads.

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


def keep(kernel: DataFlowKernel) -> None:
    """Let who calls an app go on to ask `kernel`, though it has ended: it says more than that none is loaded."""
    global _loaded
    _loaded = kernel


def is_own_thread(kernel: DataFlowKernel) -> bool:
    """Whether this is a thread of a kernel's own: one that runs its tasks, or its workflow."""
    return _used.get() is kernel


@contextmanager
def using(kernel: DataFlowKernel) -> Iterator[None]:
    """Make a kernel the current one for the block, on this thread alone, whatever is loaded."""
    token = _used.set(kernel)
    try:
        yield
    finally:
        _used.reset(token)


def belongs_to(kernel: DataFlowKernel) -> None:
    """This thread is one of a kernel's own: the apps that its tasks call are that kernel's."""
    _used.set(kernel)


def current_kernel() -> DataFlowKernel:
    """The kernel that apps without one of their own use here.

    Raises:
        NoDataFlowKernelError: none is loaded.
    """
    kernel = _used.get() or _loaded
    if kernel is None:
        raise NoDataFlowKernelError(
            "Must first load config: call parslish.load() before the first app is called; a dispatched workflow has a "
            "kernel on its own thread only"
        )
    return kernel


def wait_for_current_tasks() -> None:
    """Wait until all tasks submitted so far to the current kernel are done."""
    current_kernel().wait_for_current_tasks()
