"""Owns accepting: that results of earlier code count for the code as it is, since somebody says it does no harm.

It is a mark beside the runs, which each kernel in the run folder reads when it starts: `history.accepted`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from parslish.errors import UsageError
from parslish.history import accepted
from parslish.history.record import AppRecord, RunRecord
from parslish.secret import Keys
from parslish.utils import user_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parslish.history.selection import Selection
    from parslish.rerun.handle import RecordedRun


def accept(run: RecordedRun, chosen: Selection, keys: Keys, reason: str) -> list[str]:
    """As `RecordedRun.accept`."""
    apps = {task.app.name: task.app for task in chosen.tasks}
    earlier = run.earlier()
    changed = {name: codes for name, app in apps.items() if (codes := _other_codes(app, earlier))}
    if not changed:
        raise UsageError(
            f"run {run.id}: the code of {', '.join(sorted(apps))} is the same as in the runs before it, or is no part "
            f"of a key (cache=False, version=); there is nothing to accept"
        )
    for name, codes in changed.items():
        for code in codes:
            accepted.write(run.path.parent, keys, name, apps[name].code, code, reason=reason, user=user_name())
    return sorted(changed)


def _other_codes(app: AppRecord, earlier: Sequence[RunRecord]) -> list[str]:
    """What stood for the app's code in earlier runs."""
    if not app.code or app.version is not None:
        return []
    codes = [each.code for record in earlier for each in record.apps.values() if each.name == app.name]
    return [code for code in dict.fromkeys(codes) if code and code != app.code]
