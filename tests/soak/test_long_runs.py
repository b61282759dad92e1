"""T16: many tasks in one run. What the driver holds does not grow with how many there have been.

In the test command a glimpse, so that the script works; in the soak, with `PARSLISH_SOAK=100`, a million.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import plan
from tests.faults.drivers import Driver
from tests.faults.stores import SOAK
from tests.soak.long_run import PARTS

SCRIPT = Path(__file__).with_name("long_run.py")
#: shape, executor → tasks
RUNS = {
    ("plain", "threads"): 10_000 * SOAK,
    ("kept", "threads"): 10_000 * SOAK,
    ("plain", "processes"): 1_000 * SOAK,
    ("kept", "processes"): 1_000 * SOAK,
    ("chain", "threads"): 10_000 * SOAK,  # ten chains
    ("fan", "threads"): 10_000 * SOAK,  # ten fans
}
WARM = 3  # parts after which all that is made once has been made
SLACK_BYTES = 16 << 20
PASSING = 2  # descriptors that are open for a moment: of a folder, while it is fsynced. One a part would be six.
PER_TASK_BYTES = 64  # of a stored one, in the index that its segment gets at the end


@pytest.mark.timeout(60 + 400 * SOAK)
@pytest.mark.parametrize(("shape", "executor"), RUNS)
def test_memory_and_descriptors_stay_as_they_are(shape: str, executor: str) -> None:
    count = RUNS[shape, executor]
    driver = Driver(str(SCRIPT), shape, executor, count, patience_s=50 + 400 * SOAK)
    code, err = driver.end()
    assert code == 0, err
    held = [line.split()[1:] for line in driver.lines if line.startswith("held")]
    memory, descriptors = [int(size) for size, _ in held], [int(number) for _, number in held]
    assert len(memory) == PARTS
    assert memory[-1] < memory[WARM] + SLACK_BYTES + (PER_TASK_BYTES * count if shape == "kept" else 0), memory
    assert descriptors[-1] <= descriptors[WARM] + PASSING, descriptors
    assert driver.facts("executed") == [count + (PARTS if shape == "fan" else 0)]
    assert driver.survivors() == []
    plan.count("T16")
