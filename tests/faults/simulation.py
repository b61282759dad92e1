"""Owns random graphs of tasks for tests: what a graph is, the apps that its nodes call, and what must come out.

The outcome is worked out from the graph alone, by a model that knows nothing of kernels: a recursion over nodes.
"""

from __future__ import annotations

import hashlib
import random
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from parslish import join_app, python_app

ALWAYS = 1_000_000  # of failing tries: the node fails whatever the retries

#: How a gate, a future that no kernel knows, is opened.
OPENINGS = ("value", "error", "cancel")


class Planned(Exception):
    """What failing nodes raise."""


@dataclass(frozen=True)
class Node:
    """One call of an app.

    `token` names what it computes: nodes of one token are the same call, so one key where `cached`. `inputs` are
    numbers of earlier nodes, `gates` numbers of gates. `failing` tries fail. A join has `children`, each with its
    own number of failing tries. `shape` is how the inputs are passed.
    """

    token: int
    inputs: tuple[int, ...]
    gates: tuple[int, ...]
    cached: bool
    failing: int
    children: tuple[int, ...]
    shape: int


@dataclass(frozen=True)
class Graph:
    """Nodes in the order they are called, and gates with how each is opened."""

    nodes: Sequence[Node]
    gates: Sequence[str]


def graph(rng: random.Random, first_token: int, retries: int) -> Graph:
    """A random graph, whose tokens begin with `first_token`."""
    gates = [rng.choices(OPENINGS, (6, 1, 1))[0] for _ in range(rng.randint(0, 3))]
    nodes: list[Node] = []
    for token in range(first_token, first_token + rng.randint(1, 14)):
        if nodes and rng.random() < 0.2:
            nodes.append(_again(rng.choice(nodes), retries) or _node(rng, token, len(nodes), len(gates)))
        else:
            nodes.append(_node(rng, token, len(nodes), len(gates)))
    return Graph(nodes, gates)


def _again(node: Node, retries: int) -> Node | None:
    """The same call once more; None where its outcome would depend on the order of the two."""
    settled = all(failing in (0, ALWAYS) for failing in (node.failing, *node.children))
    return node if settled or (node.failing <= retries and not node.children) else None


def _node(rng: random.Random, token: int, earlier: int, gates: int) -> Node:
    width = rng.choice([0, 1, 1, 2, 3, earlier])
    return Node(
        token,
        tuple(rng.sample(range(earlier), min(width, earlier))),
        tuple(rng.sample(range(gates), min(gates, rng.choice([0, 0, 0, 1, 2])))),
        cached=rng.random() < 0.6,
        failing=_failing(rng),
        children=tuple(_failing(rng) for _ in range(rng.randint(1, 3))) if rng.random() < 0.15 else (),
        shape=rng.randrange(3),
    )


def _failing(rng: random.Random) -> int:
    return rng.choices((0, 1, 2, ALWAYS), (16, 2, 1, 1))[0]


# -------------------------------------------------------------------------------------- what runs


@dataclass
class World:
    """What the running apps note: tries and successes by token, and how many children joins have submitted."""

    tries: Counter[int] = field(default_factory=Counter)
    successes: Counter[int] = field(default_factory=Counter)
    children: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note_try(self, token: int) -> int:
        with self.lock:
            self.tries[token] += 1
            return self.tries[token]

    def note_success(self, token: int) -> None:
        with self.lock:
            self.successes[token] += 1


world = World()


def reset() -> World:
    """Forget all notes."""
    global world
    world = World()
    return world


def value_of(token: int, inputs: Sequence[int]) -> int:
    """What a node gives, from what its inputs and gates gave."""
    return int.from_bytes(hashlib.blake2b(repr((token, list(inputs))).encode(), digest_size=6).digest(), "big")


def shaped(values: Sequence[Any], shape: int) -> Any:
    """The inputs as they are passed: a list, or inside containers."""
    return [list(values), {"first": tuple(values)}, (values[:1], [{"rest": list(values[1:])}])][shape]


def _flat(passed: Any) -> list[int]:
    if isinstance(passed, dict):
        passed = list(passed.values())
    if isinstance(passed, (list, tuple)):
        return [value for part in passed for value in _flat(part)]
    return [passed]


def _work(token: int, failing: int, passed: Any) -> int:
    if world.note_try(token) <= failing:
        raise Planned(f"{token}")
    world.note_success(token)
    return value_of(token, _flat(passed))


def _fan(token: int, failing: int, children: tuple[int, ...], passed: Any, cached: bool) -> list[Future[int]]:
    if world.note_try(token) <= failing:
        raise Planned(f"{token}")
    with world.lock:
        world.children += len(children)
    return [WORK[cached](child_token(token, n), tries, passed) for n, tries in enumerate(children)]


def child_token(token: int, number: int) -> int:
    """The token of a join's child."""
    return token * 10 + number + 10**9


# A version instead of the code: the notes that the functions make are not part of what they compute.
WORK = {cached: python_app(_work, cache=cached, version="1") for cached in (False, True)}
FAN = {cached: join_app(_fan, cache=cached, version="1") for cached in (False, True)}


def call(node: Node, futures: Sequence[Future[Any]], gates: Sequence[Future[Any]]) -> Any:
    """Make the call that a node stands for."""
    passed = shaped([*(futures[n] for n in node.inputs), *(gates[n] for n in node.gates)], node.shape)
    if node.children:
        return FAN[node.cached](node.token, node.failing, node.children, passed, node.cached)
    if node.shape:
        return WORK[node.cached](node.token, passed=passed, failing=node.failing)
    return WORK[node.cached](node.token, node.failing, passed)


# -------------------------------------------------------------------------------------- what must come out

#: ("value", what) · ("error", None) · ("dep_fail", how many inputs failed) · ("join_fail", how many) ·
#: ("cancelled", None)
Outcome = tuple[str, Any]


def outcomes(graph: Graph, cancelled: set[int], retries: int) -> list[Outcome]:
    """What each node gives, when the nodes in `cancelled` were cancelled in time."""
    known: list[Outcome] = []
    for number, node in enumerate(graph.nodes):
        known.append(("cancelled", None) if number in cancelled else _outcome(graph, node, known, retries))
    return known


def _outcome(graph: Graph, node: Node, known: Sequence[Outcome], retries: int) -> Outcome:
    gates = [(graph.gates[n], gate_value(n)) for n in node.gates]
    inputs = [known[n] for n in node.inputs] + gates
    failures = sum(kind != "value" for kind, _ in inputs)
    if failures:
        return "dep_fail", failures
    if node.failing > retries:
        return "error", None
    values = _flat([value for _, value in inputs])
    if not node.children:
        return "value", value_of(node.token, values)
    failures = sum(failing > retries for failing in node.children)
    if failures:
        return "join_fail", failures
    return "value", [value_of(child_token(node.token, n), values) for n in range(len(node.children))]


def cached_tokens(graph: Graph) -> set[int]:
    """The tokens whose results are kept, children's included."""
    kept = [node for node in graph.nodes if node.cached]
    children = {child_token(node.token, n) for node in kept for n in range(len(node.children))}
    return {node.token for node in kept} | children


def gate_value(number: int) -> int:
    """What a gate that is opened with a value gives."""
    return 1_000 + number
