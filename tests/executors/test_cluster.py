"""A kernel on Dask: same calls, same reuse; what Dask loses comes back as ours."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import pytest

import parslish
from parslish import Config, ConfigurationError, DaskExecutor, InvalidResourceSpecification, python_app
from parslish.errors import SerializationError, WorkerLost
from parslish.executors.base import Executor
from tests.executors.contract import PATIENCE_S, ExecutorContract

distributed = pytest.importorskip("distributed", reason="needs the extra dask: pip install 'parslish[dask]'")
dask = pytest.importorskip("dask")
np = pytest.importorskip("numpy")

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


class TestDask(ExecutorContract):
    @pytest.fixture
    def executor(self, cluster: Any) -> Iterator[Executor]:  # type: ignore[override]
        executor = DaskExecutor(cluster=cluster)
        executor.start()
        yield executor
        executor.shutdown()

    # Its threads, and what becomes of them in a fork or a worker of its own, are Dask's.
    test_a_nested_executor_works = test_a_forked_child_can_have_its_own = None  # type: ignore[assignment]
    test_shutdown_twice_or_without_work_is_harmless = test_shutdown_leaves_no_thread = None  # type: ignore[assignment]


class OpensAs:
    """Raises an exception wherever it is opened."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __reduce__(self) -> Any:
        return exec, (f"raise {self.kind}",)


@pytest.mark.parametrize("kind", ["SystemExit", "KeyboardInterrupt"])
def test_a_lone_result_that_would_end_the_program_that_opens_it_is_only_a_tasks_failure(
    cluster: Any, kind: str
) -> None:
    @python_app
    def lone(kind: str) -> Any:
        return OpensAs(kind)

    with parslish.load(Config(executors=[DaskExecutor(cluster=cluster)])):
        assert isinstance(lone(kind).exception(PATIENCE_S), SerializationError)
        assert python_app(abs)(-1).result(PATIENCE_S) == 1


@python_app
def numbers(count: int) -> Any:
    return np.arange(count)


@pytest.mark.parametrize("count", [10, 1_000, 10_000_000])
def test_an_array_comes_back_as_it_was_and_may_be_changed(cluster: Any, count: int) -> None:
    with parslish.load(Config(executors=[DaskExecutor(cluster=cluster)])):
        array = numbers(count).result(PATIENCE_S)
    assert (array == np.arange(count)).all()
    array[0] = 7


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


# ------------------------------------------------------------------------------------- packs


def test_short_tasks_are_packed_and_a_lone_one_is_not_kept(cluster: Any) -> None:
    executor = DaskExecutor(cluster=cluster)
    executor.start()
    try:
        assert executor.submit(abs, None, -1).result(PATIENCE_S) == 1
        futures = [executor.submit(abs, None, -i) for i in range(5000)]
        assert [f.result(PATIENCE_S) for f in futures] == list(range(5000))
        assert executor._packer is not None
        sent = next(executor._packer._numbers)
        assert sent < 500, f"5000 tasks went in {sent} packs"
        assert executor.submit(abs, None, -7).result(PATIENCE_S) == 7
        assert next(executor._packer._numbers) == sent + 2
    finally:
        executor.shutdown()


def sometimes_long(path: str, i: int) -> int:
    while path and not os.path.exists(path):
        time.sleep(0.01)
    return i


def test_a_long_task_does_not_hold_back_its_neighbours(cluster: Any, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    executor = DaskExecutor(cluster=cluster)
    executor.start()
    try:
        wait([executor.submit(sometimes_long, None, "", i) for i in range(200)], PATIENCE_S)
        futures = [executor.submit(sometimes_long, None, str(gate) if i == 500 else "", i) for i in range(1000)]
        long = futures.pop(500)
        assert wait(futures, PATIENCE_S).not_done == set()
        assert not long.done()
        gate.touch()
        assert long.result(PATIENCE_S) == 500
        assert sorted(f.result() for f in futures) == [i for i in range(1000) if i != 500]
    finally:
        executor.shutdown()


def picky(i: int) -> Any:
    if i == 7:
        return (each for each in ())  # which nothing can carry
    if i == 8:
        raise ValueError("eight")
    return i


def test_what_goes_wrong_with_one_of_a_pack_costs_only_itself(cluster: Any) -> None:
    executor = DaskExecutor(cluster=cluster)
    executor.start()
    try:
        wait([executor.submit(picky, None, 1) for _ in range(50)], PATIENCE_S)
        futures = [executor.submit(picky, None, i) for i in range(300)]
        unsent = executor.submit(picky, None, (each for each in ()))
        exceptions = {i: f.exception(PATIENCE_S) for i, f in enumerate(futures)}
        assert isinstance(exceptions.pop(7), SerializationError)
        assert isinstance(exceptions.pop(8), ValueError)
        assert set(exceptions.values()) == {None}
        assert unsent.exception(PATIENCE_S) is not None
    finally:
        executor.shutdown()


class Nameless:
    """A callable that can be neither hashed nor weakly referred to."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]

    def __call__(self, i: int) -> int:
        return i + 1


def test_a_callable_of_which_nothing_can_be_remembered_runs(cluster: Any) -> None:
    executor = DaskExecutor(cluster=cluster)
    executor.start()
    try:
        futures = [executor.submit(Nameless(), None, i) for i in range(20)]
        assert [f.result(PATIENCE_S) for f in futures] == list(range(1, 21))
    finally:
        executor.shutdown()


def deadly(i: int) -> int:
    if i == 150:
        os._exit(1)
    return i


def test_a_pack_whose_worker_dies_costs_the_guilty_task_alone() -> None:
    # Dask tries a lone task four times over, with a new worker each time, which on a busy machine takes half a minute.
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
        ) as cluster,
    ):
        executor = DaskExecutor(cluster=cluster)
        executor.start()
        try:
            wait([executor.submit(deadly, None, 1) for _ in range(50)], PATIENCE_S)
            futures = [executor.submit(deadly, None, i) for i in range(300)]
            exceptions = [f.exception(PATIENCE_S) for f in futures]
            assert isinstance(exceptions.pop(150), WorkerLost)
            assert set(exceptions) == {None}
        finally:
            executor.shutdown()
