"""T4: the power fails after any call; of what was not synced all, nothing or parts remain."""

from __future__ import annotations

import copy
import errno

import pytest

from parslish.store.frame import Type
from parslish.store.log import Log
from tests.faults import plan
from tests.faults.disk import FailingCalls, MemoryDisk
from tests.faults.stores import FOLDER, KEYS, SOAK, corruption, found, records, seeded, verdict

CHANGING = frozenset({"open", "write", "writev", "fsync", "truncate", "unlink"})
CUTS = 45 * SOAK  # at each moment


class Trace:
    """Keeps the state of a disk before each call that changes it, and what had been promised by then."""

    def __init__(self, disk: MemoryDisk, then: FailingCalls) -> None:
        self.disk, self.then = disk, then
        self.promised = 0
        self.moments: list[tuple[MemoryDisk, int]] = []

    def __call__(self, call: str) -> int | None:
        if call in CHANGING:
            moment = MemoryDisk()
            moment.files, moment.folders = copy.deepcopy(self.disk.files), set(self.disk.folders)
            self.moments.append((moment, self.promised))
        return self.then(call)


@pytest.mark.parametrize("failing_fsync", [10**9, 1, 3, 6], ids=["honest", "2nd fails", "4th fails", "7th fails"])
def test_a_power_cut_at_any_moment_takes_nothing_that_was_promised(failing_fsync: int) -> None:
    rng = seeded(f"power {failing_fsync}")
    disk = MemoryDisk()
    trace = Trace(disk, FailingCalls(failing_fsync, ("fsync",), errno.EIO))
    disk.before = trace
    log = Log(FOLDER, keys=KEYS, sync="manual", disk=disk)
    stored = records(rng, 12)
    for number, (key, body) in enumerate(stored.items(), 1):
        log.append(Type.RESULT, body, key)
        if number % 4 == 0:
            assert log.sync()
            trace.promised = number
    assert log.close()
    assert len(trace.moments) > 20
    for number, (moment, promised) in enumerate(trace.moments):
        for cut in range(CUTS):
            after = moment.after_power_cut(rng)
            values, store = found(after, stored)
            case = f"moment {number}, cut {cut}"
            assert values.keys() >= set(list(stored)[:promised]), f"{case}: a promised record is lost"
            assert not corruption(store), f"{case}: nothing durable was damaged"
            assert verdict(after) != "corrupt", case
        plan.count("T4", CUTS)
