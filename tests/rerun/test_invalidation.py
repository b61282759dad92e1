"""Invalidation: tombstones for stored results and what depends on them, and taking those back."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from parslish import UsageError
from parslish.care import compact
from parslish.care.items import items
from parslish.care.rewrite import carry_out
from parslish.rerun import invalidation
from parslish.secret import Keys
from tests.rerun.program import (
    NESTED,
    NESTED_CALLS,
    again,
    changed,
    executed,
    first,
    forced,
    results,
    statuses,
    written,
)

BELOW = ["-/nested[0]/times[0]", "-/nested[0]/times[2]", "-/nested[0]", "-/unreliable[0]", "-/end[0]"]
ANEW = ["nested", "times 1 2", "times 2 3", "unreliable 6", "end 6"]


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "parslish", *arguments], capture_output=True, text=True, timeout=60)


def test_a_task_and_what_depends_on_it_are_named_in_topological_order() -> None:
    run = first(NESTED, NESTED_CALLS)
    done = run.invalidate("-/nested[0]/times[0]", reason="wrong basis")
    assert list(done.paths) == BELOW
    assert done.records == 5
    assert list(done.locs) == ["-.N1.N0", "-.N1.N2", "-.N1", "-.N2", "-.N3"]
    assert (done.reason, done.undone, list(done.shared)) == ("wrong basis", False, [])


def test_without_dependents_only_the_task_itself_is() -> None:
    run = first(NESTED, NESTED_CALLS)
    assert list(run.invalidate("-/unreliable[0]", dependents=False).paths) == ["-/unreliable[0]"]
    executed()
    again()
    assert executed() == ["unreliable 6"], "an equal value, so what took it is reused"


@pytest.mark.parametrize("how", ["a plain new run", "resume"])
def test_what_is_invalid_is_computed_again_and_the_rest_reused(how: str) -> None:
    run = first(NESTED, NESTED_CALLS)
    run.invalidate("-/nested[0]/times[0]")
    executed()
    new = again() if how == "a plain new run" else run.resume()
    assert executed() == ANEW
    assert statuses(new)["-/nested[0]/times[1]"] == "reused"
    again()
    assert executed() == [], "what was computed since is good"


def test_it_holds_for_a_script_that_names_its_checkpoints() -> None:
    run = first(NESTED, NESTED_CALLS, ", checkpoint_files=parslish.get_all_checkpoints()")
    run.invalidate("end")
    executed()
    again()
    assert executed() == ["end 6"]


def test_undo_lets_the_results_count_again() -> None:
    run = first(NESTED, NESTED_CALLS)
    done = run.invalidate("times")
    assert done.undo() == done.records == 6
    executed()
    again()
    assert executed() == []
    assert [each.undone for each in run.invalidations()] == [True]


def test_undo_twice_is_told() -> None:
    run = first(NESTED, NESTED_CALLS)
    done = run.invalidate("end")
    run.undo(done.id)
    with pytest.raises(UsageError, match="was undone before"):
        run.undo(done.id)


def test_an_unknown_id_is_told_with_what_is_near() -> None:
    run = first(NESTED, NESTED_CALLS)
    with pytest.raises(UsageError, match="known are none"):
        run.undo("12345678")
    done = run.invalidate("end")
    with pytest.raises(UsageError, match=f"did you mean {done.id!r}"):
        run.undo(done.id[:-1] + "x")


def test_what_is_invalid_is_not_invalidated_again() -> None:
    run = first(NESTED, NESTED_CALLS)
    run.invalidate("end")
    with pytest.raises(UsageError, match="none of these 1 tasks has a stored result"):
        run.invalidate("end")
    assert len(run.invalidations()) == 1


def test_after_an_undo_it_may_be_invalidated_again() -> None:
    run = first(NESTED, NESTED_CALLS)
    run.invalidate("end").undo()
    second = run.invalidate("end", reason="after all")
    executed()
    again()
    assert executed() == ["end 6"]
    assert [(each.reason, each.undone) for each in run.invalidations()] == [("", True), ("after all", False)]
    second.undo()
    again()
    assert executed() == []


def test_two_invalidations_of_one_result_are_each_undone_by_themselves() -> None:
    run = first(NESTED, NESTED_CALLS)
    one = run.invalidate("end")
    two = run.invalidate("unreliable")
    assert (one.records, two.records) == (1, 1), "the result of end is named once"
    two.undo()
    executed()
    again()
    assert executed() == ["end 6"]


def test_results_in_a_parents_store_are_found_and_named_where_they_lie() -> None:
    first(NESTED, NESTED_CALLS)
    executed()
    run = again()
    assert set(statuses(run).values()) == {"reused"}
    done = run.invalidate("times", reason="here")
    assert done.records == 6
    folders = [path.parent for path in Path("runinfo").glob("*/checkpoint/*.seg") if b"here" in path.read_bytes()]
    assert folders == [Path("runinfo/000/checkpoint")]
    assert [each.id for each in run.invalidations()] == [done.id]
    again()
    assert sorted(executed()) == ["end 6", "nested", "times 1 2", "times 1 3", "times 2 3", "unreliable 6"]


def test_results_in_another_run_folder_are_found_and_named_where_they_lie() -> None:
    written(NESTED, NESTED_CALLS, ", run_dir='elsewhere'")
    subprocess.run([sys.executable, "script.py"], check=True, capture_output=True)
    changed("run_dir='elsewhere'", "checkpoint_files=['elsewhere/000/checkpoint']")
    executed()
    run = again()
    assert set(statuses(run).values()) == {"reused"}
    done = run.invalidate("end")
    again()
    assert executed() == ["end 6"]
    assert [each.id for each in run.invalidations()] == [done.id]
    assert run.undo(done.id) == 1


TWINS = """
@python_app(cache=True)
def draw(n):
    note("draw", n)
    return n + random.random()

@python_app(cache=True)
def show(x, at):
    note("show", at)
    return at
"""
TWINS_CALLS = """
a, b = draw(1), None
a.result()
b = draw(1)
show(a, "a").result(), show(b, "b").result()
"""


def test_other_tasks_with_the_same_key_are_listed() -> None:
    run = first(TWINS, TWINS_CALLS)
    done = run.invalidate("-/draw[0]")
    assert list(done.paths) == ["-/draw[0]", "-/show[0]"]
    assert list(done.shared) == ["-/draw[1]"]


def test_it_holds_after_the_store_was_compacted() -> None:
    run = first(NESTED, NESTED_CALLS)
    run.invalidate("end")
    assert command("checkpoint", "compact", "runinfo/000", "--yes").returncode == 0
    executed()
    again()
    assert executed() == ["end 6"]


def test_one_that_was_undone_is_no_more_after_the_store_was_compacted() -> None:
    run = first(NESTED, NESTED_CALLS)
    run.invalidate("end").undo()
    done = command("checkpoint", "compact", "runinfo/000", "--yes")
    assert done.returncode == 0, done.stderr
    executed()
    again()
    assert executed() == []


def test_it_holds_in_a_store_that_was_exported() -> None:
    run = first(NESTED, NESTED_CALLS)
    run.invalidate("end")
    done = command("checkpoint", "export", "runinfo/000", "moved", "--yes")
    assert done.returncode == 0, done.stderr
    changed("task_exit'", "task_exit', run_dir='other', checkpoint_files=['moved']")
    executed()
    again()
    assert executed() == ["end 6"]


def test_a_selection_of_nothing_is_told() -> None:
    run = first(NESTED, NESTED_CALLS)
    with pytest.raises(UsageError, match="unreliable"):
        run.invalidate("unrelaible")


def test_tasks_without_stored_results_are_told_of() -> None:
    run = first("@python_app\ndef f(): return 1", "f().result()")
    with pytest.raises(UsageError, match="has a stored result to invalidate"):
        run.invalidate("f")


def test_a_reason_of_any_text_is_kept() -> None:
    run = first(NESTED, NESTED_CALLS)
    run.invalidate("end", reason="“böse”\n\0 🙂")
    assert run.invalidations()[0].reason == "“böse”\n\0 🙂"
    assert run.invalidations()[0].to_json()["paths"] == ["-/end[0]"]


def test_why_names_who_invalidated_it_and_the_reason() -> None:
    run = first(NESTED, NESTED_CALLS)
    run.invalidate("end", reason="wrong basis")
    new = again()
    assert "wrong basis" in new.why("-/end[0]").sentence
    new.why("-/end[0]")
    new.invalidate("unreliable", reason="also wrong")
    assert "also wrong" in again().why("-/unreliable[0]").sentence


def test_results_that_were_accepted_from_earlier_code_are_found() -> None:
    run = first("@python_app(cache=True)\ndef f(x):\n    note('f')\n    return x\n", "f(1).result()")
    changed("    return x", "    y = x\n    return y")
    run = again()
    run.accept("f")
    (store,) = Path("runinfo/001/checkpoint").glob("*.seg")
    store.unlink()
    executed()
    run = again()
    assert executed() == []
    assert run.invalidate("f").records == 1
    again()
    assert executed() == ["f"]


def test_a_failure_that_is_remembered_can_be_invalidated() -> None:
    run = first(
        "@python_app(cache=True, remember=[ValueError])\ndef f():\n    note('f')\n    raise ValueError\n",
        "f().exception()",
    )
    executed()
    again()
    assert executed() == []
    assert run.invalidate("f").records == 1
    again()
    assert executed() == ["f"]


def test_a_replay_app_is_invalidated_in_its_lineage() -> None:
    run = first(
        "@python_app(cache='replay')\ndef f():\n    note('f')\n    return random.random()\n"
        "@python_app(cache=True)\ndef g(x):\n    note('g')\n    if os.path.exists('broken'): raise ValueError\n",
        "g(f()).result()",
    )
    executed()
    run.invalidate("f")
    new = run.resume()
    assert executed() == ["f", "g"]
    new.resume()
    assert executed() == []
    assert results(new) != {}
    assert forced(new) == {}


def test_all_of_a_large_run_is_invalidated_at_once() -> None:
    run = first(
        "@python_app(cache=True)\ndef f(i): return i\n", "[each.result() for each in [f(i) for i in range(3000)]]"
    )
    done = run.invalidate("f")
    assert (len(done.paths), done.records) == (3000, 3000)
    assert done.undo() == 3000


def test_runs_without_a_checkpoint_folder_are_no_trouble() -> None:
    run = first(NESTED, NESTED_CALLS)
    Path("runinfo/001").mkdir()
    assert run.invalidate("end").records == 1


# ---------------------------------------------------------------- while stores are thinned out


def thinned_out_before(monkeypatch: pytest.MonkeyPatch, *numbers: int) -> list[Path]:
    """Have all stores compacted right before tombstones are written for the n-th time; returns the new segments."""
    keys, written, new = Keys.load(), itertools.count(), list[Path]()
    bury = invalidation._bury

    def slowly(*args: Any) -> None:
        if next(written) in numbers:
            before = set(Path("runinfo").glob("*/checkpoint/*.seg"))
            carry_out(compact.plan(invalidation.stores(Path("runinfo")), keys))
            new.extend(set(Path("runinfo").glob("*/checkpoint/*.seg")) - before)
        bury(*args)

    monkeypatch.setattr(invalidation, "_bury", slowly)
    return new


@pytest.mark.parametrize("numbers", [(0,), (0, 1, 2)])
def test_results_that_are_moved_meanwhile_are_killed_where_they_are_now(
    monkeypatch: pytest.MonkeyPatch, numbers: tuple[int, ...]
) -> None:
    run = first(NESTED, NESTED_CALLS)
    run.invalidate("end").undo()  # so that there is something to compact
    with monkeypatch.context() as patched:
        new = thinned_out_before(patched, *numbers)
        done = run.invalidate("-/nested[0]/times[0]")
    assert new
    assert done.records == 5
    executed()
    again()
    assert executed() == ANEW
    assert done.undo() == 5
    assert [each.undone for each in run.invalidations() if each.id == done.id] == [True]


def test_a_result_that_is_computed_meanwhile_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    run = first(NESTED, NESTED_CALLS)
    bury = invalidation._bury

    def slowly(*args: Any) -> None:
        bury(*args)
        executed()
        again()
        assert executed() == ["end 6"]

    monkeypatch.setattr(invalidation, "_bury", slowly)
    run.invalidate("end")
    again()
    assert executed() == []


def test_an_invalidation_that_is_moved_meanwhile_is_undone_where_it_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    run = first(NESTED, NESTED_CALLS)
    results, folder = list(items(invalidation.stores(Path("runinfo")), Keys.load())), Path("runinfo/000/checkpoint")
    elsewhere = (os.urandom(8), 7)  # what a compaction cannot remove, and so the tombstone stays
    for name, id in (([results[0].name], "0000"), ([elsewhere], "1111")):
        invalidation._bury(folder, Keys.load(), name, {"id": id, "run": run.id, "root": run.record.root})
    new = thinned_out_before(monkeypatch, 0)
    assert run.undo("1111") == 1
    assert new
    found = [each for each in invalidation.tombstones(Path("runinfo"), Keys.load()) if each.facts.get("id") == "1111"]
    assert [each.undone for each in found] == [True]


def test_what_is_compacted_is_final_and_that_is_told() -> None:
    run = first(NESTED, NESTED_CALLS)
    done = run.invalidate("end")
    carry_out(compact.plan(invalidation.stores(Path("runinfo")), Keys.load()))
    assert run.invalidations() == []
    with pytest.raises(UsageError, match="what compact or prune has removed cannot be taken back"):
        done.undo()


def test_an_undo_counts_no_results_that_were_removed_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    run = first(NESTED, NESTED_CALLS)
    done = run.invalidate("end")
    assert thinned_out_before(monkeypatch, 0) == []
    assert done.undo() == 0
