"""Owns reasons: the kinds that there are, and what each says of why a task ran, or did not, or differs from another."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from parslish.history.task_record import TaskRecord

#: Each kind of reason, and what it means.
KINDS: Final[Mapping[str, str]] = {
    # Parts of the key that differ.
    "argument_changed": "an argument is not what it was",
    "code_changed": "the app's code, or code or a value that it uses",
    "version_changed": "the app's version=",
    "app_changed": "another app, or an app of another kind",
    "outputs_changed": "it writes its files to other places",
    "other_lineage": "with cache='replay', a result counts in one chain of runs only",
    "other_place": "and at one place of it only",
    "not_recorded": "something that the record does not tell",
    # Results that could not be used.
    "first_time": "nothing like it is in any earlier run",
    "not_stored": "it was computed before, and no stored result of it was found",
    "expired": "its result was too old",
    "output_missing": "a file that it wrote is gone",
    "output_changed": "a file that it wrote was changed",
    "unreadable": "its stored result could not be opened",
    "invalidated": "its result was invalidated before",
    "invalidated_since": "its result was invalidated after",
    "failed_before": "it failed in the earlier run",
    "lost_before": "the earlier run died before it had ended",
    "not_run_before": "it did not run in the earlier run",
    "forced": "it was to be computed whatever was known",
    "edited": "somebody put a result in its place",
    "not_memoized": "it has no key, so its results are not kept",
    # What became of it, where that is not that it ran.
    "reused": "an earlier run had computed it",
    "shared": "another task of its run had the same key",
    "failed": "it raised an exception",
    "upstream_failed": "a task that it depends on failed",
    "cancelled": "it was cancelled",
    "lost": "its run died before it had ended",
    "waiting": "what it depends on has not ended",
    "running": "it has not ended",
    # Of two tasks that are compared.
    "result_changed": "it gave another result",
}


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason, of many that may hold.

    Args:
        kind: one of `KINDS`.
        sentence: it in plain words, as a clause that follows "because".
        facts: what it is made of: texts, numbers and lists of them; times in seconds since the epoch.
    """

    kind: str
    sentence: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Its fields."""
        return {"kind": self.kind, "sentence": self.sentence, "facts": dict(self.facts)}


def named(task: TaskRecord) -> dict[str, Any]:
    """What the facts of a reason, and JSON, have for a task."""
    return {
        "run": task.run.id,
        "task": task.id,
        "path": task.path,
        "loc": task.loc,
        "app": task.name,
        "status": task.status,
    }


def when(seconds: float) -> str:
    """A moment, in seconds since the epoch, in local time."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
    except (ValueError, OverflowError, OSError):  # of a record whose writer has lied
        return f"{seconds:g} s after 1970"
