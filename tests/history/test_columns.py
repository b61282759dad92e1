"""The fold: any events, in any order, come to what is true of each task."""

from __future__ import annotations

import itertools
import random
import sys
from collections.abc import Sequence
from typing import Any

import msgpack
import pytest

from parslish.history import columns, event
from parslish.history.columns import Columns
from parslish.history.event import Event, Kind

KEY = bytes(32)


def submit(task: int, *, app: int = 0, parent: int = -1, place: int = 0, **more: Any) -> Event:
    given = {"label": None, "dependencies": (), "arguments": (task,), "keywords": None, "scope": -1, **more}
    rest = (given.get("inputs", ()), given.get("outputs", ()), given.get("call"))
    told = [given[name] for name in ("label", "dependencies", "arguments", "keywords", "scope")]
    return (int(Kind.SUBMIT), task, 10.0 + task, app, parent, place, place, *told, *rest)


def start(task: int, number: int = 1, worker: int = 0, time: float = 20.0) -> Event:
    return (int(Kind.START), task, time, number, worker)


def end(task: int, result: Any = 1) -> Event:
    return (int(Kind.END), task, 30.0, KEY, 0, 21.0, 8.5, 0.5, 1 << 40, result)


def reuse(task: int, run: int | None = None, origin: int = 0) -> Event:
    return (int(Kind.REUSE), task, 30.0, KEY, run, origin, 1)


def fail(task: int, state: str = "failed", number: int = 1, time: float = 30.0) -> Event:
    return (int(Kind.FAIL), task, time, number, state, "ValueError", "told so", "Traceback", None, 0, None)


def folded(*events: Any, most: int = 1 << 16) -> Columns:
    found = Columns()
    found.fold([event.rows(msgpack.packb(list(events)))], most)
    return found


#: The events of one task, and what it is then.
LIVES: list[tuple[Sequence[Event], int]] = [
    ([submit(0)], columns.WAITING),
    ([submit(0), start(0)], columns.RUNNING),
    ([submit(0), start(0), end(0)], columns.DONE),
    ([submit(0), reuse(0)], columns.REUSED),
    ([submit(0), start(0), fail(0)], columns.FAILED),
    ([submit(0), fail(0, "dep_fail", 0)], columns.UPSTREAM_FAILED),
    ([submit(0), fail(0, "cancelled", 0)], columns.CANCELLED),
    ([submit(0), start(0), fail(0, "cancelled")], columns.CANCELLED),
    ([submit(0), start(0), fail(0, "fail_retryable")], columns.RETRYING),
    ([submit(0), start(0), fail(0, "fail_retryable"), start(0, 2)], columns.RUNNING),
    ([submit(0), start(0), fail(0, "fail_retryable"), start(0, 2), end(0)], columns.DONE),
    ([submit(0), start(0), fail(0, "fail_retryable"), start(0, 2), fail(0, number=2)], columns.FAILED),
    ([submit(0), start(0), start(0, 1, 1), end(0)], columns.DONE),  # taken back from a worker
    ([submit(0), start(0), end(0), fail(0, "cancelled")], columns.CANCELLED),  # as its result came
    ([submit(0), start(0), fail(0, "cancelled"), fail(0)], columns.CANCELLED),  # as it failed
    ([submit(0), reuse(0), fail(0)], columns.FAILED),  # of a failure that is remembered
    ([submit(0), fail(0, "a state of the future")], columns.FAILED),
]


@pytest.mark.parametrize(("life", "status"), LIVES)
def test_the_status_of_a_task_is_the_same_in_whatever_order_its_events_come(life: Sequence[Event], status: int) -> None:
    for order in itertools.permutations(life):
        found = folded(*order)
        assert found.status[0] == status, order
        assert (found.count, found.app[0], found.submitted[0]) == (1, 0, 10.0)


def test_a_task_has_what_its_events_tell() -> None:
    found = folded(
        submit(0, dependencies=()),
        submit(1, parent=0, place=3, label="Si", dependencies=(0,), keywords={"b": {"task": 0}}, scope=2,
               arguments=({"task": 0}, 1.5), inputs=("in",), outputs=("out",), call=b"call"),
        start(1, 2, 7),
        end(1, {"repr": "[1]"}),
        reuse(0, 4, 17),
        (int(Kind.ARGUMENTS), 1, ("a", "b"), (b"", b"12345678"), (1, {"repr": "[]"})),
        (int(Kind.MISS), 1, "expired", "30 days"),
        (int(Kind.FORCE), 1, "selected"),
        (int(Kind.WORKER), 7, "host:1"),
        (int(Kind.APP), 0, "f", "m"),
    )  # fmt: skip
    assert (found.parent[1], found.position[1], found.occurrence[1], found.scope[1]) == (0, 3, 3, 2)
    assert (found.label, found.dependencies) == ({1: "Si"}, {1: (0,)})
    assert (found.arguments[1], found.keywords[1]) == (({"task": 0}, 1.5), {"b": {"task": 0}})
    assert (found.inputs, found.outputs, found.call) == ({1: ("in",)}, {1: ("out",)}, {1: b"call"})
    assert (found.submitted[1], found.started[1], found.ended[1]) == (11.0, 21.0, 30.0)
    assert (found.duration[1], found.cpu[1], found.peak_memory[1], found.tries[1]) == (8.5, 0.5, 1 << 40, 2)
    assert (found.key[1], found.result[1], found.worker[1]) == (KEY, {"repr": "[1]"}, 0)
    assert (found.origin, found.started[0], found.ended[0]) == ({0: (4, 17)}, 30.0, 30.0)
    assert found.bound[1][2:] == (("a", "b"), (b"", b"12345678"), (1, {"repr": "[]"}))
    assert (found.missed, found.forced) == ({1: ("expired", "30 days")}, {1: "selected"})
    assert (found.workers, found.apps[0][2]) == ({7: "host:1"}, "f")


def test_a_failed_task_took_from_its_start_to_its_failure() -> None:
    found = folded(submit(0), start(0, time=20.0), fail(0, time=25.0))
    assert (found.duration[0], found.ended[0], found.tries[0]) == (5.0, 25.0, 1)
    assert [each[5] for each in found.failures[0]] == ["ValueError"]


def test_fields_of_the_future_are_passed_over() -> None:
    events = [submit(0), start(0), end(0), reuse(1), submit(1), fail(1), (int(Kind.MISS), 1, "expired", "")]
    found = folded(*[(*each, "new", {"x": 1}) for each in events])
    assert [*found.status] == [columns.DONE, columns.FAILED]
    assert found.missed and found.tries[0] == 1


def test_columns_have_a_row_for_each_task_and_no_more() -> None:
    found = folded(submit(0), submit(5))
    assert found.count == 6
    rows = (found.app, found.status, found.submitted, found.key, found.arguments, found.peak_memory, found.tries)
    assert [len(each) for each in rows] == [6] * len(rows)
    assert [*found.app] == [0, -1, -1, -1, -1, 0], "of those between, nothing is known"
    found.fold([[submit(9)]])
    assert found.count == len(found.app) == 10
    found.reach(200_000)
    assert found.count == 200_001, "rows may be added to what was folded"


#: Values that stand where something else is expected.
WRONG: list[Any] = [
    None, True, -1, -5, 2**31, 2**40, 2**63 - 1, -(2**63), 2**64 - 1, 1.5, float("nan"), "text", b"bytes", (), ("a",),
    (1, 2), {}, {"a": 1}, {1: 2}, {"task": "x"}, {"repr": 5}, ({"task": 2**60},), (None,), ((((),),),),
    msgpack.ExtType(5, b"x"), msgpack.Timestamp(1),
]  # fmt: skip
GOOD = [
    submit(0), submit(1, parent=0, dependencies=(0,), keywords={"a": 1}, inputs=("f",), outputs=("g",), call=b"c"),
    start(1), end(1), reuse(0), fail(2), submit(2), (int(Kind.ARGUMENTS), 1, ("a",), (b"",), (1,)),
    (int(Kind.MISS), 1, "expired", ""), (int(Kind.FORCE), 1, "why"), (int(Kind.WORKER), 0, "host:1"),
    (int(Kind.APP), 0, "f", "m", "", "python", "True", None, "file", 1, ("a",), (("k", "n", b"", "t"),)),
    (int(Kind.SCOPE), 0, -1, -1, "scan", "0"), (int(Kind.RUN_START), 1.5, {"host": "h"}),
    (int(Kind.RUN_END), 1.5, "completed", {}), (int(Kind.TROUBLE), 1.5, "results", "full"),
    (int(Kind.MARK), 1.5, "restart", {}),
]  # fmt: skip


@pytest.mark.parametrize("good", GOOD, ids=lambda each: Kind(each[0]).name.lower())
def test_a_wrong_value_in_any_field_costs_at_most_its_event(good: Event) -> None:
    others = [each for each in GOOD if each[0] not in (good[0], Kind.RUN_START)]
    for place, wrong in itertools.product(range(len(good)), WRONG):
        lying = (*good[:place], wrong, *good[place + 1 :])
        found = folded(lying, submit(77), end(77), *others)
        assert found.status[77] == columns.DONE and found.key[77] == KEY, lying
        assert found.count <= 1 << 16
        check_sound(found)


@pytest.mark.parametrize("good", GOOD, ids=lambda each: Kind(each[0]).name.lower())
def test_an_event_that_is_cut_off_costs_at_most_itself(good: Event) -> None:
    for length in range(len(good)):
        check_sound(folded(good[:length], submit(77), end(77)))


@pytest.mark.parametrize("seed", range(100))
def test_events_of_random_fields_are_no_trouble(seed: int) -> None:
    rng = random.Random(seed)
    print("seed", seed)
    events = [(rng.choice([*Kind, *WRONG]), *rng.choices(WRONG, k=rng.randrange(14))) for _ in range(300)]
    found = folded(*events, submit(77), end(77))
    assert found.status[77] == columns.DONE
    check_sound(found)


@pytest.mark.parametrize(
    "body", [b"", b"\xc1", b"\x93", msgpack.packb(5), msgpack.packb({1: 2}), msgpack.packb([5, "a", {}, [], [[]]]),
             b"\x91" * 2000, b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xa1\xff",
             msgpack.packb([[0, 1.5, {}]]) + b"\0"],
)  # fmt: skip
def test_a_body_that_is_no_group_of_events_has_none(body: bytes) -> None:
    assert folded().count == Columns().count
    found = Columns()
    found.fold([event.rows(body)])
    assert found.count == 0 and not found.starts
    assert list(event.unpack(body)) == []


@pytest.mark.parametrize("kind", ["submit", "start", "end", "reuse", "fail"])
def test_a_huge_id_takes_no_memory_and_a_negative_one_changes_nobody(kind: str) -> None:
    make = {"submit": submit, "start": start, "end": end, "reuse": reuse, "fail": fail}[kind]
    for id in (2**40, 2**63 - 1, 1 << 16, -1, -(2**40)):
        found = folded(submit(0), make(id), most=1 << 16)  # type: ignore[operator]
        assert (found.count, found.status[0], len(found.status)) == (1, columns.WAITING, 1)
        assert not found.failures


def test_a_plain_task_is_folded_in_few_calls() -> None:
    """That 100,000 tasks fold in a second: counted, since a second is another one on each machine."""
    events = [make(task) for task in range(1000) for make in (submit, start, end)]
    body = event.rows(msgpack.packb(events))
    counts = {"call": 0, "c_call": 0}

    def count(frame: Any, what: str, arg: Any) -> None:
        if what in counts:
            counts[what] += 1

    found = Columns()
    sys.setprofile(count)
    try:
        found.fold([body])
    finally:
        sys.setprofile(None)
    assert found.count == 1000
    assert counts["call"] <= 6_100 and counts["c_call"] <= 5_200, counts


def check_sound(found: Columns) -> None:
    """That whoever reads the columns needs not doubt them."""
    for id in range(found.count):
        assert -1 <= found.parent[id] < id
        assert found.status[id] in range(8)
        assert found.key[id] is None or type(found.key[id]) is bytes
        assert found.arguments[id] is None or all(map(is_preview, found.arguments[id]))
        assert is_preview(found.result[id])
    for id, ids in found.dependencies.items():
        assert all(type(each) is int and 0 <= each < id for each in ids)
    assert all(type(name) is str for each in found.keywords.values() for name in each)
    assert all(is_preview(value) for each in found.keywords.values() for value in each.values())
    for texts in (*found.inputs.values(), *found.outputs.values(), *found.missed.values()):
        assert all(type(each) is str for each in texts)
    assert all(type(each) is str for each in (*found.label.values(), *found.forced.values(), *found.workers.values()))
    for _, _, names, digests, shown in found.bound.values():
        assert len(names) == len(digests) == len(shown) and all(map(is_preview, shown))
    assert all(type(run) in (int, type(None)) and type(task) is int for run, task in found.origin.values())


def is_preview(found: Any) -> bool:
    return not isinstance(found, tuple) and (not isinstance(found, dict) or isinstance(found.get("task", 0), int))
