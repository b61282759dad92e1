"""Futures are found and replaced at any depth, and nothing else is touched."""

from __future__ import annotations

import collections
import dataclasses
from concurrent.futures import Future
from typing import Any

import pytest

from parslish import graph


@dataclasses.dataclass(frozen=True)
class Pair:
    left: Any
    right: Any


Point = collections.namedtuple("Point", "x y")


def done(value: Any) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(value)
    return future


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda f: f, 7),
        (lambda f: [1, f], [1, 7]),
        (lambda f: (1, (f,)), (1, (7,))),
        (lambda f: {"a": [f]}, {"a": [7]}),
        (lambda f: {f: 1}, {7: 1}),
        (lambda f: {1, f}, {1, 7}),
        (lambda f: frozenset({f}), frozenset({7})),
        (lambda f: Pair(1, [f]), Pair(1, [7])),
        (lambda f: Point(f, 2), Point(7, 2)),
        (lambda f: collections.OrderedDict(a=f), collections.OrderedDict(a=7)),
        (lambda f: collections.defaultdict(list, a=f), collections.defaultdict(list, a=7)),
    ],
)
def test_a_future_in_any_container_is_found_and_replaced(make: Any, expected: Any) -> None:
    future = done(7)
    argument = make(future)
    assert list(graph.futures_in((argument,), {})) == [future]
    (new,), kwargs = graph.resolved((argument,), {"k": argument})
    assert new == expected and type(new) is type(expected)
    assert kwargs["k"] == expected


def test_a_future_that_stands_twice_is_found_once() -> None:
    future = done(1)
    assert list(graph.futures_in((future, [future]), {"k": future})) == [future]


def test_containers_without_futures_stay_the_same_objects() -> None:
    untouched, other = [1, [2, {"a": object()}]], {"k": [object()]}
    (new,), kwargs = graph.resolved((untouched,), {"other": other})
    assert new is untouched and kwargs["other"] is other


def test_a_list_inside_itself_is_no_endless_loop() -> None:
    ring: list[Any] = [done(1)]
    ring.append(ring)
    assert len(graph.futures_in((ring,), {})) == 1
    (new,), _ = graph.resolved((ring,), {})
    assert new[0] == 1


def test_data_nested_deeper_than_the_stack_is_searched() -> None:
    future = done(1)
    nested: Any = [future]
    for _ in range(100_000):
        nested = [nested]
    assert list(graph.futures_in((nested,), {})) == [future]
    while nested is not future:  # taken apart by hand: freeing it all at once recurses in C
        nested = nested.pop()


def test_dataclass_init_does_not_run_again() -> None:
    made = []

    @dataclasses.dataclass
    class Counted:
        x: Any

        def __post_init__(self) -> None:
            made.append(self)
            self.extra = "kept"

    argument = Counted(done(3))
    (new,), _ = graph.resolved((argument,), {})
    assert (new.x, new.extra, len(made)) == (3, "kept", 1)
    assert isinstance(argument.x, Future), "the caller's object is not changed"


def test_shallow_sees_arguments_and_inputs_but_not_lists() -> None:
    a, b, c = done(1), done(2), done(3)
    shallow = graph.SHALLOW_DEPENDENCY_RESOLVER
    assert set(shallow.futures_in((a, [b]), {"inputs": [c]})) == {a, c}
    (first, second), kwargs = shallow.resolved((a, [b]), {"inputs": [c]})
    assert (first, second, kwargs) == (1, [b], {"inputs": [3]})
