"""Owns accepting: that results of earlier code count for the code as it is, since somebody says it does no harm.

It is a mark beside the runs, which each kernel in the run folder reads when it starts: `history.accepted`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from parslish.errors import UsageError
from parslish.history import accepted
from parslish.history.record import AppRecord, RunRecord, TaskRecord
from parslish.secret import Keys
from parslish.utils import user_name

if TYPE_CHECKING:
    from parslish.history.selection import Selection
    from parslish.rerun.handle import RecordedRun


class _App(NamedTuple):
    """An app as it was selected: of its namesakes the one with this code."""

    name: str
    code: str


def accept(run: RecordedRun, chosen: Selection, keys: Keys, reason: str) -> list[str]:
    """As `RecordedRun.accept`."""
    tasks: dict[_App, list[TaskRecord]] = defaultdict(list)
    for task in chosen.tasks:
        tasks[_App(task.name, task.app.code if task.app.version is None else "")].append(task)
    earlier = run.earlier()
    changed = {app: codes for app, of in tasks.items() if app.code and (codes := _earlier_codes(app, of, earlier))}
    if not changed:
        raise UsageError(
            f"run {run.id}: the code of {', '.join(sorted({app.name for app in tasks}))} is the same as in the runs "
            f"before it, or is no part of a key (cache=False, version=); there is nothing to accept"
        )
    _check_is_told_apart(changed)
    for app, codes in changed.items():
        for code in codes:
            accepted.write(run.path.parent, keys, app.name, app.code, code, reason=reason, user=user_name())
    return sorted({app.name for app in changed})


def _earlier_codes(app: _App, tasks: Sequence[TaskRecord], earlier: Iterable[RunRecord]) -> list[str]:
    """What stood for an app's code in earlier runs. Where it had namesakes, the one at the same places was it."""
    run, mine = tasks[0].run, tasks[0].app
    is_alone = len(_codes(run, mine, run)) == 1
    found: dict[str, None] = {}
    for record in earlier:
        codes = _codes(record, mine, run)
        if len(codes) > 1 or (codes and not is_alone):
            there = (record.find(task.path) for task in tasks)
            codes = {each.app.code for each in there if each is not None and each.app.code in codes}
        found |= dict.fromkeys(sorted(codes))
    return [code for code in found if code != app.code]


def _codes(record: RunRecord, mine: AppRecord, run: RunRecord) -> set[str]:
    """The code of all apps of a run that may be what an app was then: of the same name in the same module or script."""
    is_chain = record.root == run.root
    return {each.code for each in record.apps.values() if each.code and _may_be(each, mine, is_chain=is_chain)}


def _may_be(each: AppRecord, mine: AppRecord, *, is_chain: bool) -> bool:
    if (each.name, each.kind, each.module) != (mine.name, mine.kind, mine.module):
        return False
    return each.module != "__main__" or each.file == mine.file or is_chain


def _check_is_told_apart(changed: Mapping[_App, Sequence[str]]) -> None:
    """Raises UsageError where the same earlier code would count for several apps of one name."""
    owner: dict[tuple[str, str], _App] = {}
    for app, codes in changed.items():
        for code in codes:
            if owner.setdefault((app.name, code), app) != app:
                raise UsageError(
                    f"several apps are called {app.name!r}, and which of them is which of the earlier ones cannot be "
                    f"told; give them names of their own, or accept one at a time, such as {app.name}[0]"
                )
