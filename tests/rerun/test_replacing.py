"""Functions that run in the place of apps when a run is executed again."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest

import parslish
from parslish import UsageError
from tests.rerun.program import NESTED, NESTED_CALLS, again, executed, first, results, statuses

OTHERS = """
def times_b(a, b):
    return 100 * a * b

def of_keywords(*, n):
    return n

def with_more(n, scale):
    return n * scale

def with_default(n, scale=10):
    return n * scale

def renamed(m):
    return m

def nobody():
    return 0

constant = 7
"""


@pytest.fixture(autouse=True)
def others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Path("others.py").write_text(OTHERS)
    monkeypatch.syspath_prepend(tmp_path)
    import sys

    sys.modules.pop("others", None)


def test_a_task_and_what_takes_its_result_run_and_the_rest_is_reused() -> None:
    run = first(NESTED, NESTED_CALLS)
    executed()
    new = run.rerun(replace={"unreliable": "others:with_default"})
    assert executed() == ["end 60"]
    assert statuses(new)["-/nested[0]"] == "reused"
    assert results(new)["-/end[0]"] == 60


def test_an_app_that_a_join_calls_is_replaced_too() -> None:
    run = first(NESTED, NESTED_CALLS)
    executed()
    new = run.rerun(replace={"times": "others:times_b"})
    assert executed() == ["nested", "unreliable 6000000", "end 6000000"]
    assert results(new)["-/nested[0]"] == 6000000
    newer = new.resume()
    assert executed() in ([], ["nested"])
    assert results(newer)["-/end[0]"] == 6000000
    assert results(again())["-/end[0]"] == 6, "what others reuse is what it was"


@pytest.mark.parametrize("place", ["others:nobody", "others:with_more"])
def test_a_signature_that_does_not_fit_is_told(place: str) -> None:
    run = first(NESTED, NESTED_CALLS)
    with pytest.raises(UsageError, match=r"end\(n\) cannot be replaced by a function that takes"):
        run.rerun(replace={"end": place})
    assert len(parslish.runs()) == 1


def test_a_parameter_of_another_name_is_told_where_it_was_given_by_name() -> None:
    run = first(NESTED, "end(n=1).result()")
    with pytest.raises(UsageError, match="cannot be replaced"):
        run.rerun(replace={"end": "others:renamed"})


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("others:gone", "cannot be imported"),
        ("nowhere:f", "cannot be imported"),
        ("others", "name it as module:function"),
        ("", "cannot be found again"),
        ("others:", "name it as module:function"),
        ("others:constant", "is no function but int"),
    ],
)
def test_a_place_where_nothing_is_is_told(place: str, told: str) -> None:
    run = first(NESTED, NESTED_CALLS)
    with pytest.raises(UsageError, match=told):
        run.rerun(replace={"end": place})
    assert len(parslish.runs()) == 1


def test_an_unknown_app_is_told_with_what_is_near() -> None:
    run = first(NESTED, NESTED_CALLS)
    with pytest.raises(UsageError, match=r"no app 'unrelaible' to replace .did you mean 'unreliable'"):
        run.rerun(replace={"unrelaible": "others:times_b"})


@pytest.mark.parametrize(
    "function",
    [lambda n: n, functools.partial(max, 1), functools.partial(lambda n, k: n, k=1)],
    ids=["lambda", "partial", "partial of a lambda"],
)
def test_what_a_script_cannot_find_is_told_before_it_is_started(function: Any) -> None:
    run = first(NESTED, NESTED_CALLS)
    with pytest.raises(UsageError, match="module:function"):
        run.rerun(replace={"end": function})
    assert len(parslish.runs()) == 1


def test_a_function_of_a_module_is_found_by_a_script() -> None:
    import others  # type: ignore[import-not-found]

    run = first(NESTED, NESTED_CALLS)
    assert results(run.rerun(replace={"end": others.with_default}))["-/end[0]"] == 60


FLOW_CALLS: list[Any] = []


@parslish.python_app(cache=True)
def add(a: int, b: int) -> int:
    return a + b


@parslish.workflow
def flow(a: int, b: int = 2) -> Any:
    return add(a, b)


@pytest.mark.parametrize(
    ("function", "result"),
    [
        (lambda a, b: a * b, 12),
        (functools.partial(lambda a, b, k: a * b + k, k=5), 17),
        (parslish.python_app(lambda a, b: a - b), -1),
    ],
    ids=["lambda", "partial", "app"],
)
def test_a_workflow_takes_any_function(function: Any, result: int) -> None:
    id = parslish.dispatch(flow)(3, 4)
    assert parslish.get_result(id, wait=True).result == 7
    new = parslish.run(id).rerun(replace={"add": function})
    assert parslish.get_result(new.id, wait=True).result == result


def test_a_workflow_goes_on_from_one_that_was_replaced() -> None:
    id = parslish.dispatch(flow)(3, 4)
    parslish.get_result(id, wait=True)
    new = parslish.run(id).rerun(from_="add")
    newer = new.resume()
    assert newer.status == "completed"
    assert statuses(newer) == {"-/add[0]": "reused"}
