"""What depends on what in a run, and walks along it; walks are tested against an oracle in selection/test_oracle.py."""

from __future__ import annotations

import os
import random

import pytest

from parslish.history import edges
from parslish.history.edges import CONTROL, DATA, FILE, PARENT, VALUE, Edge, Edges
from tests.history.selection.graphs import Made, random_run, run_of

SEED = int(os.environ.get("PARSLISH_SEED", "20261121"))
JOIN = {"scan": ("join", "bb", ("n",))}


def found(tasks: list[Made], kind: str) -> list[Edge]:
    return list(edges.edges(run_of(tasks, apps=JOIN), [kind]))


def test_a_future_among_the_arguments_is_an_edge() -> None:
    assert found([Made("f"), Made("f"), Made("g", needs=[0, 1])], DATA) == [Edge(0, 2, DATA), Edge(1, 2, DATA)]


def test_what_a_join_submits_depends_on_it() -> None:
    assert found([Made("scan"), Made("f", parent=0), Made("f")], PARENT) == [Edge(0, 1, PARENT)]


def test_who_reads_a_file_depends_on_who_wrote_it_last() -> None:
    tasks = [
        Made("write", outputs=("a",)),
        Made("read", inputs=("a",)),
        Made("append", inputs=("a",), outputs=("a",)),
        Made("read", inputs=("a", "b")),
    ]
    assert found(tasks, FILE) == [Edge(0, 1, FILE), Edge(0, 2, FILE), Edge(2, 3, FILE)]


def test_a_particular_value_tells_where_it_comes_from() -> None:
    text = "a text that is no coincidence"
    tasks = [
        Made("f", result=0.25),
        Made("f", result=3),
        Made("f", result=text),
        Made("g", arguments=(0.25, 3)),
        Made("g", arguments=("short",), keywords={"name": text}),
        Made("g", arguments=(0.25,), needs=[0]),
        Made("g", arguments=(float("nan"), float("inf"), 2.0)),
    ]
    assert found(tasks, VALUE) == [Edge(0, 3, VALUE), Edge(2, 4, VALUE)]


def test_a_value_does_not_come_from_a_task_that_had_not_ended() -> None:
    assert found([Made("f", result=0.25, duration=100), Made("g", arguments=(0.25,))], VALUE) == []


def test_a_program_may_have_looked_at_what_had_ended_in_the_same_place() -> None:
    tasks = [Made("f"), Made("f"), Made("f", duration=15), Made("f"), Made("f"), Made("scan"), Made("f", parent=5)]
    assert found(tasks, CONTROL) == [
        Edge(0, 1, CONTROL), Edge(1, 2, CONTROL), Edge(1, 3, CONTROL), Edge(3, 4, CONTROL), Edge(2, 4, CONTROL),
        Edge(4, 5, CONTROL),
    ], "2 was submitted before 3 had ended, so that 3 is not reached through it"  # fmt: skip


@pytest.mark.parametrize("case", range(20))
def test_a_walk_along_control_edges_comes_to_all_that_was_submitted_after_an_end(case: int) -> None:
    print(f"PARSLISH_SEED={SEED}")
    rng = random.Random(f"{SEED} {case} control")
    tasks = [Made("f", scope=rng.choice([-1, 0]), duration=rng.choice([1.0, 25.0, 100.0])) for _ in range(30)]
    tasks[rng.randrange(30)] = Made("f", end="lost")
    run = run_of(tasks, scopes=[(-1, "loop", "0")])
    columns, walked = run.columns, Edges(run, [CONTROL])
    after = {
        id: {
            each
            for each in run.ids()
            if 0 < columns.ended[id] < columns.submitted[each] and columns.scope[id] == columns.scope[each]
        }
        for id in run.ids()
    }
    for id in run.ids():
        assert walked.descendants([id]) == after[id] | {id}, "control edges are transitive"
        assert walked.descendants([id], 1) == after[id] | {id}
        assert walked.ancestors([id]) == {each for each in run.ids() if id in after[each]} | {id}
    some = rng.sample(range(30), 5)
    assert walked.descendants(some) == set(some).union(*(after[id] for id in some))
    assert walked.roots(some) == {id for id in some if not any(id in after[each] for each in some)}
    assert walked.sinks(some) == {id for id in some if after[id].isdisjoint(some)}
    # The edges that are told are enough to come to the same tasks.
    reached = {id: {id} for id in run.ids()}
    for source, to, _ in sorted(edges.edges(run, [CONTROL]), reverse=True):
        reached[source] |= reached[to]
    assert all(reached[id] == after[id] | {id} for id in run.ids())


def test_all_kinds_are_walked_together() -> None:
    tasks = [
        Made("f", outputs=("a",)),
        Made("scan", inputs=("a",), result=0.25),
        Made("f", parent=1),
        Made("g", arguments=(0.25,)),
        Made("g", needs=[3]),
        Made("alone"),
    ]
    run = run_of(tasks, apps=JOIN)
    walked = Edges(run)
    assert walked.descendants([2]) == {1, 2, 3, 4}
    assert walked.ancestors([4]) == {0, 1, 2, 3, 4}
    assert walked.descendants([0], 1) == {0, 1} and walked.ancestors([4], 2) == {1, 3, 4}
    assert walked.before(3) == (1,) and list(walked.after(1)) == [3] and list(walked.children(1)) == [2]
    assert Edges(run, [DATA]).descendants([0]) == {0}
    assert Edges(run, [DATA, FILE]).descendants([2]) == {2}, "a join is not walked to where its edges do not count"


def test_of_a_join_all_or_only_the_result_is_affected() -> None:
    run = run_of([Made("scan"), Made("f", parent=0), Made("f", parent=0), Made("g", needs=[0])], apps=JOIN)
    assert Edges(run).affected([1]) == ({1, 3}, {0})
    assert Edges(run).affected([0]) == ({0, 1, 2, 3}, set())


def test_edges_of_a_run_are_made_once_and_not_kept_beyond_it() -> None:
    run = run_of([Made("f"), Made("g", needs=[0])])
    assert edges.of(run) is edges.of(run, reversed(edges.FOLLOWED)) is not edges.of(run, [DATA])
    before = len(edges._known)
    del run
    assert len(edges._known) == before - 1


@pytest.mark.parametrize("case", range(20))
def test_in_topological_order_each_task_comes_behind_what_it_depends_on(case: int) -> None:
    print(f"PARSLISH_SEED={SEED}")
    rng = random.Random(f"{SEED} {case}")
    run = random_run(rng, 40)
    wanted = rng.sample(range(40), 30)
    order = Edges(run).topological(wanted)
    assert sorted(order) == sorted(wanted)
    at = {id: place for place, id in enumerate(order)}
    for task in map(run.task, wanted):
        assert all(at[source] < at[task.id] for source in task.dependencies if source in at)
        if task.parent is not None and task.parent.id in at:
            assert at[task.id] < at[task.parent.id], "a join ends behind its children"
            assert all(at[source] < at[task.id] for source in task.parent.dependencies if source in at)


def test_a_chain_of_very_many_is_walked() -> None:
    size = 20_000
    run = run_of([Made("f", needs=[id - 1] if id else []) for id in range(size)])
    assert len(Edges(run).descendants([0])) == len(Edges(run).ancestors([size - 1])) == size
    assert Edges(run).descendants([0], 3) == {0, 1, 2, 3}
    assert Edges(run).roots(range(size)) == {0} and Edges(run).sinks(range(size)) == {size - 1}
