"""P3: trouble with the store in a running kernel never hangs or fails a task, and ends by itself. P2, for what a
running kernel loads."""

from __future__ import annotations

import errno
import json
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
from parslish import Config, StoreError, StoreFull, codec, exit_code, python_app
from parslish.cli import main
from parslish.history import card
from parslish.history.event import Kind
from parslish.history.record import RunRecord
from parslish.history.recorder import read_events
from parslish.secret import Keys
from parslish.store.disk import OS_DISK
from parslish.store.log import Log
from parslish.store.spool import Spool
from tests.faults import machine
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


def zeros(size: int) -> bytes:
    return bytes(size)


def test_a_large_result_that_the_disk_refuses_and_memory_cannot_hold_is_lost_without_a_copy_of_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def copy(value: object) -> bytes:
        raise AssertionError("it was encoded")

    trouble = Trouble(monkeypatch, "/checkpoint", "open", errno.ENOSPC)
    monkeypatch.setattr(Spool, "room_bytes", 1_000_000)
    monkeypatch.setattr(codec, "encode", copy)
    large = python_app(zeros, cache=True)
    with parslish.load(Config(checkpoint_mode="task_exit")):
        trouble.is_on = True
        assert [len(large(size).result(PATIENCE_S)) for size in (2_000_000, 3_000_000)] == [2_000_000, 3_000_000]
    assert warnings(caplog, "2 results could not be stored") == 1


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


# -------------------------------------------------------------------------------------- that it is shown


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """What a command says in JSON, and what it prints for people."""
    assert main([*arguments, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert main([*arguments]) == 0
    return facts, capsys.readouterr().out


def test_a_run_is_shown_as_degraded_for_as_long_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trouble = Trouble(monkeypatch, "/checkpoint", "open", errno.ENOSPC)
    with parslish.load(Config(run_dir="runinfo", checkpoint_mode="task_exit")) as kernel:
        for trouble.is_on in (True, False):
            see(app([]), range(3))
            await_true(lambda: kernel.degraded == trouble.is_on)
            # The kernel knows first; the thread that found out writes it down then.
            await_true(lambda: bool(card.read(Path(kernel.run_dir)).get("degraded")) == trouble.is_on)
            (row,), table = shown(capsys, "runs")
            found, sheet = shown(capsys, "show")
            assert (row["status"], row["degraded"], row["lost_results"]) == ("running", trouble.is_on, 0)
            assert (found["status"], found["degraded"], found["lost_results"]) == ("running", trouble.is_on, 0)
            head, line, *_ = table.splitlines()
            assert ("degraded" in line.split()[:3]) == ("running, degraded, " in sheet) == trouble.is_on
            assert ("trouble" in head) == trouble.is_on


@pytest.mark.parametrize("record", [True, False])
def test_an_ended_run_is_shown_with_how_many_results_it_lost(
    record: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trouble = Trouble(monkeypatch, "/checkpoint", "write writev", errno.ENOSPC)
    with parslish.load(Config(run_dir="runinfo", checkpoint_mode="task_exit", record=record)):
        see(app([]), range(5))
        trouble.is_on = True
        see(app([]), range(5, 12))
    (row,), table = shown(capsys, "runs")
    assert (row["status"], row["degraded"], row["lost_results"]) == ("completed", False, 7)
    assert "7 results lost" in table
    if record:
        found, sheet = shown(capsys, "show")
        assert (found["degraded"], found["lost_results"]) == (False, 7)
        assert "7 results could not be stored" in sheet
        (end,) = [each for each in read_events(Path("runinfo/000"), Keys.load()) if each["kind"] is Kind.RUN_END]
        assert end["lost_results"] == 7


def test_a_run_that_was_killed_while_it_was_degraded_is_shown_as_both(capsys: pytest.CaptureFixture[str]) -> None:
    with parslish.load(Config(run_dir="runinfo")):
        pass
    run = Path("runinfo/000")
    card.write(run, card.read(run) | {"ended": None, "pid": 1 << 30, "degraded": True, "lost_results": "many"})
    for segment in (run / "events").iterdir():
        segment.unlink()
    (row,), table = shown(capsys, "runs")
    assert (row["status"], row["degraded"], row["lost_results"]) == ("lost", True, 0)
    assert table.splitlines()[1].split()[1:3] == ["lost", "degraded"]


def test_a_run_whose_results_are_all_stored_has_no_trouble_to_show(capsys: pytest.CaptureFixture[str]) -> None:
    with parslish.load(Config(run_dir="runinfo", checkpoint_mode="task_exit")):
        see(app([]), range(3))
    (row,), table = shown(capsys, "runs")
    assert (row["degraded"], row["lost_results"]) == (False, 0)
    assert "trouble" not in table.splitlines()[0]
    assert "could not be stored" not in shown(capsys, "show")[1]


def test_trouble_that_only_comes_at_the_end_is_told_as_what_it_costs(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    trouble = Trouble(monkeypatch, "/checkpoint", "open", errno.ENOSPC)
    with parslish.load(Config(checkpoint_mode="dfk_exit")):
        see(app([]), range(1))
        trouble.is_on = True
    assert warnings(caplog, "tasks go on") == warnings(caplog, "has been written") == 0
    assert warnings(caplog, "1 result could not be stored (") == warnings(caplog, "computes it again") == 1


def test_a_run_of_which_only_the_records_end_is_lost_is_shown_as_it_ended(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    trouble = Trouble(monkeypatch, "/events", "write writev", errno.ENOSPC)
    kernel = parslish.load(Config(run_dir="runinfo", checkpoint_mode="task_exit"))
    trouble.is_on = True
    kernel.cleanup()
    assert warnings(caplog, "tasks go on") == 0
    assert warnings(caplog, "the end of this run's record could not be stored") == 1
    record = RunRecord(Path("runinfo/000"), Keys.load())
    assert record.is_cut and (record.status, record.reason, record.degraded) == ("completed", "", False)
    assert "its end could not be stored" in shown(capsys, "show")[1]
    assert shown(capsys, "runs")[0][0]["status"] == "completed"


def ended_by(config: Config, count: int) -> str:
    """What a signal says of a run with so many results."""
    with parslish.load(config) as kernel:
        see(app([]), range(count))
        if count:
            kernel.checkpoint()
        return kernel.stop("stopped")


def test_what_a_signal_says_of_a_run_counts_what_is_kept_and_what_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ended_by(Config(), 0).endswith("kept no results; set checkpoint_mode to keep them")
    assert ended_by(Config(checkpoint_mode="task_exit"), 0).endswith("kept no results")
    assert ": 2 results are in its checkpoint; run the" in ended_by(Config(checkpoint_mode="task_exit"), 2)
    trouble = Trouble(monkeypatch, "/checkpoint", "open", errno.ENOSPC)
    trouble.is_on = True
    assert ended_by(Config(checkpoint_mode="task_exit"), 3).endswith("kept no results: 3 could not be stored")
    trouble.is_on = False
    with parslish.load(Config(checkpoint_mode="task_exit")) as kernel:
        see(app([]), range(10, 12))
        kernel.checkpoint()
        Trouble(monkeypatch, "/checkpoint", "write writev", errno.ENOSPC).is_on = True
        see(app([]), range(12, 15))
        assert ": 2 results are in its checkpoint, 3 could not be stored; run the" in kernel.stop("stopped")


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


def test_however_many_values_cannot_be_opened_there_is_one_warning_a_folder(caplog: pytest.LogCaptureFixture) -> None:
    runs: Runs = []

    @python_app(cache=True, version="1")
    def large(number: int) -> bytes:
        runs.append(number)
        return bytes([number]) * (1 << 20)

    for numbers in (range(25), range(25, 28)):
        with parslish.load(Config(checkpoint_mode="task_exit")):
            assert [large(number).result() for number in numbers]
    for blob in Path("runinfo").glob("*/checkpoint/*.blob"):
        blob.unlink()
    with parslish.load(Config(checkpoint_mode="task_exit")):
        assert [len(large(number).result(PATIENCE_S)) for number in range(28)] == [1 << 20] * 28
        assert [len(large(number).result(PATIENCE_S)) for number in range(28)] == [1 << 20] * 28
    assert len(runs) == 56
    assert warnings(caplog, "") == 2
    assert warnings(caplog, "000/checkpoint: 25 results cannot be opened and are computed again") == 1
    assert warnings(caplog, "001/checkpoint: 3 results cannot be opened and are computed again") == 1


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


@pytest.mark.parametrize("left", ["results", "nothing"])
def test_a_run_that_ends_on_a_disk_that_is_really_full_is_listed_as_it_ended(left: str, tmp_path: Path) -> None:
    folder = tmp_path / "mounted"
    folder.mkdir()
    mounting = [*machine.need_mounts(), "sh", "-ec", 'mount -t tmpfs -o size=2m none "$0"; exec "$@"', str(folder)]
    driver = Driver("full_at_end.py", folder, left, under=mounting)
    code, err = driver.end()
    assert code == (exit_code.LOST if left == "results" else 0), err
    (row,) = json.loads("".join(driver.lines[driver.lines.index("[") :]))
    lost = 5 if left == "results" else 0
    assert (row["status"], row["tasks"], row["degraded"], row["lost_results"]) == ("completed", 15, False, lost)
    assert "files checkpoint events parslish.log run.json" in driver.lines
    assert err.count("the end of this run's record could not be stored") == 1, err
    assert err.count("5 results could not be stored") == bool(lost), err


def test_sigterm_on_a_full_disk_ends_the_script_and_counts_only_what_is_kept() -> None:
    driver = Driver("full_disk.py", "wait")
    driver.await_line("ready")
    driver.send(signal.SIGTERM)
    code, err = driver.end()
    assert code == 128 + signal.SIGTERM, err
    kept = recovered()
    assert 0 < len(kept) < COUNT and f" {len(kept)} results are in its checkpoint" in err
