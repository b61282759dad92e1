"""Why a task ran, or did not: every reason, from runs in which it holds."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import parslish
from parslish import Config
from parslish.history.event import Kind
from parslish.history.reason import KINDS
from parslish.history.record import RunRecord
from parslish.history.why import Why, why
from tests.history import programs
from tests.history.programs import end, fail, go_on, made_up, reuse, run, start, submit

SUM = """
RATE = 3

def helper(x):
    return RATE * x

@python_app(cache=True)
def price(x, tax=2):
    # what it costs
    return helper(x) + tax

@python_app(cache=True)
def show(a, unit="EUR"):
    return [a, unit]

def main():
    return [show(price(1)), show([price(2)]), price(1)]
"""


class Buried(NamedTuple):
    facts: Mapping[str, Any]
    undone: bool = False


def ask(record: RunRecord, which: int | str, *earlier: RunRecord, tombstones: Sequence[Buried] = ()) -> Why:
    found = why(record, record.task(which), earlier=earlier, tombstones=lambda key: tombstones)
    assert {each.kind for each in found.reasons} <= KINDS.keys()
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["verdict"] == found.verdict
    assert all(each.sentence in found.sentence for each in found.reasons) and found.sentence.startswith(found.task.path)
    return found


def kinds(found: Why) -> list[str]:
    return [each.kind for each in found.reasons]


# ------------------------------------------------------------------------------------ what differs


def test_the_first_run_has_nothing_to_compare_with() -> None:
    found = ask(run(SUM), "-/price[0]")
    assert (found.verdict, kinds(found), found.earlier) == ("ran", ["first_time"], None)
    assert found.sentence == "-/price[0] ran, because no earlier run that is known has a task of price"


def test_an_argument_that_changed_is_named_with_what_it_was_and_is() -> None:
    first, second = run(SUM), run(SUM.replace("price(1)), show", "price(1), 'USD'), show"))
    found = ask(second, "-/show[0]", first)
    assert found.sentence == "-/show[0] ran, because argument unit was 'EUR' and is 'USD'"
    assert found.reasons[0].facts == {"argument": "unit", "old": "'EUR'", "new": "'USD'", "default": False}
    assert found.earlier == first.task("-/show[0]")


def test_an_argument_of_another_type_changed() -> None:
    text = "@python_app(cache=True)\ndef f(x): return 0\ndef main(): return [f(1)]\n"
    first, second = run(text), run(text.replace("f(1)]", "f(1.0)]"))
    assert "argument x was 1 and is 1.0" in str(ask(second, 0, first))


def test_nan_is_no_change() -> None:
    text = "@python_app(cache=True)\ndef f(x, y): return 0\ndef main(): return [f(float('nan'), 1)]\n"
    first, second = run(text), run(text.replace("1)]", "2)]"))
    assert [each.facts["argument"] for each in ask(second, 0, first).reasons] == ["y"]


@pytest.mark.parametrize(
    ("parameters", "call", "other", "sentences"),
    [
        ("x, y=0", "f(1)", "f(x=2)", ["argument x was 1 and is 2"]),
        ("x, y=0", "f(1)", "f(1, y=[3])", ["argument y was 0 and is [3]"]),
        ("x, y=0", "f(1, 5)", "f(1)", ["argument y was 5 and is 0"]),
        ("x, *rest", "f(1, 2, 3)", "f(1, 2, 4)", ["argument rest was (2, 3) and is (2, 4)"]),
        ("x, *rest", "f(1)", "f(1, 2)", ["argument rest is new: (2,)"]),
        ("x, *, y=0", "f(1, y=1)", "f(1)", ["argument y was 1 and is 0"]),
        ("x, **rest", "f(1, a=1)", "f(1, a=2)", ["argument rest was {'a': 1} and is {'a': 2}"]),
        ("x, y=math.pi", "f(1)", "f(2)", ["argument x was 1 and is 2"]),
        ("x, y=r'\\d'", "f(1)", "f(2)", ["argument x was 1 and is 2"]),
    ],
)
def test_arguments_are_compared_by_parameter_however_they_were_given(
    parameters: str, call: str, other: str, sentences: list[str]
) -> None:
    text = f"import math\n@python_app(cache=True)\ndef f({parameters}): return 0\ndef main(): return [{call}]\n"
    first, second = run(text), run(text.replace(call, other))
    assert [each.sentence for each in ask(second, 0, first).reasons] == sentences


def test_of_an_argument_that_is_a_result_the_task_that_gave_it_is_told_and_why_it_ran_again() -> None:
    first, second = run(SUM), run(SUM.replace("RATE * x", "RATE + x"))
    found = ask(second, "-/show[0]", first)
    assert kinds(found) == ["argument_changed"]
    assert found.sentence == (
        "-/show[0] ran, because argument a was 5 and is 6, because -/price[0] ran again: "
        "function program.helper, which its code uses, changed"
    )
    assert found.reasons[0].facts["task"] == "-/price[0]"
    in_a_list = ask(second, "-/show[1]", first)
    assert "argument a was [8] and is [7], because -/price[1] ran again" in in_a_list.sentence


def test_a_result_that_changed_by_itself_is_said_to_have_no_reason() -> None:
    text = """
n = 0
@python_app
def now(): return parslish.SEEN
@python_app(cache=True)
def f(x): return x
def main(): return [f(now())]
"""
    parslish.SEEN = 1  # type: ignore[attr-defined]
    first = run(text)
    parslish.SEEN = 2  # type: ignore[attr-defined]
    found = ask(run(text), "-/f[0]", first)
    del parslish.SEEN  # type: ignore[attr-defined]
    assert "argument x was 1 and is 2, because -/now[0] ran again and gave another result" in found.sentence


def test_of_values_that_look_the_same_digests_decide() -> None:
    text = "@python_app(cache=True)\ndef f(x): return 0\ndef main(): return [f(list(range(100)))]\n"
    first, second = run(text), run(text.replace("range(100)", "[*range(99), 7]"))
    found = ask(second, 0, first)
    assert kinds(found) == ["argument_changed"] and "changed, though it shows as [0, 1," in found.sentence
    assert ask(run(text), 0, first).verdict == "reused"


def test_a_helper_that_changed_is_named_with_a_diff_of_its_source() -> None:
    first, second = run(SUM), run(SUM.replace("return RATE * x", "return RATE + x"))
    (reason,) = ask(second, "-/price[0]", first).reasons
    assert (reason.kind, reason.facts["name"], reason.facts["how"]) == ("code_changed", "program.helper", "changed")
    assert reason.facts["diff"].splitlines() == [
        "--- run 000: program.helper",
        "+++ run 001: program.helper",
        "@@ -1,2 +1,2 @@",
        " def helper(x):",
        "-    return RATE * x",
        "+    return RATE + x",
    ]


def test_comments_and_formatting_are_no_change() -> None:
    first, second = (
        run(SUM),
        run(SUM.replace("# what it costs", "# the price").replace("helper(x) + tax", "helper( x )+tax")),
    )
    assert ask(second, "-/price[0]", first).verdict == "reused"


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("helper(x) + tax", "helper(x) - tax", "its code changed: function program.price"),
        ("RATE = 3", "RATE = 4", "constant program.RATE, which its code uses, was 3 and is 4"),
        ("tax=2", "tax=5", "the default of argument tax was 2 and is 5"),
        ("def helper(x):", "def helper(x, more=1):", "its code uses default value program.helper.more, and did not"),
        ("return RATE * x", "return 3 * x", "its code no longer uses constant program.RATE"),
    ],
)
def test_every_part_of_the_code_is_told(old: str, new: str, sentence: str) -> None:
    first, second = run(SUM), run(SUM.replace(old, new))
    assert sentence in [each.sentence for each in ask(second, "-/price[0]", first).reasons]


def test_a_variable_of_an_enclosing_function_is_told() -> None:
    text = """
def make(step):
    @python_app(cache=True)
    def f(x): return x + step
    return f
def main(): return [make(1)(1)]
"""
    first, second = run(text), run(text.replace("make(1)", "make(2)"))
    (reason,) = ask(second, 0, first).reasons
    assert (reason.kind, reason.facts["kind"]) == ("code_changed", "closure") and "was 1 and is 2" in reason.sentence


def test_several_reasons_are_all_told() -> None:
    second = (
        SUM.replace("RATE = 3", "RATE = 4")
        .replace("helper(x) + tax", "helper(x) * tax")
        .replace("price(1)]", "price(7)]")
    )
    first, second_run = run(SUM), run(second)
    found = ask(second_run, "-/price[2]", first)
    assert kinds(found) == ["argument_changed", "code_changed", "code_changed"]


def test_the_version_is_told_and_the_code_that_it_stands_for_is_not() -> None:
    text = SUM.replace("@python_app(cache=True)\ndef price", "@python_app(cache=True, version='1')\ndef price")
    first, second = run(text), run(text.replace("'1'", "'2'").replace("RATE = 3", "RATE = 4"))
    found = ask(second, "-/price[0]", first)
    assert [each.sentence for each in found.reasons] == ["its version was '1' and is '2'"]


def test_places_of_outputs_are_part_of_it() -> None:
    text = """
@python_app(cache=True)
def write(x, outputs=()):
    with open(outputs[0], "w") as file: file.write(str(x))
def main(): return [write(1, outputs=[parslish.File("one.txt")])]
"""
    first, second = run(text), run(text.replace("one.txt", "two.txt"))
    (reason,) = ask(second, 0, first).reasons
    assert reason.kind == "outputs_changed" and "two.txt" in reason.sentence


def test_what_the_record_does_not_tell_is_said_to_be_so() -> None:
    first = made_up(0, [submit(0, 1), end(0, b"k" * 32)])
    second = made_up(1, [submit(0, 1), end(0, b"l" * 32)])
    found = ask(second, 0, first)
    assert kinds(found) == ["not_recorded"] and "the parts that are recorded are equal; what differs" in found.sentence


def test_without_previews_it_cannot_be_known_whether_arguments_changed() -> None:
    text = "@python_app(cache=True)\ndef f(x): return 0\ndef main(): return [f(1)]\n"
    first, second = run(text, previews=False), run(text.replace("f(1)]", "f(2)]"), previews=False)
    found = ask(second, 0, first)
    assert kinds(found) == ["not_recorded"] and "cannot be known" in found.sentence


# ------------------------------------------------------------------------------------ stored results that would not do


def test_an_expired_result_is_told() -> None:
    text = "@python_app(cache=True, expires=0)\ndef f(x): return 0\ndef main(): return [f(1)]\n"
    first, second = run(text), run(text)
    found = ask(second, 0, first)
    assert kinds(found) == ["expired"] and "its stored result had expired: it is 0 s old" in found.sentence


@pytest.mark.parametrize(
    ("change", "kind"), [(Path.unlink, "output_missing"), (lambda p: p.write_text("other"), "output_changed")]
)
def test_an_output_file_that_is_gone_or_changed_is_named(change: Any, kind: str) -> None:
    text = """
@python_app(cache=True)
def write(x, outputs=()):
    with open(outputs[0], "w") as file: file.write(str(x))
def main(): return [write(1, outputs=[parslish.File("one.txt")])]
"""
    first = run(text)
    change(Path("one.txt"))
    found = ask(run(text), 0, first)
    assert kinds(found) == [kind] and "one.txt" in found.sentence


def test_a_result_that_could_not_be_opened_is_told() -> None:
    first = made_up(0, [submit(0, 1), end(0, b"k" * 32)])
    second = made_up(1, [submit(0, 1), (Kind.MISS, 0, "unreadable", "no module m"), end(0, b"k" * 32)])
    assert "could not be opened: no module m" in ask(second, 0, first).sentence


def test_an_invalidation_is_told_with_who_when_and_why() -> None:
    first = made_up(0, [submit(0, 1), end(0, b"k" * 32)])
    second = made_up(1, [submit(0, 1), end(0, b"k" * 32, at=5000.0)])
    facts = {"id": "a", "reason": "wrong basis", "user": "ada", "time": 4000.0}
    found = ask(second, 0, first, tombstones=[Buried(facts), Buried(facts)])
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(4000))
    assert [each.sentence for each in found.reasons] == [f"its result was invalidated by ada on {at} (wrong basis)"]
    assert found.reasons[0].facts == facts


def test_invalidations_that_have_nothing_to_do_with_it_are_not_told() -> None:
    first = made_up(0, [submit(0, 1), end(0, b"k" * 32, at=1500.0)])
    second = made_up(1, [submit(0, 1), end(0, b"k" * 32, at=5000.0)])
    before, undone = Buried({"time": 1000.0}), Buried({"time": 4000.0}, undone=True)
    assert kinds(ask(second, 0, first, tombstones=[before, undone])) == ["not_stored"]
    assert kinds(ask(second, 0, first, tombstones=[Buried({"time": 9000.0})])) == ["not_stored", "invalidated_since"]


def test_an_equal_task_whose_result_was_not_stored_is_told() -> None:
    text = "@python_app(cache=True)\ndef f(x): return 0\ndef main(): return [f(1)]\n"
    first, second = run(text, checkpoint_mode=None), run(text)
    found = ask(second, 0, first)
    assert kinds(found) == ["not_stored"] and "was computed in run 000, and no stored result" in found.sentence


def test_a_failure_before_is_told() -> None:
    text = "@python_app(cache=True)\ndef f(x): return 1 / x\ndef main(): return [f(0)]\n"
    first, second = run(text), run(text)
    found = ask(second, 0, first)
    assert (found.verdict, kinds(found)) == ("failed", ["failed", "failed_before"])
    assert found.sentence == (
        "-/f[0] failed: ZeroDivisionError: division by zero; it ran, because it failed in run 000 with "
        "ZeroDivisionError: division by zero"
    )


def test_a_task_that_a_killed_run_had_begun_is_told() -> None:
    first = made_up(0, [submit(0, 1), start(0)], ended=False)
    second = made_up(1, [submit(0, 1), end(0, b"k" * 32)])
    assert kinds(ask(second, 0, first)) == ["lost_before"]
    found = ask(first, 0)
    assert (found.verdict, found.sentence.partition(";")[0]) == (
        "lost",
        "-/f[0] was lost, because run 000 died while it ran",
    )


def test_a_forced_task_says_by_what() -> None:
    first = made_up(0, [submit(0, 1), end(0, b"k" * 32)])
    second = made_up(1, [submit(0, 1), (Kind.FORCE, 0, "selected"), end(0, b"k" * 32)])
    found = ask(second, 0, first)
    assert (found.verdict, found.sentence) == ("ran", "-/f[0] ran, because it was forced: selected")


def test_a_result_that_was_put_there_is_no_run() -> None:
    record = made_up(0, [submit(0, 1), (Kind.FORCE, 0, "its result was edited"), reuse(0, b"k" * 32, None, 0)])
    found = ask(record, 0)
    assert (found.verdict, found.sentence) == ("edited", "-/f[0] was not run, because its result was edited")


def test_tasks_without_a_key_say_why_they_have_none() -> None:
    text = """
class Odd:
    def __reduce__(self): raise TypeError("no")
@python_app
def off(x): return 0
@python_app(cache=True)
def on(x): return 0
def main(): return [off(1), on(Odd()), on(1)]
"""
    record = run(text)
    assert ask(record, 0).sentence == "-/off[0] ran, because its app off has cache=False"
    assert "argument x has no identity" in ask(record, 1).sentence
    assert "memoization was off" in ask(run(text, app_cache=False, checkpoint_mode=None), 2).sentence


def test_replays_count_in_one_chain_and_at_one_place() -> None:
    text = "@python_app(cache='replay')\ndef f(x): return 0\ndef main(): return [f(1), f(2)]\n"
    first = run(text)
    assert ask(go_on(text), 0, first).verdict == "reused"
    (reason,) = ask(run(text), 0, first).reasons
    assert reason.kind == "other_lineage" and 'cache="replay"' in reason.sentence
    moved = run(text.replace("[f(1), f(2)]", "[f(3), f(4), f(1)]"), checkpoint_files=["runinfo/000/checkpoint"])
    (reason,) = ask(moved, "-/f[2]", first).reasons
    assert reason.kind == "other_place" and "which was -/f[0]" in reason.sentence


# ------------------------------------------------------------------------------------ that it did not run


def test_a_reused_task_says_from_where_and_when() -> None:
    first, second = run(SUM), run(SUM)
    found = ask(second, "-/show[0]", first)
    other = first.task("-/show[0]")
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(other.ended))
    assert (found.verdict, found.earlier) == ("reused", other)
    assert found.sentence == f"-/show[0] was reused, because run 000 had computed it as -/show[0] on {at}"
    assert found.reasons[0].facts["computed"] == other.ended
    assert ask(second, "-/show[0]").sentence.endswith("because run 000 had computed it as its task 1")


def test_a_task_reused_under_another_key_says_what_does_not_count() -> None:
    text = "@python_app(cache=True)\ndef old(x): return 0\ndef main(): return [old(1)]\n"
    renamed = (
        text.replace("cache=True", "cache=True, aka=['old']").replace("def old", "def new").replace("[old", "[new")
    )
    first, second = run(text), run(renamed)
    assert "which counts though the app's name was old and is new" in ask(second, 0, first).sentence


def test_a_task_that_shared_a_result_of_its_own_run_says_with_which() -> None:
    record = run(SUM)
    found = ask(record, "-/price[2]")
    assert (found.verdict, kinds(found), found.earlier) == ("shared", ["shared"], record.task("-/price[0]"))


def test_a_task_that_shared_a_failure_says_with_which() -> None:
    text = """
import threading
gate = threading.Event()
@python_app(cache=True)
def f(x):
    gate.wait(60)
    raise ValueError("told so")
def main():
    futures = [f(0), f(0)]
    gate.set()
    return futures
"""
    found = ask(run(text), 1)
    assert (found.verdict, kinds(found)) == ("failed", ["failed", "shared"])
    assert "-/f[0] ran for both" in found.sentence


def test_a_task_behind_a_failure_names_it_and_the_first_one() -> None:
    text = """
@python_app
def f(x): raise ValueError("told so")
@python_app
def g(x): return x
def main(): return [g(g(f(1)))]
"""
    record = run(text)
    found = ask(record, "-/g[1]")
    assert (found.verdict, kinds(found)) == ("upstream_failed", ["upstream_failed"])
    assert found.sentence == (
        "-/g[1] did not run, because -/g[0] did not run; the first to fail was -/f[0] with ValueError: told so"
    )
    assert ask(record, "-/g[0]").sentence == "-/g[0] did not run, because -/f[0] failed with ValueError: told so"


def test_cancelled_and_waiting_tasks_say_how_far_they_came() -> None:
    record = made_up(
        0, [submit(0, 1), fail(0, "cancelled"), submit(1, 1), start(1), fail(1, "fail_retryable")], ended=False
    )
    assert ask(record, 0).sentence == "-/f[0] did not end, because it was cancelled before it began"
    assert ask(record, 1).verdict == "lost"


def test_a_run_that_is_on_says_what_runs_and_what_waits() -> None:
    text = """
import threading
gate = threading.Event()
@python_app(cache=True)
def f(x): gate.wait(60)
def main(): return [f(f(1))]
"""
    module = programs.load(text)
    with parslish.load(Config(run_dir="runinfo", initialize_logging=False)):
        futures = module.main()
        pause = threading.Event()
        for _ in range(200):
            record = programs.read("000")
            if len(record) == 2 and record.task(0).status == "running":
                break
            pause.wait(0.05)
        assert ask(record, 0).sentence == "-/f[0] is running, because no earlier run that is known has a task of f"
        assert ask(record, 1).sentence == "-/f[1] has not begun, because -/f[0] is running"
        module.gate.set()
        futures[0].result()


# ------------------------------------------------------------------------------------ which earlier task


def test_the_run_that_was_continued_comes_before_newer_ones_of_others() -> None:
    first = run(SUM)
    run(SUM.replace("RATE = 3", "RATE = 9"))
    third = run(SUM.replace("RATE = 3", "RATE = 4"), checkpoint_files=["runinfo/000/checkpoint"])
    other = programs.read("001")
    found = ask(third, "-/price[0]", other, first)
    assert found.earlier == first.task("-/price[0]") and "was 3 and is 4" in found.sentence


def test_without_a_chain_the_call_with_the_nearest_arguments_counts() -> None:
    first = made_up(0, [submit(0, 1, 2), end(0, b"a" * 32), submit(1, 5, 6), end(1, b"b" * 32)], root="one")
    second = made_up(1, [submit(0, 5, 7), end(0, b"c" * 32)], root="two")
    found = ask(second, 0, first)
    assert found.earlier == first.task(1)
    assert (
        kinds(found) == ["first_time", "argument_changed"] and "what is nearest is -/f[1] of run 000" in found.sentence
    )


def test_one_of_the_same_key_comes_before_one_at_the_same_path() -> None:
    first = made_up(0, [submit(0, 1), fail(0, key=b"a" * 32), submit(1, 2), fail(1, key=b"b" * 32)])
    second = made_up(1, [submit(0, 2), end(0, b"b" * 32)])
    found = ask(second, 0, first)
    assert found.earlier == first.task(1) and kinds(found) == ["failed_before"]


def test_later_runs_do_not_count() -> None:
    first, second = run(SUM), run(SUM)
    assert ask(first, "-/price[0]", second, first).earlier is None


def test_a_join_and_its_children_are_asked_about_by_path() -> None:
    text = """
@python_app(cache=True)
def f(x): return x
@join_app(cache=True)
def j(n): return [f(i) for i in range(n)]
def main(): return [j(2)]
"""
    first, second = run(text), run(text.replace("j(2)]", "j(3)]"))
    assert "argument n was 2 and is 3" in ask(second, "-/j[0]", first).sentence
    assert ask(second, "-/j[0]/f[1]", first).verdict == "reused"
    assert "first_time" in kinds(ask(second, "-/j[0]/f[2]", first))


def test_parameters_that_do_not_count_are_no_change() -> None:
    text = """
@python_app(cache=True, ignore_for_cache=["log"])
def f(x, log=0): return x
def main(): return [f(1, 5), f(x=9)]
"""
    first, second = run(text), run(text.replace("f(1, 5)", "f(2, 6)"))
    assert [each.facts["argument"] for each in ask(second, 0, first).reasons] == ["x"]


def test_an_answer_about_one_of_a_hundred_thousand_tasks_takes_less_than_three_tenths_of_a_second() -> None:
    count = 100_000
    events = [(submit(i, i, 0.5), end(i, i.to_bytes(32, "big"))) for i in range(count)]
    first = made_up(0, [each for pair in events for each in pair], root="one")
    events = [(submit(i, i, 0.25), end(i, (i + count).to_bytes(32, "big"))) for i in range(count)]
    second = made_up(1, [each for pair in events for each in pair], root="two")
    spent = []
    for id in (77_777, 5, 99_999):
        begun = time.process_time()
        found = ask(second, id, first)
        spent.append(time.process_time() - begun)
        assert found.earlier == first.task(id) and "argument y was 0.5 and is 0.25" in found.sentence
    assert min(spent) < 0.3, spent
