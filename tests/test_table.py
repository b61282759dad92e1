"""One method changes a task's state, along one table; who claims a try, and nobody else, ends it."""

from __future__ import annotations

import itertools
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from parslish.table import TaskTable
from parslish.task import FINAL, TRANSITIONS, WAITING, State, Task, Try


def a_task(number: int = 0, name: str = "app", parent: Task | None = None) -> Task:
    app: Any = SimpleNamespace(name=name)
    return Task(number, app, (1,), {"k": 2}, parent)


@pytest.mark.parametrize(("before", "after"), list(itertools.product(State, State)))
def test_only_legal_moves_are_made(before: State, after: State) -> None:
    table = TaskTable(forgets=True, limit=None)
    task = a_task()
    table.add(task)
    task.state = before
    if before in FINAL:
        assert not table.move(task, after), "what has ended stays ended"
    elif after in TRANSITIONS[before]:
        assert table.move(task, after) and task.state is after
    else:
        with pytest.raises(AssertionError, match="I1"):
            table.move(task, after)


def test_every_state_can_end() -> None:
    for state in set(State) - FINAL:
        reachable, seen = {state}, set()
        while reachable - seen:
            seen |= reachable
            reachable = set().union(*(TRANSITIONS[s] for s in reachable), reachable)
        assert seen & FINAL
        assert State.cancelled in TRANSITIONS[state]
    assert not WAITING & FINAL


def test_an_ended_task_lets_go_of_its_arguments_and_leaves_the_table() -> None:
    table = TaskTable(forgets=True, limit=None)
    task = a_task()
    table.add(task)
    table.move(task, State.failed)
    assert (task.args, task.kwargs, task.attempt) == ((), {}, None)
    assert not table.by_id
    kept = TaskTable(forgets=False, limit=None)
    task = a_task()
    kept.add(task)
    kept.move(task, State.failed)
    assert kept.by_id == {0: task}


def test_a_late_try_moves_nothing() -> None:
    table = TaskTable(forgets=True, limit=None)
    task = a_task()
    table.add(task)
    old, new = Try(task, 1, abs, (), {}), Try(task, 2, abs, (), {})
    task.attempt = new
    table.move(task, State.launched)
    assert not table.move(task, State.running, old)
    assert not table.claim(old)
    assert table.move(task, State.running, new)


def test_of_many_that_claim_a_try_one_gets_it() -> None:
    for _ in range(50):
        table = TaskTable(forgets=True, limit=None)
        task = a_task()
        table.add(task)
        task.attempt = attempt = Try(task, 1, abs, (), {})
        gate, got = threading.Barrier(4), []

        def claim(table: TaskTable = table, attempt: Try = attempt, gate: Any = gate, got: Any = got) -> None:
            gate.wait()
            got.append(table.claim(attempt))

        threads = [threading.Thread(target=claim) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(got) == [False, False, False, True]


def test_counts_add_up() -> None:
    table = TaskTable(forgets=True, limit=None)
    tasks = [a_task(i) for i in range(10)]
    for task in tasks:
        table.add(task)
    for task in tasks[:4]:
        table.move(task, State.memo_done)
    assert table.counts()[State.memo_done] == 4 and table.counts()[State.unsched] == 6
    assert len(table.open_tasks()) == 6


def test_siblings_are_numbered_among_all_and_among_their_namesakes() -> None:
    table = TaskTable(forgets=True, limit=None)
    tasks = [a_task(i, name) for i, name in enumerate(["a", "b", "a"])]
    for task in tasks:
        table.add(task)
    assert [(t.position, t.occurrence) for t in tasks] == [(0, 0), (1, 0), (2, 1)]
    assert [t.path for t in tasks] == ["-/a[0]", "-/b[0]", "-/a[1]"]
