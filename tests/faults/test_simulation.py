"""T17: random graphs of tasks on a kernel, against a model; I2, I4 and the counts."""

from __future__ import annotations

import concurrent.futures
import errno
import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any

import pytest

import parslish
from parslish import (
    Config,
    DataFlowKernel,
    DependencyError,
    JoinError,
    States,
    ThreadPoolExecutor,
)
from parslish.store.disk import OS_DISK
from parslish.store.log import Log
from tests.faults import plan, simulation
from tests.faults.executor import InlineExecutor
from tests.faults.simulation import Graph, Outcome, Planned
from tests.faults.stores import SOAK, seeded

GRAPHS = 60 * SOAK  # of each world
PATIENCE_S = 60.0
OPEN = [States.unsched, States.pending, States.launched, States.running, States.joining, States.fail_retryable]


class Run:
    """One graph on a kernel: calls, openings and cancellations in a random order, then the comparison.

    Args:
        rng: decides the order.
        kernel: the loaded kernel, on which nothing else runs.
        retries: as the kernel has them.
        stored: the cached tokens that must not be computed again.
    """

    def __init__(
        self, rng: random.Random, kernel: DataFlowKernel, graph: Graph, retries: int, stored: frozenset[int]
    ) -> None:
        self.kernel, self.graph, self.retries, self.stored = kernel, graph, retries, stored
        self.is_inline = "inline" in kernel.executors
        self.gates: list[Future[Any]] = [Future() for _ in graph.gates]
        self.futures: list[Any] = []
        self.cancelled: set[int] = set()
        self.resolved: Counter[int] = Counter()
        self._told = threading.Semaphore(0)
        self.world = simulation.reset()
        self._before = kernel.task_state_counts
        self._act(rng)
        assert not concurrent.futures.wait(self.futures, PATIENCE_S).not_done, "I2: a future does not resolve"
        for _ in self.futures:  # a future wakes those who wait before it calls back, perhaps on another thread
            assert self._told.acquire(timeout=PATIENCE_S), "I2: a future does not call back"
        kernel.wait_for_current_tasks()  # children of cancelled joins, too

    def _act(self, rng: random.Random) -> None:
        closed = list(range(len(self.gates)))
        rng.shuffle(closed)
        for number, node in enumerate(self.graph.nodes):
            self.futures.append(simulation.call(node, self.futures, self.gates))
            self.futures[-1].add_done_callback(lambda _, number=number: self._note_resolved(number))
            if closed and rng.random() < 0.15:
                self._open(closed.pop())
            if rng.random() < 0.08:
                self._cancel(rng.randrange(number + 1))
        while closed:
            self._open(closed.pop())

    def _note_resolved(self, number: int) -> None:
        self.resolved.update([number])
        self._told.release()

    def _open(self, number: int) -> None:
        gate, how = self.gates[number], self.graph.gates[number]
        if how == "value":
            gate.set_result(simulation.gate_value(number))
        elif how == "error":
            gate.set_exception(Planned("gate"))
        else:
            gate.cancel()
            gate.set_running_or_notify_cancel()

    def _cancel(self, number: int) -> None:
        was_done = self.futures[number].done()
        if self.futures[number].cancel():
            assert not was_done or number in self.cancelled
            self.cancelled.add(number)

    # ------------------------------------------------------------------------- the oracles

    def judge(self) -> None:
        expected = simulation.outcomes(self.graph, self.cancelled, self.retries)
        for number, outcome in enumerate(expected):
            assert self._outcome(number) == outcome, f"node {number}: {self.graph.nodes[number]}"
        assert self.resolved == Counter(range(len(self.futures))), "I2: resolved once each"
        self._judge_executions(expected)
        self._judge_counts(expected)
        assert not self.kernel.tasks

    def _outcome(self, number: int) -> Outcome:
        future = self.futures[number]
        if future.cancelled():
            return "cancelled", None
        exc = future.exception()
        if exc is None:
            return "value", future.result()
        if isinstance(exc, DependencyError):
            self._judge_causes(number, exc)
            return "dep_fail", len(exc.dependent_exceptions_tids)
        if isinstance(exc, JoinError):
            return "join_fail", len(exc.dependent_exceptions_tids)
        assert isinstance(exc, Planned), repr(exc)
        return "error", None

    def _judge_causes(self, number: int, exc: DependencyError) -> None:
        node = self.graph.nodes[number]
        inputs = [self.futures[n] for n in node.inputs] + [self.gates[n] for n in node.gates]
        failed = [f for f in inputs if f.cancelled() or f.exception()]
        names = {f"task {f.tid}" if hasattr(f, "task_record") else repr(f) for f in failed}
        assert {name for _, name in exc.dependent_exceptions_tids} == names
        assert isinstance(exc.__cause__, (Planned, CancelledError))

    def _judge_executions(self, expected: list[Outcome]) -> None:
        nodes = self.graph.nodes
        for token in {node.token for node in nodes if node.cached}:
            assert self.world.successes[token] <= 1, "I4: a key was computed twice"
        assert not self.stored & self.world.successes.keys()
        for number, (kind, _) in enumerate(expected):
            node = nodes[number]
            if node.token in self.stored:
                continue
            same = [n for n, other in enumerate(nodes) if other.token == node.token]
            ran = sum(expected[n][0] in ("value", "error", "join_fail") for n in same)
            if kind == "dep_fail":
                assert not self.world.tries[node.token]
            elif kind == "cancelled":
                # On threads, where joins run too, it may have had a try before it was cancelled.
                assert ran or node.children or not self.is_inline or not self.world.tries[node.token]
            elif kind == "error":
                assert self.world.tries[node.token] in range(self.retries + 1, ran * (self.retries + 1) + 1)
            elif not node.children:
                assert self.world.successes[node.token] == (1 if node.cached else ran)

    def _judge_counts(self, expected: list[Outcome]) -> None:
        after = self.kernel.task_state_counts
        counts = Counter({state: after[state] - self._before[state] for state in after})
        assert not any(after[state] for state in OPEN)
        assert counts.total() == len(self.futures) + self.world.children
        kinds = Counter(kind for kind, _ in expected)
        assert counts[States.cancelled] == kinds["cancelled"]
        assert counts[States.dep_fail] == kinds["dep_fail"]
        if not self.world.children:
            assert counts[States.failed] == kinds["error"]
            assert counts[States.exec_done] == self.world.successes.total()


def simulate(
    rng: random.Random, config: Config, graphs: list[Graph], stored: frozenset[int] = frozenset()
) -> frozenset[int]:
    """Run graphs on one kernel, whose tokens `stored` are in the checkpoints that it loads.

    Returns the cached tokens that were computed.
    """
    computed: set[int] = set()
    with parslish.load(config) as kernel:
        for graph in graphs:
            run = Run(rng, kernel, graph, config.retries, stored)
            run.judge()
            computed |= simulation.cached_tokens(graph) & run.world.successes.keys()
            plan.count("T17")
    return frozenset(computed)


def some_graphs(rng: random.Random, retries: int, count: int = GRAPHS) -> list[Graph]:
    return [simulation.graph(rng, 1 + 100 * number, retries) for number in range(count)]


@pytest.mark.parametrize("retries", [0, 1, 2])
@pytest.mark.parametrize("mode", [None, "task_exit", "dfk_exit", "periodic", "manual"])
def test_graphs_come_out_as_the_model_says_inline(mode: str | None, retries: int) -> None:
    rng = seeded(f"inline {mode} {retries}")
    sync = rng.choice(["batch", "always"])
    config = Config([InlineExecutor()], checkpoint_mode=mode, retries=retries, sync=sync, checkpoint_period=0.02)
    simulate(rng, config, some_graphs(rng, retries, 2 * GRAPHS))


@pytest.mark.parametrize("sync", ["batch", "always"])
def test_graphs_come_out_as_the_model_says_on_threads(sync: str) -> None:
    rng = seeded(f"threads {sync}")
    config = Config([ThreadPoolExecutor(max_threads=4)], checkpoint_mode="task_exit", retries=1, sync=sync)
    simulate(rng, config, some_graphs(rng, 1, 2 * GRAPHS))


@pytest.mark.parametrize("mode", ["task_exit", "dfk_exit", "periodic"])
def test_a_second_run_computes_nothing_that_the_first_kept(mode: str) -> None:
    rng = seeded(f"resume {mode}")
    graphs = some_graphs(rng, 1)

    def config() -> Config:
        return Config([InlineExecutor()], checkpoint_mode=mode, retries=1, checkpoint_period=0.02)

    stored = simulate(rng, config(), graphs)
    assert stored
    stored |= simulate(rng, config(), graphs, stored)
    simulate(rng, config(), graphs, stored)


@pytest.mark.parametrize("sync", ["batch", "always"])
def test_graphs_come_out_the_same_on_a_disk_that_fails_now_and_then(sync: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = seeded(f"disk {sync}")
    monkeypatch.setitem(Log.__init__.__kwdefaults__, "retry_s", 0.01)
    for call in ("open", "write", "writev", "fsync"):
        monkeypatch.setattr(OS_DISK, call, sometimes_failing(rng, getattr(OS_DISK, call)))
    config = Config([InlineExecutor()], checkpoint_mode="task_exit", retries=1, sync=sync)
    simulate(rng, config, some_graphs(rng, 1))


def sometimes_failing(rng: random.Random, call: Callable[..., Any]) -> Callable[..., Any]:
    fates = random.Random(rng.random())  # of its own: the log's thread calls, too

    def failing(*args: Any) -> Any:
        if fates.random() < 0.1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return call(*args)

    return failing
