"""Owns what was measured: one record a row and figure, merged into `results.json` run by run."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

FOLDER = Path(__file__).resolve().parent
RESULTS = FOLDER / "results.json"


@dataclass(frozen=True, slots=True)
class Record:
    """The values of one figure of one row, a value a round.

    Args:
        figure: its name in `rows.FIGURES`; "" if the row yielded none.
        trouble: why it yielded none, or not in every round.
        versions: what was installed where it ran.
        commit: the state of the project.
    """

    workload: str
    label: str
    peer: str
    figure: str
    n: int
    values: list[float]
    date: str
    trouble: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    commit: str = ""

    @property
    def median(self) -> float:
        """The value in the middle."""
        return median(self.values)


@dataclass(frozen=True, slots=True)
class Results:
    """All records of one machine."""

    machine: dict[str, str]
    records: list[Record] = field(default_factory=list)

    def merged(self, newer: Iterable[Record]) -> Results:
        """With newer records in the place of all those of the same rows."""
        newer = list(newer)
        replaced = {(record.workload, record.label) for record in newer}
        kept = [record for record in self.records if (record.workload, record.label) not in replaced]
        return Results(self.machine, kept + newer)

    def of(self, workload: str, figure: str) -> dict[str, Record]:
        """The records of a figure by the label of their row."""
        wanted = (workload, figure)
        return {r.label: r for r in self.records if (r.workload, r.figure) == wanted and r.values}


def read(path: Path, machine: Mapping[str, str]) -> Results:
    """What is in the file, or nothing yet."""
    if not path.exists():
        return Results(dict(machine))
    content = json.loads(path.read_text())
    return Results(content["machine"], [Record(**record) for record in content["records"]])


def write(path: Path, results: Results) -> None:
    """One record a line, so that a diff shows what was measured again."""
    lines = ",\n".join(json.dumps(dataclasses.asdict(record), ensure_ascii=False) for record in results.records)
    machine = json.dumps(results.machine, ensure_ascii=False)
    path.write_text(f'{{"machine": {machine},\n"records": [\n{lines}\n]}}\n')
