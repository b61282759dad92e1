"""What the packer makes of answers that something is wrong with: each try ends, once, with what is true of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from typing import Any, cast

import pytest

import parslish
from parslish import Config, DaskExecutor, python_app
from parslish.errors import SerializationError, WorkerLost
from parslish.executors import outcome, parcel
from parslish.executors.packer import Packer
from parslish.executors.packs import run_pack
from tests.executors import jobs
from tests.executors.contract import PATIENCE_S, Recorder, make_try

SHORT_S = 1e-6


class KilledWorker(Exception):
    """Named as Dask's is, by which it is known."""


class FakeFuture:
    """What Dask has of a task; it goes as the test says."""

    def __init__(self, run: Any, args: tuple[Any, ...]) -> None:
        self.status = "pending"
        self.calls = [job[1:] for job in args[2]] if run is run_pack else [args]
        self._callback: Any = None
        self._fetched, self._most = "", 0

    def add_done_callback(self, callback: Any) -> None:
        self._callback = callback

    def ends(self, status: str, fetched: str = "finished", most: int = 1000) -> None:
        """Say so.

        Args:
            status: that it has then.
            fetched: that it has when its result has been asked for, which waits for another run if need be.
            most: of a pack, how many were run.
        """
        self.status, self._fetched, self._most = status, fetched, most
        self._callback(self)

    def result(self) -> Any:
        self.status = self._fetched
        if self.status == "error":
            raise KilledWorker
        values = [func(*args, **kwargs) for func, args, kwargs in self.calls[: self._most]]
        return [], [(i, outcome.DONE, parcel.DIRECT, value, 0.0, SHORT_S) for i, value in enumerate(values)]

    def exception(self) -> BaseException | None:
        return KilledWorker() if self.status == "error" else None

    def cancelled(self) -> bool:
        return self.status == "cancelled"


class FakeClient:
    """Of a cluster of one slot; keeps what it is given."""

    def __init__(self) -> None:
        self.sent: list[FakeFuture] = []

    def subscribe_topic(self, topic: str, hear: Any) -> None:
        pass

    def nthreads(self) -> dict[str, int]:
        return {"worker": 1}

    def submit(self, run: Any, *args: Any, **options: Any) -> FakeFuture:
        self.sent.append(FakeFuture(run, args))
        return self.sent[-1]


@pytest.fixture
def client() -> FakeClient:
    return FakeClient()


@pytest.fixture
def launch(client: FakeClient) -> Iterator[Callable[[int], Recorder]]:
    """Launches tries, 0 and up, each of which returns its number; hands back who hears of them."""
    packer = Packer(cast("Any", client), "dask")

    def launch(count: int) -> Recorder:
        sink = Recorder()
        for i in range(count):
            attempt = make_try(jobs.identity, i)
            attempt.sink = sink
            packer.launch(attempt)
        return sink

    yield launch
    packer.close()


@pytest.fixture
def pack(client: FakeClient, launch: Callable[[int], Recorder]) -> tuple[FakeFuture, Recorder]:
    """Of 24 tries the last 20: the others went alone and are done."""
    sink = launch(24)
    for remote in client.sent[:4]:
        remote.ends("finished")
    assert [len(remote.calls) for remote in client.sent] == [1, 1, 1, 1, 20]
    return client.sent[-1], sink


def values(sink: Recorder) -> list[Any]:
    assert [reply.exception for reply in sink.replies if reply.exception] == []
    return sorted(reply.value for reply in sink.replies)


def test_what_a_pack_gave_back_runs_though_no_event_says_so(
    client: FakeClient, pack: tuple[FakeFuture, Recorder]
) -> None:
    remote, sink = pack
    remote.ends("finished", most=5)
    assert values(sink) == list(range(9))
    assert [len(remote.calls) for remote in client.sent[5:]] == [15]
    client.sent[-1].ends("finished")
    assert values(sink) == list(range(24))


def test_a_result_that_is_lost_before_it_is_fetched_is_that_of_the_next_run(
    client: FakeClient, launch: Callable[[int], Recorder]
) -> None:
    sink = launch(1)
    client.sent[0].ends("lost")
    assert values(sink) == [0], "and not None"


def test_a_pack_whose_next_run_kills_its_worker_goes_one_by_one(
    client: FakeClient, pack: tuple[FakeFuture, Recorder]
) -> None:
    remote, sink = pack
    remote.ends("finished", fetched="error")
    for i in range(4, 24):
        assert client.sent[-1].calls == [(jobs.identity, (i,), {})]
        client.sent[-1].ends("error" if i == 7 else "finished")
    lost = sink.replies.pop(7)
    assert isinstance(lost.exception, WorkerLost) and lost.attempt.args == (7,)
    assert values(sink) == [i for i in range(24) if i != 7]


# ------------------------------------------------------------------------------------- on Dask itself


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    distributed = pytest.importorskip("distributed", reason="needs the extra dask: pip install 'parslish[dask]'")
    options = {"n_workers": 1, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster:
        yield cluster


def opens_unless_150(i: int) -> Any:
    return jobs.OpensNowhere() if i == 150 else i


# distributed leaves sockets to the garbage collector when its local cluster ends.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
class TestOnDask:
    def test_a_result_that_cannot_be_opened_here_is_an_error_that_says_so(self, cluster: Any) -> None:
        with parslish.load(Config(executors=[DaskExecutor(cluster=cluster)])):
            error = python_app(jobs.opens_nowhere)().exception(PATIENCE_S)
        assert isinstance(error, SerializationError)
        assert re.fullmatch(r"task 0 .*: its outcome cannot be opened: ValueError: cannot be opened", str(error))
        assert isinstance(error.__cause__, ValueError)

    def test_results_that_cannot_be_opened_here_do_not_stop_the_queue(self, cluster: Any) -> None:
        with parslish.load(Config(executors=[DaskExecutor(cluster=cluster)])):
            closed = [python_app(jobs.opens_nowhere)() for _ in range(20)]  # more than are sent at a time
            after = python_app(jobs.add)(1, 2)
            assert {type(future.exception(PATIENCE_S)) for future in closed} == {SerializationError}
            assert after.result(PATIENCE_S) == 3

    def test_one_of_a_pack_costs_only_itself(self, cluster: Any) -> None:
        app = python_app(opens_unless_150)
        with parslish.load(Config(executors=[DaskExecutor(cluster=cluster)])):
            wait([app(1) for _ in range(50)], PATIENCE_S)
            futures = [app(i) for i in range(300)]
            assert isinstance(futures.pop(150).exception(PATIENCE_S), SerializationError)
            assert [future.result(PATIENCE_S) for future in futures] == [i for i in range(300) if i != 150]
