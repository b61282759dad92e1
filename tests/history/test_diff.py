"""What differs between two runs, task by task."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import parslish
from parslish import Config
from parslish.compare import ValueDifference
from parslish.history.diff import Diff, diff
from parslish.history.event import Event
from parslish.history.record import RunRecord
from parslish.secret import Keys
from parslish.store.reader import Store
from tests.history import programs
from tests.history.programs import end, fail, made_up, reuse, run, start, submit

SUM = """
RATE = 3

@python_app(cache=True)
def price(x): return RATE * x

@python_app(cache=True)
def show(a): return [a, a / 7]

def main():
    return [show(price(1)), show(price(2))]
"""
#: A key for each letter.
KEY = {letter: letter.encode() * 32 for letter in "abcdefgh"}


def compare(a: RunRecord, b: RunRecord, **options: object) -> Diff:
    found = diff(a, b, **options)  # type: ignore[arg-type]
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert told["counts"]["changed"] == len(told["changed"]) == len(found.changed)
    matched = {*found.same, *(each.path for each in found.changed)}
    assert len(matched) == len(found.same) + len(found.changed), "each task is the same, or changed"
    return found


@contextmanager
def stores(*runs: RunRecord) -> Iterator[ValueDifference]:
    with ExitStack() as stack:
        opened = [Store.open([each.path / "checkpoint"], Keys.load()) for each in runs]
        for each in opened:
            stack.callback(each.close)
        yield ValueDifference(*opened)


def test_a_run_that_reused_all_is_the_same() -> None:
    first, second = run(SUM), run(SUM)
    found = compare(first, second)
    assert sorted(found.same) == ["-/price[0]", "-/price[1]", "-/show[0]", "-/show[1]"]
    assert not found.changed and not found.status_changed and not found.run
    assert str(found) == "runs 000 and 001: 4 same"


def test_tasks_that_changed_say_by_what() -> None:
    first, second = run(SUM), run(SUM.replace("price(2)", "price(4)").replace("a / 7", "a / 8"))
    found = compare(first, second)
    assert found.same == ["-/price[0]"]
    reasons = {each.path: [reason.kind for reason in each.reasons] for each in found.changed}
    assert reasons == {
        "-/price[1]": ["argument_changed", "result_changed"],
        "-/show[0]": ["code_changed", "result_changed"],
        "-/show[1]": ["argument_changed", "code_changed", "result_changed"],
    }
    result = next(each for each in found.changed if each.path == "-/price[1]").reasons[-1]
    assert result.sentence == "its result was 6 and is 12"


def test_an_equal_key_and_another_result_is_a_change() -> None:
    a = made_up(0, [submit(0, 1), end(0, KEY["a"], 0.5), submit(1, 2), end(1, KEY["b"], float("nan"))])
    b = made_up(1, [submit(0, 1), end(0, KEY["a"], 0.75), submit(1, 2), end(1, KEY["b"], float("nan"))])
    (changed,) = compare(a, b).changed
    assert [each.sentence for each in changed.reasons] == ["its result was 0.5 and is 0.75"]


def test_tasks_without_keys_are_compared_by_arguments_and_results() -> None:
    text = "@python_app\ndef f(x): return 2 * x\ndef main(): return [f(f(1)), f(5)]\n"
    first, second = run(text), run(text.replace("f(5)]", "f(6)]"))
    found = compare(first, second)
    assert sorted(found.same) == ["-/f[0]", "-/f[1]"]
    assert [each.kind for each in found.changed[0].reasons] == ["argument_changed", "result_changed"]


def test_tasks_of_one_run_only_are_listed() -> None:
    first, second = run(SUM), run(SUM.replace("show(price(2))", "price(3)"))
    found = compare(first, second)
    assert (list(found.only_a), list(found.only_b)) == (["-/show[1]"], [])
    assert list(compare(second, first).only_b) == ["-/show[1]"]


def test_what_became_of_tasks_is_compared_and_reuse_is_no_change() -> None:
    a = made_up(0, [submit(0, 1), end(0, KEY["a"]), submit(1, 2), fail(1), submit(2, 3), start(2)], ended=False)
    b = made_up(
        1, [submit(0, 1), reuse(0, KEY["a"], 0, 0), submit(1, 2), end(1, KEY["b"]), submit(2, 3), end(2, KEY["c"])]
    )
    found = compare(a, b)
    assert [(each.path, each.old, each.new) for each in found.status_changed] == [
        ("-/f[1]", "failed", "done"),
        ("-/f[2]", "lost", "done"),
    ]


def test_slower_and_faster_need_a_ratio_and_some_seconds_and_that_both_were_computed() -> None:
    took = [(10.0, 20.0), (20.0, 10.0), (0.1, 0.9), (100.0, 102.0), (1.0, 9.0)]
    a = made_up(0, [each for i, (s, _) in enumerate(took) for each in (submit(i, i), end(i, KEY["a"], 1, s))])
    events: list[Event] = [each for i, (_, s) in enumerate(took[:4]) for each in (submit(i, i), end(i, KEY["a"], 1, s))]
    b = made_up(1, [*events, submit(4, 4), reuse(4, KEY["a"], 0, 4, 1)])
    found = compare(a, b)
    assert [(each.path, each.a_s, each.b_s) for each in found.slower] == [("-/f[0]", 10.0, 20.0)]
    assert [each.path for each in found.faster] == ["-/f[1]"]
    assert [each.path for each in compare(a, b, ratio=1.01, seconds=0.5).slower] == ["-/f[0]", "-/f[3]", "-/f[2]"]


def test_values_are_compared_on_request() -> None:
    first, second = run(SUM), run(SUM.replace("RATE = 3", "RATE = 3.5"))
    with stores(first, second) as values:
        found = {each.path: each.value for each in compare(first, second, values=values).changed}
    value = found["-/show[0]"]
    assert value is not None and value.verdict == "different"
    assert value.to_json()["largest_absolute"] == 0.5 and value.to_json()["where"] == "[0]"


def test_values_are_not_opened_where_the_record_tells_that_they_are_equal() -> None:
    first, second = run(SUM), run(SUM)
    asked: list[bytes] = []
    compare(first, second, values=lambda a, b: asked.append(a))
    text = SUM.replace("RATE = 3", "RATE = 2 + 1  # the same")
    compare(first, run(text), values=lambda a, b: asked.append(a))
    assert asked == []


def test_an_equal_key_whose_value_is_another_is_found_by_its_value() -> None:
    text = """
SEEN = 0
@python_app(cache=True)
def f(x):
    global SEEN
    SEEN += 1
    return [parslish.SEEN]
def main(): return [f(1)]
"""
    parslish.SEEN = 1  # type: ignore[attr-defined]
    first = run(text)
    parslish.SEEN = 2  # type: ignore[attr-defined]
    second = run(text, checkpoint_files=[])
    del parslish.SEEN  # type: ignore[attr-defined]
    assert first.task(0).key == second.task(0).key
    with stores(first, second) as values:
        (changed,) = compare(first, second, values=values).changed
    assert [each.kind for each in changed.reasons] == ["result_changed"]
    assert changed.value is not None and "by up to 1" in str(changed.value)


def test_what_two_runs_ran_with_is_compared() -> None:
    facts = {"python": "3.11.1", "packages": {"numpy": "1.26", "ase": "3.22"}, "argv": ["s.py", "1"], "host": "a"}
    a = made_up(0, [], **facts)
    b = made_up(
        1, [], **{**facts, "python": "3.12.0", "packages": {"numpy": "2.0", "tblite": "1"}, "argv": ["s.py", "2"]}
    )
    assert [each.sentence for each in compare(a, b).run] == [
        "package numpy: 1.26 → 2.0",
        "package ase: 3.22 → not there",
        "package tblite: 1 (was not there)",
        "python: 3.11.1 → 3.12.0",
        "argv: s.py 1 → s.py 2",
    ]


def test_code_that_changed_is_told_once_for_each_app_with_a_diff() -> None:
    found = compare(run(SUM), run(SUM.replace("a / 7", "a / 8").replace("RATE = 3", "RATE = 4")))
    price, show = found.run
    assert (price.what, price.name, price.old, price.new) == ("code", "price", "3", "4")
    assert (show.what, show.name) == ("code", "show") and "+def show(a): return [a, a / 8]" in show.diff


def test_calls_that_came_in_another_order_are_warned_of() -> None:
    first, second = run(SUM), run(SUM.replace("show(price(1)), show(price(2))", "show(price(2)), show(price(1))"))
    assert compare(first, second).warnings == [
        "2 calls of price in - came in another order, so their paths stand for each other's; label= fixes a path",
        "2 calls of show in - came in another order, so their paths stand for each other's; label= fixes a path",
    ]


def test_labelled_siblings_in_another_order_keep_their_paths_and_that_is_said() -> None:
    text = "@python_app(cache=True)\ndef f(x): return x\ndef main(): return [f(1, label='a'), f(2, label='b')]\n"
    first = run(text)
    second = run(text.replace("f(1, label='a'), f(2, label='b')", "f(2, label='b'), f(1, label='a')"))
    found = compare(first, second)
    assert len(found.same) == 2
    (warning,) = found.warnings
    assert warning.startswith("tasks in - came in another order: their paths hold")


def test_a_program_in_the_same_order_is_not_warned_of() -> None:
    assert compare(run(SUM), run(SUM.replace("price(2)", "price(7)"))).warnings == []


def test_a_run_that_is_on_is_warned_of() -> None:
    first = run(SUM)
    with parslish.load(Config(run_dir="runinfo", initialize_logging=False)):
        found = compare(first, programs.read("001"))
    assert found.warnings == ["run 001 has not ended: it is compared as it was when it was read"]


def test_two_runs_of_a_hundred_thousand_tasks_are_compared_in_seconds() -> None:
    def made(number: int, argument: float, first_key: int) -> RunRecord:
        calls = ((submit(i, i, argument), end(i, (first_key + i).to_bytes(32, "big"), i / 3)) for i in range(count))
        return made_up(number, [each for call in calls for each in call])

    count = 100_000
    first, same, other = made(0, 0.5, 0), made(1, 0.5, 0), made(2, 0.25, count)
    begun = time.process_time()
    assert len(diff(first, same).same) == count
    equal_s, begun = time.process_time() - begun, time.process_time()
    assert len(diff(first, other).changed) == count
    changed_s = time.process_time() - begun
    assert equal_s < 2 and changed_s < 10, (equal_s, changed_s)
