"""Owns `why`: why a task ran, or was reused, failed, or did not run; with all reasons that hold.

Which task of an earlier run it is compared with is `counterpart`'s to say, why it ran `ran`'s, and what else may have
become of it `outcomes`'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from parslish.history import counterpart
from parslish.history.outcomes import OUTCOMES, verdict
from parslish.history.ran import Tombstone, Tombstones, buried, why_it_ran
from parslish.history.reason import Reason, named
from parslish.history.record import RunRecord, TaskRecord

__all__ = ["Reason", "Tombstone", "Why", "why"]


@dataclass(frozen=True)
class Why:
    """Why a task ran, or did not.

    Args:
        task: which.
        verdict: what became of it, in one word: "ran", "reused", "shared" (with another task of its run), "edited",
            "failed", "upstream_failed", "cancelled", "lost", "waiting", "running" or "retrying".
        sentence: the verdict and its reasons, in one plain sentence.
        reasons: all that hold, the most telling first.
        earlier: the task that it was compared with: of an earlier run, or for one that shared a result of its own.
    """

    task: TaskRecord
    verdict: str
    sentence: str
    reasons: Sequence[Reason]
    earlier: TaskRecord | None

    def __str__(self) -> str:
        return self.sentence

    def to_json(self) -> dict[str, Any]:
        """As the command line and the page give it."""
        return {
            "task": named(self.task),
            "verdict": self.verdict,
            "sentence": self.sentence,
            "reasons": [each.to_json() for each in self.reasons],
            "earlier": None if self.earlier is None else named(self.earlier),
        }


def why(
    record: RunRecord, task: TaskRecord, *, earlier: Sequence[RunRecord], tombstones: Tombstones = lambda key: ()
) -> Why:
    """Why a task ran, or was reused, failed, or did not run.

    Args:
        record: the run that it is a task of.
        earlier: the runs to compare with, in any order; those of its chain count first, and newer ones before older.
        tombstones: gives those that name a stored result of a key.
    """
    found = counterpart.of(task, [each for each in earlier if _is_earlier(each, record)])
    became = verdict(task, found)
    other = None if found is None else found.task
    outcome = list(OUTCOMES[became].reasons(task, found))
    ran = list(why_it_ran(task, found, tombstones)) if task.started and task.origin is None else []
    since = list(buried(task, other, tombstones, since=True))
    return Why(task, became, _sentence(task, became, outcome, ran, since), [*outcome, *ran, *since], other)


def _is_earlier(run: RunRecord, than: RunRecord) -> bool:
    return run.path != than.path and (run.started, run.number) <= (than.started or float("inf"), than.number)


def _sentence(
    task: TaskRecord, became: str, outcome: Sequence[Reason], ran: Sequence[Reason], since: Sequence[Reason]
) -> str:
    first, then = (outcome, ran) if outcome else (ran, [])
    text = f"{task.path} {OUTCOMES[became].begins} {_joined(first) or 'its run has not told why'}"
    if then:
        text += f"; it ran, because {_joined(then)}"
    return f"{text}; {_joined(since)}" if since else text


def _joined(reasons: Sequence[Reason]) -> str:
    return "; ".join(each.sentence for each in reasons)
