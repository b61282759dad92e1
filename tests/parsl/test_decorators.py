"""Decorators: how functions become apps, and which options they take."""

from __future__ import annotations

import functools
from typing import Any

import pytest

import parslish
from parslish import App, bash_app, join_app, python_app

DECORATORS = [python_app, bash_app, join_app]
OPTIONS = {"data_flow_kernel": None, "cache": True, "executors": "all", "ignore_for_cache": []}


pytestmark = pytest.mark.usefixtures("loaded")


@pytest.mark.parametrize("decorator", DECORATORS)
def test_with_and_without_parentheses(decorator: Any) -> None:
    for app in (decorator(lambda: "true"), decorator()(lambda: "true"), decorator(cache=False)(lambda: "true")):
        assert isinstance(app(), parslish.AppFuture)


@pytest.mark.parametrize("decorator", DECORATORS)
def test_an_unknown_keyword_is_a_type_error_that_names_it(decorator: Any) -> None:
    with pytest.raises(TypeError, match=r"cahce.*did you mean 'cache'"):
        decorator(cahce=True)


def test_all_options_are_taken_and_executors_not_by_a_join_app() -> None:
    python_app(**OPTIONS)
    bash_app(**OPTIONS)
    join_app(**{name: value for name, value in OPTIONS.items() if name != "executors"})
    with pytest.raises(TypeError, match="executors"):
        join_app(executors="all")


def test_a_decorated_function_keeps_its_name_and_docstring() -> None:
    @python_app
    def documented() -> int:
        """What it does."""
        return 1

    assert (documented.__name__, documented.__doc__) == ("documented", "What it does.")


def test_a_parameter_named_cache_is_the_functions_own() -> None:
    @python_app(cache=True)
    def app(cache: str, executors: int = 1, data_flow_kernel: int = 2, ignore_for_cache: int = 3) -> Any:
        return cache, executors, data_flow_kernel, ignore_for_cache

    assert app(cache="mine", executors=9).result() == ("mine", 9, 2, 3)


def test_an_app_can_be_a_method() -> None:
    class Model:
        def __init__(self, factor: int) -> None:
            self.factor = factor

        @python_app
        def scaled(self, x: int) -> int:
            return self.factor * x

    assert Model(3).scaled(4).result() == 12


def test_the_plain_function_is_still_reachable() -> None:
    assert python_app(lambda x: x + 1).func(1) == 2


def test_15_partials_and_callables_with_state_are_apps() -> None:
    class Scale:
        def __init__(self, factor: int) -> None:
            self.factor = factor

        def __call__(self, x: int) -> int:
            return self.factor * x

    assert python_app(functools.partial(pow, 2))(5).result() == 32
    assert python_app(functools.partial(Scale(2)))(5).result() == 10
    assert python_app(Scale(3))(5).result() == 15
    assert python_app(len)([1, 2]).result() == 2


def test_15_partials_and_callables_with_state_are_told_apart_by_their_state() -> None:
    class Scale:
        def __init__(self, factor: int) -> None:
            self.factor = factor

        def __call__(self, x: int) -> int:
            return self.factor * x

    assert [python_app(Scale(k), cache=True)(5).result() for k in (2, 3)] == [10, 15]
    assert [python_app(functools.partial(pow, k), cache=True)(2).result() for k in (2, 3)] == [4, 9]


def test_15_a_default_whose_comparison_raises_harms_nothing() -> None:
    class Awkward:
        def __eq__(self, other: object) -> bool:
            raise RuntimeError("must not be compared")

        __hash__ = None  # type: ignore[assignment]

        def __bool__(self) -> bool:
            raise RuntimeError("must not be tested")

    awkward = Awkward()

    @python_app(cache=True)
    def app(x: int, odd: Any = awkward, inputs: Any = (), stdout: Any = None) -> bool:
        return odd is awkward

    assert app(1).result() is True
    assert app(1, odd=awkward).result() is True


def test_the_oldest_spelling_takes_what_it_took() -> None:
    app = App("python", parslish.dfk(), walltime=60, cache=True, executors="all")(lambda x: x + 1)
    assert app(1).result() == 2
