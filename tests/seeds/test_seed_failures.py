"""Where the systems of the seeds go wrong: each of these must not happen here."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import parslish
from parslish import UsageError
from tests.parsl.helpers import run_script
from tests.seeds.driving import change, command, executed, made, program, shell, statuses

# ------------------------------------------------------------------------------------------ Tierkreis


@pytest.mark.parametrize("restarts", [False, True])
def test_a_failed_node_that_is_restarted_runs_again_and_keeps_no_stale_error(restarts: bool) -> None:
    Path("down").touch()
    run = program("typed_eval.py", ok=False)
    executed()
    Path("down").unlink()
    if restarts:
        assert run.restart_task("-.N3.N3")[0] == "-.N3.N3"
    new = run.resume()
    assert executed()[0] == "itimes"
    task = new.record.task("-.N3.N3")
    assert (task.status, task.error, list(task.failures)) == ("done", None, [])
    assert new.status == "completed"


def test_a_failure_that_was_remembered_runs_again_when_it_is_restarted() -> None:
    Path("bad").touch()
    run = made(
        """
@python_app(cache=True, remember=[ValueError])
def measure():
    note("measure")
    if Path("bad").exists():
        raise ValueError("bad")
    return 1
measure().exception()
measure().exception()
"""
    )
    assert executed() == ["measure"], "within the run the failure is a result"
    Path("bad").unlink()
    assert shell(sys.executable, "script.py").returncode == 0
    assert executed() == [], "and for a run that is no re-execution, too"
    new = run.rerun(from_failure=True)
    assert executed() == ["measure"]
    assert set(statuses(new).values()) <= {"done", "reused"}


def test_all_consumers_of_an_output_are_invalidated() -> None:
    body = """
@python_app(cache=True)
def both(outputs=()):
    note("both")
    Path(outputs[0]).write_text(Path("source").read_text())
    return {"left": int(Path("source").read_text()), "right": [2]}
@python_app(cache=True)
def use(how, value):
    note(how)
    return how, value
@python_app(cache=True)
def read(inputs=()):
    note("file")
    return Path(inputs[0]).read_text()
@python_app(cache=True)
def other():
    note("other")
out = both(outputs=[File("out.txt")])
used = [use("whole", out), use("part", out["left"]), use("deep", [{"x": out}]), use("twice", (out["right"][0], out))]
used += [use("next", used[1]), read(inputs=[out.outputs[0]]), other()]
print([each.result() for each in used])
used.append(read(inputs=[File("out.txt")]).result())
"""
    Path("source").write_text("1")
    run = made(body)
    assert sorted(executed()) == sorted(["both", "whole", "part", "deep", "twice", "next", "file", "other"])
    Path("source").write_text("5")
    locs = run.restart_task("-/both[0]")
    names = [run.record.task(loc).path for loc in locs]
    assert sorted(names) == sorted([*(f"-/use[{i}]" for i in range(5)), "-/read[0]", "-/read[1]", "-/both[0]"])
    assert names.index("-/both[0]") == 0
    assert names.index("-/use[1]") < names.index("-/use[4]")
    run.resume()
    assert sorted(executed()) == sorted(["both", "whole", "part", "deep", "twice", "next", "file"])


def test_children_of_a_nested_task_run_again() -> None:
    run = made(
        """
@python_app(cache=True)
def leaf(x):
    note(f"leaf {x}")
    return x
@join_app(cache=True)
def inner(x):
    note(f"inner {x}")
    return [leaf(x), leaf(x + 1)]
@join_app(cache=True)
def outer():
    note("outer")
    return [inner(0), inner(10)]
@python_app(cache=True)
def after(x):
    note("after")
    return x
print(after(outer()).result())
"""
    )
    everything = sorted(executed())
    assert len(everything) == 8
    locs = run.restart_task("-/outer[0]")
    assert len(locs) == 8
    assert locs[-2:] == ["-.N0", "-.N1"], "a join comes behind its children"
    run.resume()
    assert sorted(executed()) == everything
    # Of a child alone: what is around it, but not what is beside it.
    run = parslish.run()
    (loc,) = [task.loc for task in run.record if task.name == "leaf" and task.arguments == {"x": 10}]
    run.restart_task(loc)
    run.resume()
    assert sorted(each for each in executed() if each.startswith("leaf")) == ["leaf 10"]


# ------------------------------------------------------------------------------------------ Covalent


def test_one_extra_call_early_in_the_program_does_not_lose_reuse() -> None:
    Path("down").touch()
    run = program("typed_eval.py", ok=False)
    executed()
    Path("down").unlink()
    change("typed_eval.py", "    six = const(6)\n", "    const(99)\n    six = const(6)\n")
    new = run.resume()
    ran = executed()
    assert sorted(ran) == sorted(["const 99", "itimes", "iadd", "output value", "output typed_eval_output"])
    # Locs have moved by one, and what was forced by its place was still the right one.
    assert new.record.task("-.N4").name == "evaluate"
    assert new.status == "completed"


def test_an_extra_call_of_the_same_app_early_in_the_program_does_not_lose_reuse() -> None:
    run = made(
        """
@python_app(cache=True)
def f(x):
    note(f"f {x}")
    return x
[f(x).result() for x in range(3)]
"""
    )
    executed()
    text = Path("script.py").read_text()
    Path("script.py").write_text(text.replace("range(3)", "(-1, *range(3))"))
    new = run.resume()
    assert executed() == ["f -1"]
    assert list(statuses(new).values()) == ["done", "reused", "reused", "reused"]
    new.rerun(from_="arg:x=0")
    assert executed() == ["f 0"]


# ------------------------------------------------------------------------------------------ typos


def test_a_typo_in_a_name_is_an_error_that_names_what_is_there() -> None:
    run = program("typed_eval.py")
    executed()
    asked: list[tuple[Callable[[], Any], str]] = [
        (lambda: run.select("itmes"), "itimes"),
        (lambda: run.select("iadd*, itmes"), "itimes"),
        (lambda: run.select("status:faild"), "failed"),
        (lambda: run.select("stauts:failed"), "status"),
        (lambda: run.rerun(from_="itmes"), "itimes"),
        (lambda: run.rerun(only="itmes"), "itimes"),
        (lambda: run.rerun(pause="itmes"), "itimes"),
        (lambda: run.rerun(replace={"itmes": print}), "itimes"),
        (lambda: run.invalidate("itmes"), "itimes"),
        (lambda: run.restart_task("-/evaluate[0]/itmes[0]"), "itimes"),
        (lambda: run.restart_task("-.N3.N33"), "-.N3"),
        (lambda: run.why("-/evaluate[0]/itmes[0]"), "itimes"),
        (lambda: run.edit("-.N3.N3", arguments={"aa": 1}), "'a'"),
        (lambda: run.undo("0"), "none"),
        (lambda: parslish.run("0001"), "000"),
        (lambda: parslish.redispatch("0001"), "000"),
        (lambda: parslish.get_result("0001"), "000"),
    ]
    for ask, near in asked:
        with pytest.raises(UsageError) as told:
            ask()
        assert near in str(told.value)
    assert executed() == []
    assert len(parslish.runs()) == 1


def test_a_typo_on_the_command_line_is_one_sentence_and_exit_code_2() -> None:
    program("typed_eval.py")
    executed()
    for line in (
        "select itmes",
        "why last -/evaluate[0]/itmes[0]",
        "rerun last --from itmes",
        "rerun last --only itmes",
        "rerun last --replace itmes=math:sqrt",
        "rerun last --fromfailure",
        "plan last --from itmes",
        "rerun 0007 --all",
        "restart -/evaluate[0]/itmes[0]",
        "invalidate itmes --reason none",
        "edit -.N3.N3 --argument aa=1",
        "reruns",
    ):
        told = command(*line.split())
        assert (told.returncode, told.stdout) == (2, ""), line
        assert told.stderr.startswith("parslish: "), line
        assert "Traceback" not in told.stderr, line
    assert executed() == []
    assert len(parslish.runs()) == 1


# ------------------------------------------------------------------------------------------ Dagster

CHAIN = """
@python_app(cache=True)
def first():
    note("first")
    return list(range(10_000))
@python_app(cache=True)
def second(xs):
    note("second")
    if Path("bad").exists():
        raise RuntimeError("bad")
    return sum(xs)
@python_app(cache=True)
def third(x):
    note("third")
    return x + 1
if Path("broken").exists(): sys.exit("the program does not come to its first call")
print(third(second(first())).result())
"""


# Also where the configuration loads nothing by itself, so that only the chain says what there is.
@pytest.mark.parametrize("config", ["", ", checkpoint_files=[]"])
def test_a_chain_of_re_executions_finds_outputs_of_the_first_run(config: str) -> None:
    Path("bad").touch()
    run = made(CHAIN, ok=False, config=config)
    executed()
    chain = [run]
    for _ in range(3):
        chain.append(chain[-1].rerun(from_failure=True))
    assert executed() == ["second"] * 3
    Path("bad").unlink()
    last = chain[-1].rerun(from_failure=True)
    assert executed() == ["second", "third"]
    assert last.record.task("-/first[0]").origin == (0, 0)
    assert last.root.path == run.path


@pytest.mark.parametrize("config", ["", ", checkpoint_files=[]"])
def test_a_chain_goes_on_over_a_run_that_came_to_nothing(config: str) -> None:
    Path("bad").touch()
    run = made(CHAIN, ok=False, config=config)
    Path("bad").unlink()
    Path("broken").touch()
    nothing = run.rerun(from_failure=True)
    assert nothing.exit_code == 1
    assert len(nothing.record) == 0
    Path("broken").unlink()
    executed()
    last = nothing.resume()
    assert executed() == ["second", "third"]
    assert last.root.path == run.path


@pytest.mark.parametrize("config", ["", ", checkpoint_files=[]"])
def test_a_chain_of_selected_tasks_finds_outputs_of_the_first_run(config: str) -> None:
    run = made(CHAIN, config=config)
    executed()
    for _ in range(3):
        run = run.rerun(only="second")
        assert run.exit_code == 0
        assert statuses(run) == {"-/second[0]": "done"}
        assert run.record.task("-/second[0]").result == sum(range(10_000))
    assert executed() == ["second"] * 3


def test_dynamic_tasks_can_be_selected() -> None:
    Path("numbers").write_text("1 2 3")
    run = program("dynamic_job.py")
    executed()
    for expression, ran in [
        ("subtask[n2]", ["adder", "echo 20", "mapped", "subtask 2"]),
        ("echo[n3]", ["adder", "echo 30", "mapped"]),
        ("mapped", ["adder", "echo 10", "echo 20", "echo 30", "mapped", "subtask 1", "subtask 2", "subtask 3"]),
    ]:
        run.rerun(from_=expression)
        assert sorted(executed()) == ran
        run.resume().rerun(from_=expression)  # also where the join was reused, and made nothing
        assert sorted(executed()) == ran
    run.rerun(only="subtask[n2]")
    assert executed() == ["subtask 2"]
    run.rerun(only=["subtask[n2]", "echo[n2]"])
    assert executed() == ["subtask 2", "echo 20"]


def test_from_failure_works_when_what_failed_and_what_follows_is_dynamic() -> None:  # Dagster #8411
    Path("numbers").write_text("1 2 3")
    Path("no-2").touch()
    run = program("dynamic_job.py", ok=False)
    assert statuses(run)["-/mapped[0]/subtask[n2]"] == "failed"
    executed()
    Path("no-2").unlink()
    new = run.rerun(from_failure=True)
    assert executed() == ["mapped", "subtask 2", "echo 20", "adder"]
    assert new.record.task("-/adder[0]").result == 60


def test_from_failure_works_when_what_makes_dynamic_tasks_has_failed() -> None:
    run = program("dynamic_job.py", ok=False)  # there is no file of numbers
    executed()
    Path("numbers").write_text("4 5")
    new = run.rerun(from_failure=True)
    assert sorted(executed()) == [
        "adder",
        "echo 40",
        "echo 50",
        "generate_subtasks",
        "mapped",
        "subtask 4",
        "subtask 5",
    ]
    assert new.record.task("-/adder[0]").result == 90


def test_what_makes_dynamic_tasks_is_re_executed_and_may_make_others() -> None:  # Dagster #5689
    Path("numbers").write_text("1 3 5")
    run = program("dynamic_job.py")
    executed()
    Path("numbers").write_text("2 3")
    new = run.rerun(from_="generate_subtasks")
    assert sorted(executed()) == [
        "adder",
        "echo 20",
        "echo 30",
        "generate_subtasks",
        "mapped",
        "subtask 2",
        "subtask 3",
    ]
    assert new.record.task("-/adder[0]").result == 50
    assert sorted(run.diff(new).only_b) == ["-/mapped[0]/echo[n2]", "-/mapped[0]/subtask[n2]"]
    assert sorted(run.diff(new).only_a) == [f"-/mapped[0]/{name}[n{i}]" for name in ("echo", "subtask") for i in (1, 5)]


# ------------------------------------------------------------------------------------------ Parsl


def test_two_scripts_with_the_same_function_name_in_main_never_share_a_result() -> None:
    script = """
    import parslish
    from parslish import Config, python_app

    def factor():
        return FACTOR

    @python_app(cache=True)
    def simulate(x):
        with open("executed", "a") as file:
            file.write("FACTOR\\n")
        return x * factor()

    with parslish.load(Config(checkpoint_mode="task_exit")):
        print(simulate(10).result())
    """
    printed = []
    for _ in range(2):
        for number in (2, 3):  # they differ in a helper only
            done = run_script(script.replace("FACTOR", str(number)), name=f"script{number}.py")
            printed.append(done.stdout.strip())
    assert printed == ["20", "30", "20", "30"]
    assert executed() == ["2", "3"]
    # And each is resumed as itself, with its own results.
    runs = parslish.runs()
    assert [run.resume().record.task("-/simulate[0]").result for run in runs] == [20, 30, 20, 30]
    assert executed() == []


@pytest.mark.parametrize("lost", [1, 10, 100])
def test_a_torn_checkpoint_loads_but_for_what_was_torn(lost: int) -> None:
    run = program("slow_double.py", "task_exit")
    executed()
    (segment,) = (run.path / "checkpoint").glob("*.seg")
    with segment.open("r+b") as file:
        file.truncate(segment.stat().st_size - lost)
    new = run.resume()
    assert len(executed()) <= 1 + lost // 50
    assert [task.result for task in new.record] == [0, 2, 4, 6, 8]


def test_a_torn_record_loads_but_for_what_was_torn() -> None:
    run = program("slow_double.py", "task_exit")
    (segment,) = (run.path / "events").glob("*.seg")
    with segment.open("r+b") as file:
        file.truncate(segment.stat().st_size - 100)
    torn = parslish.run()
    assert len(torn.record) == 5
    executed()
    assert [task.result for task in torn.resume().record] == [0, 2, 4, 6, 8]
