"""Owns a run of the comparison: measures what was asked for, workload by workload, and keeps it."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import choice, environments, machine, record, report
from benchmarks.peers import PEERS
from benchmarks.picture import picture
from benchmarks.record import FOLDER, RESULTS, Results
from benchmarks.rounds import measure, to_stderr
from benchmarks.rows import ROWS, WORKLOADS, Row

ROUNDS = 3
#: What is measured of parslish by itself, and printed: a module for each.
OWN = ("budget", "growth", "latency", "fold", "resume")


def main() -> int:
    """Returns the exit code: 1 if a row of ours, or any of a smoke run, yielded nothing."""
    if sys.argv[1:2] and sys.argv[1] in OWN:
        return _own(*sys.argv[1:])
    given = choice.arguments()
    here = Results(machine.describe())
    refusal = _why_not_written(given, here.machine)
    earlier = _earlier(here)
    with _scratch(given.smoke) as scratch:
        for workload in WORKLOADS:
            rows = [row for row in given.rows if row.workload == workload]
            here = here.merged(_measured(rows, given, scratch))
            if not refusal:
                _write(earlier.merged(here.records))
    print(report.tables(here))
    to_stderr(refusal or "written: benchmarks/RESULTS.md, results.svg, results.json")
    return int(any(one.trouble and (given.smoke or one.peer == "parslish") for one in here.records))


def _own(name: str, *words: str) -> int:
    """Run one of the modules that measure parslish by itself, in its environment; latency makes its own."""
    python = sys.executable if name == "latency" else environments.python_of("parslish")
    environ = {**os.environ, "PYTHONPATH": str(environments.ROOT)}
    return subprocess.run([python, "-m", f"benchmarks.{name}", *words], env=environ).returncode


def _earlier(here: Results) -> Results:
    """What is kept of earlier runs: what was measured on this machine, of rows that still exist."""
    earlier = record.read(RESULTS, here.machine)
    if earlier.machine != here.machine:
        return here
    rows = {(row.workload, row.label) for row in ROWS}
    return Results(here.machine, [r for r in earlier.records if (r.workload, r.label) in rows])


def _measured(rows: list[Row], given: argparse.Namespace, scratch: Path) -> list[record.Record]:
    """The records of one workload."""
    if given.smoke:
        rows = choice.distinct([row for row in rows if PEERS[row.peer].smoke])
    if not rows:
        return []
    wanted = given.n or (WORKLOADS[rows[0].workload].smoke if given.smoke else None)
    rounds = given.rounds or (1 if given.smoke else ROUNDS)
    python_of = (lambda _: sys.executable) if given.smoke else environments.python_of
    commit = machine.commit()
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        measured = measure(rows, wanted, rounds, Path(folder), python_of, to_stderr)
    return [one for row in measured for one in row.records(commit)]


def _why_not_written(given: argparse.Namespace, here: dict[str, str]) -> str:
    """The files hold only what can be compared: "" if this run can."""
    if given.no_write or given.smoke:
        return "not written, as asked"
    if (given.rounds or ROUNDS) < ROUNDS:
        return f"not written: less than {ROUNDS} rounds"
    if given.n and any(row.n is None and given.n < row.size() for row in given.rows):
        return "not written: N is smaller than the workload's"
    if record.read(RESULTS, here).machine != here and given.names:
        return "not written: results.json is of another machine; ./scripts/bench without names replaces all of it"
    return ""


def _write(results: Results) -> None:
    record.write(RESULTS, results)
    (FOLDER / "RESULTS.md").write_text(report.page(results))
    (FOLDER / "results.svg").write_text(picture(results))


@contextmanager
def _scratch(smoke: bool) -> Iterator[Path]:
    """On the disk of the project, as /tmp may be memory; removed at the end."""
    home = None if smoke else environments.HOME
    if home is not None:
        home.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=home) as folder:
        yield Path(folder)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("stopped; the workloads that were finished are kept")
