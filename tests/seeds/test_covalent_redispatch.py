"""The page "Re-executing a Workflow" of Covalent's manual: its program with what it prints, and what it says of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import parslish
from parslish import RecordedRun, UsageError, WorkflowResult, python_app
from tests.seeds.driving import command, executed, program, shell

#: What the page prints, but for the ids.
PRINTED = """
Dispatch id: 000
Workflow execution status: COMPLETED
Workflow output: 1.5
Redispatch id: 001
Redispatched workflow execution status: COMPLETED
Redispatched workflow output: 6
Redispatch id: 002
Redispatched workflow execution status: COMPLETED
Redispatched workflow output: 6
True
True
Redispatch id: 003
Redispatched workflow execution status: COMPLETED
Redispatched workflow output: 20
True
False
""".lstrip()


def note(task: str) -> None:
    with open("executed", "a") as file:
        file.write(f"{task}\n")


@python_app(cache=True)
def task_0(a: Any) -> Any:
    note("task_0")
    return a


@python_app(cache=True)
def task_1(a: Any, b: Any) -> Any:
    note("task_1")
    return a + b


@python_app(cache=True)
def task_2(a: Any, b: Any) -> Any:
    note("task_2")
    return a / b


@python_app(cache=True)
def task_2_redefined(a: Any, b: Any) -> Any:
    note("task_2_redefined")
    return a * b


@parslish.workflow
def workflow(a: Any, b: Any = 2) -> Any:
    res_0 = task_0(a)
    res_1 = task_1(res_0, b)
    return task_2(res_1, b)


def dispatched(*args: Any, **kwargs: Any) -> str:
    """A run of the workflow that has ended; what its tasks have noted is forgotten."""
    run_id = parslish.dispatch(workflow)(*args, **kwargs)
    result = parslish.get_result(run_id, wait=True)
    assert (result.status, result.error) == ("COMPLETED", None)
    executed()
    return run_id


def redispatched(run_id: str, *args: Any, reuse: bool = False, replace: Any = None, **kwargs: Any) -> WorkflowResult:
    again = parslish.redispatch(run_id, replace=replace, reuse_previous_results=reuse)(*args, **kwargs)
    result = parslish.get_result(again, wait=True)
    assert (result.status, result.error) == ("COMPLETED", None)
    return result


def is_reused(result: WorkflowResult, node: int) -> bool:
    """As the page tells it."""
    found = result.get_node_result(node)
    return bool(found["start_time"] == found["end_time"])


def test_the_program_of_the_page_prints_what_the_page_prints() -> None:
    program("redispatching.py")
    assert executed() == [
        "task_0", "task_1", "task_2",
        "task_0", "task_1", "task_2_redefined",
        # The second redispatch finds what the first one has computed.
        "task_1", "task_2_redefined",
    ]  # fmt: skip
    Path("runinfo").rename("before")
    assert shell(sys.executable, "redispatching.py").stdout == PRINTED


# -- "1. Using the previous input parameters: Leave the input parameters empty to dispatch the workflow with the
#    previous input parameters."


def test_without_inputs_the_previous_ones_are_used_and_all_is_computed() -> None:
    result = redispatched(dispatched(1, 2), replace={"task_2": task_2_redefined})
    assert result.result == 6
    assert executed() == ["task_0", "task_1", "task_2_redefined"]
    assert not any(is_reused(result, node) for node in range(3))


def test_keyword_inputs_survive_a_redispatch_without_new_inputs() -> None:  # Covalent loses them
    for args, kwargs in [((1,), {"b": 2}), ((), {"a": 1, "b": 2}), ((1,), {})]:
        first = dispatched(*args, **kwargs)
        result = redispatched(first, replace={"task_2": task_2_redefined})
        assert result.result == 6
        assert result.inputs == (args, kwargs)


# -- "2. Reusing the previous task results: … The reuse_previous_results flag defaults to False"


def test_reused_results_are_not_computed_again_and_their_times_say_so() -> None:
    result = redispatched(dispatched(1, 2), replace={"task_2": task_2_redefined}, reuse=True)
    assert result.result == 6
    assert executed() == ["task_2_redefined"]
    assert [is_reused(result, node) for node in range(3)] == [True, True, False]


def test_beside_the_times_of_a_reused_task_are_those_of_its_origin() -> None:
    first = dispatched(1, 2)
    result = redispatched(first, reuse=True)
    for node, before in zip(result.nodes, parslish.get_result(first).nodes, strict=True):
        assert node["status"] == "reused"
        assert node["start_time"] == node["end_time"] > before["end_time"]
        times = {name: before[name] for name in ("start_time", "end_time")}
        assert node["origin"] == {"run": first, "task": node["node_id"], **times}
        assert before["start_time"] < before["end_time"]


def test_without_a_replaced_task_all_is_reused_or_all_is_computed() -> None:
    first = dispatched(1, 2)
    assert redispatched(first, reuse=True).result == 1.5
    assert executed() == []
    assert redispatched(first).result == 1.5
    assert executed() == ["task_0", "task_1", "task_2"]


# -- "3. Using new input parameters: … pass a new set of parameters … only results that depend on the new input
#    parameters are recomputed."


def test_only_what_depends_on_the_new_inputs_is_computed() -> None:
    result = redispatched(dispatched(1, 2), 1, 4, replace={"task_2": task_2_redefined}, reuse=True)
    assert result.result == 20
    assert executed() == ["task_1", "task_2_redefined"]
    assert [is_reused(result, node) for node in range(3)] == [True, False, False]
    assert result.inputs == ((1, 4), {})


def test_new_inputs_may_be_given_by_keyword() -> None:
    result = redispatched(dispatched(1, 2), a=1, b=4, replace={"task_2": task_2_redefined}, reuse=True)
    assert result.result == 20
    assert executed() == ["task_1", "task_2_redefined"]


def test_new_inputs_that_do_not_fit_are_an_error_and_no_run() -> None:
    first = dispatched(1, 2)
    with pytest.raises(TypeError, match="c"):
        parslish.redispatch(first)(1, c=4)
    assert len(parslish.runs()) == 1


# -- "Covalent … sees that the resubmitted argument a is identical and thus correctly concludes that there is no need to
#    recompute res_0."


def test_reuse_goes_by_the_values_of_arguments_not_by_how_they_are_given() -> None:
    first = dispatched(2.5, 2)
    result = redispatched(first, b=2, a=2.5, reuse=True)
    assert executed() == []
    assert all(is_reused(result, node) for node in range(3))


# -- chains


def test_a_redispatch_can_be_redispatched_and_finds_what_the_first_run_has_computed() -> None:
    first = dispatched(1, 2)
    result = redispatched(first, 1, 4, replace={"task_2": task_2_redefined}, reuse=True)
    executed()
    again = redispatched(result.run_id, reuse=True)  # its inputs and its replaced tasks are those of the second run
    assert (again.result, again.inputs) == (20, ((1, 4), {}))
    assert executed() == []
    assert again.get_node_result(0)["origin"]["run"] == first
    assert [each.parent for each in (again, result)] == [result.run_id, first]
    assert again.root == parslish.get_result(first).root


def test_runs_of_a_workflow_are_runs_that_can_be_asked_and_executed_again() -> None:
    first = dispatched(1, 2)
    run = parslish.run(first)
    new = run.rerun(replace={"task_2": task_2_redefined}, inputs=((1, 4), {}), reuse=True)
    assert isinstance(new, RecordedRun)
    assert executed() == ["task_1", "task_2_redefined"]
    assert parslish.get_result(new.id).result == 20
    assert [reason.kind for reason in new.why("-/task_1[0]").reasons] == ["argument_changed"]
    assert new.root.path == run.path
    run.rerun(from_="task_1")
    assert executed() == ["task_1", "task_2"]


# -- replaced tasks


@pytest.mark.parametrize(
    ("replace", "said"),
    [
        ({"task2": task_2_redefined}, "task_2"),
        ({"task_2": lambda a: a}, "cannot be replaced by a function that takes"),
        ({"task_2": lambda a, b, c: a}, "c"),
        ({"task_2": "nowhere:at_all"}, "nowhere"),
        ({"task_2": 7}, "7"),
    ],
)
def test_a_replacement_that_does_not_fit_is_an_error_before_anything_runs(replace: Any, said: str) -> None:
    first = dispatched(1, 2)
    with pytest.raises(UsageError, match=said):
        parslish.redispatch(first, replace=replace)
    assert executed() == []
    assert len(parslish.runs()) == 1


def test_any_number_of_tasks_may_be_replaced() -> None:
    # "One task is replaced in these demos. In practice you can re-execute any number of tasks."
    result = redispatched(dispatched(1, 2), replace={"task_1": task_2_redefined, "task_2": task_1})
    assert executed() == ["task_0", "task_2_redefined", "task_1"]
    assert result.result == 1 * 2 + 2


def test_a_replacement_is_filed_under_its_own_code() -> None:
    first = dispatched(1, 2)
    redispatched(first, replace={"task_2": task_2_redefined})
    executed()
    assert redispatched(first, reuse=True).result == 1.5
    assert redispatched(first, replace={"task_2": task_2_redefined}, reuse=True).result == 6
    assert executed() == []


def test_a_run_of_a_script_is_not_for_redispatch_and_says_what_is() -> None:
    run = program("typed_eval.py")
    with pytest.raises(UsageError, match=f"parslish rerun {run.id}"):
        parslish.redispatch(run.id)


# -- from the command line


def test_a_workflow_of_a_script_is_executed_again_from_the_command_line() -> None:
    program("redispatching.py")
    executed()
    Path("better.py").write_text("def task_2(a, b):\n    return 100 * a\n")
    done = command("rerun", "000", "--replace", "task_2=better:task_2")
    assert done.returncode == 0, done.stderr
    assert executed() == []
    assert parslish.get_result(parslish.run().id).result == 300
