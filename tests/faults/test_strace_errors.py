"""T7, by the system itself: a thread's N-th call of some kind fails, alone or with all that follow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from parslish.exit_code import LOST
from tests.faults import machine, plan, traced
from tests.faults.stores import SOAK, seeded
from tests.faults.test_strace_kill import THREADS
from tests.faults.traced import Outcome, Server

ERRORS = ["ENOSPC", "EDQUOT", "EIO", "EMFILE", "EACCES", "ESTALE", "EROFS"]
HERE = 8  # calls of each thread that fail; the soak has all, with every error


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    machine.need_strace()
    with Server(tmp_path) as server:
        yield server


@pytest.mark.parametrize("following", ["", "+"], ids=["once", "from then on"])
@pytest.mark.parametrize(("scene", "thread"), THREADS)
def test_an_error_of_any_call_hangs_nothing_and_what_is_lost_is_told(
    server: Server, scene: str, thread: str, following: str
) -> None:
    rng = seeded(f"strace error {scene} {thread} {following}")
    cases = [
        (call, error)
        for call in traced.calls(server.run(scene, thread).folder)
        for error in (ERRORS if SOAK > 1 else [rng.choice(ERRORS)])
    ]
    for call, error in cases if SOAK > 1 else rng.sample(cases, min(HERE, len(cases))):
        outcome = server.run(scene, thread, [f"{call.name}:error={error}:when={call.n}{following}"])
        try:
            assert outcome.was_hit, "the error did not come"
            _judge(server, scene, outcome)
        except AssertionError as exc:
            raise AssertionError(f"{error} at {call.name} {call.n}{following}, {call.line}: {exc}") from exc
        plan.count("T7")


def _judge(server: Server, scene: str, outcome: Outcome) -> None:
    refused = traced.is_refused(outcome)
    assert outcome.code in (0, LOST) or refused, outcome.err
    assert outcome.err.count("tasks go on") <= 1, f"one trouble, told twice:\n{outcome.err}"
    traced.judge(server, scene, outcome, loses_nothing=outcome.code == 0, is_at_end=not refused)


@pytest.mark.parametrize(("scene", "thread"), [("always", "main"), ("batch", "threads-0")])
def test_a_write_that_writes_nothing_is_written_again(server: Server, scene: str, thread: str) -> None:
    writes = [call for call in traced.calls(server.run(scene, thread).folder) if call.name == "write"]
    assert writes
    for call in writes if SOAK > 1 else seeded("nothing written").sample(writes, 5):
        outcome = server.run(scene, thread, [f"write:retval=0:when={call.n}"])
        assert outcome.was_hit
        _judge(server, scene, outcome)
        plan.count("T7")
