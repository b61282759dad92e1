"""Owns running tasks on a Dask cluster: one on this machine, one at an address, or one of `dask-jobqueue`.

Needs the extra `dask`. Dask's scheduler spreads the tasks and survives lost workers; each task is one Dask task.
"""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future
from typing import TYPE_CHECKING, Any

from parslish.errors import ConfigurationError, InvalidResourceSpecification, WorkerLost
from parslish.executors.base import Executor

if TYPE_CHECKING:
    import distributed

_RESOURCES = frozenset({"cores", "memory", "disk", "gpus"})


class DaskExecutor(Executor):
    """Runs tasks on Dask workers.

    Args:
        label: the name by which apps choose it.
        address: of a running scheduler, `tls://…` where others can reach the network.
        cluster: a `distributed` cluster such as `dask_jobqueue.SLURMCluster(…)`, which stays its maker's; or a function
            that makes one, called at each start. Without either, a cluster of processes on this machine, on loopback.
        max_workers: how many processes that local cluster has; None: one a core.
    """

    def __init__(
        self,
        label: str = "dask",
        *,
        address: str | None = None,
        cluster: Any = None,
        max_workers: int | None = None,
    ) -> None:
        if address is not None and cluster is not None:
            raise ConfigurationError("DaskExecutor: address= and cluster= exclude each other; give one of the two")
        if importlib.util.find_spec("distributed") is None:
            raise ConfigurationError("DaskExecutor needs Dask: pip install 'parslish[dask]'")
        self.label = label
        self._address = address
        self._given = cluster
        self._max_workers = max_workers
        self._cluster: Any = None
        self._client: distributed.Client | None = None
        self._numbers = itertools.count()

    def start(self) -> None:
        import distributed

        self._cluster = self._given if self._address or hasattr(self._given, "scheduler_address") else self._make()
        self._client = distributed.Client(self._address or self._cluster, set_as_default=False)

    def submit(
        self, func: Any, resource_specification: Mapping[str, Any] | None, *args: Any, **kwargs: Any
    ) -> Future[Any]:
        assert self._client is not None, "start() comes first"
        name = f"{getattr(func, '__name__', 'task')}-{id(self)}-{next(self._numbers)}"
        resources = _resources(resource_specification)
        # Dask names tasks by their arguments and would share results; whether to is decided before (`memo`).
        remote = self._client.submit(_call, func, args, kwargs, key=name, pure=False, resources=resources)
        answer: Future[Any] = Future()
        remote.add_done_callback(lambda done: _settle(answer, done, name))
        return answer

    def shutdown(self, block: bool = True) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._cluster is not None and self._cluster is not self._given:
            self._cluster.close()
        self._cluster = None

    def _make(self) -> Any:
        if isinstance(self._given, Callable):  # type: ignore[arg-type]
            return self._given()
        import distributed

        return distributed.LocalCluster(
            n_workers=self._max_workers, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
        )


def _call(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    # Not func(*args) by Dask itself: it would look for tasks and futures of its own inside the arguments.
    return func(*args, **kwargs)


def _settle(answer: Future[Any], done: Any, name: str) -> None:
    if done.cancelled():
        answer.set_exception(CancelledError())
    elif done.status == "error":
        answer.set_exception(_as_ours(done.exception(), name))
    else:
        answer.set_result(done.result())


def _as_ours(exc: BaseException, name: str) -> BaseException:
    if type(exc).__name__ == "KilledWorker":
        lost = WorkerLost(name)
        lost.__cause__ = exc
        return lost
    return exc


def _resources(asked: Mapping[str, Any] | None) -> dict[str, Any] | None:
    unknown = set(asked or ()) - _RESOURCES
    if unknown:
        raise InvalidResourceSpecification(
            unknown, f"unknown resources {sorted(unknown)}; Dask workers are asked for {sorted(_RESOURCES)}"
        )
    return dict(asked) if asked else None
