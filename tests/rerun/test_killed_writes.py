"""A process that is killed while it writes a mark or a tombstone: all is as before, or it is done."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import parslish
from parslish import RecordedRun
from tests.parsl.helpers import PATIENCE_S
from tests.rerun.program import NESTED, NESTED_CALLS, again, executed, first, forced

#: Does something to a run, and is killed at the N-th call that changes a file; a write has then written half.
KILLER = """
import os, signal, sys
import parslish
from parslish.store.disk import OS_DISK, Disk

left, action = int(sys.argv[1]), sys.argv[2]

def killing(name):
    function = getattr(OS_DISK, name)
    def call(*args, **kwargs):
        global left
        left -= 1
        if left == 0:
            if name == "write":
                function(args[0], bytes(args[1])[: len(args[1]) // 2])
            elif name == "writev":
                whole = b"".join(map(bytes, args[1]))
                os.write(args[0], whole[: len(whole) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)
    return call

run = parslish.run("last")
run.record
for name in ("open", "write", "writev", "fsync", "truncate", "mkdir", "unlink", "rename"):
    setattr(Disk, name, staticmethod(killing(name)))
eval(action)
"""


def kills(action: str) -> Iterator[str]:
    """Leaves a copy of the run folder as a kill at each of an action's calls does, and at last as the action does."""
    Path("killer.py").write_text(KILLER)
    shutil.move("runinfo", "before")
    for n in range(1, 200):
        shutil.rmtree("runinfo", ignore_errors=True)
        shutil.copytree("before", "runinfo")
        done = subprocess.run([sys.executable, "killer.py", str(n), action], timeout=PATIENCE_S)
        assert done.returncode in (0, -signal.SIGKILL)
        yield f"a kill at call {n}" if done.returncode else "no kill"
        if not done.returncode:
            return
    raise AssertionError(f"{action} makes no end of calls")


def test_of_an_invalidation() -> None:
    first(NESTED, NESTED_CALLS)
    executed()
    seen = set()
    for when in kills("run.invalidate('times')"):
        run = parslish.run("last")
        known = run.invalidations()
        assert [each.records for each in known] in ([], [6]), when
        again()
        computed = sorted(executed())
        assert len(computed) == (6 if known else 0), when
        seen.add(len(computed))
    assert seen == {0, 6}
    assert known, when


def test_of_taking_one_back() -> None:
    first(NESTED, NESTED_CALLS).invalidate("times")
    executed()
    seen = set()
    for when in kills("run.undo(run.invalidations()[0].id)"):
        (known,) = parslish.run("last").invalidations()
        again()
        computed = executed()
        assert len(computed) == (0 if known.undone else 6), when
        seen.add(known.undone)
        if not known.undone:
            assert parslish.run("000").undo(known.id) == 6, "it can be tried again"
    assert seen == {False, True}


def test_of_a_restart() -> None:
    first(NESTED, NESTED_CALLS)
    seen = set()
    for when in kills("run.restart_task('-/unreliable[0]')"):
        new = parslish.run("000").resume()
        assert forced(new).keys() in (set(), {"-/unreliable[0]", "-/end[0]"}), when
        seen.add(len(forced(new)))
        parslish.run("000").restart_task("-/end[0]")
        assert "-/end[0]" in forced(parslish.run("000").resume()), "a mark behind a torn one counts"
        assert_no_damage(parslish.run("000"), when)
    assert seen == {0, 2}


def test_of_an_edit() -> None:
    first(NESTED, NESTED_CALLS)
    seen = set()
    for when in kills("run.edit('-/unreliable[0]', result=7)"):
        new = parslish.run("000").resume()
        result = new.record.task("-/end[0]").result
        assert result in (6, 7), when
        seen.add(result)
    assert seen == {6, 7}


def test_of_accepting() -> None:
    first(NESTED, NESTED_CALLS)
    text = Path("script.py").read_text()
    Path("script.py").write_text(text.replace("    return a * b", "    return 1 * a * b"))
    again()
    shutil.rmtree("runinfo/001/checkpoint")
    executed()
    seen = set()
    for when in kills("run.accept('times')"):
        again()
        computed = [each for each in executed() if each.startswith("times")]
        assert len(computed) in (0, 3), when
        seen.add(len(computed))
    assert seen == {0, 3}


@pytest.mark.parametrize("at", [1, 3, 5, 8])
def test_of_orders_leaves_no_run_and_the_next_ones_hold(at: int) -> None:
    first(NESTED, NESTED_CALLS)
    executed()
    Path("killer.py").write_text(KILLER)
    subprocess.run([sys.executable, "killer.py", str(at), "run.rerun(from_='unreliable')"], timeout=PATIENCE_S)
    before = executed()
    assert before in ([], ["unreliable 6", "end 6"])
    new = parslish.run("000").rerun(from_="unreliable")
    assert executed() == ["unreliable 6", "end 6"]
    assert forced(new).keys() == {"-/unreliable[0]", "-/end[0]"}


def assert_no_damage(run: RecordedRun, when: str) -> None:
    warnings = run.record.report.warnings
    assert not warnings, f"{when}: {warnings}"
    assert os.listdir(run.path)
