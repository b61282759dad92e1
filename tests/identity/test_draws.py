"""Whether code draws random numbers, as its code tells."""

from __future__ import annotations

import functools
from typing import Any

import pytest

import parslish
from parslish import python_app, rng, workflow
from parslish import rng as other_name
from parslish.identity.draws import draws


def directly() -> Any:
    return rng()


def by_package() -> Any:
    return parslish.rng("noise")


def under_another_name() -> Any:
    return other_name()


def imported_inside() -> Any:
    from parslish import rng as inside

    return inside()


def package_imported_inside() -> Any:
    import parslish as p

    return p.rng()


def by_helper() -> Any:
    return deeper()


def deeper() -> Any:
    return [directly() for _ in range(2)]


def in_a_lambda() -> Any:
    return (lambda: rng())()


def by_default(draw: Any = directly) -> Any:
    return draw()


class Sampler:
    def sample(self) -> Any:
        return rng()


class Child(Sampler):
    pass


class Lazy:
    @functools.cached_property
    def value(self) -> Any:
        return rng()


SAMPLER = Child()
TABLE = {"one": directly}
BOUND = SAMPLER.sample


def by_class() -> Any:
    return Child().sample()


def by_object() -> Any:
    return SAMPLER.sample()


def by_property() -> Any:
    return Lazy().value


def by_table(which: str) -> Any:
    return TABLE[which]()


def by_method() -> Any:
    return BOUND()


@functools.lru_cache
def remembered() -> Any:
    return rng()


def by_decorated() -> Any:
    return remembered()


@workflow
def flow() -> Any:
    return rng()


def by_workflow() -> Any:
    return flow()


def closure() -> Any:
    helper = deeper

    def inside() -> Any:
        return helper()

    return inside


def round_in_circles() -> Any:
    return other_half()


def other_half() -> Any:
    return round_in_circles() or rng()


DRAW = [
    directly, by_package, under_another_name, imported_inside, package_imported_inside, by_helper, in_a_lambda,
    by_default, by_class, by_object, by_property, by_table, by_method, by_decorated, by_workflow, closure(),
    round_in_circles, remembered, functools.partial(by_default, directly), functools.partial(map, directly),
    SAMPLER.sample, Child, flow,
]  # fmt: skip


@pytest.mark.parametrize("func", DRAW, ids=str)
def test_it_is_seen(func: Any) -> None:
    assert draws(func)


app_that_draws = python_app(directly)


def calls_an_app() -> Any:
    return app_that_draws()


class Model:
    def __init__(self) -> None:
        self.rng = 3

    def step(self) -> int:
        return self.rng


def has_an_rng_of_its_own(model: Model) -> Any:
    return parslish.scope("x"), model.rng, Model().step()


def rng_of_numpy() -> Any:
    import numpy

    return numpy.random.default_rng().integers(0, 3)


def goes_round() -> Any:
    return goes_round()


@pytest.mark.parametrize(
    "func", [calls_an_app, has_an_rng_of_its_own, rng_of_numpy, goes_round, len, print, int, 3, None], ids=str
)
def test_what_is_no_draw_is_not_taken_for_one(func: Any) -> None:
    assert not draws(func)


def test_nothing_is_imported_or_run_for_the_look() -> None:
    class Trap:
        def __getattribute__(self, name: str) -> Any:
            raise AssertionError(f"asked for {name}") if not name.startswith("__") else AttributeError(name)

    trap = Trap()

    def uses_it() -> Any:
        import no_such_module_of_mine

        return trap.value, no_such_module_of_mine.draw()  # type: ignore[attr-defined]

    assert not draws(uses_it)


def test_the_library_itself_does_not_count() -> None:
    """Functions of parslish refer to `rng`, as the package does; that is no draw of the user's."""

    def uses_parslish() -> Any:
        return parslish.File("x"), parslish

    assert not draws(uses_parslish)
