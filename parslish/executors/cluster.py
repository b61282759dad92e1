"""Owns running tasks on a Dask cluster: one on this machine, one at an address, or one of `dask-jobqueue`.

Needs the extra `dask`. Dask's scheduler spreads the tasks and survives lost workers; short tasks go to it in packs.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from parslish.errors import ConfigurationError, InvalidResourceSpecification
from parslish.executors.base import Executor, FutureSink, Reply, Sink
from parslish.executors.packer import Packer
from parslish.task import Try

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
        self._packer: Packer | None = None

    def copy(self) -> DaskExecutor:
        """Another one; a cluster that was given is used by both."""
        return DaskExecutor(self.label, address=self._address, cluster=self._given, max_workers=self._max_workers)

    def start(self) -> None:
        import distributed

        self._cluster = self._given if self._address or hasattr(self._given, "scheduler_address") else self._make()
        self._client = distributed.Client(self._address or self._cluster, set_as_default=False)
        self._packer = Packer(self._client, self.label)

    def submit(
        self, func: Any, resource_specification: Mapping[str, Any] | None, *args: Any, **kwargs: Any
    ) -> Future[Any]:
        sink = FutureSink()
        self.launch(Try(None, 1, func, args, kwargs, resource_specification), sink)
        return sink.future

    def launch(self, attempt: Try, sink: Sink) -> None:
        """Run one try and answer through `sink`."""
        assert self._packer is not None, "start() comes first"
        attempt.sink = sink
        try:
            _check(attempt.resources)
        except InvalidResourceSpecification as exc:
            sink.deliver(Reply(attempt, exception=exc))
            return
        self._packer.launch(attempt)

    def shutdown(self, block: bool = True) -> None:
        if self._packer is not None:
            self._packer.close()
            self._packer = None
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


def _check(asked: Mapping[str, Any] | None) -> None:
    unknown = set(asked or ()) - _RESOURCES
    if unknown:
        raise InvalidResourceSpecification(
            unknown, f"unknown resources {sorted(unknown)}; Dask workers are asked for {sorted(_RESOURCES)}"
        )
