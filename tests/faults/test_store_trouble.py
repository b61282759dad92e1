"""P3: trouble with the store in a running kernel never hangs or fails a task, and ends by itself. P2, for what a
running kernel loads."""

from __future__ import annotations

import errno
import logging
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest

import parslish
from parslish import Config, StoreError, StoreFull, exit_code, python_app
from parslish.history.recorder import read_events
from parslish.secret import Keys
from parslish.store.disk import OS_DISK
from parslish.store.log import Log
from tests.faults.drivers import Driver, recovered, run
from tests.faults.scripts.full_disk import COUNT

PATIENCE_S = 20.0
Runs = list[int]


class Trouble:
    """A disk that refuses some calls on the files of one folder, while told to.

    Args:
        folder: part of the paths that are concerned.
        calls: names of the calls that fail.
        code: the error.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: str, calls: str, code: int) -> None:
        self.is_on = False
        self._folder, self._code = folder, code
        for call in calls.split():
            monkeypatch.setattr(OS_DISK, call, self._refusing(getattr(OS_DISK, call)))
        monkeypatch.setitem(Log.__init__.__kwdefaults__, "retry_s", 0.05)

    def _refusing(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def refuse(target: Any, *args: Any, **options: Any) -> Any:
            if self.is_on and self._folder in self._path(target):
                raise OSError(self._code, os.strerror(self._code))
            return call(target, *args, **options)

        return refuse

    @staticmethod
    def _path(target: Any) -> str:
        return os.readlink(f"/proc/self/fd/{target}") if isinstance(target, int) else os.fspath(target)


def app(runs: Runs) -> Any:
    @python_app(cache=True, version="1")
    def cell(number: int) -> tuple[int, int]:
        runs.append(number)
        return number, -number

    return cell


def see(cell: Any, numbers: range) -> None:
    futures = [cell(number) for number in numbers]
    assert [future.result(PATIENCE_S) for future in futures] == [(number, -number) for number in numbers]


def await_true(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


def warnings(caplog: pytest.LogCaptureFixture, words: str) -> int:
    return sum(words in record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING)


FAULTS = [
    ("write writev", errno.ENOSPC),
    ("write writev", errno.EDQUOT),
    ("write writev", errno.EIO),
    ("fsync", errno.EIO),
    ("open", errno.EMFILE),
    ("open write writev fsync", errno.ESTALE),
]


@pytest.mark.parametrize("mode", ["task_exit", "dfk_exit", "periodic", "manual"])
@pytest.mark.parametrize(("calls", "code"), FAULTS)
@pytest.mark.parametrize("sync", ["batch", "always"])
def test_tasks_go_on_through_trouble_and_all_is_stored_when_it_is_over(
    calls: str, code: int, mode: str, sync: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    trouble = Trouble(monkeypatch, "/checkpoint", calls, code)
    runs: Runs = []
    cell = app(runs)
    config = Config(checkpoint_mode=mode, sync=sync, checkpoint_period=0.01)  # type: ignore[arg-type]
    with parslish.load(config) as kernel:
        trouble.is_on = calls == "open"  # else once there is a file
        see(cell, range(10))
        kernel.checkpoint()
        trouble.is_on = True
        see(cell, range(10, 40))
        kernel.checkpoint()
        await_true(lambda: kernel.degraded)
        see(cell, range(40, 50))
        trouble.is_on = False
        if mode == "manual":
            kernel.checkpoint()
        await_true(lambda: not kernel.degraded)
        see(cell, range(50, 60))
        kernel.checkpoint()
    assert warnings(caplog, "tasks go on") == warnings(caplog, "all that was held back") == 1
    assert recovered() == {number: -number for number in range(60)}
    with parslish.load(Config(checkpoint_mode=mode)):  # type: ignore[arg-type]
        see(cell, range(60))
    assert sorted(runs) == list(range(60))


def test_the_runs_record_tells_of_the_trouble_and_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    trouble = Trouble(monkeypatch, "/checkpoint", "open", errno.ENOSPC)
    trouble.is_on = True
    with parslish.load(Config(checkpoint_mode="task_exit")) as kernel:
        see(app([]), range(3))
        trouble.is_on = False
        await_true(lambda: not kernel.degraded)
    told = [event["message"] for event in read_events(Path("runinfo/000"), Keys.load()) if "what" in event]
    assert len(told) == 2 and "no space is left" in told[0] and told[1] == "is being stored again"


def test_on_store_error_raise_stops_launching_and_says_so_at_the_next_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trouble = Trouble(monkeypatch, "/checkpoint", "open", errno.ENOSPC)
    trouble.is_on = True
    runs: Runs = []
    cell = app(runs)
    with parslish.load(Config(checkpoint_mode="task_exit", on_store_error="raise")) as kernel:
        first = cell(0)
        assert first.result(PATIENCE_S) == (0, 0)
        await_true(lambda: kernel.degraded)
        with pytest.raises(StoreFull, match="no space is left"):
            cell(1)
    assert runs == [0]


def test_with_raise_the_futures_of_waiting_tasks_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    trouble = Trouble(monkeypatch, "/checkpoint", "open", errno.ENOSPC)
    trouble.is_on = True
    runs: Runs = []
    cell = app(runs)

    @python_app
    def after(pair: tuple[int, int]) -> int:
        return pair[0]

    with parslish.load(Config(checkpoint_mode="task_exit", on_store_error="raise")):
        futures = []
        with pytest.raises(StoreFull):
            for number in range(100_000):
                futures.append(after(cell(number)))
        for future in futures:
            try:
                future.result(PATIENCE_S)
            except CancelledError:
                continue


def test_ending_on_a_full_disk_says_how_many_results_are_lost(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    trouble = Trouble(monkeypatch, "/checkpoint", "write writev", errno.ENOSPC)
    with parslish.load(Config(checkpoint_mode="task_exit")):
        see(app([]), range(5))
        trouble.is_on = True
        see(app([]), range(5, 12))
    assert warnings(caplog, "7 results could not be stored") == 1
    assert len(recovered()) == 5


def test_trouble_with_the_runs_record_alone_concerns_no_result(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    trouble = Trouble(monkeypatch, "/events", "open write writev fsync", errno.ENOSPC)
    trouble.is_on = True
    with parslish.load(Config(checkpoint_mode="task_exit")) as kernel:
        see(app([]), range(20))
        await_true(lambda: kernel.degraded)
    assert warnings(caplog, "tasks go on") == 1
    assert len(recovered()) == 20


def test_a_checkpoint_folder_that_cannot_be_made_is_told_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    trouble = Trouble(monkeypatch, "/checkpoint", "mkdir", errno.EACCES)
    trouble.is_on = True
    with pytest.raises(StoreError, match="Permission denied"):
        parslish.load(Config(checkpoint_mode="task_exit"))


# -------------------------------------------------------------------------------------- what is loaded


def damage(segment: Path, value: bytes) -> None:
    """Flip a bit in the middle of a stored value."""
    content = bytearray(segment.read_bytes())
    content[content.index(value) + 1] ^= 1
    segment.write_bytes(content)


def test_a_damaged_result_is_computed_again_and_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    runs: Runs = []

    @python_app(cache=True, version="1")
    def text(number: int) -> str:
        runs.append(number)
        return f"the text of {number}"

    with parslish.load(Config(checkpoint_mode="task_exit")):
        assert [text(n).result() for n in range(3)]
    (segment,) = Path("runinfo/000/checkpoint").glob("*.seg")
    damage(segment, b"the text of 1")
    with parslish.load(Config(checkpoint_mode="task_exit")):
        assert [text(n).result(PATIENCE_S) for n in range(3)] == [f"the text of {n}" for n in range(3)]
    assert runs == [0, 1, 2, 1]
    assert warnings(caplog, str(segment)) == 1


def test_files_that_go_missing_under_a_running_kernel_are_misses() -> None:
    runs: Runs = []
    cell = app(runs)
    with parslish.load(Config(checkpoint_mode="task_exit")):
        see(cell, range(5))
    with parslish.load(Config(checkpoint_mode="task_exit")):
        for segment in Path("runinfo/000/checkpoint").glob("*.seg"):
            segment.unlink()
        see(cell, range(5))


# -------------------------------------------------------------------------------------- a disk that is really full


def test_on_a_full_disk_a_script_sees_all_and_all_is_kept_when_there_is_room() -> None:
    driver = run("full_disk.py", "room")
    assert driver.facts("seen") == list(range(COUNT)) and "degraded" in driver.lines
    assert recovered().keys() == set(range(COUNT))


def test_on_a_disk_that_stays_full_a_script_ends_well_and_says_what_is_lost() -> None:
    driver = Driver("full_disk.py", "full")
    code, _ = driver.end()
    assert code == exit_code.LOST
    assert driver.facts("seen") == list(range(COUNT))
    kept = recovered()
    assert 0 < len(kept) < COUNT
    assert f"{COUNT - len(kept)} results could not be stored" in driver.err


def test_sigterm_on_a_full_disk_ends_the_script_and_counts_only_what_is_kept() -> None:
    driver = Driver("full_disk.py", "wait")
    driver.await_line("ready")
    driver.send(signal.SIGTERM)
    code, err = driver.end()
    assert code == 128 + signal.SIGTERM, err
    kept = recovered()
    assert 0 < len(kept) < COUNT and f" {len(kept)} results are in its checkpoint" in err
