"""T6, by the system itself: SIGKILL as a thread makes its N-th call of some kind."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import machine, plan, traced
from tests.faults.drivers import recovered
from tests.faults.stores import SOAK, seeded
from tests.faults.traced import Call, Server

THREADS = [("always", "main"), ("always", "parslish-sync"), ("batch", "threads-0"), ("batch", "main")]
HERE = 12  # kills of each thread; the soak has all


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    machine.need_strace()
    with Server(tmp_path) as server:
        yield server


@pytest.mark.parametrize(("scene", "thread"), THREADS)
def test_a_kill_at_any_call_takes_nothing_that_was_seen(server: Server, scene: str, thread: str) -> None:
    rng = seeded(f"strace kill {scene} {thread}")
    undisturbed = server.run(scene, thread)
    assert undisturbed.code == 0 and undisturbed.seen == traced.ALL, undisturbed.err
    points = some(rng, undisturbed.folder)
    kills = 0
    for call in points:
        outcome = server.run(scene, thread, [f"{call.name}:signal=SIGKILL:when={call.n}"])
        was_killed = outcome.code == -signal.SIGKILL
        try:
            # Which thread makes a folder's name durable is not the same each time.
            assert was_killed or not outcome.was_hit, f"it was killed, and its code is {outcome.code}"
            traced.judge(server, scene, outcome, loses_nothing=True, is_at_end=not was_killed)
        except AssertionError as exc:
            raise AssertionError(f"SIGKILL at {call.name} {call.n}, {call.line}: {exc}") from exc
        kills += was_killed
        plan.count("T6", was_killed)
    assert kills > len(points) // 2, "the kills did not come"


def some(rng: random.Random, folder: Path) -> list[Call]:
    """Calls of a case to kill at, in their order."""
    points = list(traced.calls(folder))
    assert len(points) > 5
    return points if SOAK > 1 else sorted(rng.sample(points, min(HERE, len(points))), key=points.index)


def test_a_kill_at_any_call_of_a_compaction_loses_nothing(server: Server, tmp_path: Path) -> None:
    store = server.run("always", inject=None).folder
    key = Path(os.environ["PARSLISH_KEY_FILE"])
    key.write_text("01" * 32 + "\n" + key.read_text())  # now the first: all is to be signed anew
    copies = itertools.count()

    def compact(inject: list[str] | None) -> traced.Outcome:
        return server.run("compact", inject=inject, folder=copied(store, tmp_path / f"copy{next(copies)}"))

    undisturbed = compact([])
    assert undisturbed.code == 0, undisturbed.err
    assert {"write", "fsync", "unlink"} <= {call.name for call in traced.calls(undisturbed.folder)}
    for call in some(seeded("strace compaction"), undisturbed.folder):
        killed = compact([f"{call.name}:signal=SIGKILL:when={call.n}"])
        assert killed.code == -signal.SIGKILL, f"the kill did not come at {call.line}"
        finished = server.run("compact", inject=None, folder=killed.folder)
        assert finished.code == 0, f"after a kill at {call.line}: {finished.err}"
        traced.judge(server, "always", finished, loses_nothing=True, is_at_end=False)
        assert recovered(killed.folder / "runinfo").keys() == set(traced.ALL), call.line
        assert not list(killed.folder.glob("runinfo/*/checkpoint/*.unfinished")), call.line
        plan.count("T6")


def copied(store: Path, target: Path) -> Path:
    """A copy of a case's folder."""
    shutil.copytree(store, target)
    return target
