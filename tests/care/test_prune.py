"""What is chosen goes, what is not stays; and what cannot be told is refused."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

import parslish
from parslish import Config, python_app
from parslish.care import compact, prune
from parslish.care.items import items, stores
from parslish.care.plan import Plan
from parslish.care.rewrite import carry_out
from parslish.care.selection import RECORD_BYTES, Filter
from parslish.errors import StoreError, UsageError
from parslish.secret import Keys
from parslish.store.disk import OS_DISK, Disk
from tests.care.stores import DAY, FOLDER, KEYS, NOW, Writer, body, files, key, large, live, name_of, rich
from tests.faults.disk import MemoryDisk

OLDER, NEWER = Path("/care/003/checkpoint"), Path("/care/004/checkpoint")


def pruned(disk: Disk, *folders: Path, force: bool = False, **chosen: object) -> Plan:
    plan = prune.plan(folders or [FOLDER], Filter(**chosen), KEYS, force=force, disk=disk)  # type: ignore[arg-type]
    carry_out(plan)
    return plan


def keys_in(disk: Disk, *folders: Path) -> set[int]:
    return {int.from_bytes(item.key[:2], "big") for item in items(folders or [FOLDER], KEYS, disk=disk)}


@pytest.fixture
def disk() -> MemoryDisk:
    """Two stores: 1 to 4 are 1 to 4 days old, 1 and 2 of one app and 3 and 4 of another; 3 and 4 are of a later run."""
    disk = MemoryDisk()
    Writer(disk, OLDER, run=3).add({key(n): body("relax", age_s=n * DAY) for n in (1, 2)}).close()
    Writer(disk, NEWER, run=4).add({key(n): body("energy", age_s=n * DAY) for n in (3, 4)}).close()
    disk.now = NOW
    return disk


@pytest.mark.parametrize(
    ("chosen", "stay"),
    [
        ({"apps": ("relax",)}, {3, 4}),
        ({"apps": ("relax", "energy")}, set()),
        ({"apps": ("nothing",)}, {1, 2, 3, 4}),
        ({"runs": ("004",)}, {1, 2}),
        ({"runs": ("4", "3")}, set()),
        ({"keys": (key(1).hex()[:5],)}, {2, 3, 4}),
        ({"older_than_s": 2.5 * DAY}, {1, 2}),
        ({"newer_than_s": 2.5 * DAY}, {3, 4}),
        ({"older_than_s": 1.5 * DAY, "newer_than_s": 3.5 * DAY}, {1, 4}),
        ({"apps": ("relax",), "older_than_s": 1.5 * DAY}, {1, 3, 4}),
        ({"max_bytes": 10**6}, {1, 2, 3, 4}),
        ({"max_bytes": 0}, set()),
        ({"max_bytes": 2 * (len(body("relax")) + RECORD_BYTES)}, {1, 2}),
        ({"max_bytes": 2 * (len(body("relax")) + RECORD_BYTES) - 1}, {1}),
        ({"apps": ("energy",), "max_bytes": len(body("energy")) + RECORD_BYTES}, {1, 2, 3}),
    ],
)
def test_what_fulfils_all_that_is_given_goes(disk: MemoryDisk, chosen: dict[str, object], stay: set[int]) -> None:
    plan = pruned(disk, OLDER, NEWER, **chosen)
    assert keys_in(disk, OLDER, NEWER) == stay
    assert sum(one.chosen for one in plan.stores) == 4 - len(stay)
    assert prune.plan([OLDER, NEWER], Filter(**chosen), KEYS, disk=disk).is_empty  # type: ignore[arg-type]


def test_a_store_in_which_nothing_was_chosen_is_left_as_it_is() -> None:
    disk, _ = rich()
    kept = disk.contents()
    plan = pruned(disk, apps=("nothing",))
    assert plan.is_empty
    assert plan.stores[0].size_bytes == plan.stores[0].size_bytes_after
    assert plan.stores[0].records == plan.stores[0].records_after
    assert disk.contents() == kept, "with the large values that nobody refers to"


def test_a_recent_result_that_does_not_fit_lets_older_ones_stay() -> None:
    disk = MemoryDisk()
    results = {key(n): body(age_s=n * DAY) for n in range(2, 9)}
    Writer(disk).add({key(1): large(FOLDER, disk, bytes(5000), age_s=DAY), **results}).close()
    Writer(disk).add({key(9): body(text=bytes(3000), age_s=5.5 * DAY)}).close()
    pruned(disk, max_bytes=7 * (len(body()) + RECORD_BYTES))
    assert keys_in(disk) == {2, 3, 4, 5, 6, 7, 8}


def test_a_result_that_does_not_count_takes_the_room_of_none_that_does() -> None:
    disk = MemoryDisk()
    Writer(disk).add(
        {key(1): body(text=b"superseded"), key(2): body(age_s=2 * DAY), key(3): body(age_s=3 * DAY)}
    ).close()
    Writer(disk, run=4).add({key(1): body(age_s=DAY)}).close()
    pruned(disk, max_bytes=2 * (len(body()) + RECORD_BYTES))
    assert live(disk, [key(1), key(2), key(3)]) == {key(1): body(age_s=DAY), key(2): body(age_s=2 * DAY)}


@pytest.mark.parametrize("most", [1000, 5000, 20_000])
def test_a_store_is_about_as_large_as_was_said(most: int) -> None:
    """Beside results there is little: of each run a segment with its header and the frames that close it."""
    disk = MemoryDisk()
    Writer(disk).add({key(n): body(age_s=n * DAY) for n in range(150)}).close()
    Writer(disk, run=4).add({key(n): large(FOLDER, disk, bytes(n), age_s=n * DAY) for n in range(200, 250)}).close()
    pruned(disk, max_bytes=most)
    size = sum(map(len, disk.contents().values()))
    assert most - 500 < size < most + 2 * 500


def test_pruning_needs_room_only_for_what_stays(disk: MemoryDisk) -> None:
    def full(call: str) -> None:
        if call in ("write", "writev"):
            raise OSError(28, "No space left on device")

    disk.before = full
    pruned(disk, OLDER, apps=("relax",))
    assert files(disk, ".seg", OLDER) == []


def test_the_older_result_counts_again_when_the_newer_was_pruned() -> None:
    disk = MemoryDisk()
    Writer(disk).add({key(1): body("relax", b"older", age_s=9 * DAY)}).close()
    Writer(disk, run=4).add({key(1): body("relax", b"newer")}).close()
    pruned(disk, runs=("4",))
    assert live(disk, [key(1)]) == {key(1): body("relax", b"older", age_s=9 * DAY)}


def test_a_result_that_was_killed_does_not_come_back() -> None:
    disk = MemoryDisk()
    Writer(disk).add({key(1): body("wrong"), key(2): body("relax")}).close()
    Writer(disk, run=4).add({key(3): body("other")}).kill([name_of(disk, key(1))]).close()
    pruned(disk, apps=("other",))
    assert set(live(disk, [key(1), key(2), key(3)])) == {key(2)}


def test_a_blob_goes_with_the_last_result_that_refers_to_it_and_counts_once() -> None:
    disk = MemoryDisk()
    shared = bytes(1000)
    Writer(disk).add({key(n): large(FOLDER, disk, shared, age_s=n * DAY) for n in (1, 2)}).close()
    disk.now = NOW
    small = len(large(FOLDER, disk, shared)) + RECORD_BYTES
    assert prune.plan([FOLDER], Filter(max_bytes=1000 + 2 * small), KEYS, disk=disk).is_empty
    pruned(disk, older_than_s=1.5 * DAY)
    assert len(files(disk, ".blob")) == 1
    pruned(disk, apps=("relax",))
    assert files(disk, ".blob") == files(disk, ".seg") == []


def test_what_is_left_alone_holds_what_was_chosen_in_it_and_that_is_told() -> None:
    disk, _ = rich()
    damaged = next(file for file in disk.files.values() if b"first 4" in file.content)
    damaged.content[damaged.content.index(b"first 4")] ^= 1
    plan = prune.plan([FOLDER], Filter(apps=("relax",)), KEYS, disk=disk).stores[0]
    assert plan.held == 7, "of 8 results, one of them damaged"
    assert plan.chosen > 0


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ({}, "say which"),
        ({"runs": ("last",)}, "takes the number of a run"),
        ({"keys": ("xyz",)}, "first digits of a key"),
        ({"keys": ("",)}, "first digits of a key"),
        ({"older_than_s": -1.0}, "not negative"),
        ({"reachable_from": ("007",)}, "there is no run 7"),
    ],
)
def test_a_choice_that_cannot_be_meant_is_refused(disk: MemoryDisk, chosen: dict[str, object], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        pruned(disk, OLDER, **chosen)


# ---------------------------------------------------------------- reachability


@python_app(cache=True)
def double(x: int) -> int:
    return 2 * x


@python_app(cache=True)
def triple(x: int) -> int:
    return 3 * x


def run(*calls: object) -> Path:
    """One run that asks for (app, argument) pairs; returns its folder."""
    with parslish.load(Config(checkpoint_mode="task_exit")) as kernel:
        for app, argument in calls:  # type: ignore[misc]
            app(argument).result()
        return Path(kernel.run_dir)


@pytest.fixture
def runs(own_world: None) -> list[Path]:
    """Run 0 computes four results; run 1 reuses one of them and computes one; run 2 has nothing of either."""
    run((double, 1), (double, 2), (double, 3), (triple, 1))
    run((double, 2), (triple, 2))
    run((triple, 7))
    return [one.path for one in stores("runinfo")]


def reachable(*ids: str, force: bool = False) -> list[tuple[str, int]]:
    keys = Keys.load()
    paths = [one.path for one in stores("runinfo")]
    carry_out(prune.plan(paths, Filter(reachable_from=ids), keys, force=force))
    return sorted((item.app, item.run_number) for item in items(paths, keys))


def test_what_a_run_computed_or_reused_stays(runs: list[Path]) -> None:
    assert reachable("1") == [("double", 0), ("triple", 1)]
    with parslish.load(Config(checkpoint_mode="task_exit")):
        again = [double(2), triple(2)]
        assert [future.result() for future in again] == [4, 6]
        assert {future.task_status() for future in again} == {"memo_done"}


def test_what_one_of_several_runs_reached_stays(runs: list[Path]) -> None:
    assert reachable("001", "2") == [("double", 0), ("triple", 1), ("triple", 2)]


def test_what_a_run_reused_stays_wherever_it_was_computed_anew(runs: list[Path]) -> None:
    shutil.rmtree(runs[0].parent)
    assert run((double, 2)).name == "003"
    assert ("double", 3) in reachable("1")


def test_what_a_killed_run_computed_stays_though_its_events_are_torn(runs: list[Path]) -> None:
    (events,) = (runs[1].parent / "events").glob("*.seg")
    events.write_bytes(events.read_bytes()[:200])
    assert ("triple", 1) in reachable("1")


@pytest.mark.parametrize("trouble", ["damaged", "missing", "running"])
def test_a_run_whose_record_does_not_tell_all_is_refused_unless_forced(runs: list[Path], trouble: str) -> None:
    record = runs[1].parent / "events"
    (events,) = record.glob("*.seg")
    if trouble == "damaged":
        content = bytearray(events.read_bytes())
        content[200] ^= 1
        events.write_bytes(content)
    elif trouble == "missing":
        events.unlink()
        record.rmdir()
    else:
        card = runs[1].parent / "run.json"
        facts = json.loads(card.read_text()) | {"ended": None, "pid": os.getpid()}
        card.write_text(json.dumps(facts))
    before = list(items(runs, Keys.load()))
    with pytest.raises((StoreError, UsageError), match=r"run 001"):
        reachable("1")
    assert list(items(runs, Keys.load())) == before
    assert ("triple", 1) in reachable("1", force=True)


def test_stores_of_two_run_folders_have_no_numbers_in_common(runs: list[Path]) -> None:
    with pytest.raises(UsageError, match="one run folder"):
        prune.plan([*runs, Path("other/000/checkpoint")], Filter(reachable_from=("1",)), Keys.load(), disk=OS_DISK)


def test_a_script_goes_on_from_a_store_that_was_thinned_out(runs: list[Path]) -> None:
    keys = Keys.load()
    carry_out(prune.plan(runs, Filter(apps=("triple",)), keys))
    carry_out(compact.plan(runs, keys))
    with parslish.load(Config(checkpoint_mode="task_exit")):
        again = [double(n) for n in (1, 2, 3)] + [triple(1)]
        assert [future.result() for future in again] == [2, 4, 6, 3]
        assert [future.task_status() for future in again] == ["memo_done"] * 3 + ["exec_done"]
