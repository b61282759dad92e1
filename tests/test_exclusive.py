"""Kernels on one run folder: each has a run of its own, and what is exclusive is computed by one of them.

A lease is an optimisation: what is tested beside that is that nothing hangs, and nothing fails, where there is none.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

import parslish
from parslish import (
    AppFuture,
    Config,
    ConfigurationError,
    DataFlowKernel,
    ThreadPoolExecutor,
    join_app,
    leases,
    python_app,
)
from parslish.history import alive
from parslish.leases import LEASE_S, SAMPLES, Leases
from parslish.memoizer import BasicMemoizer
from parslish.turns import Turns
from tests.faults.drivers import PATIENCE_S, Driver, recovered
from tests.faults.scripts.exclusive import cell
from tests.faults.stores import seeded

RUN_DIR = Path("runinfo")
FOLDER = RUN_DIR / leases.FOLDER
KEY = bytes(range(32))
KERNELS = 8


@pytest.fixture
def kernel() -> Iterator[DataFlowKernel]:
    with task_exit() as loaded:
        yield loaded


def task_exit(**options: Any) -> DataFlowKernel:
    return parslish.load(Config([ThreadPoolExecutor(max_threads=2)], checkpoint_mode="task_exit", **options))


def executed() -> list[int]:
    """The numbers of the tasks that were run, by whichever kernel."""
    return [int(line) for line in Path("executed").read_text().split()] if Path("executed").exists() else []


def await_that(holds: Callable[[], object]) -> None:
    """Wait for what another thread or process does."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.002)


def working(count: int = 1, *, fails: bool = False) -> Driver:
    """Another kernel, whose tasks wait until there is a file `gate`."""
    driver = Driver("exclusive.py", count, "gate", fails)
    driver.await_line("loaded")
    await_that(lambda: len(held()) == count and executed())
    return driver


def held() -> list[Path]:
    """The lease files."""
    names = os.listdir(FOLDER) if FOLDER.exists() else []
    return [FOLDER / name for name in names if len(name) == 64]


def expire(path: Path) -> None:
    now = (FOLDER / "clock").stat().st_mtime if (FOLDER / "clock").exists() else path.stat().st_mtime
    os.utime(path, (now - 2 * LEASE_S, now - 2 * LEASE_S))


def owners() -> list[int]:
    """The process of each lease."""
    return [json.loads(path.read_text())["pid"] for path in held()]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]


# ------------------------------------------------------------------------------- several kernels


def test_kernels_that_start_together_each_get_a_run_of_their_own() -> None:
    Path("gate").touch()
    drivers = [Driver("grid.py", "threads", "batch", 6, 10) for _ in range(KERNELS)]
    for driver in drivers:
        code, err = driver.end()
        assert code == 0, err
        assert sorted(driver.facts("seen")) == list(range(6))
    assert sorted(path.name for path in RUN_DIR.iterdir()) == [f"{number:03d}" for number in range(KERNELS)]
    assert len(recovered()) == 6, "all of their results load"


def test_what_is_exclusive_is_computed_once_by_kernels_that_start_together() -> None:
    Path("gate").touch()
    drivers = [Driver("exclusive.py", 12, "gate", False) for _ in range(4)]
    for driver in drivers:
        code, err = driver.end()
        assert code == 0, err
        assert driver.facts("seen") == list(range(12))
    assert sorted(executed()) == list(range(12))
    assert not held()


def test_a_task_waits_for_another_kernels_and_takes_its_result() -> None:
    other = working()
    with task_exit() as kernel:
        future = cell(0, "gate")
        assert (future.task_status(), future.done()) == ("pending", False)
        Path("gate").touch()
        assert future.result(PATIENCE_S) == (0, other.process.pid)
        assert future.task_status() == "memo_done"
        assert cell(0, "gate").result() == (0, other.process.pid)
    assert other.end()[0] == 0
    assert executed() == [0]
    assert parslish.get_last_checkpoint() == [str(Path(kernel.run_dir, "checkpoint"))]
    with parslish.load(Config(checkpoint_files=parslish.get_last_checkpoint())):
        assert cell(0, "gate").result()[0] == 0, "the run that waited builds upon the other"
    assert executed() == [0]


def test_what_another_kernel_ends_right_before_its_lease_is_asked_for_is_not_computed_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = working()
    take = Leases.take

    def late(ours: Leases, key: bytes) -> bool:
        Path("gate").touch()
        assert other.end()[0] == 0
        return take(ours, key)

    monkeypatch.setattr(Leases, "take", late)
    with task_exit():
        assert cell(0, "gate").result(PATIENCE_S) == (0, other.process.pid)
    assert executed() == [0]
    assert not held()


def test_waiting_takes_no_worker_and_no_thread_each() -> None:
    @python_app
    def plain(x: int) -> int:
        return x

    other = working(4)
    with task_exit():
        before = threading.active_count()
        waiting = [cell(number, "gate") for number in range(4)]
        sharing = [cell(number, "gate") for number in range(4)]
        assert plain(1).result(PATIENCE_S) == 1
        assert threading.active_count() <= before + 1
        Path("gate").touch()
        assert [future.result(PATIENCE_S)[1] for future in waiting + sharing] == [other.process.pid] * 8
    assert other.end()[0] == 0


def test_when_the_other_kernel_fails_the_task_runs_here() -> None:
    other = working(fails=True)
    with task_exit():
        future = cell(0, "gate", True)
        Path("gate").touch()
        with pytest.raises(ValueError, match="0 is refused"):
            future.result(PATIENCE_S)
    assert other.end()[0] == 0
    assert executed() == [0, 0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_kernel_that_is_stopped_gives_its_leases_back(number: signal.Signals) -> None:
    other = working(3)
    with task_exit():
        future = cell(0, "gate")
        other.send(number)
        await_that(lambda: len(executed()) == 4)
        Path("gate").touch()
        assert future.result(PATIENCE_S) == (0, os.getpid())
    other.end()
    assert not held()


@pytest.mark.parametrize("machine", ["this", "another"])
def test_the_leases_of_a_killed_kernel_count_no_longer(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of one on this machine at once, others when they are as old as leases get."""
    other = working()
    other.send(signal.SIGKILL)
    other.end()
    if machine == "another":
        monkeypatch.setattr(leases, "LEASE_S", 1.0)
        monkeypatch.setattr(alive, "machine", lambda: "another")
    with task_exit():
        future = cell(0, "gate")
        assert not future.done()
        Path("gate").touch()
        assert future.result(PATIENCE_S) == (0, os.getpid())
    assert executed() == [0, 0]
    assert not held()


def test_a_lease_that_is_touched_does_not_expire(monkeypatch: pytest.MonkeyPatch, kernel: DataFlowKernel) -> None:
    monkeypatch.setattr(leases, "LEASE_S", 0.4)
    future = cell(0, "gate")
    (path,) = held()
    before = path.stat().st_mtime_ns
    await_that(lambda: path.stat().st_mtime_ns > before)
    Path("gate").touch()
    assert future.result(PATIENCE_S)


def test_a_task_that_waits_can_be_cancelled() -> None:
    other = working()
    with task_exit():
        future = cell(0, "gate")
        assert future.cancel()
        again = cell(0, "gate")
        assert not again.done()
        Path("gate").touch()
        assert again.result(PATIENCE_S) == (0, other.process.pid)
    assert future.cancelled()
    other.end()
    assert not held()


def test_a_task_that_was_cancelled_takes_no_lease_when_its_turn_comes() -> None:
    other = working(fails=True)
    with task_exit() as kernel:
        assert cell(0, "gate", True).cancel()
        Path("gate").touch()
        assert other.end()[0] == 0
        await_that(lambda: not kernel._scheduler._turns._theirs)
        await_that(lambda: not held())


def test_a_kernel_that_ends_cancels_what_waits() -> None:
    other = working()
    with task_exit():
        future = cell(0, "gate")
    assert future.cancelled()
    Path("gate").touch()
    assert other.end()[0] == 0
    assert not held()


def test_with_other_checkpoints_named_only_runs_that_go_on_beside_are_followed() -> None:
    Path("gate").touch()
    assert Driver("exclusive.py", 1, "gate", False).end()[0] == 0
    Path("gate").unlink()
    other = Driver("exclusive.py", 2, "gate", False)  # has 0 from the run before, and computes 1
    await_that(lambda: executed() == [0, 1])
    with task_exit(checkpoint_files=[]):
        waiting = cell(1, "gate")
        assert not waiting.done()
        fresh = cell(0, "gate")
        Path("gate").touch()
        assert waiting.result(PATIENCE_S) == (1, other.process.pid)
        assert fresh.result(PATIENCE_S) == (0, os.getpid())
    assert other.end()[0] == 0
    assert executed() == [0, 1, 0]


# ------------------------------------------------------------------------------- shares


def test_kernels_with_the_same_to_do_share_it() -> None:
    drivers = [Driver("exclusive.py", 40, "gate", False) for _ in range(2)]
    await_that(lambda: len(held()) == 20 and len(executed()) == 8)
    assert sorted(owners()) == sorted([driver.process.pid for driver in drivers] * 10)
    Path("gate").touch()
    for driver in drivers:
        code, err = driver.end()
        assert code == 0, err
        assert driver.facts("seen") == list(range(40))
    assert sorted(executed()) == list(range(40))
    assert not held()


def test_a_kernel_holds_a_few_leases_for_each_worker(kernel: DataFlowKernel) -> None:
    futures = [cell(number, "gate") for number in range(40)]
    await_that(lambda: len(executed()) == 2)
    assert len(held()) == 6
    assert [future.task_status() for future in futures[6:]] == ["pending"] * 34
    Path("gate").touch()
    assert [future.result(PATIENCE_S)[0] for future in futures] == list(range(40))
    assert executed() != [] and sorted(executed()) == list(range(40))
    await_that(lambda: not held())


def test_what_is_in_line_is_had_as_soon_as_another_kernel_has_stored_it(kernel: DataFlowKernel) -> None:
    busy = [cell(number, "later") for number in range(6)]
    futures = [cell(number, "gate") for number in range(3)]
    Path("gate").touch()
    other = Driver("exclusive.py", 3, "gate", False)
    assert [future.result(PATIENCE_S) for future in futures] == [(number, other.process.pid) for number in range(3)]
    assert not any(future.done() for future in busy)
    Path("later").touch()
    assert other.end()[0] == 0


def test_what_is_in_line_can_be_cancelled(kernel: DataFlowKernel) -> None:
    futures = [cell(number, "gate") for number in range(20)]
    assert all(future.cancel() for future in futures[6:16])
    again = cell(10, "gate")
    Path("gate").touch()
    assert [future.result(PATIENCE_S)[0] for future in [*futures[:6], *futures[16:], again]] == [
        *range(6), *range(16, 20), 10,
    ]  # fmt: skip
    assert sorted(executed()) == [*range(6), 10, *range(16, 20)]
    await_that(lambda: not held())
    assert not kernel._scheduler._turns._taken


def test_a_kernel_that_ends_cancels_what_is_in_line() -> None:
    with task_exit() as kernel:
        futures = [cell(number, "gate") for number in range(20)]
        await_that(lambda: len(executed()) == 2)
        Path("gate").touch()
    ended = [future for future in futures if not future.cancelled()]
    assert len(ended) == len(executed()) < 20
    assert all(future.done() for future in futures)
    assert not held()
    assert not kernel._scheduler._turns._in_line()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_when_the_looks_come_to_an_end_all_in_line_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(turns: Turns) -> bool:
        raise RuntimeError("it cannot look")

    monkeypatch.setattr(Turns, "_look", fail)
    with task_exit() as kernel:
        futures = [cell(number, "gate") for number in range(20)]
        await_that(lambda: kernel._scheduler._turns._closed)
        Path("gate").touch()
        assert [future.result(PATIENCE_S)[0] for future in futures] == list(range(20))


@python_app(cache=True, exclusive=True)
def add(*terms: int) -> int:
    return sum(terms)


@join_app(cache=True, exclusive=True)
def fibonacci(n: int) -> AppFuture:
    return add(n) if n < 2 else add(fibonacci(n - 1), fibonacci(n - 2))


def test_joins_that_wait_for_others_in_line_keep_nobody_out() -> None:
    with task_exit(internal_tasks_max_threads=1):
        futures = [fibonacci(n) for n in reversed(range(20))]
        assert futures[0].result(PATIENCE_S) == 4181
    assert not held()


# ------------------------------------------------------------------------------- options


def test_exclusive_takes_a_mode_that_writes_at_once() -> None:
    for mode in (None, "dfk_exit", "periodic", "manual"):
        with pytest.raises(ConfigurationError, match=f"exclusive=True: checkpoint_mode is {mode!r}, takes 'task_exit'"):
            Config(exclusive=True, checkpoint_mode=mode)
    Config(exclusive=True, memoizer=BasicMemoizer(checkpoint_mode="task_exit"))
    with parslish.load(), pytest.raises(ConfigurationError, match="takes 'task_exit'"):
        cell(0, "gate").result()


def test_exclusive_takes_an_app_that_shares_its_results() -> None:
    with pytest.raises(ConfigurationError, match="cache is False"):
        python_app(exclusive=True)(len)


def test_an_app_may_say_otherwise_than_the_configuration() -> None:
    @python_app(cache=True)
    def as_configured(x: int) -> list[Path]:
        return held()

    @python_app(cache=True, exclusive=False)
    def never(x: int) -> list[Path]:
        return held()

    with task_exit(exclusive=True):
        assert len(as_configured(1).result()) == 1
        assert never(1).result() == []
    with task_exit(exclusive=False):
        assert as_configured(2).result() == []


def test_who_is_not_exclusive_leaves_nothing_behind(kernel: DataFlowKernel) -> None:
    @python_app(cache=True)
    def plain(x: int) -> int:
        return x

    assert plain(1).result() == 1
    assert not FOLDER.exists()
    assert not {"parslish-leases", "parslish-turns"} & {thread.name for thread in threading.enumerate()}


# ------------------------------------------------------------------------------- lease files


@pytest.fixture
def ours() -> Iterator[Leases]:
    RUN_DIR.mkdir()
    mine = Leases(RUN_DIR, "007")
    yield mine
    mine.close()


@pytest.fixture
def theirs() -> Iterator[Leases]:
    mine = Leases(RUN_DIR, "003")
    yield mine
    mine.close()


def test_a_lease_is_had_by_one(ours: Leases, theirs: Leases) -> None:
    assert theirs.take(KEY)
    assert not ours.take(KEY)
    assert ours.met == {"003"}
    theirs.release(KEY)
    assert ours.take(KEY)
    assert not theirs.take(KEY)


def test_a_lease_is_for_its_owner_alone_and_says_who_that_is(ours: Leases) -> None:
    assert ours.take(KEY)
    (path,) = held()
    assert path.name == KEY.hex()
    assert stat.S_IMODE(FOLDER.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert f'"pid": {os.getpid()}, "run": "007"' in path.read_text()


def test_all_leases_are_given_back_at_the_end(ours: Leases) -> None:
    assert all(ours.take(bytes([number]) * 32) for number in range(10))
    ours.close()
    assert not held()
    assert ours.take(KEY), "who has ended is not kept from going on"
    assert not held()


def test_a_look_costs_the_same_however_many_leases_are_waited_for(
    ours: Leases, theirs: Leases, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [bytes([number]) * 32 for number in range(100)]
    assert all(map(theirs.take, keys))
    assert not any(map(ours.take, keys))
    calls: list[str] = []
    for module, name in ((leases, "_read"), (alive, "exists"), (os, "listdir"), (os, "utime")):
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args, name=name, real=real: calls.append(name) or real(*args))
    assert ours.free(keys, closer=False) == set()
    assert calls == ["listdir"]
    assert ours.free(keys, closer=True) == set()
    assert sorted(calls[1:]) == sorted(["listdir", "exists", "utime", *["_read"] * SAMPLES])


def test_all_leases_of_who_is_gone_are_found_at_once_and_those_of_others_are_not(ours: Leases, theirs: Leases) -> None:
    keys = [bytes([number]) * 32 for number in range(100)]
    assert all(map(theirs.take, keys[:50]))
    killed = abandoned(keys[50:])
    assert not any(map(ours.take, keys[:50]))
    assert all(ours._owners.setdefault(key, leases._read_lease(FOLDER / key.hex())[0]) for key in keys[50:])
    assert ours.free(keys, closer=False) == set()
    assert ours.free(keys, closer=True) == set(keys[50:])
    assert {owner for owner in owners() if owner != os.getpid()} == {killed}


def abandoned(keys: Iterable[bytes]) -> int:
    """Leave leases of a process that is gone, and return its number."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    FOLDER.mkdir(0o700, exist_ok=True)
    facts = {"machine": alive.machine(), "pid": process.pid, "run": "001", "token": "ab"}
    for key in keys:
        (FOLDER / key.hex()).write_text(json.dumps(facts))
    return process.pid


def test_a_lease_that_changes_hands_is_judged_by_its_new_owner(ours: Leases, theirs: Leases) -> None:
    other = bytes(32)
    for key in (KEY, other):
        assert theirs.take(key)
        assert not ours.take(key)
    abandoned([KEY])
    assert ours.free([KEY, other], closer=True) == {KEY}


def test_what_the_dead_have_left_is_removed_at_the_first_take(ours: Leases, theirs: Leases) -> None:
    alive_key, dead_key, stale_key, half_key = (bytes([number]) * 32 for number in range(1, 5))
    assert theirs.take(alive_key)
    abandoned([dead_key])
    for path in (FOLDER / stale_key.hex(), (FOLDER / alive_key.hex()).with_suffix(".next")):
        path.write_text("")
        expire(path)
    (FOLDER / half_key.hex()).write_text("")
    (FOLDER / "notes").write_text("not a lease")
    expire(FOLDER / "notes")
    assert ours.take(KEY)
    expected = {KEY.hex(), alive_key.hex(), half_key.hex(), "notes", "clock"}
    await_that(lambda: set(os.listdir(FOLDER)) == expected)
    assert not ours.met, "they were not in our way"


def test_a_folder_that_was_removed_is_made_anew(ours: Leases, caplog: pytest.LogCaptureFixture) -> None:
    assert ours.take(KEY)
    shutil.rmtree(FOLDER)
    assert ours.free([KEY], closer=True) == {KEY}
    other = bytes(32)
    assert ours.take(other)
    assert held() == [FOLDER / other.hex()]
    assert not warnings(caplog)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"7", b'{"pid": 1}', b'{"machine": "m", "pid": "x", "run": "001", "token": "t"}',
                b'{"machine": "m", "pid": 1e400, "run": "001", "token": "t"}', b"[" * 4096, b"\xff"]
)  # fmt: skip
def test_a_lease_that_says_nothing_counts_while_it_is_new(ours: Leases, content: bytes) -> None:
    FOLDER.mkdir(0o700)
    path = FOLDER / KEY.hex()
    path.write_bytes(content)
    assert not ours.take(KEY)
    path.touch()
    expire(path)
    assert ours.free([KEY], closer=True) == {KEY}
    assert ours.take(KEY)


@pytest.mark.parametrize("years", [-10, 10])
def test_only_the_file_systems_clock_counts(
    ours: Leases, theirs: Leases, years: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + years * 365 * 86_400)
    assert theirs.take(KEY)
    assert not ours.take(KEY)
    (path,) = held()
    os.utime(path, (real() + years * 365 * 86_400,) * 2)
    assert ours.take(KEY), "a lease from the future would live on for as long, its kernel being dead"


def test_an_expired_lease_is_taken_by_one_of_many_rivals(ours: Leases) -> None:
    rng = seeded("rivals")
    for _ in range(60):
        dead = Leases(RUN_DIR, "001")
        key = rng.randbytes(32)
        assert dead.take(key)
        expire(FOLDER / key.hex())
        dead.held.clear()
        dead.close()
        rivals = [Leases(RUN_DIR, f"{number:03d}") for number in range(4)]
        begin = threading.Barrier(len(rivals))
        won: list[Leases] = []

        def race(rival: Leases, key: bytes = key, begin: threading.Barrier = begin, won: list[Leases] = won) -> None:
            begin.wait()
            if rival.take(key):
                won.append(rival)

        threads = [threading.Thread(target=race, args=(rival,)) for rival in rivals]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        for rival in rivals:
            rival.close()
        assert sorted(os.listdir(FOLDER)) == ["clock"]


def test_who_comes_late_for_an_expired_lease_leaves_the_new_one_alone(ours: Leases, theirs: Leases) -> None:
    assert theirs.take(KEY)
    (path,) = held()
    assert not ours._end(path, ours._look(), by_ours=True)
    assert set(os.listdir(FOLDER)) == {KEY.hex(), "clock"}
    assert not ours.take(KEY)


def test_a_rival_that_was_killed_in_taking_over_keeps_nobody(ours: Leases, theirs: Leases) -> None:
    assert theirs.take(KEY)
    (path,) = held()
    expire(path)
    following = path.with_suffix(".next")
    following.write_text("")
    assert not ours.take(KEY), "it may be at it"
    expire(following)
    assert ours.take(KEY)
    assert not following.exists()


def test_a_lease_that_expired_and_was_taken_is_not_given_back_by_its_first_owner(ours: Leases, theirs: Leases) -> None:
    assert theirs.take(KEY)
    expire(FOLDER / KEY.hex())
    assert ours.take(KEY)
    theirs.release(KEY)
    assert held() == [FOLDER / KEY.hex()]
    ours.release(KEY)
    assert not held()


def a_file() -> None:
    FOLDER.write_text("")


def a_link() -> None:
    Path("elsewhere").mkdir()
    FOLDER.symlink_to(Path("elsewhere").absolute())


def open_to_all() -> None:
    FOLDER.mkdir()
    FOLDER.chmod(0o777)


def a_planted_link() -> None:
    FOLDER.mkdir(0o700)
    Path("precious").write_text("kept")
    for number in range(3):
        (FOLDER / key_of(number).hex()).symlink_to(Path("precious").absolute())


def key_of(number: int) -> bytes:
    key: bytes = cell.key_makers[0].key((number, "gate"), {}, None)
    return key


@pytest.mark.parametrize("spoil", [a_file, a_link, open_to_all, a_planted_link])
def test_without_leases_all_goes_on_with_one_warning(
    spoil: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    RUN_DIR.mkdir()
    spoil()
    Path("gate").touch()
    with task_exit():
        assert [cell(number, "gate").result(PATIENCE_S)[0] for number in range(3)] == [0, 1, 2]
    (warning,) = warnings(caplog)
    assert "leases cannot be kept" in warning
    assert sorted(executed()) == [0, 1, 2]
    assert not Path("precious").exists() or Path("precious").read_text() == "kept"
    assert not Path("elsewhere").exists() or not os.listdir("elsewhere")


def test_leases_that_vanish_while_they_are_waited_for_keep_nobody(caplog: pytest.LogCaptureFixture) -> None:
    other = working()
    with task_exit():
        future = cell(0, "gate")
        FOLDER.rename("moved")
        FOLDER.write_text("")
        await_that(lambda: len(executed()) == 2)
        Path("gate").touch()
        assert future.result(PATIENCE_S)[0] == 0
    assert len(warnings(caplog)) == 1
    other.end()
