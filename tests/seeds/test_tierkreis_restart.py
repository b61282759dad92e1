"""The page "Restarting nodes" of Tierkreis' manual: its example, and what it says of it.

In a graph of Tierkreis constants, inputs and outputs are nodes, as they are calls in `scripts/typed_eval.py`; so locs
are the same in both.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import parslish
from parslish import UsageError
from tests.seeds.driving import command, executed, program, statuses

ALL = [
    "const 0", "const 2", "const 6", "const typed_doubler_plus", "iadd", "input intercept", "input x", "itimes",
    "output typed_eval_output", "output value",
]  # fmt: skip
BELOW = ["itimes", "iadd", "output value", "output typed_eval_output"]
#: The node, and what the page prints for it: ['-.N3.N5', '-.N4', '-.N3.N4']; here with itself and its graph, in order.
LOCS = ["-.N3.N3", "-.N3.N4", "-.N3.N5", "-.N3", "-.N4"]


# -- "run_graph(storage, executor, typed_eval(), {}) … shows that all the nodes have finished."


def test_the_example_runs_and_all_its_nodes_have_finished() -> None:
    run = program("typed_eval.py")
    assert run.status == "completed"
    assert sorted(executed()) == ALL
    assert set(statuses(run).values()) == {"done"}
    assert run.record.task("-.N3.N3").name == "itimes"
    assert run.record.task("-.N4").result == 12


# -- "storage.restart_task(Loc().N(3).N(3))  ['-.N3.N5', '-.N4', '-.N3.N4']"


def test_restart_gives_the_locs_of_the_node_and_of_all_that_depends_on_it_in_topological_order() -> None:
    run = program("typed_eval.py")
    assert run.restart_task("-.N3.N3") == LOCS


def test_the_node_can_be_named_by_its_path_and_its_id_too() -> None:
    run = program("typed_eval.py")
    task = run.record.task("-.N3.N3")
    assert run.restart_task(task.path) == run.restart_task(task.id) == LOCS


def test_after_restart_the_plan_has_these_nodes_to_run_and_no_others() -> None:
    run = program("typed_eval.py")
    run.restart_task("-.N3.N3")
    plan = run.plan()
    assert sorted(run.record.loc_of(id) for id in plan.run) == sorted(LOCS)
    assert len(plan.reuse) == len(run.record) - len(LOCS)


def test_restart_touches_nothing_that_is_stored() -> None:
    run = program("typed_eval.py")
    executed()
    run.restart_task("-.N3.N3")
    program("typed_eval.py")
    assert executed() == [], "a run that is no re-execution of that one uses its results"


# -- "resume_graph(storage, executor) … The graph now shows as completed again"


def test_resume_runs_the_restarted_nodes_and_reuses_the_others() -> None:
    run = program("typed_eval.py")
    executed()
    run.restart_task("-.N3.N3")
    new = run.resume()
    assert executed() == BELOW
    assert new.status == "completed"
    assert new.record.task("-.N4").result == 12
    assert {task.loc for task in new.record if task.status == "done"} == set(LOCS)
    assert {task.status for task in new.record if task.loc not in LOCS} == {"reused"}


def test_what_was_resumed_is_done_with() -> None:
    run = program("typed_eval.py")
    run.restart_task("-.N3.N3")
    new = run.resume()
    executed()
    new.resume()
    assert executed() == []


def test_restart_and_resume_from_the_command_line() -> None:
    program("typed_eval.py")
    executed()
    restarted = command("restart", "-.N3.N3", "--json")
    assert restarted.returncode == 0, restarted.stderr
    assert json.loads(restarted.stdout)["locs"] == LOCS
    resumed = command("resume")
    assert resumed.returncode == 0, resumed.stderr
    assert "12" in resumed.stdout.split()
    assert executed() == BELOW
    assert parslish.run().status == "completed"


# -- "In the case we want to re-run a node that has failed for an ephemeral reason then it is enough to invalidate that
#    single node."


def test_a_node_that_failed_for_a_passing_reason_is_run_again_with_what_waited_for_it() -> None:
    Path("down").touch()
    run = program("typed_eval.py", ok=False)
    assert run.record.task("-.N3.N3").status == "failed"
    assert run.record.task("-.N3.N4").status == "upstream_failed"
    assert sorted(executed()) == sorted(set(ALL) - set(BELOW) | {"itimes"})
    Path("down").unlink()
    new = run.resume()
    assert executed() == BELOW
    assert new.record.task("-.N4").result == 12


def test_a_node_alone_can_be_invalidated() -> None:
    run = program("typed_eval.py")
    executed()
    found = run.invalidate("itimes", reason="a flaky node", dependents=False)
    assert list(found.paths) == [run.record.task("-.N3.N3").path]
    assert found.records == 1
    # Its value is what it was, so what depends on it is what it was, the graph around it included.
    program("typed_eval.py")
    assert executed() == []
    assert run.rerun(from_="evaluate").record.task("-.N3.N3").status == "done"


# -- "… if a node has written outputs but those outputs are incorrect … It will find all of the dependent nodes that
#    have run and invalidate these also … will be run again with new inputs."


def test_incorrect_outputs_are_replaced_and_all_that_took_them_runs_again_with_new_inputs() -> None:
    Path("wrong").touch()
    run = program("typed_eval.py")
    assert run.record.task("-.N4").result == 112
    executed()
    Path("wrong").unlink()
    run.restart_task("-.N3.N3")
    new = run.resume()
    assert executed() == BELOW
    assert new.record.task("-.N3.N4").arguments["a"] == 12
    assert new.record.task("-.N4").result == 12


def test_invalidation_finds_the_dependents_too_and_counts_for_every_run() -> None:
    Path("wrong").touch()
    run = program("typed_eval.py")
    executed()
    Path("wrong").unlink()
    found = run.invalidate("itimes", reason="wrong basis")
    assert list(found.locs) == LOCS
    assert found.reason == "wrong basis"
    again = program("typed_eval.py")  # not a re-execution: the results no longer count for anybody
    assert executed() == BELOW
    assert again.record.task("-.N4").result == 12


def test_an_invalidation_is_undone() -> None:
    run = program("typed_eval.py")
    executed()
    found = run.invalidate("itimes")
    assert [each.id for each in run.invalidations()] == [found.id]
    assert found.undo() == found.records == len(LOCS)
    assert [each.undone for each in run.invalidations()] == [True]
    program("typed_eval.py")
    assert executed() == []
    with pytest.raises(UsageError, match="undone before"):
        run.undo(found.id)
