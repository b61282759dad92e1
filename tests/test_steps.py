"""Steps of one thread run one after the other, never inside each other."""

from __future__ import annotations

import sys
import threading

from parslish.steps import Steps


def test_the_first_step_runs_at_once_and_those_it_asks_for_after_it() -> None:
    steps, order = Steps(), []

    def outer() -> None:
        steps.soon(lambda: order.append("inner"))
        order.append("outer")

    steps.soon(outer)
    assert order == ["outer", "inner"]


def test_a_chain_longer_than_the_stack_needs_no_stack() -> None:
    steps, depths = Steps(), set()

    def step(left: int) -> None:
        depths.add(len(sys._current_frames()) and _depth())
        if left:
            steps.soon(lambda: step(left - 1))

    steps.soon(lambda: step(10_000))
    assert len(depths) == 1


def _depth() -> int:
    frame, depth = sys._getframe(), 0
    while frame := frame.f_back:  # type: ignore[assignment]
        depth += 1
    return depth


def test_each_thread_has_a_queue_of_its_own() -> None:
    steps, ran = Steps(), threading.Event()

    def step() -> None:
        other = threading.Thread(target=lambda: steps.soon(ran.set))
        other.start()
        other.join()
        assert ran.is_set()

    steps.soon(step)
    assert ran.is_set()
