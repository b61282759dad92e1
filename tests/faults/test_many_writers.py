"""T13: many writers in one store, a reader that follows them, and a compaction that is killed at each of its steps."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import pytest

from parslish.care import compact
from parslish.secret import Keys
from parslish.store.check import check
from parslish.store.reader import Store
from tests.faults import plan
from tests.faults.drivers import Driver
from tests.faults.scripts.writer import entry
from tests.faults.stores import SEED, SOAK

WRITERS = 8
RECORDS = 400 if SOAK == 1 else 10_000  # of each
PARTS = 9 if SOAK == 1 else 36  # of which each is a segment of its own
STRIDE = 108 // PARTS  # so many calls from one at which a compaction is killed to the next, about
FOLDER = Path("checkpoint")


class Reader:
    """Follows the store: what is found is right, and is found ever after."""

    def __init__(self, rng: random.Random) -> None:
        self.keys = Keys.load()
        FOLDER.mkdir(0o700)
        self.store = Store.open([FOLDER], self.keys)
        self._rng = rng
        self._known: list[tuple[int, int]] = []
        self._expected = [(writer, number) for number in range(RECORDS) for writer in range(WRITERS)]

    def look(self) -> None:
        self.store.refresh()
        for each in self._rng.sample(self._expected, 50):
            if self._is_found(each):
                self._known.append(each)
        for each in self._rng.sample(self._known, min(len(self._known), 50)):
            assert self._is_found(each), f"{each} was there, and is not any more"

    def _is_found(self, each: tuple[int, int]) -> bool:
        key, body = entry(*each)
        found = [record.body for record in self.store.find(key)]
        assert set(found) <= {body}, f"a wrong value for {each}"
        return bool(found)

    def look_at_all(self) -> None:
        self.store.refresh()
        missing = [each for each in self._expected if not self._is_found(each)]
        assert not missing, f"{len(missing)} are missing, as {missing[:3]}"
        assert not self.store.report.warnings, self.store.report.warnings


@pytest.mark.timeout(120 if SOAK == 1 else 1200)
@pytest.mark.parametrize("case", range(SOAK))
def test_many_writers_a_reader_and_a_compaction_that_is_killed_lose_nothing(case: int) -> None:
    print(f"PARSLISH_SEED={SEED}")
    rng = random.Random(f"{SEED} many writers {case}")
    reader = Reader(rng)
    writers = [Driver("writer.py", FOLDER, writer, RECORDS, PARTS) for writer in range(WRITERS)]
    killed = 0
    for part in range(PARTS):
        Path(f"part-{part}").touch()
        killed += compacted(reader, part * STRIDE + rng.randint(1, STRIDE), rng) == -signal.SIGKILL
        assert compacted(reader, 0, rng) == 0, "what was killed is finished by doing it again"
    for writer in writers:
        code, err = writer.end()
        assert code == 0, err
    assert killed > PARTS // 2, "it was hardly disturbed"
    reader.look_at_all()
    assert compacted(reader, 0, rng) == 0
    reader.look_at_all()
    assert len(Store.open([FOLDER], reader.keys)) == len(reader.store) == WRITERS * RECORDS
    assert compact.plan([FOLDER], reader.keys).is_empty
    assert check(FOLDER).state == "clean"
    plan.count("T13")


def compacted(reader: Reader, call: int, rng: random.Random) -> int:
    """Compact the store while others write and read; 0, or how the process ended that is killed at this call."""
    compactor = Driver("compactor.py", FOLDER, call, rng.choice(("before", "after")))
    while compactor.process.poll() is None:
        reader.look()
    code, err = compactor.end()
    assert code in (0, -signal.SIGKILL), err
    return code
