"""The table "Where it is ambiguous" of the design: one test for each row, or two."""

from __future__ import annotations

import logging
import subprocess
from pathlib import Path

import pytest

import parslish
from parslish import Config, ThreadPoolExecutor, UsageError, python_app
from tests.parsl.helpers import PATIENCE_S, Gate
from tests.seeds.driving import HEAD, begun, command, executed, made, program, statuses

# ------------------------------------------------------------------------------------------
# selected only, and the script goes on downstream
# → `only=` is record-driven; the child run holds just these tasks


def test_only_runs_no_program_and_the_child_run_holds_just_the_selected_tasks() -> None:
    run = made(
        """
@python_app(cache=True)
def first(x):
    note(f"first {x}")
    return x + 1
@python_app(cache=True)
def second(x):
    note(f"second {x}")
    return x + 1
x = first(1).result()
note(f"the program has {x}")
second(x).result()
"""
    )
    assert executed() == ["first 1", "the program has 2", "second 2"]
    new = run.rerun(only="first")
    assert executed() == ["first 1"]
    assert statuses(new) == {"-/first[0]": "done"}


def test_only_is_refused_where_the_program_carried_a_value_between_the_selected_tasks() -> None:
    run = made(
        """
@python_app(cache=True)
def draw():
    note("draw")
    return 0.125
@python_app(cache=True)
def use(x):
    note("use")
    return x + 1
use(draw().result()).result()
"""
    )
    executed()
    with pytest.raises(UsageError, match=r"-/use\[0\] took a value that the program had from -/draw\[0\].*from_="):
        run.rerun(only=["draw", "use"])
    assert executed() == []


# ------------------------------------------------------------------------------------------
# siblings complete in another order
# → key first, then path; `label=` fixes a path; a warning where sibling order differs between runs

ORDER = """
@python_app(cache=True)
def f(x):
    note(f"f {x}")
    return x
for x in Path("order").read_text().split(): f(int(x)LABEL).result()
"""


def test_in_another_order_a_task_is_found_by_its_key_not_by_its_path() -> None:
    Path("order").write_text("1 2 3")
    run = made(ORDER.replace("LABEL", ""))
    executed()
    Path("order").write_text("3 1 2")
    new = run.resume()
    assert executed() == []
    assert list(statuses(new).values()) == ["reused"] * 3
    # -/f[0] was f(1) in the run where it is restarted; now it is f(3), which nobody meant.
    run.restart_task("-/f[0]")
    run.resume()
    assert executed() == ["f 1"]


def test_without_a_key_in_common_a_task_is_found_by_its_path() -> None:
    Path("order").write_text("1 2 3")
    run = made(ORDER.replace("LABEL", ""))
    Path("order").write_text("1 7 3")
    executed()
    run.restart_task("-/f[1]")
    new = run.resume()
    assert executed() == ["f 7"]
    assert new.record.task("-/f[1]").forced == "restarted"


def test_another_order_is_warned_of_and_a_label_fixes_the_path() -> None:
    said = {}
    for label in ("", ", label=f'n{x}'"):
        Path("order").write_text("1 2 3")
        run = made(ORDER.replace("LABEL", label))
        Path("order").write_text("3 1 2")
        new = run.resume()
        said[label] = list(run.diff(new).warnings)
        if label:
            assert statuses(new).keys() == statuses(run).keys() == {"-/f[n1]", "-/f[n2]", "-/f[n3]"}
            assert run.diff(new).changed == []
    assert any("label= fixes a path" in each for each in said[""])
    assert not any("label=" in each for each in said[", label=f'n{x}'"])


# ------------------------------------------------------------------------------------------
# the program took another branch
# → the new branch runs; tasks only the parent had are listed as orphaned


def test_another_branch_runs_and_the_tasks_that_only_the_parent_had_are_listed() -> None:
    Path("branch").write_text("left")
    run = made(
        """
@python_app(cache=True)
def left(x):
    note("left")
    return x
@python_app(cache=True)
def right(x):
    note("right")
    return x
{"left": left, "right": right}[Path("branch").read_text()](1).result()
"""
    )
    Path("branch").write_text("right")
    executed()
    new = run.resume()
    assert executed() == ["right"]
    found = run.diff(new)
    assert list(found.only_a) == ["-/left[0]"]
    assert list(found.only_b) == ["-/right[0]"]
    shown = command("diff", run.id, new.id)
    assert "-/left[0]" in shown.stdout


# ------------------------------------------------------------------------------------------
# a selected dynamic task does not come back
# → warning, error with `strict=True`


@pytest.mark.parametrize("strict", [False, True])
def test_a_selected_task_that_does_not_come_back_is_a_warning_or_with_strict_an_error(strict: bool) -> None:
    Path("order").write_text("1 2 3")
    run = made(ORDER.replace("LABEL", ", label=f'n{x}'"))
    Path("order").write_text("1 2")
    executed()
    if strict:
        with pytest.raises(UsageError, match=r"did not come to .*-/f\[n3\]"):
            run.rerun(from_="f[n3]", strict=True)
    else:
        with pytest.warns(UserWarning, match=r"did not come to .*-/f\[n3\]"):
            run.rerun(from_="f[n3]")
    told = command("rerun", run.id, "--from", "f[n3]", *(["--strict"] if strict else []))
    assert told.returncode == (2 if strict else 0)
    assert "-/f[n3]" in told.stderr


# ------------------------------------------------------------------------------------------
# two calls share a key, one is forced
# → forced once, both get the new value, and it says so


@pytest.mark.parametrize("which", ["f[0]", "f[1]"])
@pytest.mark.parametrize("at_once", [False, True])
def test_of_two_calls_of_one_key_one_is_forced_once_and_both_get_the_new_value(which: str, at_once: bool) -> None:
    Path("value").write_text("1")
    calls = "print([each.result() for each in [f(), f()]])" if at_once else "print([f().result(), f().result()])"
    run = made(
        f"""
@python_app(cache=True)
def f():
    note("f")
    return int(Path("value").read_text())
{calls}
"""
    )
    assert executed() == ["f"]
    Path("value").write_text("2")
    new = run.rerun(from_=which)
    assert executed() == ["f"]
    assert [task.result for task in new.record] == [2, 2]
    assert sorted(statuses(new).values()) == ["done", "reused"]
    assert new.why("-/f[1]").verdict == "shared"
    assert list(run.invalidate(which).shared) == [f"-/f[{1 - int(which[2])}]"]


def test_when_the_forced_call_fails_the_other_one_is_not_given_the_old_value() -> None:
    run = made(
        """
@python_app(cache=True)
def f():
    note("f")
    if Path("bad").exists():
        raise ValueError("bad")
    return 1
f().exception()
f().exception()
"""
    )
    executed()
    Path("bad").touch()
    new = run.rerun(from_="f[0]")
    assert executed() == ["f", "f"]
    assert set(statuses(new).values()) == {"failed"}


# ------------------------------------------------------------------------------------------
# a forced task gives an equal value
# → dependents are reused, except with `from_=`

TWO = """
@python_app(cache=True)
def a():
    note("a")
    return int(Path("value").read_text())
@python_app(cache=True)
def b(x):
    note("b")
    return x + 1
print(b(a()).result())
"""


def test_dependents_of_a_forced_task_with_an_equal_value_are_reused() -> None:
    Path("value").write_text("1")
    run = made(TWO)
    executed()
    run.invalidate("a", dependents=False)
    run.resume()
    assert executed() == ["a"]


def test_dependents_of_a_forced_task_with_another_value_run() -> None:
    Path("value").write_text("1")
    run = made(TWO)
    executed()
    run.invalidate("a", dependents=False)
    Path("value").write_text("2")
    assert run.resume().record.task("-/b[0]").result == 3
    assert executed() == ["a", "b"]


def test_with_from_dependents_run_though_the_value_is_equal() -> None:
    Path("value").write_text("1")
    run = made(TWO)
    executed()
    run.rerun(from_="a")
    assert executed() == ["a", "b"]


# ------------------------------------------------------------------------------------------
# parent still running
# → allowed on its finished part

HELD = f"""{HEAD}
import time

@python_app(cache=True)
def quick():
    note("quick")
    return 1

@python_app(cache=True)
def held(x):
    value = Path("value").read_text()
    note(f"held {{value}}")
    while value == "old" and not Path("go").exists():
        time.sleep(0.01)
    return value

with parslish.load(Config(checkpoint_mode="task_exit")):
    print(held(quick()).result())
"""


def holding() -> subprocess.Popen[str]:
    """A program that has come to `held`, and stays there until there is a file `go`."""
    Path("value").write_text("old")
    Path("script.py").write_text(HELD)
    wanted = {"-/quick[0]": "done", "-/held[0]": "running"}
    return begun("script.py", until=lambda: bool(parslish.runs()) and statuses(parslish.run()) == wanted)


def ended(process: subprocess.Popen[str]) -> str:
    """What the program has printed in the end."""
    Path("go").touch()
    printed, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    return printed.strip()


def test_the_finished_part_of_a_running_parent_can_be_executed_again() -> None:
    process = holding()
    try:
        run = parslish.run()
        assert run.status == "running"
        executed()
        new = run.rerun(only="quick")
        assert executed() == ["quick"]
        assert statuses(new) == {"-/quick[0]": "done"}
        assert parslish.run(run.id).status == "running"
    finally:
        printed = ended(process)
    assert printed == "old"
    assert parslish.run(run.id).status == "completed"


# ------------------------------------------------------------------------------------------
# times of a reused task
# → start equals end, and the origin's times beside them


def test_a_reused_task_starts_when_it_ends_and_its_origin_has_the_times_of_the_computation() -> None:
    Path("value").write_text("1")
    run = made(TWO)
    new = run.resume()
    for task in new.record:
        assert task.status == "reused"
        assert task.started == task.ended > run.record.ended
        assert task.duration == 0
        assert task.origin is not None
        number, id = task.origin
        origin = parslish.run(number).record.task(id)
        assert origin.path == task.path
        assert run.record.started < origin.started <= origin.ended < run.record.ended
    shown = command("show", new.id, "-/a[0]")
    assert shown.returncode == 0, shown.stderr
    assert f"run {run.id} had computed it" in shown.stdout


# ------------------------------------------------------------------------------------------
# an old try is still running at restart
# → fenced: its late result is ignored and logged


def test_the_late_result_of_an_old_try_is_ignored_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    gate, tries = Gate(), []

    @python_app(cache=True)
    def f() -> str:
        tries.append(0)
        if len(tries) == 1:
            gate.wait()
            return "old"
        return "new"

    caplog.set_level(logging.DEBUG, "parslish")
    config = Config(checkpoint_mode="task_exit", retries=1, executors=[ThreadPoolExecutor(max_threads=2)])
    with parslish.load(config):
        future = f(walltime=0.1)
        assert future.result(timeout=PATIENCE_S) == "new"
        gate.open()
    assert "late reply" in caplog.text
    assert parslish.run().record.task("-/f[0]").result == "new"
    with parslish.load(Config(checkpoint_mode="task_exit")):
        assert f().result() == "new"
    assert len(tries) == 2


def test_what_an_old_run_computes_after_its_restart_does_not_count_against_the_new_one() -> None:
    process = holding()
    try:
        Path("value").write_text("new")
        run = parslish.run()
        new = run.rerun(from_="quick")
        assert new.record.task("-/held[0]").result == "new"
    finally:
        assert ended(process) == "old"
    executed()
    last = new.resume()
    assert executed() == []
    assert last.record.task("-/held[0]").result == "new", "of the highest run, though the other was written later"
    assert last.record.task("-/held[0]").origin == (1, 1)


# ------------------------------------------------------------------------------------------
# environment changed
# → recorded and reported; in the key only on request


@pytest.mark.parametrize("requested", [False, True])
def test_a_changed_environment_is_reported_and_in_the_key_only_on_request(requested: bool) -> None:
    package = Path("site/solver/__init__.py")
    package.parent.mkdir(parents=True)
    package.write_text("__version__ = '1.0'\n")
    option = ", version=solver.__version__" if requested else ""
    body = f"""
@python_app(cache=True{option})
def f():
    note("f")
    return 1
print(f().result())
"""
    run = made(body, head="import sys\nsys.path.insert(0, 'site')\nimport solver\n")
    assert executed() == ["f"]
    assert run.record.facts["packages"]["solver"] == "1.0"
    package.write_text("__version__ = '2.0'\n")
    new = run.resume()
    assert executed() == (["f"] if requested else [])
    changes = [(each.what, each.name, each.old, each.new) for each in run.diff(new).run]
    assert ("package", "solver", "1.0", "2.0") in changes
    shown = command("diff", run.id, new.id)
    assert "solver" in shown.stdout


# ------------------------------------------------------------------------------------------
# failed task restarted
# → runs again (no stale error is kept), and so do join children below it


def test_a_failed_join_that_is_restarted_runs_again_and_so_do_all_its_children() -> None:
    Path("numbers").write_text("1 2 3")
    Path("no-2").touch()
    run = program("dynamic_job.py", ok=False)
    assert statuses(run)["-/mapped[0]"] == "failed"
    executed()
    Path("no-2").unlink()
    run.restart_task("-/mapped[0]")
    new = run.resume()
    children = ["echo 10", "echo 20", "echo 30", "subtask 1", "subtask 2", "subtask 3"]
    assert sorted(executed()) == sorted(["mapped", *children, "adder"])
    assert set(statuses(new).values()) == {"reused", "done"}
    assert [task.path for task in new.record if task.status == "reused"] == ["-/generate_subtasks[0]"]
    assert not any(task.failures for task in new.record)
