"""Owns plans: what orders would come to, asked of the record and the store before anything runs."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path

from parslish.errors import ParslishError
from parslish.history import lineage
from parslish.history.edges import Edges
from parslish.history.folder import CHECKPOINT, numbered
from parslish.history.plan import Plan
from parslish.history.plan import plan as planned
from parslish.history.record import RunRecord
from parslish.orders import ALL, Orders
from parslish.secret import Keys
from parslish.store.reader import Store

ARGUMENTS, RESULT = "arguments were", "result was"  # that somebody put in a task's place


def plan(record: RunRecord, told: Orders, keys: Keys) -> Plan:
    """What a re-execution would do, as far as that can be known from what is stored."""
    forced = {task.id: reason for path, reason in told.forced.items() if (task := record.find(path)) is not None}
    edited: dict[str, set[int]] = {ARGUMENTS: set(), RESULT: set()}
    for path, edit in told.edits.items():
        task = record.find(path)
        if task is not None:
            what = RESULT if edit.arguments is None else ARGUMENTS
            edited[what].add(task.id)
            forced[task.id] = f"its {what} edited"
    edges = Edges(record)
    store = Store.open((), keys, found=lambda: _stores(record))
    try:
        found = planned(
            record,
            forced=forced,
            partly=[task.id for path in told.partly if (task := record.find(path)) is not None],
            dependents=told.dependents,
            stored=store.__contains__ if told.reuse else lambda key: False,
            changed_code=set(told.replace),
            all=told.style == ALL,
            edges=edges,
            known=_origins(record, keys),
        )
    finally:
        store.close()
    if told.is_by_record:
        chosen = set(told.selected)  # and nothing else is touched
        return dataclasses.replace(found, reuse=(), unknown=(), run=[id for id in found.run if id in chosen])
    return _with_results(found, edited[RESULT], edges) if edited[RESULT] else found


def _with_results(found: Plan, edited: set[int], edges: Edges) -> Plan:
    """The plan with tasks that were given a result: they are not run, and what they had submitted is not either."""
    given, parents = set(edited), found.record.columns.parent
    for id in found.record.ids():  # a join before what it submitted
        if parents[id] in given:
            given.add(id)
    return dataclasses.replace(
        found,
        reuse=edges.topological([*found.reuse, *given]),
        run=[id for id in found.run if id not in given],
        unknown=[id for id in found.unknown if id not in given],
    )


def _origins(record: RunRecord, keys: Keys) -> dict[int, RunRecord]:
    """The runs beside this one in which results were computed that it reused, by number."""
    wanted = {number for number, _ in record.columns.origin.values() if number is not None}
    places = {number: path for number, path in numbered(record.path.parent) if number in wanted}
    found = {}
    for number, path in places.items():
        with contextlib.suppress(ParslishError):  # no record, or of another account: then it is not known
            found[number] = RunRecord(path, keys)
    return found


def _stores(record: RunRecord) -> list[Path]:
    """What a run that executes this one again would load: the stores of its run folder, and of its chain."""
    runs = [*(path for _, path in numbered(record.path.parent)), *lineage.chain(record.path)]
    return [path / CHECKPOINT for path in dict.fromkeys(runs) if (path / CHECKPOINT).is_dir()]
