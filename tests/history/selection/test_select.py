"""Which tasks of a run an expression means, what selections are, and what is said when nothing is meant."""

from __future__ import annotations

import contextlib
import datetime
import re
import time
from pathlib import Path
from typing import Any

import pytest

import parslish
from parslish import Config, join_app, python_app
from parslish.errors import UsageError
from parslish.history import edges
from parslish.history.record import RunRecord
from parslish.history.selection import parse, select
from parslish.secret import Keys
from tests.history.selection.graphs import Made, run_of

JOIN = {"scan": ("join", "bb", ("n",))}


def nested() -> RunRecord:
    """first → scan[0] (relax, relax → merge) → last; a sibling `other` beside it, and a lone task."""
    return run_of(
        [
            Made("first", label="A"),
            Made("scan", needs=[0]),
            Made("relax", parent=1, arguments=(1, 7)),
            Made("relax", parent=1, label="Si", arguments=(2, 8)),
            Made("merge", parent=1, needs=[2, 3]),
            Made("last", needs=[1]),
            Made("other", needs=[0]),
            Made("lone", end="ValueError"),
        ],
        apps=JOIN,
    )


def ids(run: RunRecord, expression: str, **options: Any) -> list[int]:
    return list(select(run, expression, **options).ids)


# ------------------------------------------------------------------------------------- joins and walks


def test_from_a_child_a_walk_down_reaches_its_join_and_what_takes_that_but_not_its_siblings() -> None:
    assert ids(nested(), "relax[Si]*") == [1, 3, 4, 5]


def test_from_a_join_a_walk_down_reaches_its_children() -> None:
    assert ids(nested(), "scan*") == [1, 2, 3, 4, 5]


def test_from_what_takes_a_join_a_walk_up_reaches_its_children_and_what_it_took() -> None:
    assert ids(nested(), "*last") == [0, 1, 2, 3, 4, 5]


def test_from_a_child_a_walk_up_reaches_what_its_join_took_but_not_its_siblings() -> None:
    assert ids(nested(), "*relax[Si]") == [0, 1, 3]


def test_each_plus_is_one_edge() -> None:
    run = nested()
    assert ids(run, "relax[Si]+") == [1, 3, 4]
    assert ids(run, "relax[Si]++") == ids(run, "relax[Si]+2") == [1, 3, 4, 5]
    assert ids(run, "+last") == [1, 5]
    assert ids(run, "1+scan+1") == [0, 1, 2, 3, 4, 5]


def test_roots_begin_first_and_sinks_end_last_and_a_join_does_both() -> None:
    run = nested()
    assert ids(run, "roots()") == [0, 7]
    assert ids(run, "sinks()") == [5, 6, 7]
    assert ids(run, "roots(scan*)") == [1]
    assert ids(run, "sinks(scan or relax or merge)") == [1]
    assert ids(run, "roots(first or last)") == [0], "though there are others in between"


def test_which_edges_are_followed_can_be_said() -> None:
    run = nested()
    assert ids(run, "scan*", kinds=["data"]) == [1, 5]
    assert ids(run, "lone*") == [7]
    assert ids(run, "first*", kinds=edges.KINDS) == list(range(8)), "lone was submitted after it had ended"


# ------------------------------------------------------------------------------------- names, paths and places


def test_a_star_behind_a_name_is_a_walk_and_no_pattern() -> None:
    run = run_of([Made("relax"), Made("relax_fast"), Made("relax", needs=[1])])
    assert ids(run, "relax*") == [0, 2]
    assert ids(run, 'name:"relax*"') == [0, 1, 2]
    with pytest.raises(UsageError, match=re.escape("'relax_' (did you mean 'relax'?)")):
        select(run, "relax_*")


def test_a_number_in_brackets_is_the_occurrence_or_the_label_that_the_path_shows() -> None:
    run = run_of([Made("relax", label="1"), Made("relax"), Made("relax"), Made("relax", label="01")])
    assert [task.path for task in select(run, "relax[1]")] == ["-/relax[1]", "-/relax[1]"]
    assert ids(run, "relax[2]") == [2]
    assert ids(run, "relax[01]") == [3]


def test_a_path_means_all_tasks_that_have_it() -> None:
    run = run_of([Made("relax", label="Si"), Made("relax", label="Si"), Made("relax", label="C")])
    assert ids(run, "-/relax[Si]") == [0, 1]
    assert ids(run, "-.N1") == [1]


def test_odd_labels_can_be_named_in_quotes() -> None:
    labels = ["a]b", "a/b", 'a"b', "a b", "*", "é\n", "a\\b"]
    run = run_of([Made("relax", label=label) for label in labels])
    for id, label in enumerate(labels):
        inside = label.replace("\\", "\\\\").replace('"', '\\"')
        assert ids(run, f'relax["{inside}"]') == [id]
        assert ids(run, f'"-/relax[{inside}]"') == [id]


def test_a_scope_means_the_tasks_in_it_and_below_and_a_tag_a_name_or_label_of_any_part() -> None:
    tasks = [Made("relax", scope=0), Made("scan", scope=1), Made("relax", parent=1, label="Si"), Made("relax")]
    run = run_of(tasks, apps=JOIN, scopes=[(-1, "loop", "a"), (-1, "loop", "b")])
    assert ids(run, "scope:loop") == [0, 1, 2]
    assert ids(run, "scope:loop[b]") == ids(run, "scope:-/loop[b]") == ids(run, 'scope:"**/loop[b]"') == [1, 2]
    assert ids(run, "scope:scan") == [2], "a join is a place"
    assert ids(run, "scope:-") == [0, 1, 2, 3]
    assert ids(run, "tag:a") == [0]
    assert ids(run, "tag:Si") == [2]
    assert ids(run, "tag:loop[b]|Si") == [1, 2]
    assert ids(run, 'label:"S*"') == [2]


# ------------------------------------------------------------------------------------- what the record tells


def test_of_failures_the_type_is_asked() -> None:
    run = run_of(
        [Made("f", end="ValueError"), Made("f", end="Outer.KeyError"), Made("f", needs=[0], end="upstream_failed")]
    )
    assert ids(run, "exc:ValueError") == [0]
    assert ids(run, "exc:KeyError") == ids(run, "exc:Outer.KeyError") == [1]
    assert ids(run, 'exc:"*Error"') == [0, 1, 2]
    assert ids(run, "status:upstream_failed") == [2]


def test_what_did_not_run_to_an_end_took_no_time() -> None:
    run = run_of([Made("f", duration=30), Made("f", end="reused"), Made("f", end="lost"), Made("f", duration=90)])
    assert ids(run, "duration:<1d") == [0, 3]
    assert ids(run, "duration:>1m") == [3]


def test_after_a_task_is_what_was_submitted_after_its_end_and_before_it_what_was_submitted_earlier() -> None:
    run = run_of([Made("f"), Made("f", duration=15), Made("f"), Made("f"), Made("f", end="lost")])
    assert ids(run, "after:-/f[1]") == [3, 4], "f[2] was submitted while f[1] ran"
    assert ids(run, "before:-/f[2]") == [0, 1]
    assert ids(run, "after:-.N4", empty_ok=True) == [], "it has not ended"
    time = datetime.datetime.fromtimestamp(1015).isoformat()
    assert ids(run, f"after:{time}") == [2, 3, 4]
    assert ids(run, f"before:{time}") == [0, 1]


def test_changed_code_is_told_by_app_and_what_is_not_cached_is_not_known() -> None:
    old = {"f": ("python", "aa", ()), "g": ("python", "aa", ()), "h": ("python", "", ())}
    new = {"f": ("python", "bb", ()), "g": ("python", "aa", ()), "h": ("python", "", ())}
    before = run_of([Made("f"), Made("g"), Made("h")], apps=old)
    run = run_of([Made("g"), Made("f"), Made("h"), Made("new")], apps=new)
    assert ids(run, "code:changed", parent=before) == [1]
    assert ids(run, "code:same", parent=before) == [0]
    assert ids(run, "code:new", parent=before) == [3]
    with pytest.raises(UsageError, match="no other run to compare with"):
        select(run, "f and code:changed")
    with pytest.raises(UsageError, match=r"its apps are f \(same\), g \(same\), h \(not known: not cached\)"):
        select(before, "code:changed", parent=before)


@python_app(cache=True)
def double(x: int, scale: int = 2) -> int:
    return scale * x


@python_app(cache=True)
def add(xs: list[int]) -> int:
    return sum(xs)


@join_app
def each(n: int) -> Any:
    return add([double(i) for i in range(n)])


def test_a_run_that_took_place_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with parslish.load(Config(checkpoint_mode="task_exit")):
        each(2).result()
        with parslish.scope("loop", 3):
            double(double(5, scale=3), label="Si").result()
    run = RunRecord(Path("runinfo/000"), Keys.load())
    assert select(run, "each*").paths == ["-/each[0]", "-/each[0]/double[0]", "-/each[0]/double[1]", "-/each[0]/add[0]"]
    assert select(run, "arg:scale=3").paths == ["-/loop[3]/double[0]"]
    assert select(run, "arg:x=15").paths == ["-/loop[3]/double[Si]"], "of a future, what it gave"
    assert select(run, "+double[Si]").paths == ["-/loop[3]/double[0]", "-/loop[3]/double[Si]"]
    assert select(run, "status:done and kind:python and not scope:loop").paths == [
        "-/each[0]/double[0]", "-/each[0]/double[1]", "-/each[0]/add[0]",
    ]  # fmt: skip


def test_code_is_compared_with_the_run_that_was_continued() -> None:
    with parslish.load(Config(checkpoint_mode="task_exit")):
        double(1).result()
    with parslish.load(Config(checkpoint_mode="task_exit", checkpoint_files=[Path("runinfo/000/checkpoint")])):
        double(1).result()
        add([1]).result()
    run = RunRecord(Path("runinfo/001"), Keys.load())
    assert select(run, "code:same").paths == ["-/double[0]"]
    assert select(run, "code:new").paths == ["-/add[0]"]


# ------------------------------------------------------------------------------------- selections


def test_a_selection_is_a_set_of_tasks_in_the_order_of_their_ids() -> None:
    run = nested()
    found = select(run, ["relax", "first"])
    assert found.ids == (0, 2, 3) and len(found) == 3 and found
    assert [task.id for task in found] == [task.id for task in found.tasks] == [0, 2, 3]
    assert found.paths == ["-/first[A]", "-/scan[0]/relax[0]", "-/scan[0]/relax[Si]"]
    assert found.expression == "relax or first" and repr(found) == f"<3 tasks of run {run.id}: relax or first>"
    assert run.task(2) in found and 2 in found and "-/first[A]" in found and "-.N1.N0" in found
    assert run.task(1) not in found and 1 not in found and "-/none[0]" not in found and None not in found
    assert nested().task(2) not in found, "it is of another run"
    assert select(run, parse("relax")) == select(run, "relax") != select(run, "first")


def test_selections_combine_as_sets_and_so_do_their_expressions() -> None:
    run = nested()
    one, other = select(run, "relax or first"), select(run, "relax[Si]*")
    for combined, wanted in [(one | other, {0, 1, 2, 3, 4, 5}), (one & other, {3}), (one - other, {0, 2})]:
        assert set(combined.ids) == wanted
        assert select(run, combined.expression) == combined
    assert len(one - one) == 0 and not one - one
    assert one.edges is other.edges, "made once"
    with pytest.raises(UsageError, match="cannot be combined"):
        one | select(nested(), "relax")
    with pytest.raises(UsageError, match="cannot be combined"):
        one | select(run, "relax", kinds=["data"])


# ------------------------------------------------------------------------------------- nothing is meant

NOTHING = [
    ("unrelible*", "there is no app 'unrelible' (did you mean 'unreliable'?)"),
    ("unreliable or unrelible", "'unrelible' (did you mean 'unreliable'?)"),
    ("not unrelible", "'unrelible' (did you mean 'unreliable'?)"),
    ("name:unrelible or unreliable", "'unrelible' (did you mean 'unreliable'?)"),
    ("unrelible or relx or unreliable", "(and so for 1 more)"),
    ("loop", "'loop' is no app but a scope; its tasks are  scope:loop"),
    ("unreliable[7]", "there is no unreliable[7]; unreliable has 0, 1"),
    ("-/loop[3]", "-/loop[3] is no task but a place; its tasks are  scope:-/loop[3]"),
    ("-/loop[3]/relax[S] or unreliable", "(did you mean '-/loop[3]/relax[Si]'?)"),
    ("-.N9 or unreliable", "there is no task -.N9"),
    ("id:9 or unreliable", "there is no task 9; the ids are 0 to 2"),
    ("after:-/relax[0] or unreliable", "there is no task -/relax[0]"),
    ("arg:sede=1 or unreliable", "no app has an argument 'sede' (did you mean 'seed'?); there are seed, x"),
    ("arg:x=9", "values of x are 'text', 1, 2"),
    ("arg:seed=9", "no task was called with seed"),
    ("status:lost", "there are done, failed"),
    ("status:lost*", "there are done, failed"),
    ("unreliable and status:lost", "status:lost; there are done, failed"),
    ("host:nod1", "there are node1 (did you mean 'node1'?)"),
    ("worker:node2", "there are node1:100"),
    ("exc:ValuError", "there are ValueError (did you mean 'ValueError'?)"),
    ("label:Sj", "there are Si"),
    ("kind:join", "there are python"),
    ("scope:lop", "there are loop (did you mean 'loop'?)"),
    ("tag:lop", "there are loop (did you mean 'loop'?)"),
    ('path:"-/lop/**"', "there are -/"),
    ('name:"unrelible*"', "there are relax, unreliable (did you mean 'unreliable'?)"),
    ("duration:>1h", "the longest took 2 s"),
    ("after:2100-01-01", "they were submitted from"),
    ("unreliable and relax", "2 by  unreliable, 1 by  relax"),
    ("not *", "3 by  *"),
]


@pytest.mark.parametrize(("expression", "said"), NOTHING, ids=[each for each, _ in NOTHING])
def test_what_means_nothing_is_an_error_that_says_what_there_is(expression: str, said: str) -> None:
    run = run_of(
        [
            Made("unreliable", arguments=(1,), end="ValueError", duration=2.0),
            Made("unreliable", arguments=(2,)),
            Made("relax", label="Si", scope=0, arguments=("text",)),
        ],
        scopes=[(-1, "loop", "3")],
    )
    with pytest.raises(UsageError) as caught:
        select(run, expression)
    assert said in str(caught.value) and f"run {run.id}" in str(caught.value) and "\n" not in str(caught.value)
    assert select(run, expression, empty_ok=True) is not None


def test_a_filter_that_means_nothing_may_stand_beside_what_means_something() -> None:
    run = nested()
    assert ids(run, "relax or status:lost") == [2, 3]
    assert ids(run, "relax and not status:lost") == [2, 3]


def test_a_run_without_tasks_says_so() -> None:
    with pytest.raises(UsageError, match="has no tasks to select from"):
        select(run_of([]), "*")


def test_no_question_to_a_large_run_takes_more_than_its_share_of_time() -> None:
    """0.3 s for 100,000 tasks is promised; here as much for a fifth of them, since tests run beside others."""
    tasks: list[Made] = []
    for first in range(0, 20_000, 100):
        tasks += [Made("scan"), Made("relax", first)]
        tasks += [Made("relax", first, needs=[id]) for id in range(first + 1, first + 99)]
    run = run_of(tasks, apps=JOIN)
    for expression in [
        "relax*", "*relax*", "relax[7]+", "-/scan[5]*", "-.N5.N7", "roots()", "sinks(relax)", "arg:x=7", "status:done",
        'path:"**/relax[7]"', "scope:scan", "after:-.N5", "relx", "-/relax[x]",
    ]:  # fmt: skip
        edges._known.clear()
        start = time.process_time()
        with contextlib.suppress(UsageError):
            select(run, expression)
        assert time.process_time() - start < 0.3, expression
