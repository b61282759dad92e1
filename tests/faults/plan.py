"""Owns the plan of faults: what each is, which files test it, and how many cases run here and in the soak; counts the
cases that ran.

`README.md` shows the plan, and `test_plan.py` keeps the two, and what ran, together.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
SOAK = HERE.parent / "soak"


@dataclass(frozen=True)
class Fault:
    """One row of the plan.

    Args:
        what: the fault.
        files: the tests, beside this file or in `../soak`.
        here: how many cases the test command runs at least.
        soak: and the soak.
        times: what `PARSLISH_SOAK` is for that.
    """

    what: str
    files: tuple[str, ...]
    here: int
    soak: int
    times: int = 1

    @property
    def paths(self) -> list[Path]:
        """Where the tests are."""
        return [(SOAK if (SOAK / file).exists() else HERE) / file for file in self.files]


PLAN = {
    "T1": Fault("a segment cut off at every byte", ("test_truncation.py",), 10_000, 100_000, 6),
    "T2": Fault("every bit of a segment flipped", ("test_bitflips.py",), 100_000, 1_000_000, 10),
    "T3": Fault(
        "garbage, zeros, duplicates, bytes taken out, frames of another segment, frames that are made up",
        ("test_garbage.py",),
        5_000,
        100_000,
        12,
    ),
    "T4": Fault(
        "power cut at every call, keeping, dropping or tearing what was not synced",
        ("test_power.py",),
        5_000,
        100_000,
        20,
    ),
    "T5": Fault(
        "SIGKILL of the driver at random, on threads, processes and Dask",
        ("test_driver_kill.py",),
        60,
        1_000,
        17,
    ),
    "T6": Fault(
        "SIGKILL at the N-th call of each kind, of each thread; compaction, too",
        ("test_strace_kill.py", "test_writes.py"),
        150,
        250,
        2,
    ),
    "T7": Fault(
        "an error, or a short write, at the N-th call, or from it on",
        ("test_writes.py", "test_strace_errors.py"),
        300,
        1_500,
        2,
    ),
    "T8": Fault(
        "a file system that is really full or read-only, a folder that vanishes, limits of the system",
        ("test_no_room.py", "test_store_trouble.py"),
        10,
        80,
        5,
    ),
    "T9": Fault("fsync fails, then says that all is well", ("test_fsync.py",), 20, 20),
    "T10": Fault(
        "SIGTERM and SIGINT, once and twice, while something large is pickled; 2, 10 and 30 s of grace",
        ("test_signals.py", "test_grace.py"),
        20,
        200,
        30,
    ),
    "T11": Fault("a worker that dies, stops, or answers what cannot be read", ("test_worker_loss.py",), 50, 500, 10),
    "T12": Fault("fork, spawn, use after fork, kernels within kernels", ("test_forks.py",), 80, 400, 5),
    "T13": Fault("many writers, a reader and a compactor, killed at each step", ("test_many_writers.py",), 1, 100, 100),
    "T14": Fault("stale listings, ESTALE, files that are gone, slow fsyncs", ("test_listing.py",), 200, 5_000, 25),
    "T15": Fault(
        "a wall clock that jumps by hours and years, back and forth, past 2038",
        ("test_clock.py",),
        100,
        1_000,
        10,
    ),
    "T16": Fault(
        "a million tasks, chains and fans of 100,000; memory and descriptors flat",
        ("test_scale.py", "test_long_runs.py"),
        5,
        10,
        100,
    ),
    "T17": Fault(
        "random graphs of tasks against a model, on disks that fail now and then",
        ("test_simulation.py", "test_kernel_end.py"),
        2_000,
        1_000_000,
        370,
    ),
    "T19": Fault("golden stores of every version", ("test_golden.py",), 3, 3),
}

ran: Counter[str] = Counter()
passed: set[str] = set()  # names of tests, as pytest has them


def count(fault: str, cases: int = 1) -> None:
    """So many cases of a fault have been tried."""
    assert fault in PLAN
    ran[fault] += cases


def faults_of(file: str) -> list[str]:
    """The faults that a file tests."""
    return [fault for fault, row in PLAN.items() if file in row.files]
