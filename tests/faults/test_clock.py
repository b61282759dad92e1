"""T15: the wall clock jumps, between runs and within one. No order of records depends on it (I7), no wait, no key."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

import parslish
from parslish import Config, ThreadPoolExecutor, python_app
from parslish.result import StoredResult
from parslish.secret import Keys
from parslish.store.check import check
from parslish.store.disk import OS_DISK
from parslish.store.frame import Type
from parslish.store.reader import read_frames
from tests.faults import plan
from tests.faults.executor import InlineExecutor
from tests.faults.stores import SOAK, seeded

HOUR_S, YEAR_S = 3_600.0, 365.25 * 86_400
JUMPS_S = [HOUR_S, -HOUR_S, 10 * YEAR_S, -10 * YEAR_S, 0.001, -0.001, -60 * YEAR_S]
MOMENTS_S = [2_147_483_647.5, 4_294_967_295.5, 0.0, 253_402_300_799.0]  # 2038, 2106, 1970, the end of the year 9999
PATIENCE_S = 30.0


class Clock:
    """A wall clock that can be set, and that jumps by itself now and then."""

    def __init__(self, rng: random.Random, monkeypatch: pytest.MonkeyPatch) -> None:
        self._rng, self._real = rng, time.time
        self._off_s = 0.0
        self.restless = False
        monkeypatch.setattr(time, "time", self)
        monkeypatch.setattr(OS_DISK, "time", self, raising=False)

    def __call__(self) -> float:
        if self.restless and self._rng.random() < 0.2:
            self.jump()
        return self._real() + self._off_s

    def jump(self) -> None:
        """Jump by an hour or by years, or to where numbers of 32 bits end."""
        if self._rng.random() < 0.25:
            self._off_s = self._rng.choice(MOMENTS_S) - self._real() - 0.0005
        else:
            self._off_s += self._rng.choice(JUMPS_S)


@pytest.mark.parametrize("round_", range(4))
def test_a_clock_that_jumps_loses_nothing_and_the_last_run_counts(round_: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = seeded(f"clock {round_}")
    clock = Clock(rng, monkeypatch)
    for case in range(25 * SOAK):
        clock.restless = rng.random() < 0.5
        _three_runs(rng, clock, f"case{case}")
        plan.count("T15")


def _three_runs(rng: random.Random, clock: Clock, run_dir: str) -> None:
    """Each computes what it does not find, and one result once more, which then counts for those that follow."""
    runs: list[int] = []
    latest: dict[int, int] = {}

    def config(**options: object) -> Config:
        executor = rng.choice([InlineExecutor, ThreadPoolExecutor])()
        mode = rng.choice(["task_exit", "dfk_exit", "periodic"])
        return Config([executor], checkpoint_mode=mode, run_dir=run_dir, checkpoint_period=0.01, **options)  # type: ignore[arg-type]

    def value(number: int) -> tuple[int, int]:
        runs.append(number)
        latest[number] = run
        return number, run

    kept = python_app(value, cache=True, version="1")
    for run in range(3):
        clock.jump()
        # A run that loads nothing computes all anew, under the same keys.
        options = {"checkpoint_files": []} if rng.random() < 0.3 else {}
        before = len(runs)
        with parslish.load(config(**options)):
            for number in range(4):
                expected = (number, run if options else latest.get(number, run))
                assert kept(number).result(PATIENCE_S) == expected, "another run's result counts"
                clock.jump()
        assert len(runs) - before == (4 if options or not run else 0)
    for checkpoint in parslish.get_all_checkpoints(run_dir):
        assert check(checkpoint).state == "clean"
        for record in read_frames(Path(checkpoint), Keys.load(), types=[Type.RESULT]):
            assert 0 <= StoredResult.unpack(record.body).duration < PATIENCE_S


@pytest.mark.parametrize("jump_s", [-10 * YEAR_S, 10 * YEAR_S])
def test_waits_go_on_when_the_clock_jumps(jump_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A period and a walltime are lengths of time, and no moments of the day."""
    real = time.time
    app = python_app(lambda: 1, cache=True, version="1")
    slow = python_app(lambda: time.sleep(0.3))
    with parslish.load(Config(checkpoint_mode="periodic", checkpoint_period=0.05)):
        monkeypatch.setattr(time, "time", lambda: real() + jump_s)
        monkeypatch.setattr(OS_DISK, "time", time.time, raising=False)
        assert app().result(PATIENCE_S) == 1
        began = time.monotonic()
        while not list(Path("runinfo/000/checkpoint").glob("*.seg")):
            assert time.monotonic() - began < PATIENCE_S
            time.sleep(0.01)
        assert isinstance(slow(walltime=0.05).exception(PATIENCE_S), parslish.AppTimeout)


def test_what_was_computed_in_the_future_has_not_expired(monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time
    runs: list[int] = []
    app = python_app(lambda: runs.append(1), cache=True, version="1", expires="1h")
    for off_s, executions in [(0.0, 1), (-10 * YEAR_S, 1), (2 * HOUR_S, 2), (HOUR_S, 2), (10 * YEAR_S, 3)]:
        monkeypatch.setattr(time, "time", lambda off_s=off_s: real() + off_s)
        with parslish.load(Config(checkpoint_mode="task_exit")):
            app().result(PATIENCE_S)
        assert len(runs) == executions, f"{off_s} s from now"
