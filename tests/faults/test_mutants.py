"""The tests of faults, tested: each of a dozen planted mistakes is noticed, and without it nothing is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults import plan
from tests.faults.mutants import MUTANTS


@pytest.fixture(autouse=True)
def uncounted() -> None:
    """What runs here are no further cases of faults."""
    before = plan.ran.copy()
    yield
    plan.ran.clear()
    plan.ran.update(before)


@pytest.mark.parametrize("mistake", MUTANTS, ids=lambda mistake: mistake.__name__)
def test_a_planted_mistake_is_noticed(mistake: Callable[[pytest.MonkeyPatch], None]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        mistake(patch)
        with pytest.raises(AssertionError):
            MUTANTS[mistake](patch)


@pytest.mark.parametrize("test", dict.fromkeys(MUTANTS.values()), ids=lambda test: test.__name__)
def test_without_it_nothing_is(test: Callable[[pytest.MonkeyPatch], None]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        test(patch)


def test_there_are_ten_at_least() -> None:
    assert len(MUTANTS) >= 10
