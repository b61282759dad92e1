"""A kernel on Dask: same calls, same reuse; what Dask loses comes back as ours."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

import parslish
from parslish import Config, ConfigurationError, DaskExecutor, InvalidResourceSpecification, python_app

distributed = pytest.importorskip("distributed", reason="needs the extra dask: pip install 'parslish[dask]'")

# distributed leaves sockets to the garbage collector when its local cluster ends.
pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        yield cluster


def test_calls_joins_and_failures(cluster: Any) -> None:
    @python_app(cache=True)
    def where(i: int) -> int:
        return os.getpid()

    @python_app
    def total(numbers: list[int]) -> int:
        return sum(numbers)

    @python_app
    def fail() -> None:
        raise ValueError("on the worker")

    with parslish.load(Config(executors=[DaskExecutor(cluster=cluster)], checkpoint_mode="task_exit")):
        pids = [where(i) for i in range(6)]
        assert os.getpid() not in [f.result() for f in pids]
        assert total([total([1, 2]), 3]).result() == 6
        with pytest.raises(ValueError, match="on the worker"):
            fail().result()
    with parslish.load(Config(checkpoint_mode="task_exit")):
        assert [where(i).result() for i in range(6)] == [f.result() for f in pids], "computed again"


def test_a_cluster_that_was_given_stays_and_an_address_will_do(cluster: Any) -> None:
    for options in ({"cluster": cluster}, {"address": cluster.scheduler_address}):
        with parslish.load(Config(executors=[DaskExecutor(**options)])):
            assert python_app(abs)(-3).result() == 3


def test_unknown_resources_and_contradictions_are_refused(cluster: Any) -> None:
    with parslish.load(Config(executors=[DaskExecutor(cluster=cluster)])):
        future = python_app(lambda: 1)(parsl_resource_specification={"flux": 1})
        with pytest.raises(InvalidResourceSpecification, match="flux"):
            future.result()
    with pytest.raises(ConfigurationError, match="exclude each other"):
        DaskExecutor(cluster=cluster, address="tcp://127.0.0.1:1")
