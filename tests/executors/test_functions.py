"""How functions cross: by reference where a worker can import them, by value else."""

from __future__ import annotations

import collections
import functools
import gc
import importlib.util
import math
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parslish.errors import SerializationError
from parslish.executors import functions
from tests.executors import jobs


def decorate(func: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(func)
    def wrapper(*args: Any) -> Any:
        return ("wrapped", func(*args))

    return wrapper


@decorate
@decorate
def decorated(x: int) -> int:
    return x


class Impostor:
    """What some packages put in their module's place in sys.modules."""

    __name__ = "impostor"
    __slots__ = ()


class Holder:
    def method(self) -> int:
        return 1


def load(func: Any) -> Any:
    """What a worker makes of it, and how it went there."""
    carried = functions.Functions().find(func)
    functions.Functions().refresh(carried, func)
    return functions.load(carried.form, carried.body), carried.form


@pytest.mark.parametrize("func", [jobs.add, math.sqrt, collections.Counter, Holder.method, len, np.add])
def test_what_can_be_imported_goes_by_reference(func: Any) -> None:
    loaded, form = load(func)
    assert loaded is func
    assert form == functions.REFERENCE


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_decorated_function_is_found_through_its_decorators(steps: int) -> None:
    func: Any = decorated
    for _ in range(steps):
        func = func.__wrapped__
    loaded, form = load(func)
    assert loaded is func
    assert form == functions.REFERENCE


def test_lambdas_closures_partials_and_bound_methods_go_by_value() -> None:
    for func, expected in [(lambda: 1, 1), (functools.partial(jobs.add, 1), 1), (Holder().method, 1)]:
        loaded, form = load(func)
        assert form != functions.REFERENCE
        assert loaded() == expected


def test_a_function_whose_name_leads_elsewhere_goes_by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    original = jobs.add
    monkeypatch.setattr(jobs, "add", lambda *_: None)
    loaded, form = load(original)
    assert form != functions.REFERENCE
    assert loaded(1, 2) == 3


def test_a_module_made_by_hand_or_loaded_from_elsewhere_is_not_importable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = types.ModuleType("made_by_hand")
    monkeypatch.setitem(sys.modules, "made_by_hand", made)
    assert not functions.importable(made)
    source = tmp_path / "cloudpickle.py"  # hides behind the name of another module
    source.write_text("")
    spec = importlib.util.spec_from_file_location("cloudpickle", source)
    assert spec is not None
    assert not functions.importable(importlib.util.module_from_spec(spec))
    assert functions.importable(jobs)
    assert functions.importable(Impostor())
    assert functions.importable(sys)
    assert functions.importable(collections.abc)


def test_the_same_function_is_carried_once_and_by_identity() -> None:
    known = functions.Functions()

    class Equal:
        def __eq__(self, other: object) -> bool:
            raise RuntimeError("do not compare")

        __hash__ = None  # type: ignore[assignment]

        def __call__(self) -> int:
            return 1

    first, second = Equal(), Equal()
    assert known.find(first) is known.find(first)
    assert known.find(first) is not known.find(second)


def test_a_changed_body_gets_a_new_number_and_the_old_one_is_forgotten() -> None:
    known = functions.Functions()
    state = [1]

    def read() -> list[int]:
        return state

    carried = known.find(read)
    known.refresh(carried, read)
    first = carried.number
    known.refresh(carried, read)
    assert carried.number == first
    state.append(2)
    known.refresh(carried, read)
    assert carried.number != first
    assert first in known.forgotten()


def test_a_function_that_is_no_more_is_forgotten() -> None:
    known = functions.Functions()

    def short_lived() -> None: ...

    carried = known.find(short_lived)
    known.refresh(carried, short_lived)
    number = carried.number
    del short_lived, carried
    gc.collect()
    assert number in known.forgotten()
    assert known.forgotten() == []


def test_a_callable_without_weak_references_is_carried_anew() -> None:
    class Slotted:
        __slots__ = ()

        def __call__(self) -> int:
            return 1

    known, func = functions.Functions(), Slotted()
    assert known.find(func) is not known.find(func)


def test_a_function_that_cannot_cross_is_refused() -> None:
    generator = (i for i in ())

    def holds() -> Any:
        return generator

    with pytest.raises(SerializationError, match="generator"):
        load(holds)
