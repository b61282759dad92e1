"""Runs made of events, and random ones with an oracle: what each expression means, said naively."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from parslish.history.event import Kind
from parslish.history.record import RunRecord, TaskRecord
from parslish.history.recorder import Recorder
from parslish.secret import Keys

KEYS = Keys([b"k" * 32])
APPS = ("relax", "relax_fast", "scan", "total")
ENDS = ("done", "done", "done", "reused", "lost", "upstream_failed", "ValueError", "Outer.KeyError")
STEP = 10.0  # seconds between submissions
_numbers = itertools.count()


class Made(NamedTuple):
    """A task to be: `end` is how it ended, as the kind of its last event and what that says."""

    app: str
    parent: int = -1
    label: str | None = None
    needs: Sequence[int] = ()
    arguments: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] | None = None
    scope: int = -1
    end: str = "done"
    duration: float = 1.0
    worker: str = "node1:100"
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    result: Any = None


def run_of(
    tasks: Iterable[Made],
    *,
    apps: Mapping[str, tuple[str, str, Sequence[str]]] | None = None,
    scopes: Iterable[tuple[int, str, str]] = (),
    where: Path | None = None,
) -> RunRecord:
    """The record of a run with these tasks.

    Args:
        apps: name → kind, code and parameters of those that are not like `relax(x, seed)`.
        scopes: of each its parent, name and label.
    """
    path = (where or Path("runinfo")) / f"{next(_numbers):03}"
    path.mkdir(parents=True)
    recorder = Recorder(path / "events", keys=KEYS, run_number=0)
    for event in _events(list(tasks), apps or {}, list(scopes)):
        recorder.add(event)
    recorder.close()
    return RunRecord(path, KEYS)


def _events(
    tasks: Sequence[Made], apps: Mapping[str, tuple[str, str, Sequence[str]]], scopes: Sequence[tuple[int, str, str]]
) -> Iterable[tuple[Any, ...]]:
    yield Kind.RUN_START, 1000.0, {}
    numbers: dict[str, int] = {}
    workers: dict[str, int] = {}
    seen: dict[tuple[Any, ...], int] = {}
    for number, (parent, name, label) in enumerate(scopes):
        yield Kind.SCOPE, number, parent, -1, name, label
    for id, task in enumerate(tasks):
        if task.app not in numbers:
            numbers[task.app] = len(numbers)
            kind, code, parameters = apps.get(task.app, ("python", "aa", ("x", "seed")))
            yield Kind.APP, numbers[task.app], task.app, "m", code, kind, "True", None, "f.py", 1, parameters, ()
        if task.worker not in workers:
            workers[task.worker] = len(workers)
            yield Kind.WORKER, workers[task.worker], task.worker
        position = seen[task.parent,] = seen.get((task.parent,), -1) + 1
        occurrence = seen[task.parent, task.scope, task.app] = seen.get((task.parent, task.scope, task.app), -1) + 1
        yield (
            Kind.SUBMIT, id, 1000.0 + STEP * id, numbers[task.app], task.parent, position, occurrence, task.label,
            tuple(task.needs), task.arguments, task.keywords, task.scope, task.inputs, task.outputs, None,
        )  # fmt: skip
        yield from _ending(id, task, workers[task.worker])
    yield Kind.RUN_END, 9999.0, "completed", {}


def _ending(id: int, task: Made, worker: int) -> Iterable[tuple[Any, ...]]:
    begun = 1000.0 + STEP * id
    if task.end in ("waiting", "lost"):
        return
    if task.end == "reused":
        yield Kind.REUSE, id, begun + task.duration, b"k", 0, 1, task.result
    elif task.end == "upstream_failed":
        yield Kind.FAIL, id, begun, 0, "dep_fail", "DependencyError", "no", "", None, None, None
    else:
        yield Kind.START, id, begun, 1, worker
        if task.end == "done":
            yield Kind.END, id, begun + task.duration, b"k", worker, begun, task.duration, 0.1, 0, task.result
        else:
            yield Kind.FAIL, id, begun + task.duration, 1, "failed", task.end, "no", "", None, worker, None


# ------------------------------------------------------------------------------------- random runs


def random_run(rng: random.Random, size: int = 25) -> RunRecord:
    """A run with joins inside of joins, scopes, labels, failures, several workers and all kinds of arguments."""
    tasks: list[Made] = []
    joins: list[int] = []
    for id in range(size):
        is_join = rng.random() < 0.2
        parent = rng.choice([-1, *joins[-3:]]) if joins else -1
        waiting = _waiting_for(tasks, parent)
        needs = [each for each in _some(rng, range(id)) if each not in waiting]
        label = rng.choice([None, None, f"L{id}", str(100 + id)])
        tasks.append(
            Made(
                app="scan" if is_join else rng.choice(("relax", "relax_fast", "total")),
                parent=parent,
                label=label,
                needs=sorted(needs),
                arguments=_random_arguments(rng),
                keywords=rng.choice([None, {"kind": rng.choice(["a", "b"])}]),
                scope=rng.choice([-1, 0, 1]) if parent < 0 else -1,
                end=rng.choice(ENDS),
                duration=float(rng.choice([0.5, 30, 90, 7200])),
                worker=rng.choice(["node1:100", "node1:101:t-0", "node2:7"]),
            )
        )  # fmt: skip
        if is_join:
            joins.append(id)
    kinds = {"scan": ("join", "bb", ("x", "seed"))}
    return run_of(tasks, apps=kinds, scopes=[(-1, "loop", "0"), (-1, "loop", "warm")])


def _waiting_for(tasks: Sequence[Made], parent: int) -> set[int]:
    """The tasks that cannot end before one of that parent has: it must not wait for them."""
    begun: set[int] = set()
    ended = {parent} - {-1}
    for _ in tasks:
        for id, task in enumerate(tasks):
            if task.parent in begun or not ended.isdisjoint(task.needs):
                begun.add(id)
                ended.add(id)
            if id in ended and task.parent >= 0:
                ended.add(task.parent)
    return ended


def _some(rng: random.Random, ids: Sequence[int]) -> list[int]:
    return rng.sample(ids, min(len(ids), rng.choice([0, 0, 1, 1, 2, 3])))


def _random_arguments(rng: random.Random) -> tuple[Any, ...]:
    values = [1, 2, 2.0, "2", "text", True, None, 0.1, {"file": "a.dat"}]
    return tuple(rng.choice(values) for _ in range(rng.choice([0, 1, 2, 2, 3])))


# ------------------------------------------------------------------------------------- the oracle


class Graph:
    """What depends on what, with both ends of each task as nodes of their own: ("begins", 3), ("ends", 3)."""

    def __init__(self, run: RunRecord) -> None:
        self.ids = list(run.ids())
        self._after: dict[tuple[str, int], list[tuple[tuple[str, int], int]]] = {}
        for task in run:
            self._link(("begins", task.id), ("ends", task.id), 0)
            for source in task.dependencies:
                self._link(("ends", source), ("begins", task.id), 1)
            if task.parent is not None:
                self._link(("begins", task.parent.id), ("begins", task.id), 1)
                self._link(("ends", task.id), ("ends", task.parent.id), 1)
        self._before: dict[tuple[str, int], list[tuple[tuple[str, int], int]]] = {}
        for source, links in self._after.items():
            for to, cost in links:
                self._before.setdefault(to, []).append((source, cost))

    def _link(self, source: tuple[str, int], to: tuple[str, int], cost: int) -> None:
        self._after.setdefault(source, []).append((to, cost))

    def descendants(self, ids: Iterable[int], depth: float = float("inf")) -> set[int]:
        found = self._distances([("begins", id) for id in ids], self._after)
        return {id for (_, id), distance in found.items() if distance <= depth}

    def ancestors(self, ids: Iterable[int], depth: float = float("inf")) -> set[int]:
        found = self._distances([("ends", id) for id in ids], self._before)
        return {id for (_, id), distance in found.items() if distance <= depth}

    def roots(self, ids: set[int]) -> set[int]:
        return {
            id
            for id in ids
            if not any(("begins", id) in self._distances([("begins", each)], self._after) for each in ids - {id})
        }

    def sinks(self, ids: set[int]) -> set[int]:
        return {
            id
            for id in ids
            if not any(("ends", each) in self._distances([("ends", id)], self._after) for each in ids - {id})
        }

    def _distances(
        self, starts: Iterable[tuple[str, int]], links: Mapping[tuple[str, int], list[tuple[tuple[str, int], int]]]
    ) -> dict[tuple[str, int], int]:
        found = dict.fromkeys(starts, 0)
        changed = True
        while changed:
            changed = False
            for node, distance in list(found.items()):
                for to, cost in links.get(node, ()):
                    if distance + cost < found.get(to, 1 << 30):
                        found[to] = distance + cost
                        changed = True
        return found


Oracle = Callable[[Graph, RunRecord], set[int]]


class Asked(NamedTuple):
    """An expression, and what it means."""

    text: str
    means: Oracle


def random_expression(rng: random.Random, depth: int = 3) -> Asked:
    kind = rng.choice(("atom", "atom", "walk", "walk", "and", "or", "not", "ends"))
    if depth == 0 or kind == "atom":
        return _random_atom(rng)
    one = random_expression(rng, depth - 1)
    if kind == "not":
        return Asked(f"not ({one.text})", lambda graph, run: set(graph.ids) - one.means(graph, run))
    if kind == "walk":
        return _random_walk(rng, one)
    if kind == "ends":
        which = rng.choice(("roots", "sinks"))
        return Asked(f"{which}({one.text})", lambda graph, run: getattr(graph, which)(one.means(graph, run)))
    other = random_expression(rng, depth - 1)
    if kind == "and":
        return Asked(f"({one.text}) and ({other.text})", lambda g, run: one.means(g, run) & other.means(g, run))
    sign = rng.choice((" or ", ", ", " OR "))
    return Asked(f"({one.text}){sign}({other.text})", lambda g, run: one.means(g, run) | other.means(g, run))


def _random_walk(rng: random.Random, one: Asked) -> Asked:
    far = float("inf")
    before, up = rng.choice([("", 0), ("*", far), ("+", 1), ("++", 2), ("3+", 3)])
    behind, down = rng.choice([("", 0), ("*", far), ("+", 1), ("++", 2), ("+3", 3)])

    def means(graph: Graph, run: RunRecord) -> set[int]:
        start = one.means(graph, run)
        return graph.ancestors(start, up) | graph.descendants(start, down) if start else set()

    return Asked(f"{before}({one.text}){behind}", means)


def _random_atom(rng: random.Random) -> Asked:
    text, is_meant = rng.choice(ATOMS)
    return Asked(text, lambda graph, run: {task.id for task in run if is_meant(task)})


def _has(name: str, is_so: Callable[[Any], bool]) -> Callable[[TaskRecord], bool]:
    return lambda task: name in task.arguments and is_so(task.arguments[name])


def _is_two(value: Any) -> bool:
    return value == "2" or (type(value) in (int, float) and value == 2)


#: Atoms, and of which tasks they are true.
ATOMS: Sequence[tuple[str, Callable[[TaskRecord], bool]]] = (
    ("*", lambda task: True),
    ("relax", lambda task: task.name == "relax"),
    ("scan", lambda task: task.name == "scan"),
    ("name:total", lambda task: task.name == "total"),
    ('name:"relax*"', lambda task: task.name.startswith("relax")),
    ('name:"?otal"|scan', lambda task: task.name in ("total", "scan")),
    ("path:**/relax[*]", lambda task: task.name == "relax"),
    ("path:-/scan[*]/**", lambda task: task.path.startswith("-/scan") and task.path.count("/") > 1),
    ("-/loop[0]/*", lambda task: task.path.startswith("-/loop[0]/") and task.path.count("/") == 2),
    ("label:\"L*\"", lambda task: (task.label or "").startswith("L")),
    ("kind:join", lambda task: task.app.kind == "join"),
    ("scope:loop", lambda task: "/loop[" in task.path),
    ("scope:-/loop[warm]", lambda task: task.path.startswith("-/loop[warm]/")),
    ("tag:warm", lambda task: task.path.startswith("-/loop[warm]/")),
    ("id:0|3|7", lambda task: task.id in (0, 3, 7)),
    ("-.N0", lambda task: task.loc == "-.N0"),
    ("status:done", lambda task: task.status == "done"),
    ("status:failed|upstream_failed|lost", lambda task: task.status in ("failed", "upstream_failed", "lost")),
    ("host:node1", lambda task: task.host == "node1"),
    ("host:\"node*\"", lambda task: task.host.startswith("node")),
    ("worker:node1:101", lambda task: task.worker == "node1:101:t-0"),
    ("exc:ValueError", lambda task: task.error is not None and task.error.type == "ValueError"),
    ("exc:KeyError|DependencyError", lambda task: task.error is not None and task.error.type != "ValueError"),
    ("duration:<1m", lambda task: task.status in ("done", "failed") and task.duration < 60),
    ("duration:>=1m30s", lambda task: task.status in ("done", "failed") and task.duration >= 90),
    ("after:-.N0", lambda task: 0 < TaskRecord(task.run, 0).ended < task.submitted),
    ("before:-.N0", lambda task: False),
    ("arg:x=2", _has("x", _is_two)),
    ('arg:x="2"', _has("x", lambda value: value == "2")),
    ("arg:x!=2", _has("x", lambda value: not _is_two(value))),
    ("arg:seed<2", _has("seed", lambda value: type(value) in (int, float) and value < 2)),
    ("arg:seed>=2.0", _has("seed", lambda value: type(value) in (int, float) and value >= 2)),
    ('arg:x="t*"|a.dat', _has("x", lambda value: value in ("text", {"file": "a.dat"}))),
    ("arg:x=True|None", _has("x", lambda value: value is True or value is None)),
    ("arg:kind=a", _has("kind", lambda value: value == "a")),
    ("arg:*2=2", _has("*2", _is_two)),
)  # fmt: skip
