"""The main job, examples/g2_zpe.py, undisturbed, killed half-way, with a helper rewritten."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

for needed in ("numpy", "ase", "tblite"):
    pytest.importorskip(needed, reason=f"{needed} is not installed: pip install '.[examples]'")

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "examples" / "g2_zpe.py"
SPECIES = ["H2O", "O2", "H", "C6H6", "C5H8", "isobutane", "trans-butane"]
TASKS = 376  # 1 + 3 + 6N a species
WAIT_S = 60


@dataclass(frozen=True)
class Outcome:
    """What one run of the job printed: its table, and how many tasks it computed and reused."""

    table: str
    computed: int
    reused: int

    def zpe(self, species: str) -> float:
        """The computed zero-point energy of one species, in kcal/mol."""
        (row,) = [line.split() for line in self.table.splitlines() if line.split()[0] == species]
        return float(row[1])


def command(script: Path, run_dir: Path, *options: str) -> list[str]:
    return [sys.executable, str(script), "--run-dir", str(run_dir), *options, "--species", *SPECIES]


def environment(run_dir: Path) -> dict[str, str]:
    # The key stays beside the runs: the undisturbed run is shared by tests that have a key each.
    return {**os.environ, "PYTHONPATH": str(ROOT), "PARSLISH_KEY_FILE": str(run_dir.parent / "key")}


def run(script: Path, run_dir: Path, *options: str) -> Outcome:
    done = subprocess.run(
        command(script, run_dir, *options),
        env=environment(run_dir), cwd=run_dir.parent, capture_output=True, text=True, timeout=WAIT_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    table, _, counts = done.stdout.rstrip().rpartition("\n")
    found = re.match(r"(\d+) tasks computed, (\d+) reused;", counts)
    assert found, done.stdout
    return Outcome(table, int(found[1]), int(found[2]))


def run_until_killed(run_dir: Path) -> int:
    """SIGKILL the job when it says that half is done; returns how many tasks it had said were finished."""
    # One worker, so that the second half lasts longer than it takes to read the line.
    job = subprocess.Popen(
        command(SCRIPT, run_dir, "--workers", "1"),
        env=environment(run_dir), cwd=run_dir.parent, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with job:
        assert job.stderr is not None
        said = 0
        for line in job.stderr:
            found = re.match(rf" *\d+ %: (\d+) of {TASKS} tasks", line)
            said = int(found[1]) if found else said
            if said * 2 >= TASKS:
                break
        job.kill()
    assert job.returncode == -signal.SIGKILL, "it ended before it could be killed"
    return said


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """The run folder and the outcome of a run that nothing happened to."""
    run_dir = tmp_path_factory.mktemp("undisturbed") / "runs"
    return run_dir, run(SCRIPT, run_dir)


def test_the_first_run_computes_every_task(undisturbed: tuple[Path, Outcome]) -> None:
    _, outcome = undisturbed
    assert (outcome.computed, outcome.reused) == (TASKS, 0)


def test_energies_are_those_of_gfn2_xtb(undisturbed: tuple[Path, Outcome]) -> None:
    _, outcome = undisturbed
    # Water: harmonic wavenumbers of 1539, 3643 and 3651 1/cm; oxygen: 1629 1/cm; half their sums.
    assert outcome.zpe("H2O") == pytest.approx(12.628, abs=0.01)
    assert outcome.zpe("O2") == pytest.approx(2.329, abs=0.01)
    assert outcome.zpe("H") == 0.0


def test_a_run_killed_half_way_and_resumed_gives_the_same_table(
    undisturbed: tuple[Path, Outcome], tmp_path: Path
) -> None:
    finished = run_until_killed(tmp_path / "runs")
    resumed = run(SCRIPT, tmp_path / "runs")
    assert resumed.table == undisturbed[1].table
    assert resumed.computed + resumed.reused == TASKS
    assert finished <= resumed.reused < TASKS


def test_a_rewritten_helper_costs_only_the_tasks_that_use_it(undisturbed: tuple[Path, Outcome], tmp_path: Path) -> None:
    run_dir, before = undisturbed
    old, new = "return (matrix + matrix.T) / 2", "return 0.5 * (matrix.T + matrix)"
    source = SCRIPT.read_text(encoding="utf-8")
    assert source.count(old) == 1
    rewritten = tmp_path / "rewritten.py"
    rewritten.write_text(source.replace(old, new), encoding="utf-8")

    after = run(rewritten, run_dir)

    assert after.table == before.table
    # `assemble` alone, once a species: its results did not change, so what takes them is reused.
    assert (after.computed, after.reused) == (len(SPECIES), TASKS - len(SPECIES))


def test_threads_and_processes_share_results(undisturbed: tuple[Path, Outcome]) -> None:
    run_dir, before = undisturbed
    after = run(SCRIPT, run_dir, "--executor", "threads")
    assert (after.table, after.computed) == (before.table, 0)
