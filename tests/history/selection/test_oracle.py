"""Random expressions on random runs: what they mean is what the oracle says, as recorded and as it comes."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from typing import Any

import pytest

from parslish.history.record import TaskRecord
from parslish.history.selection import LiveSelection, parse, select
from tests.history.selection.graphs import ATOMS, Graph, random_expression, random_run

SEED = int(os.environ.get("PARSLISH_SEED", "20261121"))
SOAK = int(os.environ.get("PARSLISH_SOAK", "1"))


class Again:
    """A recorded task that comes again."""

    def __init__(self, task: TaskRecord) -> None:
        self._task = task
        columns = task.run.columns
        self.name, self.path, self.label, self.kind = task.name, task.path, task.label, task.app.kind
        self.occurrence = columns.occurrence[task.id]
        self.scope_path = task.run.scope_of(task.id)

    def arguments(self) -> Mapping[str, Any]:
        return self._task.arguments


@pytest.mark.parametrize("case", range(12 * SOAK))
def test_what_an_expression_means_is_what_the_oracle_says(case: int) -> None:
    print(f"PARSLISH_SEED={SEED}")
    rng = random.Random(f"{SEED} {case}")
    run = random_run(rng)
    graph = Graph(run)
    atoms = [each for each in ATOMS if select(run, each[0], empty_ok=True)]
    for number in range(40):
        asked = random_expression(rng)
        found = select(run, asked.text, empty_ok=True)
        wanted = asked.means(graph, run)
        assert set(found.ids) == wanted, f"case {case}, {number}: {asked.text}"
        assert parse(found.expression) == found.parsed, asked.text
        matches = LiveSelection(found).matches
        assert {task.id for task in run if matches(Again(task))} == wanted, f"as they come: {asked.text}"
    assert len(atoms) > 20, "the runs do not have what the atoms are about"


@pytest.mark.parametrize(("text", "is_meant"), ATOMS, ids=[text for text, _ in ATOMS])
def test_an_atom_means_the_tasks_of_which_it_is_true(text: str, is_meant: Any) -> None:
    print(f"PARSLISH_SEED={SEED}")
    run = random_run(random.Random(f"{SEED} {text}"), 60)
    assert select(run, text, empty_ok=True).ids == tuple(task.id for task in run if is_meant(task))
