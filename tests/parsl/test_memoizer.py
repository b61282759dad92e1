"""`id_for_memo` and `BasicMemoizer`: where users say what is the same, and what is a hit."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

import parslish
from parslish import (
    BasicMemoizer,
    Config,
    States,
    id_for_memo,
    python_app,
)
from tests.parsl.helpers import PATIENCE_S, Counted

pytestmark = pytest.mark.usefixtures("loaded")


# -- id_for_memo


class Sample:
    def __init__(self, name: str, note: str) -> None:
        self.name, self.note = name, note


class Labelled:
    def __init__(self, name: str) -> None:
        self.name = name


class Locked:
    """No identity of its own: a lock has none."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lock = threading.Lock()


@id_for_memo.register(Sample)
def _sample_id(sample: Sample, output_ref: bool = False) -> bytes:
    return sample.name.encode()


@id_for_memo.register
def _labelled_id(labelled: Labelled, output_ref: bool = False) -> str:
    return labelled.name


@id_for_memo.register(Locked)
def _locked_id(locked: Locked, output_ref: bool = False) -> bytes:
    return id_for_memo(locked.name)


def test_id_for_memo_is_a_singledispatch_function() -> None:
    assert id_for_memo.dispatch(Sample) is _sample_id
    assert callable(id_for_memo.register) and id_for_memo.registry[Sample] is _sample_id


@pytest.mark.parametrize("value", [1, "a", None, [1, {"k": (2.0, b"x")}], {1, 2}, Path("x")])
def test_id_for_memo_gives_bytes_or_text_the_same_for_equal_values(value: Any) -> None:
    import copy

    assert isinstance(id_for_memo(value), (bytes, str))
    assert id_for_memo(value) == id_for_memo(copy.deepcopy(value))
    assert id_for_memo(value, output_ref=True) == id_for_memo(value, True)


def test_id_for_memo_tells_apart_what_differs() -> None:
    values = [1, 1.0, True, "1", b"1", [1], (1,), {1}, {1: 1}, None, 2, [1, 1], [[1], 1]]
    assert len({id_for_memo(value) for value in values}) == len(values)


@pytest.mark.parametrize("kind", [lambda name: Sample(name, "other"), Labelled, Locked])
def test_a_registered_type_is_identified_by_its_hook(kind: Any) -> None:
    count = Counted()
    app = python_app(lambda x: count(), cache=True)
    assert app(kind("a")).result() == 1
    assert app(kind("a")).result() == 1
    assert app([kind("a")]).result() == 2
    assert app([kind("a")]).result() == 2, "inside a container too"
    assert app(kind("b")).result() == 3


def test_what_a_hook_leaves_out_makes_no_difference() -> None:
    count = Counted()
    app = python_app(lambda x: count(), cache=True)
    assert [app(Sample("a", note)).result() for note in ("one", "two")] == [1, 1]


# -- BasicMemoizer


def test_a_memoizer_may_refuse_hits_by_overriding_check_memo() -> None:
    parslish.dfk().cleanup()
    asked: list[Any] = []

    class Refusing(BasicMemoizer):
        def check_memo(self, task_record: Any) -> Any:
            asked.append((task_record["func_name"], task_record["args"]))
            return None if task_record["args"] == (1,) else super().check_memo(task_record)

    count = Counted()
    app = python_app(count, cache=True)
    with parslish.load(Config(memoizer=Refusing())) as dfk:
        results = [app(x).result() for x in (1, 2, 1, 2)]
        assert results == [1, 2, 3, 2]
        assert dfk.task_state_counts[States.memo_done] == 1
    assert asked == [("Counted", (x,)) for x in (1, 2, 1, 2)]


def test_a_memoizer_may_give_a_result_of_its_own() -> None:
    parslish.dfk().cleanup()
    from concurrent.futures import Future

    class Oracle(BasicMemoizer):
        def check_memo(self, task_record: Any) -> Any:
            answer: Future[Any] = Future()
            answer.set_result("from the oracle")
            return answer

    with parslish.load(Config(memoizer=Oracle())):
        assert python_app(lambda: "computed", cache=True)().result() == "from the oracle"
        assert python_app(lambda: "computed")().result() == "computed", "not asked without cache"


def test_a_memoizer_that_raises_fails_the_task_and_nothing_else() -> None:
    parslish.dfk().cleanup()

    class Broken(BasicMemoizer):
        def check_memo(self, task_record: Any) -> Any:
            raise RuntimeError("broken memoizer")

    with parslish.load(Config(memoizer=Broken())):
        assert isinstance(python_app(lambda: 1, cache=True)().exception(PATIENCE_S), RuntimeError)
        assert python_app(lambda: 1)().result(PATIENCE_S) == 1


def test_the_task_record_that_a_memoizer_sees_has_the_key() -> None:
    parslish.dfk().cleanup()
    keys: list[Any] = []

    class Noting(BasicMemoizer):
        def check_memo(self, task_record: Any) -> Any:
            keys.append(task_record["hashsum"])
            return super().check_memo(task_record)

    with parslish.load(Config(memoizer=Noting())):
        app = python_app(lambda x: x, cache=True)
        for x in (1, 1, 2):
            app(x).result()
    assert keys[0] == keys[1] != keys[2]
