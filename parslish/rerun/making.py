"""Owns how each way to execute a run again is put into orders."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Union

from parslish import codec
from parslish.errors import UsageError
from parslish.history import marks
from parslish.history.edges import Edges
from parslish.history.lineage import VERIFY, chain
from parslish.history.record import GOOD, STATUSES, RunRecord, TaskRecord
from parslish.orders import ALL, FROM, FROM_FAILURE, ONLY, REDISPATCH, RESUME, Edit, Orders
from parslish.rerun import by_record, kept, replacing
from parslish.rerun.replacing import Replacements
from parslish.secret import Keys

if TYPE_CHECKING:
    from parslish.history.selection import Selection

RESTART, EDIT = "restart", "edit"
Expression = Union[str, Iterable[str], "Selection"]
SELECTED = "selected"  # why a task is computed anew that was named


def make(
    record: RunRecord,
    keys: Keys,
    *,
    all: bool = False,
    only: Expression | None = None,
    from_: Expression | None = None,
    from_failure: bool = False,
    replace: Replacements | None = None,
    reuse: bool = True,
    pause: Expression | None = None,
    verify: Collection[int] | None = None,
) -> Orders:
    """The orders for one way to execute a run again; without any of the four, what is open is finished.

    Raises:
        UsageError: two ways at once, a selection of nothing, no failure to start from, an unknown app to replace, or a
            replacement that cannot be called as the app was.
    """
    ways = {"all": all, "only": only is not None, "from_": from_ is not None, "from_failure": from_failure}
    chosen = [name for name, is_given in ways.items() if is_given]
    if len(chosen) > 1:
        raise UsageError(f"{' and '.join(chosen)} exclude each other; give one of {', '.join(ways)}")
    if from_failure and not has_failures(record):
        raise UsageError(f"run {record.id} has no task that failed or was lost; use all, only or from_ instead")
    before = replacing.orders_of(record, keys)
    replace = replacing.chosen(record, replace, before)
    orders = Orders(
        id=os.urandom(4).hex(),
        parent=record.path,
        root=record.root,
        style=ALL if all else FROM_FAILURE if from_failure else REDISPATCH if replace else RESUME,
        reuse=reuse and not all,
        pause=None if pause is None else str(selected_of(record, pause).expression),
        replace=replace,
        edits=_edits(record, keys),
        run_dir=str(record.facts.get("run_dir", "")),
        kernel=int(record.facts.get("kernel", 0)),
        since=_since(record, before),
    )
    if all:
        return orders
    if only is not None or verify is not None:
        return _by_record(orders, record, verify or selected_of(record, only or "").ids, verifies=verify is not None)
    forced = _open_tasks(record, keys, before)
    callers = _callers(record, forced)
    if from_ is not None:
        orders = _from(orders, record, selected_of(record, from_), forced, callers)
    else:
        orders = dataclasses.replace(orders, **_forcing(record, forced | callers))
    return orders if before is None or before.is_by_record else _with_left(orders, record, before)


def _since(record: RunRecord, before: Orders | None) -> int | None:
    """The run before which no result is to be used, where all was to be computed anew, and has not been."""
    if before is None or record.status == "completed":
        return None
    return before.since if before.reuse else record.number


def _with_left(orders: Orders, record: RunRecord, before: Orders) -> Orders:
    """With what a run was ordered to make anew, and did not come to."""
    left = {path: why for path, why in before.forced.items() if record.find(path) is None}
    if not left or record.status == "completed":
        return orders
    status, key = record.columns.status, record.columns.key
    known = {key[id] for id in record.ids() if STATUSES[status[id]] in GOOD}
    keys = {each: why for each, why in before.forced_keys.items() if each not in known}
    partly = orders.partly | (before.partly & left.keys())
    return dataclasses.replace(
        orders, forced={**left, **orders.forced}, forced_keys={**keys, **orders.forced_keys}, partly=partly
    )


def _callers(record: RunRecord, forced: Mapping[int, str]) -> dict[int, str]:
    """The joins that have to run for what is forced to be called, and why."""
    parents, found = record.columns.parent, dict[int, str]()
    for id in forced:
        parent = parents[id]
        while parent >= 0 and parent not in forced and parent not in found:
            found[parent] = f"it calls {record.path_of(id)}, which runs again"
            id, parent = parent, parents[parent]
    return found


def _from(
    orders: Orders, record: RunRecord, selected: Selection, forced: dict[int, str], callers: dict[int, str]
) -> Orders:
    whole, partly = Edges(record).affected(selected.ids)
    partly |= callers.keys() - whole
    forced |= callers
    forced |= dict.fromkeys(whole | partly, "depends on what was selected") | dict.fromkeys(selected.ids, SELECTED)
    return dataclasses.replace(
        orders,
        style=FROM,
        partly=frozenset(map(record.path_of, partly)),
        expression=str(selected.expression),
        dependents=True,
        **_forcing(record, forced),
    )


def _by_record(orders: Orders, record: RunRecord, ids: Collection[int], *, verifies: bool) -> Orders:
    by_record.check(record, ids)
    return dataclasses.replace(
        orders,
        style=VERIFY if verifies else ONLY,
        selected=tuple(sorted(ids)),
        **_forcing(record, dict.fromkeys(ids, SELECTED)),
    )


def _forcing(record: RunRecord, forced: Mapping[int, str]) -> dict[str, Any]:
    """The fields of orders that say which tasks are computed, whatever is known."""
    keys = record.columns.key
    paths = {id: record.path_of(id) for id in forced}
    return {
        "forced": {paths[id]: reason for id, reason in forced.items()},
        "forced_keys": {key: f"shares its key with {paths[id]}" for id in forced if (key := keys[id]) is not None},
    }


def selected_of(record: RunRecord, expression: Expression) -> Selection:
    """What an expression means in a run. Raises UsageError."""
    from parslish.history.selection import Selection, select  # here: most runs are resumed without

    if isinstance(expression, Selection):
        return expression if expression.run is record else select(record, expression.parsed)
    return select(record, expression)


def has_failures(record: RunRecord) -> bool:
    """Whether tasks of a run failed, or were lost."""
    return bool(_not_good(record))


def _open_tasks(record: RunRecord, keys: Keys, before: Orders | None) -> dict[int, str]:
    """The tasks that are to be computed whatever is known: those that failed, whose failure may be remembered; those
    that were marked to run again; and those that this run was ordered to make anew, and did not."""
    stored = kept.ids(record, keys)
    forced = {task.id: task.status.replace("_", " ") for task in _not_good(record) if task.id not in stored}
    for mark in marks.read(record.path, keys):
        if mark.what == RESTART:
            forced |= _of_paths(record, dict.fromkeys(mark.facts.get("paths", ()), "restarted"))
    if before is not None and not before.is_by_record:
        left = {path: reason for path, reason in before.forced.items() if not _is_good(record, path)}
        forced |= {id: reason for id, reason in _of_paths(record, left).items() if id not in stored}
    return forced


def _not_good(record: RunRecord) -> list[TaskRecord]:
    status = record.columns.status
    found = [id for id in record.ids() if STATUSES[status[id]] not in GOOD]
    return [TaskRecord(record, id) for id in found if not _is_superseded(record, id)]


def _is_superseded(record: RunRecord, id: int) -> bool:
    """Whether a task is of a join's try before the last one."""
    parent = record.columns.parent[id]
    return parent >= 0 and record.columns.submitted[id] < record.columns.started[parent]


def _of_paths(record: RunRecord, reasons: Mapping[str, str]) -> dict[int, str]:
    return {task.id: reason for path, reason in reasons.items() if (task := record.find(path)) is not None}


def _is_good(record: RunRecord, path: str) -> bool:
    task = record.find(path)
    return task is not None and task.status in GOOD


def _edits(record: RunRecord, keys: Keys) -> dict[str, Edit]:
    """What was edited in a run and in those that it continues, the latest last."""
    edits: dict[str, Edit] = {}
    for run in chain(record.path):
        for mark in marks.read(run, keys):
            if mark.what == EDIT:
                facts = mark.facts
                edits[facts["path"]] = Edit(facts.get("arguments"), facts.get("result"), facts.get("reason", ""))
    return edits


def edit_facts(path: str, arguments: Mapping[str, Any] | None, has_result: bool, result: Any) -> dict[str, Any]:
    """What a mark says of an edit."""
    return {
        "path": path,
        "arguments": None if arguments is None else codec.encode(dict(arguments)),
        "result": codec.encode(result) if has_result else None,
    }
