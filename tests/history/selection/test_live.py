"""Which tasks an expression means as they come: also those that the recorded run did not have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from parslish.history.record import RunRecord
from parslish.history.selection import LiveSelection, select
from tests.history.selection.graphs import Made, run_of

JOIN = {"gen": ("join", "bb", ("n",))}


class Coming:
    """A task that comes; counts how often its arguments are asked for."""

    def __init__(self, path: str, label: str | None = None, kind: str = "python", **arguments: Any) -> None:
        place, _, last = path.rpartition("/")
        self.name, which = last[:-1].split("[")
        self.path, self.scope_path, self.label, self.kind = path, place, label, kind
        self.occurrence = int(which) if label is None else 0
        self._arguments = arguments
        self.asked = 0

    def arguments(self) -> Mapping[str, Any]:
        self.asked += 1
        return self._arguments


def recorded() -> RunRecord:
    """gen[0] with two subtasks, what takes it, and calls of `relax` in a scope, one of which failed."""
    return run_of(
        [
            Made("gen", arguments=(2,)),
            Made("sub", parent=0, arguments=(1, 7)),
            Made("sub", parent=0, arguments=(2, 8), needs=[1]),
            Made("total", needs=[0], arguments=({"task": 0},)),
            Made("relax", scope=0, arguments=(1, 7)),
            Made("relax", scope=0, arguments=(2, 8), end="ValueError"),
            Made("relax", label="Si"),
        ],
        apps=JOIN,
        scopes=[(-1, "loop", "3")],
    )


def is_meant(expression: str, candidate: Coming) -> bool:
    return LiveSelection(select(recorded(), expression, empty_ok=True)).matches(candidate)


NEW = "-/loop[3]/relax[2]"  # a third round of the loop, which the recorded run did not have

#: What is meant by name, place and arguments is meant of tasks that the recorded run did not have.
OF_NEW = [
    ("relax", True),
    ("sub", False),
    ("not sub", True),
    ("*", True),
    ("relax[2]", True),
    ("relax[0]", False),
    ("relax[Si]", False),
    ('name:"re*"', True),
    (NEW, True),
    ("path:-/loop[3]/**", True),
    ("path:-/loop[4]/**", False),
    ("scope:loop", True),
    ("tag:3", True),
    ("tag:Si", False),
    ("label:Si", False),
    ("kind:python", True),
    ("kind:join", False),
    ("arg:x=3", True),
    ("arg:x=2", False),
    ("arg:x>2 and arg:seed!=7", True),
    ("arg:none=1", False),
    ("relax or status:failed", True),
    ("relax and not status:failed", True),
    ("*relax*", True),
    ("relax+", True),
    # What only the record can tell is true of what it had.
    ("status:failed", False),
    ("status:done", False),
    ("status:failed*", False),
    ("exc:ValueError", False),
    ("host:node1", False),
    ("duration:<1d", False),
    ("id:4", False),
    ("-.N4", False),
    ("after:-/gen[0]", False),
    ("roots()", False),
    ("sinks(relax)", False),
    ("gen*", False),
    ("relax and status:done", False),
]


@pytest.mark.parametrize(("expression", "wanted"), OF_NEW, ids=[each for each, _ in OF_NEW])
def test_of_a_task_that_was_not_recorded_name_place_and_arguments_tell(expression: str, wanted: bool) -> None:
    assert is_meant(expression, Coming(NEW, x=3, seed=8)) is wanted


#: And of one that was, what the record tells is asked by its path.
OF_KNOWN = [
    ("status:failed", True),
    ("status:done", False),
    ("*status:failed", True),
    ("exc:ValueError", True),
    ("id:5", True),
    ("-.N3", True),
    ("-.N4", False),
    ("roots()", True),
    ("relax and status:failed", True),
    ("not status:failed", False),
    ("gen*", False),
    ("arg:x=2", False),
    ("arg:x=9", True),
]


@pytest.mark.parametrize(("expression", "wanted"), OF_KNOWN, ids=[each for each, _ in OF_KNOWN])
def test_of_a_task_that_was_recorded_the_record_tells_too(expression: str, wanted: bool) -> None:
    assert is_meant(expression, Coming("-/loop[3]/relax[1]", x=9, seed=8)) is wanted


def test_new_calls_of_a_join_are_meant_where_the_walk_comes_from_above() -> None:
    new = Coming("-/gen[0]/sub[2]", x=3)
    assert is_meant("gen*", new) and is_meant("gen+", new) and is_meant("+gen+", new)
    assert not is_meant("gen", new)
    assert not is_meant("sub[0]*", new), "the join is only reached through one of its other calls"
    assert not is_meant("total*", new)
    deeper = Coming("-/gen[0]/loop[1]/inner[0]/x[0]")
    assert is_meant("gen*", deeper)
    assert not is_meant("gen+", Coming("-/other[0]/sub[0]"))


def test_recorded_calls_of_a_join_are_meant_as_far_as_the_walk_went() -> None:
    run = run_of(
        [Made("gen"), Made("sub", parent=0), Made("gen", parent=0), Made("sub", parent=2), Made("end", needs=[0])],
        apps=JOIN,
    )
    matches = LiveSelection(select(run, "-/gen[0]+")).matches
    assert matches(Coming("-/gen[0]/sub[0]")) and matches(Coming("-/gen[0]/gen[0]", kind="join"))
    assert not matches(Coming("-/gen[0]/gen[0]/sub[0]"))
    assert matches(Coming("-/gen[0]/sub[1]")), "a new one"
    assert not matches(Coming("-/gen[0]/gen[0]/sub[1]")), "a new one, two edges away"


def test_arguments_are_asked_for_only_when_nothing_else_decides() -> None:
    for expression in ("arg:x=3 and sub", "not sub or arg:x=3", "(arg:x=3 or arg:x=4) and not relax"):
        candidate = Coming(NEW, x=3)
        is_meant(expression, candidate)
        assert candidate.asked == 0, expression
    candidate = Coming(NEW, x=3)
    assert is_meant("arg:x=3 and relax", candidate) and candidate.asked == 1


def test_of_an_argument_that_is_the_result_of_a_task_the_record_tells() -> None:
    run = run_of([Made("one"), Made("f", arguments=(5, 7), needs=[0])])
    matches = LiveSelection(select(run, "arg:x=5")).matches
    assert matches(Coming("-/f[0]", x={"task": 0}))
    assert not matches(Coming("-/f[1]", x={"task": 0}))
    assert not matches(Coming("-/f[0]", x=6))
    assert matches(Coming("-/f[1]", x=5))


def test_a_label_takes_the_place_of_the_occurrence() -> None:
    assert is_meant("relax[Si]", Coming("-/relax[Si]", label="Si"))
    assert not is_meant("relax[0]", Coming("-/relax[Si]", label="Si"))
    assert is_meant("relax[0]", Coming("-/relax[0]"))
    assert is_meant("relax[7]", Coming("-/relax[7]", label="7"))


def test_combined_selections_decide_as_their_expressions() -> None:
    run = recorded()
    combined = select(run, "relax") - select(run, "status:failed")
    matches = LiveSelection(combined).matches
    assert matches(Coming(NEW)) and not matches(Coming("-/loop[3]/relax[1]"))
