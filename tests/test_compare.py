"""By how much values differ."""

from __future__ import annotations

import dataclasses
import decimal
import fractions
import json
import math
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import parslish
from parslish import Config, python_app
from parslish.compare import DIFFERENT, EQUAL, UNKNOWN, Difference, ValueDifference, difference
from parslish.secret import Keys
from parslish.store.reader import Store

Pair = namedtuple("Pair", "a b")


@dataclasses.dataclass
class Result:
    energy: float
    forces: Any = None


class Plain:
    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)


class Slotted:
    __slots__ = ("x",)


class Unlike:
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("not today")

    __hash__ = None  # type: ignore[assignment]


def compare(a: Any, b: Any) -> Difference:
    found = difference(a, b)
    json.dumps(found.to_json(), allow_nan=False)
    assert difference(b, a).verdict == found.verdict, "both ways round"
    assert difference(a, a).verdict == EQUAL
    return found


@pytest.mark.parametrize(
    "make",
    [
        lambda: 1, lambda: 1.5, lambda: math.nan, lambda: "a", lambda: b"a", lambda: None, lambda: [1, [2.0, math.nan]],
        lambda: {"a": (1, 2), "b": {3, 4}}, lambda: Result(1.0, [2.0]), lambda: Plain(x=1, y=[2]), lambda: Pair(1, 2),
        lambda: np.array([1.0, math.nan]), lambda: np.float64("nan"), lambda: np.array(["a", "b"]),
        lambda: np.array([np.datetime64("NaT"), np.datetime64("2026-01-01")]), lambda: np.array([], float),
        lambda: np.array([(1, 2.0)], dtype=[("a", int), ("b", float)]), lambda: np.array([None, [1]], dtype=object),
        lambda: np.ma.masked_array([1.0, 2.0], [False, True]),
        lambda: pd.DataFrame({"a": [1, None], "b": ["x", None]}), lambda: pd.Series([1, None], dtype="Int64"),
        lambda: pd.Index([1, 2]), lambda: pd.Timestamp(5), lambda: pd.Categorical(["a", "b"]),
        lambda: ValueError("a", 1), lambda: Path("a"), lambda: decimal.Decimal("1.5"), lambda: 10**400,
    ],
)  # fmt: skip
def test_equal_values_are_equal_whatever_they_are(make: Any) -> None:
    assert compare(make(), make()) == Difference(EQUAL)


@pytest.mark.parametrize(
    ("a", "b", "absolute", "relative"),
    [
        (1, 3, 2, 2 / 3), (1.0, 1.5, 0.5, 1 / 3), (-1.0, 1.0, 2, 2), (0, 5, 5, 1), (True, False, 1, 1),
        (3j, 4j, 1, 0.25), (decimal.Decimal("1.5"), decimal.Decimal(2), 0.5, 0.25),
        (fractions.Fraction(1, 2), fractions.Fraction(1), 0.5, 0.5), (10**400, 2 * 10**400, math.inf, 0.5),
        (1.0, math.nan, math.inf, math.inf), (1.0, math.inf, math.inf, math.inf),
        (np.float32(1), np.float32(3), 2, 2 / 3),
        (np.array([1.0, 2.0, math.nan]), np.array([1.0, 2.5, math.nan]), 0.5, 0.2),
        (np.array([0], "u8"), np.array([2**64 - 1], "u8"), 2.0**64, 1),
        (np.array([-128], "i1"), np.array([127], "i1"), 255, 255 / 128),
        (np.array([1 + 1j]), np.array([1 + 2j]), 1, 1 / math.sqrt(5)), (np.array([True]), np.array([False]), 1, 1),
        (pd.Series([1.0, 4.0]), pd.Series([1.0, 5.0]), 1, 0.2),
    ],
)  # fmt: skip
def test_numbers_differ_by_an_absolute_and_a_relative_difference(
    a: Any, b: Any, absolute: float, relative: float
) -> None:
    found = compare(a, b)
    assert found.verdict == DIFFERENT
    assert found.largest_absolute == pytest.approx(absolute) and found.largest_relative == pytest.approx(relative)


def test_the_largest_difference_and_its_place_are_told() -> None:
    a = {"energy": [1.0, 2.0], "forces": np.zeros((2, 3))}
    b = {"energy": [1.0, 2.5], "forces": np.array([[0, 0, 0], [0, 0.75, 0]])}
    found = compare(a, b)
    assert (found.largest_absolute, found.largest_relative, found.where) == (0.75, 1.0, "['forces'][1, 1]")
    assert str(found) == (
        "different: by up to 0.75 (relative 1) at ['forces'][1, 1]; ['forces']: 1 of 6 elements differ"
    )


def test_the_largest_absolute_and_the_largest_relative_may_be_at_two_places() -> None:
    found = compare([100.0, 1e-9], [101.0, 2e-9])
    assert (found.largest_absolute, found.where) == (1.0, "[0]") and found.largest_relative == 0.5


@pytest.mark.parametrize(
    ("a", "b", "note"),
    [
        (1, 1.0, "int became float"),
        ([1], (1,), "list became tuple"),
        ("a", "b", "'a' became 'b'"),
        ([1, 2], [1], "length 2 became 1"),
        ({"a": 1, "b": 2}, {"a": 1, "c": 2}, "'b' is gone"),
        ({1, 2}, {2, 3, 4}, "1 is gone"),
        (Result(1.0, "x"), Result(1.0, "y"), ".forces: 'x' became 'y'"),
        (Plain(x=1), Plain(x=1, y=2), "'y' is new"),
        (Pair(1, "a"), Pair(1, "b"), ".b: 'a' became 'b'"),
        (ValueError("a"), ValueError("b"), ".args[0]: 'a' became 'b'"),
        (np.zeros(3), np.zeros(4), "shape (3,) became (4,)"),
        (np.zeros(3), np.zeros(3, int), "dtype float64 became int64"),
        (np.array(["a", "b"]), np.array(["a", "c"]), "1 of 2 elements differ"),
        (np.array([1, None], object), np.array([2, None], object), ""),
        (np.ma.masked_array([1.0], [False]), np.ma.masked_array([1.0], [True]), ".mask: 1 of 1 elements differ"),
        (pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]}), ".columns: labels differ"),
        (pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [1, 2]}), "shape (1, 1) became (2, 1)"),
        (pd.DataFrame({"a": ["x"]}), pd.DataFrame({"a": ["y"]}), "['a'][0]: 'x' became 'y'"),
        (pd.Series([1], name="a").index, pd.Index([1]), ""),
        (pd.Series([1, None], dtype="Int64"), pd.Series([1, 2], dtype="Int64"), ""),
        (pd.Timestamp(5), pd.Timestamp(6), ""),
        (Path("a"), Path("b"), "PosixPath('a') became PosixPath('b')"),
    ],
)  # fmt: skip
def test_what_else_differs_is_said(a: Any, b: Any, note: str) -> None:
    found = compare(a, b)
    assert found.verdict == DIFFERENT and note in "; ".join(found.notes)


@pytest.mark.parametrize(
    ("a", "b"), [(object(), object()), (Slotted(), Slotted()), (Unlike(), Unlike()), (lambda: 1, lambda: 1)]
)
def test_what_cannot_be_compared_is_unknown(a: Any, b: Any) -> None:
    found = difference([a, 1], [b, 1])
    assert found.verdict == UNKNOWN and found.notes


def test_what_differs_surely_differs_whatever_else_is_unknown() -> None:
    assert difference([object(), 1], [object(), 2]).verdict == DIFFERENT


def test_values_that_hold_themselves_and_values_of_any_depth_are_compared() -> None:
    a: list[Any] = [1]
    b: list[Any] = [1]
    a.append(a)
    b.append(b)
    assert difference(a, b).verdict == EQUAL
    deep: list[list[Any]] = [[1], [2]]
    for _ in range(100_000):
        deep = [[deep[0]], [deep[1]]]
    assert difference(*deep).largest_absolute == 1


def test_arrays_are_compared_block_by_block() -> None:
    a = np.zeros(3_000_000)
    b = a.copy()
    b[[0, 2_999_999]] = 1, 2
    found = difference(a, b)
    assert (found.largest_absolute, found.where) == (2, "[2999999]")
    assert found.notes == ("2 of 3,000,000 elements differ",)


def test_few_notes_are_kept() -> None:
    assert len(difference(list("a" * 100), list("b" * 100)).notes) == 10


# ------------------------------------------------------------------------------------ stored results


@python_app(cache=True)
def give(x: int) -> Any:
    if x < 0:
        raise ValueError(x)
    return {"x": np.full(10, float(x)), "large": b"a" * (2 << 20) + bytes([x])}


def test_stored_results_are_opened_and_compared_by_key() -> None:
    with parslish.load(Config(run_dir="runinfo", checkpoint_mode="task_exit")):
        futures = [give(1), give(2)]
        for each in futures:
            each.result()
    record = parslish.run("last").record
    keys = [record.task(id).key for id in (0, 1)]
    store = Store.open(["runinfo/000/checkpoint"], Keys.load())
    empty = Store.open((), Keys.load())
    compare = ValueDifference(store, store)
    found = compare(keys[0], keys[1])
    assert (found.verdict, found.largest_absolute, found.where) == (DIFFERENT, 1.0, "['x'][0]")
    assert compare(keys[0], keys[0]).verdict == EQUAL
    missing = ValueDifference(store, empty)(keys[0], keys[1])
    assert missing == Difference(UNKNOWN, notes=("of the second nothing is stored",))
    assert "of the first and the second" in str(ValueDifference(empty, empty)(keys[0], keys[1]))
    store.close()


def test_a_result_that_cannot_be_opened_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    with parslish.load(Config(run_dir="runinfo", checkpoint_mode="task_exit")):
        for each in [of_class(1), of_class(2)]:
            each.result()
    record = parslish.run("last").record
    store = Store.open(["runinfo/000/checkpoint"], Keys.load())
    monkeypatch.delattr(f"{__name__}.Result")
    found = ValueDifference(store, store)(record.task(0).key, record.task(1).key)
    assert found.verdict == UNKNOWN and "cannot be opened" in found.notes[0]
    store.close()


@python_app(cache=True)
def of_class(x: int) -> Any:
    return Result(x)
