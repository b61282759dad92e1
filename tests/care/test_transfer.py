"""Results go from store to store unopened; from accounts that are not ours only by their keys, or by our word."""

from __future__ import annotations

import errno
import os
import pickle
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

import parslish
from parslish import Config, python_app
from parslish.care import parsl
from parslish.care.items import items, stores
from parslish.care.moving import import_
from parslish.care.selection import RECORD_BYTES, Filter
from parslish.care.transfer import plan_import
from parslish.errors import StoreError, StoreFull, Untrusted, UsageError
from parslish.history import card
from parslish.secret import Keys
from parslish.store.check import check
from parslish.store.disk import OS_DISK
from parslish.utils import get_all_checkpoints
from tests.care.moves import ALL, Hooked, by_key, exported, imported
from tests.care.stores import KEYS, OTHER_KEYS, Cut, Writer, body, cutting, key, large

# ---------------------------------------------------------------- export


def test_an_export_holds_what_counts_under_its_run_numbers(source: Path, tmp_path: Path) -> None:
    copied = exported(source, tmp_path / "out", keys=OTHER_KEYS)
    assert (copied.path, copied.records, copied.lost) == (tmp_path / "out", 3, ())
    found = by_key(tmp_path / "out", OTHER_KEYS)
    assert {each: item.run_number for each, item in found.items()} == {key(1): 5, key(2): 3, key(3): 3}
    assert check(tmp_path / "out", keys=OTHER_KEYS).state == "clean"
    assert len(list((tmp_path / "out").glob("*.blob"))) == 1
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o700
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".out")] == []


@pytest.mark.parametrize(
    ("chosen", "keys"),
    [
        (Filter(apps=("energy",)), {key(3)}),
        (Filter(runs=("3",)), {key(2), key(3)}),
        (Filter(keys=(key(1).hex(),)), {key(1)}),
    ],
)
def test_a_part_can_be_exported(source: Path, tmp_path: Path, chosen: Filter, keys: set[bytes]) -> None:
    assert exported(source, tmp_path / "out", chosen).records == len(keys)
    assert set(by_key(tmp_path / "out", KEYS)) == keys


def test_the_most_recent_that_fit_can_be_exported(source: Path, tmp_path: Path) -> None:
    (newest,) = (item for item in items([source], KEYS) if item.key == key(1) and item.live)
    exported(source, tmp_path / "out", Filter(max_bytes=newest.size_bytes + RECORD_BYTES))
    assert set(by_key(tmp_path / "out", KEYS)) == {key(1)}


def test_an_export_stands_alone_without_the_stores_it_built_upon(source: Path, tmp_path: Path) -> None:
    where = tmp_path / "mine" / "000" / "checkpoint"
    writer = Writer(OS_DISK, where, run=7).add({key(9): body()})
    writer.log.add_base(source)
    writer.close()
    exported(where, tmp_path / "out")
    shutil.rmtree(tmp_path / "theirs")
    assert set(by_key(tmp_path / "out", KEYS)) == {key(1), key(2), key(3), key(9)}


def test_an_export_replaces_nothing(source: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(UsageError, match="there already"):
        exported(source, tmp_path / "out")


def test_nothing_to_copy_makes_nothing(source: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to copy"):
        exported(source, tmp_path / "out", Filter(apps=("nothing",)))
    with pytest.raises(UsageError, match="nothing to copy"):
        imported(source, tmp_path / "runinfo", Filter(apps=("nothing",)))
    assert not (tmp_path / "out").exists() and not (tmp_path / "runinfo").exists()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_an_error_while_exporting_leaves_nothing(source: Path, tmp_path: Path, code: int) -> None:
    calls: list[str] = []
    exported(source, tmp_path / "all", disk=Hooked(calls.append))
    for n in range(calls.index("write"), len(calls) - 6):  # the last ones sync the name, when all is there
        seen: list[str] = []

        def refuse(call: str, seen: list[str] = seen, n: int = n) -> None:
            seen.append(call)
            if len(seen) > n and call in ("write", "writev", "fsync", "rename", "mkdir"):
                raise OSError(code, os.strerror(code))

        with pytest.raises(StoreFull if code == errno.ENOSPC else StoreError, match="do the same again"):
            exported(source, tmp_path / "out", disk=Hooked(refuse))
        assert sorted(path.name for path in tmp_path.iterdir()) == ["all", "theirs"]


def test_a_large_value_that_is_damaged_is_not_copied_and_that_is_told(source: Path, tmp_path: Path) -> None:
    (blob,) = source.glob("*.blob")
    blob.write_bytes(b"y" * 100)
    copied = exported(source, tmp_path / "out")
    assert copied.records == 2
    assert "damaged" in copied.lost[0]
    assert check(tmp_path / "out").state == "clean"
    blob.unlink()
    assert "cannot be read" in exported(source, tmp_path / "again").lost[0]


# ---------------------------------------------------------------- import


def test_an_import_becomes_a_run_that_scripts_find(source: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "runinfo"
    Writer(OS_DISK, run_dir / "004" / "checkpoint", run=4, keys=OTHER_KEYS).add({key(8): body()}).close()
    copied = imported(source, run_dir)
    assert (copied.path, copied.records) == (run_dir / "005" / "checkpoint", 3)
    assert get_all_checkpoints(run_dir)[-1] == str(copied.path)
    found = by_key(copied.path, OTHER_KEYS)
    assert {each: item.run_number for each, item in found.items()} == dict.fromkeys((key(1), key(2), key(3)), 5)
    assert check(copied.path, keys=OTHER_KEYS).state == "clean"
    assert copied.path.stat().st_mode & 0o777 == 0o700


def test_the_card_says_from_where_by_whom_when_and_whose_signatures_counted(source: Path, tmp_path: Path) -> None:
    before = time.time()
    facts = card.read(imported(source, tmp_path / "runinfo").path.parent)
    assert facts["imported"] == {"from": [str(source)], "signed by": [each.hex() for each in KEYS.ids()]}
    assert facts["ended"] == "imported" and facts["counts"] == {"imported": 3}
    assert before <= facts["started"] <= facts["time_ended"] <= time.time()
    assert facts["user"] and facts["host"] and facts["pid"] == os.getpid()
    (info,) = stores(tmp_path / "runinfo")
    assert (info.ended, info.records, info.alive) == ("imported", 3, False)


def test_results_that_are_there_stay_as_they_are(source: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "runinfo"
    Writer(OS_DISK, run_dir / "000" / "checkpoint", run=0, keys=OTHER_KEYS).add({key(1): body("mine")}).close()
    transfer = plan_import([source], run_dir, ALL, OTHER_KEYS, KEYS)
    assert (transfer.records, transfer.known, dict(transfer.apps)) == (2, 1, {"relax": 1, "energy": 1})
    assert set(by_key(import_(transfer, run_dir, OTHER_KEYS).path, OTHER_KEYS)) == {key(2), key(3)}
    with pytest.raises(UsageError, match="all are there already"):
        imported(source, run_dir)
    assert len(stores(run_dir)) == 2


def test_without_their_key_it_is_refused_in_one_sentence(source: Path, tmp_path: Path) -> None:
    sentence = r"1 store holds records that no key of yours has signed \(.*/003/checkpoint\): .*--key FILE.*--trust"
    with pytest.raises(Untrusted, match=sentence):
        imported(source, tmp_path / "runinfo", theirs=OTHER_KEYS)
    assert not (tmp_path / "runinfo").exists()
    ours_and_theirs = Keys([OTHER_KEYS.signing, KEYS.signing])
    assert imported(source, tmp_path / "runinfo", theirs=ours_and_theirs).records == 3


def test_who_trusts_gets_what_is_intact_and_signs_it(source: Path, tmp_path: Path) -> None:
    (segment, _) = sorted(source.glob("*.seg"))
    content = segment.read_bytes()
    segment.write_bytes(content.replace(b"energy", b"ENERGY"))
    copied = imported(source, tmp_path / "runinfo", theirs=None)
    assert set(by_key(copied.path, OTHER_KEYS)) == {key(1), key(2)}, "not the damaged, nor the killed one"
    assert card.read(copied.path.parent)["imported"]["signed by"] == "anybody"


def test_who_trusts_a_store_does_not_trust_what_it_builds_upon(source: Path, tmp_path: Path) -> None:
    where = tmp_path / "hostile" / "000" / "checkpoint"
    writer = Writer(OS_DISK, where, run=7).add({key(9): body()})
    writer.log.add_base(source)
    writer.close()
    assert set(by_key(imported(where, tmp_path / "runinfo", theirs=None).path, OTHER_KEYS)) == {key(9)}


def test_a_hostile_pickle_is_moved_and_not_run(tmp_path: Path) -> None:
    class Canary:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "canary"),)

    song = pickle.dumps(Canary())
    where = tmp_path / "hostile"
    contents = {key(1): body(text=song[1:]), key(2): song, key(3): large(where, OS_DISK, song)}
    Writer(OS_DISK, where, run=0).add(contents).close()
    assert imported(where, tmp_path / "runinfo", theirs=None).records == 2
    exported(where, tmp_path / "out")
    assert not (tmp_path / "canary").exists()
    pickle.loads(song)
    assert (tmp_path / "canary").exists(), "the canary would not have sung"


def test_a_kill_while_importing_is_mended_by_importing_again(source: Path, tmp_path: Path) -> None:
    calls: list[str] = []
    imported(source, tmp_path / "all", disk=Hooked(calls.append))
    for n in range(calls.index("mkdir"), len(calls)):
        run_dir = tmp_path / f"killed before {n}"
        with pytest.raises(Cut):
            imported(source, run_dir, disk=Hooked(cutting(n)))
        for each in stores(run_dir):
            assert check(each.path, keys=OTHER_KEYS).state in ("clean", "torn")
        try:
            imported(source, run_dir)
        except UsageError as exc:  # all was there before
            assert "already" in str(exc)
        found = [item.key for item in items(get_all_checkpoints(run_dir), OTHER_KEYS) if item.live]
        assert sorted(found) == [key(1), key(2), key(3)]


def test_a_full_disk_ends_an_import_and_its_card_says_so(source: Path, tmp_path: Path) -> None:
    def refuse(call: str) -> None:
        if call == "write":
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StoreFull, match="make room"):
        imported(source, tmp_path / "runinfo", disk=Hooked(refuse))
    assert card.read(tmp_path / "runinfo" / "000")["ended"] == "failed"


@python_app(cache=True)
def double(x: int) -> int:
    return 2 * x


@python_app(cache="replay")
def measure(x: int) -> float:
    return x + time.time()


def test_a_script_reuses_what_another_account_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config(checkpoint_mode="task_exit", run_dir="theirs")
    with parslish.load(config):
        assert [double(n).result() for n in range(3)] == [0, 2, 4]
    theirs = Keys.load()
    monkeypatch.setenv("PARSLISH_KEY_FILE", str(tmp_path / "my key"))
    transfer = plan_import([Path("theirs/000/checkpoint")], Path("runinfo"), ALL, Keys.load(), theirs)
    import_(transfer, Path("runinfo"), Keys.load())
    with parslish.load(Config(checkpoint_mode="task_exit")):
        futures = [double(n) for n in range(3)]
        assert [future.result() for future in futures] == [0, 2, 4]
        assert {future.task_status() for future in futures} == {"memo_done"}


def test_a_killed_run_is_continued_though_something_was_imported_meanwhile(source: Path) -> None:
    with parslish.load(Config(checkpoint_mode="task_exit")) as kernel:
        measured = measure(1).result()
        path = Path(kernel.run_dir)
    card.write(path, card.read(path) | {"ended": None, "pid": 0})  # as after a kill
    transfer = plan_import([source], Path("runinfo"), ALL, Keys.load(), KEYS)
    import_(transfer, Path("runinfo"), Keys.load())
    with parslish.load(Config(checkpoint_mode="task_exit")):
        assert measure(1).result() == measured


# ---------------------------------------------------------------- Parsl


def tasks_pkl(where: Path, results: int, *, cut: int = 0) -> Path:
    where.mkdir(parents=True, exist_ok=True)
    records = [{"hash": f"{n:032x}", "exception": None, "result": [n] * 100} for n in range(results)]
    content = b"".join(map(pickle.dumps, records))
    (where / "tasks.pkl").write_bytes(content[: len(content) - cut])
    return where / "tasks.pkl"


@pytest.mark.parametrize("named", ["file", "folder"])
def test_a_checkpoint_of_parsl_is_refused_with_what_it_holds_and_what_to_do(tmp_path: Path, named: str) -> None:
    file = tasks_pkl(tmp_path / "runinfo" / "000" / "checkpoint", 12)
    path = file if named == "file" else file.parent
    with pytest.raises(UsageError, match=r"Parsl checkpoint of 12 results: it is unsigned.*run the script once"):
        plan_import([path], tmp_path / "mine", ALL, KEYS, None)
    assert not (tmp_path / "mine").exists()


def test_a_torn_checkpoint_of_parsl_is_counted_up_to_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"of 2 results, and what was to follow is torn"):
        parsl.refuse(tasks_pkl(tmp_path, 3, cut=5))
    with pytest.raises(UsageError, match=r"of 1 result:"):
        parsl.refuse(tasks_pkl(tmp_path, 1))


def test_a_checkpoint_of_parsl_is_never_unpickled(tmp_path: Path) -> None:
    class Canary:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "canary"),)

    record = {"hash": "0", "exception": None, "result": Canary()}
    (tmp_path / "tasks.pkl").write_bytes(pickle.dumps(record))
    with pytest.raises(UsageError, match="1 result"):
        parsl.refuse(tmp_path)
    assert not (tmp_path / "canary").exists()


def test_what_is_no_checkpoint_of_parsl_is_passed_over(source: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / "empty").touch()
    for path in (source, next(source.glob("*.seg")), tmp_path / "notes.txt", tmp_path / "empty", tmp_path / "nowhere"):
        parsl.refuse(path)
