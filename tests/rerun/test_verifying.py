"""Stored results that are computed once more, and compared."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import parslish
from parslish import UsageError
from tests.rerun.program import NESTED, NESTED_CALLS, again, contents, executed, first, results

APPS = """
@python_app(cache=True)
def sure(x):
    note("sure", x)
    return x * 1.5

@python_app(cache=True)
def guess(x):
    note("guess", x)
    return {"energy": [x, random.random()]}

@python_app(cache=True)
def take(x):
    note("take", x)
    return x

@python_app
def plain(x):
    note("plain", x)
    return x
"""


def test_a_function_that_is_one_gives_the_same() -> None:
    run = first(APPS, "[sure(i).result() for i in range(8)]")
    executed()
    found = run.verify(sample=1.0)
    assert sorted(each.path for each in found) == [f"-/sure[{i}]" for i in range(8)]
    assert all(each.equal for each in found)
    assert len(executed()) == 8


def test_one_that_draws_does_not_and_it_is_told_by_how_much() -> None:
    run = first(APPS, "guess(1).result(); sure(1).result()")
    found = {each.path: each for each in run.verify(sample=1.0)}
    assert found["-/sure[0]"].equal and not found["-/guess[0]"].equal
    assert found["-/guess[0]"].difference.startswith("different: by up to 0.")
    assert "['energy'][1]" in found["-/guess[0]"].difference
    assert found["-/guess[0]"].to_json()["difference"]


def test_nothing_that_is_stored_is_touched_nor_what_later_runs_reuse() -> None:
    run = first(APPS, "take(guess(1)).result()")
    before = contents([Path("runinfo/000/checkpoint"), Path("runinfo/000/events")])
    run.verify(sample=1.0)
    assert contents([Path("runinfo/000/checkpoint"), Path("runinfo/000/events")]) == before
    assert not list(Path("runinfo/001").glob("checkpoint/*"))
    executed()
    new = again()
    assert executed() == []
    assert results(new) == results(run)
    newer = parslish.run("last").resume()
    assert executed() == [] and results(newer) == results(run)


def test_a_task_is_given_what_it_was_given_before() -> None:
    run = first(APPS, "take(guess(1)).result(); take([guess(1), 2]).result()")
    found = {each.path: each.equal for each in run.verify(sample=1.0)}
    assert found == {"-/guess[0]": False, "-/guess[1]": False, "-/take[0]": True, "-/take[1]": True}


def test_calls_of_one_key_are_both_told_of() -> None:
    run = first(APPS, "sure(1).result(); sure(1).result()")
    assert [each.equal for each in run.verify(sample=1.0)] == [True, True]


def test_a_sample_is_a_part_and_the_seed_says_which() -> None:
    run = first(APPS, "[sure(i).result() for i in range(40)]")
    one, same, other = (sorted(each.path for each in run.verify(sample=0.1, seed=seed)) for seed in (1, 1, 2))
    assert len(one) == 4 and one == same != other


def test_at_least_one_is_verified() -> None:
    run = first(APPS, "sure(1).result()")
    assert len(run.verify(sample=0.001)) == 1


@pytest.mark.parametrize("sample", [0, -1, 1.1, float("nan")])
def test_a_part_is_between_0_and_1(sample: float) -> None:
    run = first(APPS, "sure(1).result()")
    with pytest.raises(UsageError, match=r"a part between 0 and 1, such as 0\.05"):
        run.verify(sample=sample)


@pytest.mark.parametrize(
    ("calls", "config"),
    [("plain(1).result()", ""), ("sure(1).result()", ", previews=False"), ("take(object()).result()", "")],
    ids=["not cached", "no arguments", "arguments that were not kept"],
)
def test_a_run_without_anything_to_verify_is_told(calls: str, config: str) -> None:
    run = first(APPS, calls, config)
    with pytest.raises(UsageError, match="has no task that could be verified"):
        run.verify()


def test_results_that_are_not_stored_are_no_differences() -> None:
    run = first(APPS, "[sure(i).result() for i in range(4)]")
    run.invalidate("sure[2]")
    assert sorted(each.path for each in run.verify(sample=1.0)) == ["-/sure[0]", "-/sure[1]", "-/sure[3]"]
    run.invalidate("sure")
    with pytest.raises(UsageError, match="has no task that could be verified"):
        run.verify(sample=1.0)


def test_a_run_that_kept_no_results_has_nothing_to_verify() -> None:
    text = "import parslish\nfrom parslish import python_app\n\n@python_app(cache=True)\ndef f(x):\n    return x\n\n"
    Path("script.py").write_text(text + "with parslish.load():\n    f(1).result()\n")
    run = again()
    with pytest.raises(UsageError, match="has no task that could be verified"):
        run.verify(sample=1.0)


def test_one_that_fails_this_time_is_told_and_the_others_are_compared() -> None:
    run = first(NESTED, NESTED_CALLS)
    Path("broken").touch()
    found = {each.path: each for each in run.verify(sample=1.0)}
    assert found["-/unreliable[0]"].difference == "it failed this time: ValueError: blah"
    assert [path for path, each in found.items() if not each.equal] == ["-/unreliable[0]"]
    assert "-/nested[0]" not in found, "a join computes nothing itself"


def test_an_input_that_is_gone_is_told_and_the_others_are_compared() -> None:
    run = first(APPS, "take(plain(1)).result(); sure(1).result()")
    found = {each.path: each for each in run.verify(sample=1.0)}
    assert found["-/sure[0]"].equal
    assert "-/take[0]" not in found or "needed" in found["-/take[0]"].difference


def test_tasks_that_were_reused_are_verified_too() -> None:
    first(NESTED, NESTED_CALLS)
    run = again()
    executed()
    found = run.verify(sample=1.0)
    assert all(each.equal for each in found) and len(found) == 6
    assert sorted(executed()) == ["end 6", "start", "times 1 2", "times 1 3", "times 2 3", "unreliable 6"]


def test_results_of_every_kind_are_compared() -> None:
    run = first(
        """
import numpy
from dataclasses import dataclass

@dataclass
class Point:
    x: float
    y: float

@python_app(cache=True)
def array(n):
    return numpy.arange(n) + (random.random() if n == 3 else 0)

@python_app(cache=True)
def point():
    return [Point(1.0, 2.0), float("nan")]

@python_app(cache=True)
def opaque():
    return lambda: 0
""",
        "array(2).result(); array(3).result(); point().result(); opaque().result()",
    )
    found = {each.path: each for each in run.verify(sample=1.0)}
    assert found["-/array[0]"].equal and found["-/point[0]"].equal
    assert "by up to" in found["-/array[1]"].difference
    assert not found["-/opaque[0]"].equal and found["-/opaque[0]"].difference.startswith("unknown")


def test_apps_that_draw_by_rng_draw_the_same() -> None:
    run = first(
        "@python_app(cache=True)\ndef draw(n):\n    return list(parslish.rng().random(n))\n",
        "draw(3).result(); draw(3).result()",
    )
    assert [each.equal for each in run.verify(sample=1.0)] == [True, True]


def test_a_program_that_cannot_be_started_is_told() -> None:
    run = first(APPS, "sure(1).result()")
    Path("script.py").unlink()
    with pytest.raises(UsageError):
        run.verify(sample=1.0)


def test_the_command_tells_by_its_exit_code() -> None:
    first(APPS, "sure(1).result(); guess(1).result()")
    command = [sys.executable, "-m", "parslish", "verify", "last", "--sample", "100%"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "-/guess[0]" in done.stdout and "-/sure[0]" not in done.stdout
