"""Owns our targets, as a table, and whether what was measured meets them."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.record import Results
from benchmarks.rows import FIGURES, ROWS, Row


@dataclass(frozen=True, slots=True)
class Target:
    """What one figure of one of our rows must reach: a number, or a multiple of what another row reaches.

    Args:
        bound: at least this much where more is better, at most where less is.
        times: the label of the row that `bound` is a multiple of; None if it is a number in the figure's unit.
        as_time: compare times, where the figure is a rate.
    """

    workload: str
    figure: str
    label: str
    bound: float
    times: str | None = None
    as_time: bool = False

    def __str__(self) -> str:
        figure = FIGURES[self.workload, self.figure]
        sign = "≥" if self.more_is_better else "≤"
        if self.times is None:
            return f"{sign} {self.bound:,g} {figure.unit}"
        return f"{sign} {self.bound:g} × {'the time of ' if self.as_time else ''}{self.times}"

    @property
    def more_is_better(self) -> bool:
        """Whether `bound` is a lower one."""
        return FIGURES[self.workload, self.figure].more_is_better and not self.as_time

    def _row(self) -> Row:
        return next(row for row in ROWS if (row.workload, row.label) == (self.workload, self.label))

    def reached(self, results: Results) -> float | None:
        """What was reached, in the terms of `bound`; None if it was not measured."""
        records = results.of(self.workload, self.figure)
        if self.label not in records or (self.times is not None and self.times not in records):
            return None
        ours = records[self.label].median
        if self.times is None:
            return ours
        theirs = records[self.times].median
        return theirs / ours if self.as_time else ours / theirs

    def met(self, results: Results) -> bool | None:
        """None if it was not measured, or at a smaller N than it is meant for."""
        reached = self.reached(results)
        if reached is None or results.of(self.workload, self.figure)[self.label].n < self._row().size():
            return None
        return reached >= self.bound if self.more_is_better else reached <= self.bound


TARGETS = [
    Target("W1", "rate", "parslish", 0.5, "threads"),
    Target("W1", "rate", "parslish", 34_000),
    Target("W1", "rate", "parslish", 15, "parsl threads"),
    Target("W2", "rate", "parslish", 4, "loky"),
    Target("W2", "rate", "parslish", 36_000),
    Target("W2", "rate", "parslish", 15, "ray"),
    Target("W3", "thread_link", "parslish threads", 80),
    Target("W3", "process_link", "parslish processes", 1.2, "loky"),
    Target("W4", "rate", "parslish", 0.35, "threads without results on disk"),
    Target("W4", "rate", "parslish", 24_000),
    Target("W4", "rate", "parslish", 1.4, "parslish without checkpoint", as_time=True),
    Target("W5", "open", "parslish 10⁶", 0.5),
    Target("W5", "open", "parslish 10⁶, after SIGKILL", 3),
    Target("W5", "replay", "parslish", 35_000),
    Target("W5", "memory", "parslish", 150),
    Target("W6", "future", "parslish", 3_000),
    Target("W6", "growth", "parslish cached, 10⁶", 10),
    Target("W7", "digest", "parslish 1 GB", 4),
    Target("W7", "trip", "parslish 100 MB", 1.2, "loky 100 MB"),
    Target("W7", "write", "parslish 100 MB, task_exit", 0.6, "numpy 100 MB"),
    Target("W7", "write", "parslish 1 GB, task_exit", 0.6, "numpy 1 GB"),
    Target("W8", "import", "parslish", 100),
    Target("W8", "first", "parslish threads", 150),
    Target("W8", "first", "parslish processes", 250),
    Target("W9", "growth", "parslish chain", 1.3),
    Target("W9", "growth", "parslish fan-in", 1.3),
    Target("W9", "growth", "parslish independent", 1.3),
    Target("W10", "opened", "parslish 10⁶", 0.5),
    Target("W10", "held", "parslish 10⁶", 150),
]


def of(workload: str, figure: str, label: str) -> list[Target]:
    """The targets of one figure of one row."""
    return [t for t in TARGETS if (t.workload, t.figure, t.label) == (workload, figure, label)]
