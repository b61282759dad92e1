"""Runs of many tasks are executed again in time that grows as they do."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from parslish import RecordedRun
from tests.rerun.program import again, first

APPS = """
@python_app(cache=True)
def one(i):
    return i

@python_app(cache=True)
def two(x):
    return x

@python_app(cache=True)
def bad(i):
    if os.path.exists("broken"):
        raise ValueError
    return i
"""
MANY = 20_000
SLOWEST_S = 20.0  # for what takes about 2 s: what is quadratic takes minutes


def timed(run: RecordedRun, **how: object) -> tuple[RecordedRun, float]:
    began = time.perf_counter()
    new = run.rerun(**how)  # type: ignore[arg-type]
    return new, time.perf_counter() - began


@pytest.fixture
def pairs() -> RecordedRun:
    return first(APPS, f"[each.result() for each in [two(one(i)) for i in range({MANY // 2})]]")


def count(run: RecordedRun, status: str) -> int:
    return sum(task.status == status for task in run.record)


def test_all_is_reused(pairs: RecordedRun) -> None:
    new, took_s = timed(pairs)
    assert count(new, "reused") == MANY
    assert took_s < SLOWEST_S


def test_half_is_computed_anew_and_what_depends_on_the_rest_is_reused(pairs: RecordedRun) -> None:
    new, took_s = timed(pairs, from_=f"one and arg:i<{MANY // 4}")
    assert (count(new, "done"), count(new, "reused")) == (MANY // 2, MANY // 2)
    assert took_s < SLOWEST_S


def test_many_failures_are_gone_on_from() -> None:
    Path("broken").touch()
    run = first(APPS, f"[each.exception() for each in [two(bad(i)) for i in range({MANY // 4})]]")
    assert count(run, "upstream_failed") == MANY // 4
    Path("broken").unlink()
    new, took_s = timed(run, from_failure=True)
    assert count(new, "done") == MANY // 2
    assert took_s < SLOWEST_S


def test_many_are_made_again_by_record(pairs: RecordedRun) -> None:
    new, took_s = timed(pairs, only="two")
    assert count(new, "done") == len(new.record) == MANY // 2
    assert took_s < SLOWEST_S


def test_many_restarts_and_edits_are_marks_of_their_own(pairs: RecordedRun) -> None:
    began = time.perf_counter()
    for i in range(100):
        pairs.edit(f"-/one[{i}]", result=-i - 1)
        pairs.restart_task(f"-/one[{100 + i}]")
    assert time.perf_counter() - began < SLOWEST_S
    new, took_s = timed(pairs)
    assert new.record.task("-/two[7]").result == -8
    assert count(new, "done") == 100 + 200
    assert took_s < SLOWEST_S


def test_many_invalidations_are_looked_through_at_once(pairs: RecordedRun) -> None:
    for i in range(50):
        pairs.invalidate(f"-/two[{i}]")
    began = time.perf_counter()
    assert len(pairs.invalidations()) == 50
    assert time.perf_counter() - began < SLOWEST_S
    assert count(again(), "done") == 50
