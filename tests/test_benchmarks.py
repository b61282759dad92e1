"""The comparison runs end to end with few tasks, and says of its results what they are."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from benchmarks import choice, record, report, targets
from benchmarks.environments import NotInstalled
from benchmarks.peers import OURS, PEERS, REQUIREMENTS
from benchmarks.picture import decades, picture
from benchmarks.record import Record, Results
from benchmarks.rounds import measure
from benchmarks.rows import FIGURES, ROWS, WORKLOADS, Row

ROOT = Path(__file__).resolve().parent.parent
MACHINE = {"CPU": "of the test", "cores": "2"}


def measured(label: str, *values: float, figure: str = "rate", n: int = 100_000, date: str = "2026-11-01") -> Record:
    return Record("W1", label, label.split()[0], figure, n, list(values), date)


def some_results() -> Results:
    ours, raw = measured(OURS, 40_000, 30_000, 50_000), measured("threads", 80_000, 70_000, 90_000)
    failed = Record("W1", "redun threads", "redun", "", 1_000, [], "2026-11-01", "not installed: no <such> package")
    return Results(MACHINE, [raw, failed, ours])


def test_a_smoke_run_measures_every_workload_and_writes_nothing() -> None:
    before = [path.stat().st_mtime_ns for path in sorted((ROOT / "benchmarks").iterdir()) if path.is_file()]
    command = [sys.executable, "-m", "benchmarks", "--smoke"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    for name, workload in WORKLOADS.items():
        assert f"## {name}: {workload.title}" in done.stdout
    for name in WORKLOADS:
        for row in choice.distinct([row for row in ROWS if row.workload == name and PEERS[row.peer].smoke]):
            assert re.search(rf"^{row.workload} round 1/1  {row.label}: \w+ ", done.stderr, re.MULTILINE), row
    # Not the time of an import: that is what it takes beyond bare Python, each measured once here.
    for name, value in re.findall(r"(rate|link|open|replay|disk|peak|digest|trip|write|first|task) (\S+)", done.stderr):
        assert float(value.rstrip(",").replace(",", "")) > 0, name
    assert before == [path.stat().st_mtime_ns for path in sorted((ROOT / "benchmarks").iterdir()) if path.is_file()]


def test_a_peer_that_cannot_be_installed_says_why_and_the_rest_goes_on(tmp_path: Path) -> None:
    def python_of(environment: str) -> str:
        if environment == "loky":
            raise NotInstalled("no matching distribution")
        return sys.executable

    rows = [row for row in choice.rows(["W2", "loky", "processes"]) if row.peer != OURS]
    said: list[str] = []
    loky, processes = measure(rows, 20, 2, tmp_path, python_of, said.append)
    assert [record.trouble for record in loky.records("")] == ["not installed: no matching distribution"]
    assert [len(record.values) for record in processes.records("")] == [2]
    assert [line.split(":")[0] for line in said] == [
        f"W2 round {i}/2  {peer}" for i in "12" for peer in ("loky", "processes")
    ]


def test_a_driver_that_fails_is_reported_with_its_last_line(tmp_path: Path) -> None:
    rows = [Row("W8", "threads", "start.importing", n=1, arguments=("import no_such_module",))]
    (failed,) = measure(rows, None, 2, tmp_path, lambda _: sys.executable, lambda _: None)
    (record,) = failed.records("")
    assert record.trouble.startswith("failed with exit code 1: ")
    assert record.values == []


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("W11", "'W11' is neither a workload (W1, W2, W3, W4, W5, W6, W7, W8, W9, W10) nor a peer"),
        ("lokey", "did you mean loky?"),
        ("memory", "did you mean joblib.Memory?"),
    ],
)
def test_a_wrong_name_is_told_with_what_is_near(word: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        choice.arguments([word])
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err


def test_a_workload_that_a_peer_does_not_run_is_told() -> None:
    with pytest.raises(choice.WrongName, match="diskcache runs W4, W5, and not W2"):
        choice.rows(["W2", "diskcache"])


def test_ours_is_always_measured_beside_the_named_peer() -> None:
    assert [row.label for row in choice.rows(["w2", "LOKY"])] == ["parslish", "loky"]
    assert {row.workload for row in choice.rows(["diskcache"])} == {"W4", "W5"}
    assert choice.rows([]) == ROWS


def test_every_row_belongs_to_a_known_peer_and_every_driver_exists() -> None:
    for row in ROWS:
        assert PEERS[row.peer].environment in REQUIREMENTS
        for call in filter(None, (row.call, row.prepare)):
            module, function = call.split(".")
            assert f"def {function}(" in (ROOT / "benchmarks" / "drivers" / f"{module}.py").read_text()
        if row.call == "start.first":
            assert (ROOT / "benchmarks" / "first" / f"{row.arguments[0]}.py").exists()


def test_every_target_and_reference_names_a_row() -> None:
    rows = {(row.workload, row.label): row for row in ROWS}
    for target in targets.TARGETS:
        assert (target.workload, target.figure) in FIGURES
        assert rows[target.workload, target.label].peer == OURS
        assert target.times is None or (target.workload, target.times) in rows
    for (workload, _), figure in FIGURES.items():
        assert figure.reference is None or (workload, figure.reference) in rows


def test_a_table_shows_medians_spreads_ratios_and_targets() -> None:
    page = report.page(some_results())
    assert "| **parslish** | 100,000 | 3 | 40,000 (30,000–50,000) | 0.5 | ≥ 0.5 × threads: met (0.5); " in page
    assert "| threads | 100,000 | 3 | 80,000 (70,000–90,000) | 1 |  |" in page
    assert "≥ 15 × parsl threads: not measured" in page
    assert "- redun threads: not installed: no <such> package" in page
    assert "- CPU: of the test" in page
    assert "2 of 2 that were measured are met." in page


def test_dates_are_named_row_by_row_once_they_differ() -> None:
    assert "| date |" not in report.page(some_results())
    later = some_results().merged([measured(OURS, 20_000, date="2026-12-24")])
    assert "| 2026-12-24 |" in report.page(later)
    assert "**not met** (0.25)" in report.page(later)


def test_a_target_is_not_judged_at_a_smaller_n() -> None:
    few = some_results().merged([measured(OURS, 1, n=10)])
    assert {target.met(few) for target in targets.of("W1", "rate", OURS)} == {None}


def test_a_rate_may_have_a_target_in_time() -> None:
    ours = [Record("W4", "parslish", OURS, "rate", 100_000, [20_000], "2026-11-01")]
    plain = [Record("W4", "parslish without checkpoint", OURS, "rate", 100_000, [30_000], "2026-11-01")]
    (target,) = (t for t in targets.TARGETS if t.as_time)
    results = Results(MACHINE, ours + plain)
    assert (target.reached(results), target.met(results)) == (1.5, False)


def test_newer_records_take_the_place_of_the_same_rows_only() -> None:
    merged = some_results().merged([measured(OURS, 1.0)])
    assert sorted((r.label, r.values) for r in merged.records if r.values) == [
        (OURS, [1.0]),
        ("threads", [80_000, 70_000, 90_000]),
    ]


def test_results_come_back_as_they_were_written(tmp_path: Path) -> None:
    record.write(tmp_path / "results.json", some_results())
    assert record.read(tmp_path / "results.json", {}) == some_results()
    assert record.read(tmp_path / "none.json", MACHINE) == Results(MACHINE)


def test_the_picture_is_well_formed_and_has_a_bar_for_each_row() -> None:
    root = ElementTree.fromstring(picture(some_results()))
    bars = [element.get("class") for element in root.iter("{http://www.w3.org/2000/svg}rect")]
    assert bars == ["page", "peer", "ours"]


@pytest.mark.parametrize(
    ("values", "powers"), [([5.0, 70.0], (0, 2)), ([100.0], (1, 2)), ([0.0], (-1, 0)), ([0.3, 1000.0], (-1, 3))]
)
def test_a_scale_spans_all_values_and_leaves_the_least_a_bar(values: list[float], powers: tuple[int, int]) -> None:
    assert decades(values) == powers


@pytest.mark.parametrize(
    ("words", "rows"),
    [
        (["budget", "--n", "200", "--rounds", "1"], ["script: bind and key", "garbage collector, on top"]),
        (["growth", "--most", "100", "--bytes", "10", "--rounds", "1"], ["depth of a chain", "argument, bytes"]),
        (["latency", "--here", "--rounds", "1", "--samples", "1", "--queued", "50"], ["parslish", "loky"]),
        (["resume", "--most", "1000", "--rounds", "1"], ["resume that reuses all, tasks/s", "undo that, s"]),
    ],
    ids=lambda words: words[0],
)
def test_what_is_measured_of_parslish_by_itself_is_a_table(words: list[str], rows: list[str], tmp_path: Path) -> None:
    name, *options = words
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", f"benchmarks.{name}", *options]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    for row in rows:
        assert re.search(rf"^\| {re.escape(row)} \|", done.stdout, re.MULTILINE), done.stdout
