"""What a task costs does not rise unnoticed: counts of calls, locks, system calls, memory and threads, and no clock.

The figures are in `figures.json`. Where a rise is meant: `python -m tests.costs.figures --renew`, and say why in the
commit that changes them.
"""

from __future__ import annotations

import pytest

from tests.costs import figures


@pytest.mark.parametrize("kind", figures.KINDS)
def test_a_task_costs_no_more_than_it_did(kind: str) -> None:
    before, slack = figures.stored(kind, figures.running())
    risen = figures.risen(kind, before, figures.measured(kind), slack)
    assert not risen, f"{kind} rose ({'; '.join(risen)}); if that is meant: {figures.RENEW}"


@pytest.mark.parametrize(
    ("now", "sentence"),
    [
        ({"threads, submit: locks": 2000}, []),
        ({"threads, submit: locks": 1999}, []),
        ({"threads, submit: locks": 2001}, ["threads, submit: locks: from 2000 to 2001 per 1,000 tasks"]),
        ({"threads, wait: locks": 1}, ["threads, wait: locks: from 0 to 1 per 1,000 tasks"]),
    ],
)
def test_a_rise_is_told_with_what_it_was(now: dict[str, int], sentence: list[str]) -> None:
    assert figures.risen("locks", {"threads, submit: locks": 2000}, now) == sentence


def test_figures_of_another_version_of_python_are_taken_with_slack() -> None:
    assert figures.stored("calls", "3.99")[1] == figures.SLACK
    assert figures.risen("calls", {"submit: C calls": 1000}, {"submit: C calls": 1150}, figures.SLACK) == []
    assert figures.risen("calls", {"submit: C calls": 1000}, {"submit: C calls": 1151}, figures.SLACK) != []


def test_another_way_through_the_threads_is_told_whatever_its_length() -> None:
    told = figures.risen("hops", {"threads": ["MainThread", "threads-0"]}, {"threads": ["MainThread"]})
    assert told == ["threads: from ['MainThread', 'threads-0'] to ['MainThread']"]
