"""What executing a run again would do, task by task."""

from __future__ import annotations

import itertools
import json
import time
from typing import Any

import pytest

from parslish.history.edges import Edges
from parslish.history.event import Event
from parslish.history.plan import GROUPS, Plan, plan
from parslish.history.record import RunRecord
from parslish.secret import Keys
from parslish.store.reader import Store
from tests.history.programs import app, end, fail, made_up, reuse, run, start, submit

_numbers = itertools.count()


def key(id: int) -> bytes:
    return id.to_bytes(32, "big")


def done(id: int, *, needs: tuple[int, ...] = (), parent: int = -1, app: int = 0, seconds: float = 1.0) -> list[Event]:
    return [submit(id, id, app=app, parent=parent, needs=needs), end(id, key(id), id, seconds)]


def made(*events: list[Event]) -> RunRecord:
    return made_up(next(_numbers), [each for some in events for each in some])


def ask(record: RunRecord, *, dependents: bool = False, missing: tuple[int, ...] = (), **orders: Any) -> Plan:
    gone = {key(id) for id in missing}
    found = plan(record, dependents=dependents, stored=lambda key: key not in gone, edges=Edges(record), **orders)
    assert sorted([*found.reuse, *found.run, *found.unknown]) == list(record.ids())
    assert set(found.reasons) == set(record.ids()) and all(found.reasons.values())
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert {each["task"]: each["group"] for each in told["tasks"]} == {i: g for g in GROUPS for i in getattr(found, g)}
    return found


def groups(found: Plan) -> tuple[list[int], list[int], list[int]]:
    return list(found.reuse), list(found.run), list(found.unknown)


CHAIN = [done(0), done(1, needs=(0,)), done(2, needs=(1,)), done(3)]


def test_what_is_stored_is_reused() -> None:
    found = ask(made(*CHAIN))
    assert groups(found) == ([0, 1, 2, 3], [], []) and set(found.reasons.values()) == {"its result is stored"}


def test_what_was_asked_for_runs_and_of_what_depends_on_it_nothing_is_known() -> None:
    found = ask(made(*CHAIN), forced=[0])
    assert groups(found) == ([3], [0], [1, 2])
    assert [found.reasons[id] for id in (0, 1, 2)] == [
        "it was asked for",
        "it depends on -/f[0], whose result will be new",
        "it depends on -/f[1], of which it cannot be known",
    ]


def test_with_dependents_what_depends_on_it_runs_too() -> None:
    found = ask(made(*CHAIN), forced={1: "selected"}, dependents=True)
    assert groups(found) == ([0, 3], [1, 2], [])
    assert (found.reasons[1], found.reasons[2]) == ("selected", "it depends on what was asked for")


def test_with_dependents_what_depends_on_others_that_run_is_not_known_all_the_same() -> None:
    found = ask(made(*CHAIN, done(4, needs=(3,))), forced=[1], dependents=True, missing=(3,))
    assert groups(found) == ([0], [1, 2, 3], [4])


def test_what_has_no_result_runs() -> None:
    record = made_up(
        0,
        [
            *(submit(i, i) for i in range(5)), fail(0), start(1), fail(2, "cancelled"), fail(3, "dep_fail"),
            end(4, key(4)),
        ],
        ended=False,
    )  # fmt: skip
    found = ask(record)
    assert groups(found) == ([4], [0, 1, 2, 3], [])
    assert [found.reasons[id] for id in range(4)] == [
        "it failed",
        "it was lost",
        "it was cancelled",
        "it was not run, as a task before it failed",
    ]


def test_what_has_no_key_or_no_stored_result_runs() -> None:
    record = made(done(0), [submit(1, 1), end(1, None)], done(2))
    found = ask(record, missing=(2,))
    assert groups(found) == ([0], [1, 2], [])
    assert (found.reasons[1], found.reasons[2]) == ("it is not memoized", "no result of it is stored")


def test_tasks_of_apps_whose_code_changed_run() -> None:
    record = made([app(1, "g")], done(0), done(1, app=1, needs=(0,)), done(2, needs=(1,)))
    found = ask(record, changed_code=["g"])
    assert groups(found) == ([0], [1], [2]) and found.reasons[1] == "the code of its app changed"


def test_all_of_it_runs_where_that_was_asked_for() -> None:
    found = ask(made(*CHAIN), all=True)
    assert groups(found) == ([], [0, 1, 2, 3], [])


def test_what_is_stored_is_asked_only_of_tasks_that_might_be_reused() -> None:
    record = made(*CHAIN)
    asked: list[bytes] = []
    plan(record, forced=[0], dependents=True, stored=lambda key: not asked.append(key), edges=Edges(record))
    assert asked == [key(3)]


def test_tasks_of_one_key_run_once_and_what_depends_on_any_of_them_is_not_known() -> None:
    record = made(done(0), [submit(1, 0), reuse(1, key(0), None, 0)], done(2, needs=(1,)), done(3))
    for orders in ({"missing": (0,)}, {"forced": [0]}):
        found = ask(record, **orders)
        assert groups(found) == ([1, 3], [0], [2])
        assert found.reasons[1] == "it shares the result of -/f[0], which has its key"
    found = ask(record, forced=[1])
    assert groups(found) == ([1, 3], [0], [2])
    assert found.reasons[0] == "it has the key of -/f[1], which was asked for"
    assert groups(ask(record, all=True)) == ([1], [0, 2, 3], [])


def test_with_dependents_what_depends_on_the_first_of_one_key_runs_too() -> None:
    record = made(done(0), [submit(1, 0), reuse(1, key(0), None, 0)], done(2, needs=(0,)), done(3, needs=(1,)))
    assert groups(ask(record, forced=[1], dependents=True)) == ([1], [0, 2, 3], [])


# ------------------------------------------------------------------------------------ joins

#: 0 is a join that calls 1 and 2; 3 takes its result.
JOIN = [[app(1, "j", kind="join")], done(0, app=1), done(1, parent=0), done(2, parent=0), done(3, needs=(0,))]


def test_each_group_is_in_topological_order_a_join_behind_what_it_called() -> None:
    assert groups(ask(made(*JOIN))) == ([1, 2, 0, 3], [], [])


def test_a_join_that_runs_again_with_the_code_it_had_calls_what_it_called() -> None:
    found = ask(made(*JOIN), missing=(0,))
    assert groups(found) == ([1, 2], [0], [3])
    assert groups(ask(made(*JOIN), missing=(0, 2))) == ([1], [2, 0], [3])


def test_what_a_join_called_that_is_reused_is_not_called() -> None:
    found = ask(made(*JOIN), missing=(2,))
    assert groups(found) == ([1, 2, 0, 3], [], []) and found.reasons[2] == "the join that called it is reused"


def test_a_task_inside_a_join_that_was_asked_for_has_its_joins_run() -> None:
    found = ask(made(*JOIN), forced=[2])
    assert groups(found) == ([1], [2, 0], [3])
    assert found.reasons[0] == "it calls -/j[0]/f[2], which runs again"
    assert groups(ask(made(*JOIN), forced=[2], dependents=True)) == ([1], [2, 0, 3], [])


def test_what_a_join_calls_whose_code_changed_is_not_known() -> None:
    found = ask(made(*JOIN), changed_code=["j"])
    assert groups(found) == ([], [0], [1, 2, 3])
    assert found.reasons[1] == "it is called by -/j[0], which may call something else"


def test_a_join_that_was_asked_for_with_dependents_takes_along_what_it_called() -> None:
    assert groups(ask(made(*JOIN), forced=[0], dependents=True)) == ([], [1, 2, 0, 3], [])
    record = made(*JOIN)
    partly = ask(record, forced=[0, 2, 3], partly=[0], dependents=True)
    assert groups(partly) == ([1], [2, 0, 3], [])


# ------------------------------------------------------------------------------------ what it takes


def test_core_hours_are_those_recorded_or_else_the_median_of_the_app() -> None:
    record = made(
        [app(1, "g")],
        done(0, seconds=3600), done(1, seconds=1800), done(2, seconds=7200),
        [submit(3, 3), fail(3)],
        [submit(4, 4), reuse(4, key(4), None, 0)],
        [submit(5, 5, app=1), fail(5)],
    )  # fmt: skip
    found = ask(record)
    assert found.core_hours == {"reuse": 1 + 0.5 + 2 + 1, "run": 1.0, "unknown": 0.0}
    assert found.unmeasured == {"reuse": 0, "run": 1, "unknown": 0}
    assert found.apps["f"]["reuse"] == {"tasks": 4, "core_hours": 4.5, "unmeasured": 0}
    assert found.apps["g"]["run"] == {"tasks": 1, "core_hours": 0.0, "unmeasured": 1}
    assert str(found) == "reuse 4 (4.5 core-hours), run 2 (1 core-hours), unknown 0 (0 core-hours)"


def test_what_a_reused_task_saves_is_what_it_took_where_it_was_computed() -> None:
    first = made(done(0, seconds=7200), done(1, seconds=3600))
    record = made(
        [submit(0, 0), reuse(0, key(0), first.number, 0)],
        [submit(1, 1), reuse(1, key(1), first.number, 9)],
        [submit(2, 2), reuse(2, key(2), None, 0)],
    )
    assert ask(record).unmeasured["reuse"] == 3
    found = ask(record, known={first.number: first})
    assert found.seconds == {0: 7200.0, 1: 7200.0, 2: 7200.0}, "the median of what is known, for those that are not"
    assert found.core_hours["reuse"] == 6.0


def test_a_real_run_is_planned_by_its_store() -> None:
    text = """
@python_app(cache=True)
def f(x): return 10 / x
@python_app
def off(x): return x
@join_app(cache=True)
def j(n): return [f(i + 1) for i in range(n)]
def main(): return [off(f(f(5))), f(0), f(f(0)), j(2)]
"""
    record = run(text)
    store = Store.open([record.path / "checkpoint"], Keys.load())
    found = plan(record, dependents=False, stored=store.__contains__, edges=Edges(record))
    store.close()
    paths = {group: {record.path_of(id) for id in getattr(found, group)} for group in GROUPS}
    assert paths["run"] == {"-/off[0]", "-/f[2]", "-/f[3]", "-/f[4]"}
    assert paths["reuse"] == {"-/f[0]", "-/f[1]", "-/j[0]", "-/j[0]/f[0]", "-/j[0]/f[1]"}
    assert not paths["unknown"]


@pytest.mark.parametrize("shape", ["independent", "chain", "joins"])
def test_a_rerun_of_a_hundred_thousand_tasks_is_planned_in_two_seconds(shape: str) -> None:
    count = 100_000
    events: list[Event] = [app(1, "j", kind="join")]
    for i in range(count):
        if shape == "joins":
            parent = i - i % 10
            events += done(i, app=i % 10 == 0, parent=-1 if parent == i else parent)
        else:
            events += done(i, needs=(i - 1,) if i and shape == "chain" else ())
    record = made_up(0, events)
    edges = Edges(record)

    def stored(key: bytes) -> bool:
        until = time.perf_counter() + 3e-6
        while time.perf_counter() < until:
            pass
        return True

    begun = time.process_time()
    found = plan(record, forced=[1], dependents=False, stored=stored, edges=edges)
    spent = time.process_time() - begun
    assert spent < 2, spent
    assert len(found.reasons) == count
