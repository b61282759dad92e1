"""T5: SIGKILL of the driver at random moments, again and again, until the work is done all the same.

Each round goes on from what the rounds before it left, so a store is torn many times over.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults import plan
from tests.faults.drivers import Driver, recovered, run
from tests.faults.scripts.grid import content
from tests.faults.stores import SOAK, seeded

KILLS = {"threads": 13 * SOAK, "processes": 13 * SOAK, "dask": 4 * SOAK}  # of each size, so 60 in all


class Campaign:
    """One piece of work, done by drivers that are killed one after the other.

    Args:
        count: how many tasks the work has.
        size: bytes of a result.
    """

    def __init__(self, rng: random.Random, executor: str, count: int, size: int) -> None:
        self.rng, self.executor, self.count, self.size = rng, executor, count, size
        self.kept: set[int] = set()  # what the last look at the store found
        self.kills = 0
        self._executed = 0  # lines of the file `executed` that were looked at

    def round_with_a_kill(self, rounds_left: int, settle: Callable[[], None]) -> None:
        """Start the script, kill it somewhere, wait until its tasks have settled, and look at what it left."""
        driver = self._driver(Driver)
        # Hits come first and fast; the kill falls among the new results, or before the first of them.
        new = self.rng.randint(0, 2 * (self.count - len(self.kept)) // (rounds_left + 1))
        seen = -1
        while seen < len(self.kept) + new and driver.line() is not None:
            seen += 1
        time.sleep(self.rng.choice([0, self.rng.uniform(0, 0.003)]))  # the moment of the kill, no waiting
        driver.send(signal.SIGKILL)
        driver.end()
        assert driver.survivors() == []
        settle()
        was_killed = driver.process.returncode == -signal.SIGKILL
        self.kills += was_killed
        self._judge(driver, was_killed=was_killed)

    def finish(self) -> None:
        """Run to the end: exactly what is missing is executed; and once more: nothing is."""
        for missing in (self.count - len(self.kept), 0):
            driver = self._driver(run)
            assert sorted(driver.facts("seen")) == list(range(self.count))
            assert len(self._judge(driver, was_killed=False)) == missing

    def _driver(self, start: Callable[..., Driver]) -> Driver:
        return start("grid.py", self.executor, self.rng.choice(["batch", "always"]), self.count, self.size)

    def _judge(self, driver: Driver, *, was_killed: bool) -> list[int]:
        """The oracles after a round; returns what it executed."""
        assert "wrong value" not in driver.err
        assert was_killed or driver.process.returncode == 0, driver.err
        executed = self._newly_executed()
        again = self.kept.intersection(executed)
        assert not again, f"kept results were computed again: {again}"
        values = recovered()
        assert all(value == content(number, self.size) for number, value in values.items())
        assert set(driver.facts("seen")) <= values.keys() <= self.kept | set(executed)
        assert self.kept <= values.keys()
        self.kept = set(values)
        return executed

    def _newly_executed(self) -> list[int]:
        path = Path("executed")
        lines = path.read_text().split() if path.exists() else []
        new, self._executed = lines[self._executed :], len(lines)
        return [int(line) for line in new]


@pytest.fixture(scope="module")
def dask() -> Iterator[Any]:
    """The client of a Dask cluster that outlives the drivers. One thread works, so that what a killed driver left is
    done when anything that was submitted later is."""
    distributed = pytest.importorskip("distributed", reason="needs the extra dask: pip install 'parslish[dask]'")
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as own,
        distributed.Client(own, set_as_default=False) as client,
    ):
        yield client


@pytest.mark.parametrize("executor", ["threads", "processes"])
@pytest.mark.parametrize(("count", "size"), [(300, 2_000), (9, 4_000_000)])
def test_nothing_that_a_caller_saw_is_lost_or_computed_again(executor: str, count: int, size: int) -> None:
    _campaign(executor, executor, count, size)


# distributed leaves sockets to the garbage collector when its local cluster ends.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("count", "size"), [(300, 2_000), (9, 4_000_000)])
def test_nothing_that_a_caller_saw_is_lost_or_computed_again_on_dask(dask: Any, count: int, size: int) -> None:
    def settle() -> None:
        dask.submit(os.getpid, pure=False).result()

    _campaign("dask", dask.scheduler.address, count, size, settle)


def _campaign(kind: str, executor: str, count: int, size: int, settle: Callable[[], None] = lambda: None) -> None:
    campaign = Campaign(seeded(f"kill {kind} {size}"), executor, count, size)
    for rounds_left in reversed(range(KILLS[kind])):
        campaign.round_with_a_kill(rounds_left, settle)
        plan.count("T5")
    assert campaign.kills > KILLS[kind] * 2 // 3, "most kills came too late to prove anything"
    campaign.finish()
