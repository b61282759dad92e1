"""Chains of re-executions: runs that failed, were killed, moved or removed, and what the next one finishes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import parslish
from parslish import RecordedRun, UsageError
from parslish.secret import Keys
from parslish.store.frame import Type
from parslish.store.reader import read_frames
from tests.parsl.helpers import PATIENCE_S
from tests.rerun.program import (
    NESTED,
    NESTED_CALLS,
    SCRIPT,
    again,
    changed,
    executed,
    first,
    forced,
    results,
    statuses,
    written,
)

#: A fan of tasks that each take a while, as long as there is a file `slow`.
FAN = """
@python_app(cache=True)
def one(i):
    note("one", i)
    if os.path.exists("broken") and i == 3:
        raise ValueError
    time.sleep(0.05 if os.path.exists("slow") else 0)
    note("done", i)
    return i

@python_app(cache=True)
def total(values):
    note("total")
    return sum(values)
"""
FAN_CALLS = "total([one(i) for i in range(20)]).exception()"


def killed(command: list[str], lines: int) -> None:
    """Start a program, and kill it and what it started when its bodies have noted so many lines."""
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + PATIENCE_S
    while len(Path("executed").read_text().splitlines() if Path("executed").exists() else []) < lines:
        assert time.monotonic() < end and process.poll() is None, "it was not slow enough"
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(PATIENCE_S)


def rerun_killed(run: RecordedRun, how: str, lines: int) -> RecordedRun:
    Path("slow").touch()
    killed([sys.executable, "-c", f"import parslish; parslish.run({run.id!r}).rerun({how})"], lines)
    Path("slow").unlink()
    end = time.monotonic() + PATIENCE_S
    while (new := parslish.run("last")).status == "running":  # its program is no child of ours to be waited for
        assert time.monotonic() < end
        time.sleep(0.01)
    assert new.status == "lost"
    return new


def ids_of(what: str, lines: list[str]) -> set[int]:
    return {int(each.split()[1]) for each in lines if each.split()[0] == what}


def test_a_failed_run_one_from_failure_that_is_killed_and_the_one_that_finishes() -> None:
    Path("broken").touch()
    run = first(FAN.replace("i == 3", "i >= 3"), FAN_CALLS)
    assert run.status == "failed"
    Path("broken").unlink()
    executed()
    killed_run = rerun_killed(run, "from_failure=True", 12)
    done = ids_of("done", executed())
    last = killed_run.resume()
    ran = executed()
    # What had ended in the moment of the kill may not have been stored yet: two threads.
    assert set(range(3, 20)) - done <= ids_of("one", ran)
    assert len(ids_of("one", ran) & done) <= 2
    assert "total" in ran and last.status == "completed"
    assert results(last)["-/total[0]"] == 190
    assert [each.id for each in (last.parent, last.root) if each] == ["001", "000"]
    assert [each.id for each in run.children()] == ["001"]


def test_what_the_killed_run_had_stored_is_not_run_again() -> None:
    """Results are stored at once, events a moment later."""
    run = first(FAN, FAN_CALLS)
    executed()
    killed_run = rerun_killed(run, "from_='one'", 10)
    executed()
    kept = len(list(read_frames(killed_run.path / "checkpoint", Keys.load(), types={Type.RESULT})))
    assert 0 < kept < 20
    killed_run.resume()
    assert len(ids_of("one", executed())) == 20 - kept


def test_what_a_killed_run_had_not_come_to_is_still_forced() -> None:
    run = first(
        FAN, "a = [one(i) for i in range(8)]\n[each.result() for each in a]\ntotal(a).result(); total([1]).result()"
    )
    executed()
    killed_run = rerun_killed(run, "from_=['one', 'total[1]']", 8)
    assert killed_run.record.find("-/total[0]") is None, "the program waits before it"
    executed()
    last = killed_run.resume()
    assert executed().count("total") == 2
    assert forced(last)["-/total[1]"] == "selected"
    last.resume()
    assert executed() == []


def test_all_that_is_killed_goes_on_with_all() -> None:
    run = first(FAN, FAN_CALLS)
    executed()
    killed_run = rerun_killed(run, "all=True", 12)
    done = ids_of("done", executed())
    last = killed_run.resume()
    ran = executed()
    assert set(range(20)) - done <= ids_of("one", ran), "nothing of the first run is used"
    assert len(ids_of("one", ran) & done) <= 2 and "total" in ran
    last.resume()
    assert executed() == []


def test_a_failure_in_a_run_of_all_goes_on_with_all() -> None:
    run = first(NESTED, NESTED_CALLS)
    Path("broken").touch()
    new = run.rerun(all=True)
    assert new.status == "failed"
    Path("broken").unlink()
    executed()
    new.resume()
    assert executed() == ["unreliable 6", "end 6"]


def test_a_plan_of_that_knows_it() -> None:
    run = first(FAN, FAN_CALLS)
    executed()
    killed_run = rerun_killed(run, "all=True", 12)
    plan = killed_run.plan()
    done = ids_of("done", executed())
    assert len(plan.reuse) <= len(done)


def test_a_plain_program_that_is_killed_is_resumed_without_loss() -> None:
    written(FAN, FAN_CALLS)
    Path("slow").touch()
    killed([sys.executable, SCRIPT], 12)
    Path("slow").unlink()
    done = ids_of("done", executed())
    parslish.run("last").resume()
    ran = ids_of("one", executed())
    assert set(range(20)) - done <= ran and len(ran & done) <= 2


def test_restarts_are_carried_until_done_and_not_repeated() -> None:
    run = first(NESTED, NESTED_CALLS)
    assert run.restart_task("-/nested[0]/times[0]") == ["-.N1.N0", "-.N1.N2", "-.N1", "-.N2", "-.N3"]
    Path("broken").touch()
    executed()
    new = run.resume()
    assert executed() == ["nested", "times 1 2", "times 2 3", "unreliable 6"]
    Path("broken").unlink()
    newer = new.resume()
    assert executed() == ["unreliable 6", "end 6"]
    newer.resume()
    assert executed() == []


def test_restarts_that_a_killed_run_did_not_come_to_are_carried() -> None:
    run = first(FAN, "a = [one(i) for i in range(6)]\n[each.result() for each in a]\ntotal(a).result()")
    run.restart_task("-/one[0]")
    run.restart_task("-/one[1]")
    executed()
    killed_run = rerun_killed(run, "", 2)
    executed()
    last = killed_run.resume()
    ran = executed()
    assert "total" in ran and not ids_of("one", ran) & {2, 3, 4, 5}
    assert "-/total[0]" in forced(last)
    last.resume()
    assert executed() == []


def test_a_run_is_the_parent_of_several() -> None:
    run = first(NESTED, NESTED_CALLS)
    children = [run.rerun(from_="end") for _ in range(2)]
    assert [each.id for each in run.children()] == ["001", "002"]
    assert [each.parent.id for each in children if each.parent] == ["000", "000"]
    grandchild = children[0].resume()
    assert grandchild.root.id == "000" and [each.id for each in children[0].children()] == ["003"]
    assert {each.record.root for each in parslish.runs()} == {run.record.root}


def test_a_run_of_its_own_has_no_parent_and_is_its_root() -> None:
    run = first(NESTED, NESTED_CALLS)
    assert run.parent is None and run.root.id == run.id and run.children() == []


def moved(to: str) -> None:
    """A chain of three in a run folder that is moved then."""
    run = first(NESTED, NESTED_CALLS)
    run.rerun(from_="end").rerun(from_="end")
    shutil.move("runinfo", to)


def test_a_run_folder_that_was_moved_keeps_its_chains() -> None:
    Path("archive").mkdir()
    moved("archive/of-november")
    last = parslish.run("last", run_dir="archive/of-november")
    assert last.parent is not None and last.parent.id == "001"
    assert last.parent.path.parent == Path("archive/of-november").absolute()
    assert (last.root.id, [each.id for each in last.root.children()]) == ("000", ["001"])
    assert set(statuses(last)) >= {"-/nested[0]/times[0]"}, "what a reused join had submitted is found, too"


def test_the_program_of_a_run_folder_that_was_moved_is_not_run_for_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    moved("archive")
    executed()
    with pytest.raises(UsageError, match="ended with exit code 2 and made no run"):
        parslish.run("last", run_dir="archive").rerun(from_="end")
    assert executed() == []
    told = capfd.readouterr().err
    assert "run 002 was made in" in told and "move the runs back, or give the program run_dir=" in told


def test_with_the_new_place_in_the_program_it_goes_on_there() -> None:
    moved("archive")
    changed("task_exit'", "task_exit', run_dir='archive'")
    executed()
    new = parslish.run("last", run_dir="archive").rerun(from_="end")
    assert executed() == ["end 6"]
    assert new.id == "003" and new.parent is not None and new.parent.id == "002"


def test_a_project_that_was_moved_goes_on_where_it_is() -> None:
    Path("project").mkdir()
    os.chdir("project")
    first(NESTED, NESTED_CALLS)
    executed()
    os.chdir("..")
    shutil.move("project", "elsewhere")
    os.chdir("elsewhere")
    new = parslish.run("last").rerun(from_="end")
    assert executed() == ["end 6"]
    assert new.path.parent == Path("runinfo").absolute()


def test_a_run_whose_parent_was_removed_is_still_resumed() -> None:
    run = first(NESTED, NESTED_CALLS)
    Path("broken").touch()
    new = run.rerun(from_="unreliable")
    Path("broken").unlink()
    shutil.rmtree(run.path)
    executed()
    new = parslish.run(new.id)
    assert new.parent is None and new.root.id == new.id
    newer = new.resume()
    assert newer.status == "completed"
    assert "unreliable 6" in executed()


def test_a_run_that_is_not_there_is_told_with_those_that_are() -> None:
    first(NESTED, NESTED_CALLS)
    with pytest.raises(UsageError, match=r"no run '007'.*there are 000"):
        parslish.run(7)
    with pytest.raises(UsageError, match="there are none"):
        parslish.run("last", run_dir="nowhere")


def test_one_more_call_early_in_the_program_does_not_lose_reuse() -> None:
    run = first(NESTED, NESTED_CALLS)
    changed("    result = ", "    times(7, 7).result(); end(0).result()\n    result = ")
    executed()
    run.resume()
    assert sorted(executed()) == ["end 0", "times 7 7"]


def test_a_run_that_goes_on_is_executed_again_as_far_as_it_came() -> None:
    written(
        FAN, "[one(i).result() for i in range(4)]\nwhile os.path.exists('wait'): time.sleep(0.01)\ntotal([1]).result()"
    )
    Path("wait").touch()
    process = subprocess.Popen([sys.executable, SCRIPT])
    try:
        end = time.monotonic() + PATIENCE_S
        while not Path("executed").exists() or Path("executed").read_text().count("done") < 4:
            assert time.monotonic() < end
            time.sleep(0.01)
        time.sleep(0.2)  # the record is written a moment later
        run = parslish.run("last")
        assert run.status == "running"
        executed()
        new = run.rerun(only="one[1]")
        assert executed() == ["one 1", "done 1"]
        assert new.status == "completed"
    finally:
        Path("wait").unlink()
        process.wait(PATIENCE_S)


def test_a_plain_run_after_a_chain_uses_its_newest_results() -> None:
    apps = "@python_app(cache=True)\ndef guess():\n    return random.random()\n"
    run = first(apps, "guess().result()")
    new = run.rerun(from_="guess").rerun(from_="guess")
    assert results(again()) == results(new) != results(run)
