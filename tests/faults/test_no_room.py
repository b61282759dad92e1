"""T8: a file system that is really full, in blocks or in inodes, or really read-only; a folder that vanishes; limits of
the system. Then room again, or none to the end. P3 and P4, with no stand-in for anything."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from parslish.exit_code import LOST
from tests.faults import machine, plan
from tests.faults.drivers import Driver
from tests.faults.scripts.no_room import BEFORE
from tests.faults.stores import SOAK, seeded

#: what runs out, and where
CASES = [
    ("blocks", "tmpfs"),
    ("blocks", "ext4"),
    ("inodes", "tmpfs"),
    ("inodes", "ext4"),
    ("read-only", "tmpfs"),
    ("vanished", "here"),
    ("file size", "here"),
    ("descriptors", "here"),
]


def place(rng: random.Random, where: str, folder: Path, size: int) -> Sequence[str]:
    """The command that runs another one with a small file system mounted on `folder`, for results of some size."""
    blocks, inodes = 40 * (size >> 10) + rng.randrange(1_000, 4_000), rng.randrange(60, 200)
    if where == "tmpfs":
        mount = f"-t tmpfs -o size={blocks}k,nr_inodes={inodes} none"
        command = machine.need_mounts()
    else:
        command = machine.need_loop_devices()
        image = folder.parent / "image"
        image.write_bytes(b"")
        machine.run("mkfs.ext4", "-q", "-m", "0", "-N", str(inodes), image, f"{blocks + 4_000}k")
        mount = f"-o loop {image}"
    return [*command, "sh", "-ec", f'mount {mount} "$0"; exec "$@"', str(folder)]


@pytest.mark.parametrize("round_", range(SOAK))
@pytest.mark.parametrize("end", ["room", "full"])
@pytest.mark.parametrize(("kind", "where"), CASES)
def test_results_are_seen_and_kept_in_memory_until_there_is_room(
    kind: str, where: str, end: str, round_: int, tmp_path: Path
) -> None:
    rng = seeded(f"no room {kind} {where} {end} {round_}")
    folder = tmp_path / "mounted"
    folder.mkdir()
    # Without a free descriptor the file of a large value cannot be read either: it is computed again.
    size = rng.choice([40, 2_000, 20_000, *([1_100_000] if kind != "descriptors" else [])])
    under = [] if where == "here" else place(rng, where, folder, size)
    mode, sync = rng.choice([("task_exit", "batch"), ("task_exit", "always"), ("periodic", "batch")])
    driver = Driver("no_room.py", folder, kind, end, mode, sync, size, under=under)
    code, err = driver.end()
    case = f"{mode}, {sync}, {size} bytes:\n{err}"
    assert code == (0 if end == "room" else LOST), case
    assert "degraded" in driver.lines and ("recovered" in driver.lines) == (end == "room"), case
    assert err.count("tasks go on") == 1, f"it is to be told once, {case}"
    assert "Traceback" not in err, case
    lost = driver.facts("lost")
    assert set(BEFORE) <= set(driver.facts("kept")), case
    if end == "room":
        assert not lost, case
        assert err.count("has been written") == 1, case
    else:
        assert f"{len(lost)} result" in err, f"it lost {lost}, {case}"
    assert not any(line == "verdict corrupt" for line in driver.lines), case
    plan.count("T8")
