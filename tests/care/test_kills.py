"""A kill, a power cut or an error at any step of compacting and pruning loses nothing, and again finishes the work."""

from __future__ import annotations

import contextlib
import errno
import os
import random
from collections.abc import Callable
from typing import Any

import pytest

from parslish.care import compact, prune
from parslish.care.plan import Plan
from parslish.care.rewrite import carry_out
from parslish.care.selection import Filter
from parslish.errors import BadCheckpoint, StoreError, StoreFull
from parslish.store.disk import Disk
from tests.care.stores import (
    FOLDER,
    KEYS,
    SOAK,
    Cut,
    Live,
    Writer,
    body,
    copied,
    cutting,
    files,
    key,
    large,
    live,
    rich,
    seeded,
    state,
)
from tests.faults.disk import FailingCalls, MemoryDisk

CHANGES = ("write", "writev", "fsync", "truncate", "unlink", "rename", "mkdir")
Planner = Callable[[Disk], Plan]
PLANNERS: dict[str, Planner] = {
    "compact": lambda disk: compact.plan([FOLDER], KEYS, disk=disk),
    "prune": lambda disk: prune.plan([FOLDER], Filter(apps=("other",)), KEYS, disk=disk),
}


class ForgetfulDisk(MemoryDisk):
    """Forgets, too, that files were unlinked, when the power goes before their folder was synced."""

    def __init__(self) -> None:
        super().__init__()
        self._unlinked: dict[str, Any] = {}

    def unlink(self, path: Any) -> None:  # type: ignore[override]
        file = self.files.get(os.fspath(path))
        super().unlink(path)
        self._unlinked[os.fspath(path)] = file

    def fsync(self, fd: int) -> None:  # type: ignore[override]
        super().fsync(fd)
        synced = os.fspath(self._fds[fd])
        self._unlinked = {path: one for path, one in self._unlinked.items() if os.path.dirname(path) != synced}

    def after_power_cut(self, rng: random.Random) -> MemoryDisk:
        self.files |= {path: file for path, file in self._unlinked.items() if rng.random() < 0.5}
        return super().after_power_cut(rng)


class Case:
    """A store that is to be thinned out: as it is, what counts before and after, and how many calls that takes."""

    def __init__(self, planner: Planner) -> None:
        self.plan = planner
        made, self.keys = rich()
        self.made = copied(made)
        self.before = live(self.fresh(), self.keys)
        disk = self.fresh()
        self.calls: list[str] = []
        disk.before = self.calls.append
        carry_out(planner(disk))
        disk.before = lambda call: None
        self.after, self.blobs = live(disk, self.keys), files(disk, ".blob")
        assert "unlink" in self.calls and "fsync" in self.calls

    def changes(self) -> list[int]:
        """The numbers of the calls that change something: before those in between a kill finds the same."""
        return [n for n, call in enumerate(self.calls) if call in CHANGES]

    def fresh(self) -> MemoryDisk:
        return copied(self.made)

    def check(self, disk: MemoryDisk, case: str) -> None:
        """Ask the oracles of what a fault has left, then finish the work."""
        found = live(disk, self.keys)
        assert _between(found, self.before, self.after), f"{case}: a record is lost, or has come back"
        assert state(disk) in ("torn", "clean"), case
        carry_out(self.plan(disk))
        assert live(disk, self.keys) == self.after, f"{case}: again does not finish the work"
        assert self.plan(disk).is_empty, f"{case}: there is still something to do"
        carry_out(PLANNERS["compact"](disk))
        assert state(disk) == "clean", case
        assert files(disk, ".blob") == self.blobs, f"{case}: blobs stay behind"


def _between(found: Live, before: Live, after: Live) -> bool:
    """Whether all that is to stay is there, as it counted before or will afterwards, and nothing that never counted."""
    return after.keys() <= found.keys() and all(
        content in (before.get(key), after.get(key)) for key, content in found.items()
    )


@pytest.fixture(params=list(PLANNERS))
def case(request: pytest.FixtureRequest) -> Case:
    return Case(PLANNERS[request.param])


def test_a_kill_before_any_change_loses_nothing(case: Case) -> None:
    for n in case.changes():
        disk = case.fresh()
        disk.before = cutting(n)
        with pytest.raises(Cut):
            carry_out(case.plan(disk))
        disk.before = lambda call: None
        case.check(disk, f"killed before call {n}, {case.calls[n]}")


def test_a_power_cut_before_any_change_loses_nothing(case: Case) -> None:
    rng = seeded("power cuts")
    for n in [n for n in case.changes() for _ in range(3)]:
        disk = ForgetfulDisk.holding(case.made.contents())
        disk.before = cutting(n)
        with pytest.raises(Cut):
            carry_out(case.plan(disk))
        case.check(disk.after_power_cut(rng), f"power lost before call {n}, {case.calls[n]}")


@pytest.mark.parametrize("times", [1, 10**9], ids=["once", "from then on"])
@pytest.mark.parametrize(
    ("code", "calls"),
    [(errno.ENOSPC, CHANGES), (errno.EIO, ("open", "fsync", "unlink", "pread", "listdir")), (errno.ESTALE, ("stat",))],
    ids=["ENOSPC", "EIO", "ESTALE"],
)
def test_an_error_at_any_call_loses_nothing(case: Case, code: int, calls: tuple[str, ...], times: int) -> None:
    step = 1 if SOAK > 1 or code == errno.ENOSPC else 5  # most calls only read
    for n in range(0, sum(call in calls for call in case.calls), step):
        disk = case.fresh()
        faults = disk.before = FailingCalls(n, calls, code, times)
        with contextlib.suppress(BadCheckpoint, OSError, StoreError):
            carry_out(case.plan(disk))
        assert faults.failed
        disk.before = lambda call: None
        case.check(disk, f"{errno.errorcode[code]} at call {n} of {calls}")


def test_short_writes_are_written_on(case: Case) -> None:
    writes = [call for call in case.calls if call in ("write", "writev")]
    for n in range(len(writes)):
        disk = case.fresh()
        disk.before = FailingCalls(n, ("write", "writev"), None)
        carry_out(case.plan(disk))
        disk.before = lambda call: None
        assert live(disk, case.keys) == case.after


def test_a_full_disk_is_told_and_leaves_no_file_behind(case: Case) -> None:
    disk = case.fresh()
    names = sorted(disk.files)
    plan = case.plan(disk)
    disk.before = FailingCalls(1, ("write", "writev"), errno.ENOSPC, 10**9)
    with pytest.raises(StoreFull, match="make room"):
        carry_out(plan)
    assert sorted(disk.files) == names


def test_a_read_that_fails_once_costs_no_blob() -> None:
    made = MemoryDisk()
    results = {key(1): body(), key(2): large(FOLDER, made, b"needed"), key(3): large(FOLDER, made, b"needed too")}
    Writer(made).add(results).add({key(4): body("other")}).close()
    large(FOLDER, made, b"of nobody")
    for planner in PLANNERS.values():
        counter = FailingCalls(10**9, ("pread", "open", "stat"), errno.EIO)
        disk = copied(made)
        disk.before = counter
        assert len(planner(disk).stores[0].blobs) == 1
        for n in range(counter.seen):
            disk = copied(made)
            disk.before = FailingCalls(n, ("pread", "open", "stat"), errno.EIO)
            with contextlib.suppress(BadCheckpoint, OSError, StoreError):
                carry_out(planner(disk))
            disk.before = lambda call: None
            assert live(disk, results) == results, n
