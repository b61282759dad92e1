"""How many short jobs go at once: pure numbers."""

from __future__ import annotations

from collections import deque

from parslish.executors import batch

SHORT_S = 50e-6


def take(costs: list[float], load_s: float = 0.0, held: int = 0, workers: int = 1) -> int:
    """How many jobs of these costs are taken; they must be the first, in order."""
    queue = deque(enumerate(costs))
    taken = batch.take(queue, lambda job: job[1], load_s, held, workers)
    assert [number for number, _ in taken] == list(range(len(taken)))
    assert len(taken) + len(queue) == len(costs)
    return len(taken)


def test_a_lone_job_goes_at_once() -> None:
    assert take([SHORT_S], workers=8) == 1


def test_a_long_or_unknown_job_goes_alone() -> None:
    assert take([batch.UNKNOWN_S] * 10) == 1
    assert take([1e6, SHORT_S]) == 1


def test_a_long_job_is_not_put_behind_short_ones() -> None:
    assert take([SHORT_S, SHORT_S, batch.UNKNOWN_S, SHORT_S]) == 2


def test_a_long_job_is_not_put_behind_what_the_worker_holds() -> None:
    assert take([batch.UNKNOWN_S], load_s=SHORT_S, held=1) == 0


def test_short_jobs_are_packed_up_to_the_target() -> None:
    assert take([0.15 * batch.TARGET_S] * 100) == 6


def test_a_pack_has_a_greatest_size() -> None:
    assert take([1e-9] * 10_000) == batch.PACK


def test_nobody_takes_more_than_an_even_share() -> None:
    assert take([1e-9] * 9, workers=4) == 3
    assert take([1e-9] * 3, workers=4) == 1


def test_an_empty_queue_gives_nothing() -> None:
    assert take([]) == 0


def test_a_worker_has_room_until_it_holds_enough_work_or_enough_jobs() -> None:
    assert batch.has_room(0.0, 0)
    assert not batch.has_room(batch.ROOM_S, 1)
    assert not batch.has_room(batch.UNKNOWN_S, 1)
    assert batch.has_room(0.0, batch.MOST - batch.PACK)
    assert not batch.has_room(0.0, batch.MOST - batch.PACK + 1)


def test_the_first_duration_replaces_the_unknown() -> None:
    assert batch.learn(batch.UNKNOWN_S, 0.001) == 0.001 + batch.OVERHEAD_S


def test_cost_rises_at_once_and_falls_slowly() -> None:
    assert batch.learn(SHORT_S, 0.5) >= 0.5
    assert 0.3 < batch.learn(0.5, 0.0) < 0.5


def test_an_hour_long_job_is_no_more_than_unknown() -> None:
    assert batch.learn(SHORT_S, 3600.0) == batch.UNKNOWN_S


def test_one_hiccup_is_forgotten_within_some_dozen_jobs() -> None:
    cost = batch.learn(SHORT_S, 0.010)
    for _ in range(36):
        cost = batch.learn(cost, 1e-6)
    assert cost < 2 * SHORT_S
