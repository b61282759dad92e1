"""T10: SIGTERM or SIGINT, once or twice, while something large is pickled and written; SIGKILL when the time that a
batch system leaves is over. `test_signals.py` has what a script sees of it."""

from __future__ import annotations

import random
import signal
import subprocess
import time

import pytest

import parslish
from parslish.store.check import check
from tests.faults import plan
from tests.faults.drivers import Driver, recovered
from tests.faults.scripts.large import COUNT, LARGE_COUNT, LARGE_FIRST, PICKLED_BYTES
from tests.faults.stores import SOAK, seeded

ROUNDS = SOAK  # of each grace and signal
SIZES = [3 << 20, 12 << 20, 40 << 20]  # bytes of a pickle
HUGE = 1 << 30  # now and then in the soak
SMALL_S = 2.0  # within which a script ends that has 8 MiB pending


@pytest.mark.parametrize("round_", range(ROUNDS))
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("grace_s", [2.0, 10.0, 30.0])
def test_whatever_the_grace_what_was_seen_is_kept(grace_s: float, number: signal.Signals, round_: int) -> None:
    rng = seeded(f"grace {grace_s} {number} {round_}")
    size = HUGE if SOAK > 1 and round_ % 20 == 0 else rng.choice(SIZES)
    driver = Driver("large.py", rng.choice(["threads", "processes"]), "task_exit", size)
    for _ in range(rng.randrange(1, 4)):
        driver.await_line("large")
    time.sleep(rng.uniform(0, 0.05))  # the moment of the signal, no waiting
    took_s = _end(driver, rng, number, grace_s)
    assert driver.survivors() == []
    if size == min(SIZES):
        assert took_s < SMALL_S, f"{took_s:.2f} s with {size:,} bytes pending"
    _judge(driver, size)
    plan.count("T10")


def _end(driver: Driver, rng: random.Random, number: signal.Signals, grace_s: float) -> float:
    """Send the signal, perhaps twice, and SIGKILL when the grace is over; returns how long it took to end."""
    began = time.monotonic()
    driver.send(number)
    if rng.random() < 0.5:
        time.sleep(rng.uniform(0, 0.3))
        driver.send(number)
    try:
        driver.process.wait(grace_s)
    except subprocess.TimeoutExpired:
        driver.send(signal.SIGKILL)
    code, err = driver.end()
    assert code in (128 + signal.SIGTERM, -signal.SIGINT, -signal.SIGKILL), err
    assert "InternalError" not in err, err
    if code == 128 + signal.SIGTERM:
        assert "run the same script again" in err, err
    return time.monotonic() - began


def _judge(driver: Driver, size: int) -> None:
    kept = recovered()
    assert set(driver.facts("seen")) <= kept.keys() <= {*range(COUNT), *range(LARGE_FIRST, LARGE_FIRST + LARGE_COUNT)}
    for task, value in kept.items():
        assert value == ([float(task)] * (size // PICKLED_BYTES) if task >= LARGE_FIRST else task * task)
    states = {check(folder).state for folder in parslish.get_all_checkpoints()}
    assert states <= {"clean", "torn"}
