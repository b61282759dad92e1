"""Owns `parslish runs`: which runs there are, and how they went.

The cards of runs tell it, so that a listing reads no records; only of a run that was killed, or goes on, it does.
"""

from __future__ import annotations

import contextlib
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import click

from parslish.cli.output import Column, counted, json_list, json_option, line, recently, seconds, table
from parslish.cli.places import RUN_DIR, known_keys
from parslish.cli.which import RunCommand, run_dir_option
from parslish.errors import ParslishError, UsageError
from parslish.history import alive, card
from parslish.history.folder import EVENTS, numbered
from parslish.history.lineage import COMPLETED
from parslish.history.record import STATUSES, RunRecord, count_of
from parslish.secret import Keys

_COLUMNS: Final = (
    Column("run"),
    Column("status"),
    Column("trouble"),
    Column("started"),
    Column("took", right=True),
    Column("tasks", right=True),
    Column("failed", right=True),
    Column("reused", right=True),
    Column("parent"),
    Column("entry", narrow="cut"),
)
_RARE: Final = ("trouble", "parent")
#: What the card of a run calls what its record calls otherwise.
_STATUS_OF: Final[Mapping[str, str]] = {
    "exec_done": "done",
    "memo_done": "reused",
    "failed": "failed",
    "dep_fail": "upstream_failed",
    "cancelled": "cancelled",
}


class Row(NamedTuple):
    """A run as it is listed. Times are seconds since 1970, `took` seconds; `counts` is None where nothing tells."""

    path: Path
    status: str
    started: float | None
    ended: float | None
    counts: Mapping[str, int] | None
    parent: str | None
    entry: str
    degraded: bool  # the disk refuses results, or did when it was killed
    lost_results: int  # that could not be stored

    @property
    def took(self) -> float | None:
        if self.started is None or (self.ended is None and self.status != "running"):
            return None
        return (time.time() if self.ended is None else self.ended) - self.started


@click.command(cls=RunCommand)
@run_dir_option
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the last N runs.")
@json_option
def runs(run_dir: str, limit: int | None, as_json: bool) -> None:
    """List the runs of a run folder.

    The last run stands at the end. A run is lost when it was killed; failed when it was completed, and tasks of it had
    failed; its parent is the run that it continued. Of one that is degraded the disk refuses results for now.

    Exit codes: 0 fine, 2 there is no such folder.
    """
    if not Path(run_dir).is_dir():
        where = "" if run_dir != RUN_DIR else ", or go to where the script was started"
        raise UsageError(f"the run folder {run_dir!r} is not there: name it with --run-dir{where}")
    found = [path for _, path in numbered(run_dir)]
    keys = known_keys()
    rows = (row_of(path, keys) for path in (found if limit is None else found[-limit:]))
    if as_json:
        json_list(_json(row) for row in rows)
        return
    _print([_cells(row) for row in rows])
    line(counted(len(found), "run"))


def row_of(path: Path, keys: Keys | None) -> Row:
    """What there is to say of the run in a folder."""
    facts = card.read(path)
    ended, counts = facts.get("ended"), _counts(facts.get("counts"))
    status = ended if isinstance(ended, str) else "running" if alive.run(path) else "lost"
    end = _time(facts.get("time_ended"))
    degraded, lost_results = facts.get("degraded") is True, count_of(facts.get("lost_results"))
    if not isinstance(ended, str) and keys is not None and (path / EVENTS).is_dir():
        with contextlib.suppress(ParslishError, OSError):  # `show` says what is the matter with it
            record = RunRecord(path, keys, shared=True)
            status, counts = record.status, statuses(record)
            degraded, lost_results = record.degraded, record.lost_results
            end = record.ended or end or (None if record.alive else last_sign(record))
    if status == COMPLETED and counts and counts.get("failed"):
        status = "failed"
    parent = facts.get("parent")
    name = Path(parent).name if isinstance(parent, str) else None
    started = _time(facts.get("started"))
    return Row(path, status, started, end, counts, name, entry_of(facts), degraded, lost_results)


def statuses(record: RunRecord) -> dict[str, int]:
    """How many tasks of a run have each status."""
    of_all = bytes(record.columns.status[: record.columns.count])
    unknown = sum(each < 0 for each in record.columns.app[: record.columns.count])
    found = {name: of_all.count(number) for number, name in enumerate(STATUSES)}
    found["lost" if not record.alive else "waiting"] -= unknown
    return {name: count for name, count in found.items() if count}


def last_sign(record: RunRecord) -> float | None:
    """When a run that was killed gave its last sign of life, in seconds since 1970."""
    columns = record.columns
    times = (columns.submitted, columns.started, columns.ended)
    return max((max(each[: columns.count], default=0.0) for each in times), default=0.0) or record.started or None


def entry_of(facts: Mapping[str, Any]) -> str:
    """What was run: a workflow, or a script and its arguments; as far as a card or a record says."""
    entry = facts.get("entry")
    if not isinstance(entry, Mapping):
        entry = {}
    if isinstance(entry.get("name"), str):
        return f"{entry.get('module', '?')}:{entry['name']}"
    for words, first in ((entry.get("command"), 1), (facts.get("command"), 1), (facts.get("argv"), 0)):
        if isinstance(words, list | tuple) and len(words) > first and entry.get("kind") != "interactive":
            return shlex.join(map(str, words[first:]))
    return "imported" if "imported" in facts else str(entry.get("kind") or "")


def _counts(found: object) -> dict[str, int] | None:
    """The counts of a card, which anybody may have written."""
    if not isinstance(found, Mapping):
        return None
    return {_STATUS_OF.get(str(name), str(name)): count for name, count in found.items() if type(count) is int}


def _time(found: object) -> float | None:
    return float(found) if isinstance(found, int | float) and abs(found) < 1e12 else None


def _print(cells: Sequence[Sequence[str]]) -> None:
    """A table, without the columns of troubles and parents where there are none: room is short."""
    shown = [n for n, column in enumerate(_COLUMNS) if column.title not in _RARE or any(row[n] for row in cells)]
    table([_COLUMNS[n] for n in shown], [[row[n] for n in shown] for row in cells])


def _cells(row: Row) -> tuple[str, ...]:
    counts = row.counts
    numbers = ("?",) * 3 if counts is None else (_tasks(counts), counts.get("failed", 0), counts.get("reused", 0))
    return (
        row.path.name,
        row.status,
        "degraded" if row.degraded else f"{counted(row.lost_results, 'result')} lost" if row.lost_results else "",
        recently(row.started),
        "" if row.took is None else seconds(row.took),
        *(each if isinstance(each, str) else f"{each:,}" for each in numbers),
        row.parent or "",
        row.entry,
    )


def _tasks(counts: Mapping[str, int]) -> int:
    return sum(count for name, count in counts.items() if name != "imported")


def _json(row: Row) -> dict[str, Any]:
    counts = row.counts
    return {
        "run": row.path.name,
        "path": str(row.path),
        "status": row.status,
        "degraded": row.degraded,
        "lost_results": row.lost_results,
        "started": row.started,
        "time_ended": row.ended,
        "took_s": row.took,
        "tasks": None if counts is None else _tasks(counts),
        "failed": None if counts is None else counts.get("failed", 0),
        "reused": None if counts is None else counts.get("reused", 0),
        "counts": counts,
        "parent": row.parent,
        "entry": row.entry,
    }
