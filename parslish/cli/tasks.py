"""Owns how a list of tasks is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from parslish.cli.output import Column, line, seconds, table
from parslish.history.record import RunRecord

LIMIT: Final = 50  # tasks that are shown to people, unless it is said otherwise
_COLUMNS: Final = (
    Column("task", right=True),
    Column("loc"),
    Column("path", narrow="fold"),
    Column("status"),
    Column("took", right=True),
)


def print_tasks(run: RunRecord, ids: Sequence[int], limit: int | None = LIMIT) -> None:
    """Print tasks in the order that is given; of many only the first."""
    table(_COLUMNS, [_row(run, id) for id in (ids if limit is None else ids[:limit])])
    if limit is not None and len(ids) > limit:
        line(f"and {len(ids) - limit:,} more")


def _row(run: RunRecord, id: int) -> tuple[str, ...]:
    task = run.task(id)
    took = seconds(task.duration) if task.ended and task.status != "reused" else ""
    return str(id), task.loc, task.path, task.status, took
