"""Random workflows, executed again in random ways, against a model of what has to run."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

import parslish
from parslish import RecordedRun, join_app, python_app, scope, workflow
from tests.rerun.program import statuses

CACHED, PLAIN, JOIN = "cached", "plain", "join"
ran: list[int] = []


@python_app(cache=True)
def cached(number: int, taken: list[Any]) -> int:
    note(number)
    return number


@python_app
def plain(number: int, taken: list[Any]) -> int:
    note(number)
    return number


@join_app(cache=True)
def join(number: int, taken: list[Any], body: Any) -> Any:
    note(number)
    return called(body)


@workflow
def flow(body: Any) -> Any:
    return called(body)


APPS = {CACHED: cached, PLAIN: plain, JOIN: join}


class Noted:
    """Notes what runs, and lets some of it fail; neither is a part of what an app is."""

    def __init__(self) -> None:
        self.broken: set[int] = set()

    def __call__(self, number: int) -> None:
        ran.append(number)
        if number in self.broken:
            raise ValueError(number)

    def __parslish_key__(self) -> str:
        return "it notes"


note = Noted()


def called(body: Any) -> list[Any]:
    """Make the calls of a body; each is (kind, number, what it takes, which round of a loop it is in, its own body)."""
    made: dict[int, Any] = {}
    for kind, number, takes, round_, inner in body:
        given = [made[each] for each in takes]
        more = (inner,) if kind == JOIN else ()
        if round_ is None:
            made[number] = APPS[kind](number, given, *more)
        else:
            with scope("loop", round_):
                made[number] = APPS[kind](number, given, *more)
    return list(made.values())


# --------------------------------------------------------------------------------------- the model


@dataclass
class Node:
    """A task, as it has to be."""

    kind: str
    number: int
    path: str
    takes: list[Node]
    parent: Node | None
    body: list[Node] = field(default_factory=list)

    def below(self) -> Iterator[Node]:
        for each in self.body:
            yield each
            yield from each.below()


class Model:
    """The tasks of a workflow."""

    def __init__(self, body: Any) -> None:
        self.top = self._nodes(body, None, "-")
        self.all = [node for top in self.top for node in (top, *top.below())]

    def _nodes(self, body: Any, parent: Node | None, place: str) -> list[Node]:
        made: dict[int, Node] = {}
        counts: Counter[tuple[str, str]] = Counter()
        for kind, number, takes, round_, inner in body:
            around = place if round_ is None else f"{place}/loop[{round_}]"
            path = f"{around}/{kind}[{counts[around, kind]}]"
            counts[around, kind] += 1
            node = made[number] = Node(kind, number, path, [made[each] for each in takes], parent)
            node.body = self._nodes(inner, node, path)
        return list(made.values())

    def affected(self, chosen: list[Node]) -> tuple[set[int], set[int]]:
        """Of which tasks all has to be computed anew, and of which joins only a part."""
        whole, partly = {node.number for node in chosen}, set[int]()
        while True:
            before = len(whole) + len(partly)
            for node in self.all:
                is_below = node.parent is not None and node.parent.number in whole
                if is_below or any(each.number in whole | partly for each in node.takes):
                    whole.add(node.number)
                elif any(each.number in whole | partly for each in node.body):
                    partly.add(node.number)
            partly -= whole
            if len(whole) + len(partly) == before:
                return whole, partly

    def not_good(self, failing: set[int]) -> tuple[set[int], set[int]]:
        """Which tasks come to nothing, and which are never begun, when some fail."""
        bad, idle = set[int](), set[int]()

        def walk(nodes: list[Node], *, is_begun: bool) -> None:
            for node in nodes:
                begins = is_begun and not any(each.number in bad for each in node.takes)
                walk(node.body, is_begun=begins and node.number not in failing)
                if not begins:
                    idle.add(node.number)
                if not begins or node.number in failing or any(each.number in bad for each in node.body):
                    bad.add(node.number)

        walk(self.top, is_begun=True)
        return bad, idle

    def runs(self, anew: set[int]) -> list[int]:
        """What runs in a run in which these are computed anew: of a join that is reused, nothing."""
        found: list[int] = []

        def walk(nodes: list[Node]) -> None:
            for node in nodes:
                if node.kind == PLAIN or node.number in anew:
                    found.append(node.number)
                    walk(node.body)

        walk(self.top)
        return sorted(found)


def bodies(rng: random.Random, numbers: Iterator[int], depth: int) -> Any:
    """The calls of a random workflow, or of a join in one."""
    made: list[Any] = []
    for _ in range(rng.randint(1, 6)):
        kind = rng.choice([CACHED, CACHED, PLAIN, JOIN] if depth else [CACHED, PLAIN])
        takes = sorted(rng.sample([each[1] for each in made], min(len(made), rng.randint(0, 2))))
        inner = bodies(rng, numbers, depth - 1) if kind == JOIN else []
        made.append((kind, next(numbers), takes, rng.choice([None, None, 0, 1]), inner))
    return made


# --------------------------------------------------------------------------------------- the tests


def executed() -> list[int]:
    found = sorted(ran)
    ran.clear()
    return found


def resumed(run: RecordedRun, model: Model) -> RecordedRun:
    """Go on from a run in which nothing is open."""
    planned = plan(run, model)
    new = run.resume()
    done = executed()
    assert done == model.runs(set()), "a resume repeats nothing"
    assert planned["run"] <= set(done) <= planned["run"] | planned["unknown"]
    return new


def from_(run: RecordedRun, model: Model, chosen: list[Node]) -> RecordedRun:
    planned = plan(run, model, from_=[node.path for node in chosen])
    new = run.rerun(from_=[node.path for node in chosen])
    whole, partly = model.affected(chosen)
    done = executed()
    assert done == model.runs(whole | partly)
    assert planned["run"] <= set(done) <= planned["run"] | planned["unknown"]
    return new


def plan(run: RecordedRun, model: Model, **how: Any) -> dict[str, set[int]]:
    """The numbers of the tasks that are to run, and of those of which it cannot be known."""
    found, number = run.plan(**how), {node.path: node.number for node in model.all}
    return {group: {number[run.record.path_of(id)] for id in getattr(found, group)} for group in ("run", "unknown")}


def restarted(run: RecordedRun, model: Model, chosen: list[Node]) -> RecordedRun:
    anew = set[int]()
    for node in chosen:
        whole, partly = model.affected([node])
        locs = run.restart_task(node.path)
        assert {run.record.task(loc).path for loc in locs} == paths(model, whole | partly)
        anew |= whole | partly
    new = run.resume()
    assert executed() == model.runs(anew)
    return new


def invalidated(run: RecordedRun, model: Model, chosen: list[Node]) -> RecordedRun:
    whole, partly = model.affected(chosen)
    try:
        done = run.invalidate([node.path for node in chosen])
    except parslish.UsageError:  # of none of them anything is stored
        assert all(node.kind == PLAIN for node in model.all if node.number in whole | partly)
        return run
    assert set(done.paths) == paths(model, whole | partly)
    new = run.resume()
    assert executed() == model.runs(whole | partly)
    return new


def undone(run: RecordedRun, model: Model, chosen: list[Node]) -> RecordedRun:
    with contextlib.suppress(parslish.UsageError):  # nothing of them is stored
        run.invalidate([node.path for node in chosen]).undo()
    return run


def all_(run: RecordedRun, model: Model, chosen: list[Node]) -> RecordedRun:
    new = run.rerun(all=True)
    assert executed() == sorted(node.number for node in model.all)
    return new


def only(run: RecordedRun, model: Model, chosen: list[Node]) -> RecordedRun:
    """Just these; what a join of them submits is known, unless it is one of them or of no use to know."""
    numbers = {node.number for node in chosen}
    needed = {each.number for node in chosen for each in node.takes if each.kind == PLAIN}
    if needed - numbers:  # the result of an uncached task is not stored
        return run
    expected: list[int] = []

    def walk(node: Node) -> None:
        if node.kind == PLAIN or node.number in numbers:
            expected.append(node.number)
            for each in node.body:
                walk(each)

    for node in chosen:
        outer = node.parent
        while outer is not None and outer.number not in numbers:
            outer = outer.parent
        if outer is None:
            walk(node)
    try:
        new = run.rerun(only=[node.path for node in chosen])
    except parslish.UsageError as exc:
        assert "were not kept, as they are large" in str(exc)
        return run
    assert executed() == sorted(expected)
    assert new.status == "completed"
    return run


def paths(model: Model, numbers: set[int]) -> set[str]:
    return {node.path for node in model.all if node.number in numbers}


WAYS: list[Callable[[RecordedRun, Model, list[Node]], RecordedRun]] = [
    from_, from_, restarted, invalidated, undone, only, all_,
]  # fmt: skip


@pytest.mark.parametrize("seed", range(40))
def test_what_has_to_run_runs_and_nothing_else(seed: int) -> None:
    rng = random.Random(seed)
    body = bodies(rng, iter(range(1_000)), depth=3)
    model = Model(body)
    ran.clear()
    run = parslish.run(parslish.dispatch(flow)(body))
    assert parslish.get_result(run.id, wait=True).status == "COMPLETED"
    assert executed() == sorted(node.number for node in model.all)
    for _ in range(4):
        chosen = rng.sample(model.all, min(len(model.all), rng.choice([1, 1, 2, 3])))
        way = rng.choice(WAYS)
        try:
            run = way(run, model, chosen)
            assert set(statuses(run)) == {node.path for node in model.all}, "all tasks are at their places"
            assert set(statuses(run).values()) <= {"done", "reused"}
            run = resumed(run, model)
        except AssertionError as exc:
            raise AssertionError(f"{way.__name__} of {[node.path for node in chosen]} in {body}: {exc}") from exc


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("how", ["resume", "from failure"])
def test_what_failed_and_what_waited_for_it_runs_and_nothing_else(seed: int, how: str) -> None:
    rng = random.Random(-seed - 1)
    body = bodies(rng, iter(range(1_000)), depth=3)
    model = Model(body)
    some = [node.number for node in model.all]
    note.broken.update(rng.sample(some, min(len(some), rng.randint(1, 3))))
    try:
        ran.clear()
        run = parslish.run(parslish.dispatch(flow)(body))
        parslish.get_result(run.id, wait=True)
        bad, idle = model.not_good(note.broken)
    finally:
        note.broken.clear()
    assert executed() == sorted(set(some) - idle), "what waits for a failure is not begun"
    new = run.rerun(from_failure=True) if how == "from failure" else run.resume()
    assert executed() == model.runs(bad)
    assert set(statuses(new)) == {node.path for node in model.all}
    assert set(statuses(new).values()) <= {"done", "reused"}
    resumed(new, model)
