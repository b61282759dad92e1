"""T12: fork, spawn, use after fork, and kernels within kernels: each process writes what is its own (I5), nobody waits
for a lock that stayed behind, and the run folder is whole."""

from __future__ import annotations

import pytest

import parslish
from parslish.store.check import check
from tests.faults import plan
from tests.faults.drivers import recovered, run
from tests.faults.stores import SOAK

COUNT = 10  # children of each scene on each executor


@pytest.mark.parametrize("round_", range(SOAK))
@pytest.mark.parametrize("executor", ["threads", "processes"])
@pytest.mark.parametrize(
    ("scene", "childs_results"), [("fork", 10), ("use_after_fork", 0), ("spawn", 10), ("nested", 0)]
)
def test_children_do_their_work_and_leave_the_parents_alone(
    scene: str, childs_results: int, executor: str, round_: int
) -> None:
    driver = run("forks.py", scene, executor, COUNT)
    assert driver.facts("child") == [0] * COUNT, driver.err
    assert "Traceback" not in driver.err
    assert driver.survivors() == []
    childs = {1_000 + number for number in range(childs_results * COUNT)}
    assert recovered() == {number: -number for number in {*driver.facts("seen"), *childs}}
    assert {check(folder).state for folder in parslish.get_all_checkpoints()} == {"clean"}
    plan.count("T12", COUNT)
