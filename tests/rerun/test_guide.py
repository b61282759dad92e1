"""What is computed anew, and what is reused, when a run is executed again from some of its tasks."""

from __future__ import annotations

from pathlib import Path

import pytest

import parslish
from parslish import RecordedRun, UsageError
from tests.rerun.program import NESTED, NESTED_CALLS, changed, executed, first, forced, results, statuses

APPS = """
@python_app(cache=True)
def one(x):
    note("one", x)
    return x

@python_app(cache=True)
def two(x):
    note("two", x)
    return x

@python_app
def plain(x):
    note("plain", x)
    return 0

@python_app(cache="replay")
def draw(x):
    note("draw", x)
    return random.random()

@python_app(cache=True)
def guess(x):
    note("guess", x)
    return random.random()
"""


def once_more(run: RecordedRun, expression: str | list[str], **how: object) -> RecordedRun:
    executed()
    return run.rerun(from_=expression, **how)  # type: ignore[arg-type]


def test_dependents_are_computed_anew_though_the_value_is_equal() -> None:
    run = first(APPS, "two(one(1)).result(); one(2).result()")
    new = once_more(run, "one[0]")
    assert executed() == ["one 1", "two 1"]
    assert forced(new) == {"-/one[0]": "selected", "-/two[0]": "depends on what was selected"}
    assert statuses(new)["-/one[1]"] == "reused"


def test_a_resume_after_that_repeats_nothing() -> None:
    run = first(APPS, "two(one(1)).result()")
    new = once_more(run, "one")
    executed()
    newer = new.resume()
    assert executed() == []
    assert forced(newer) == {}


def test_uncached_apps_between_cached_ones_hand_it_on() -> None:
    run = first(APPS, "two(plain(one(1))).result(); two(plain(9)).result()")
    new = once_more(run, "one")
    assert executed().count("two 0") == 1, "the second one shares the key and is reused"
    assert forced(new)["-/two[0]"] == "depends on what was selected"


def test_a_join_in_a_join_is_partly_computed_anew() -> None:
    apps = APPS + (
        "\n@join_app(cache=True)\ndef inner(x):\n    note('inner', x)\n    return two(one(x))\n"
        "\n@join_app(cache=True)\ndef outer(x):\n    note('outer', x)\n    return one([inner(x), inner(x + 1)])\n"
    )
    run = first(apps, "two(outer(1)).result()")
    new = once_more(run, "-/outer[0]/inner[0]/one[0]")
    assert executed() == ["outer 1", "inner 1", "one 1", "two 1", "one [1, 2]", "two [1, 2]"]
    assert statuses(new) == {
        "-/outer[0]": "done",
        "-/two[0]": "done",
        "-/outer[0]/inner[0]": "done",
        "-/outer[0]/inner[1]": "reused",
        "-/outer[0]/one[0]": "done",
        "-/outer[0]/inner[0]/one[0]": "done",
        "-/outer[0]/inner[0]/two[0]": "done",
        "-/outer[0]/inner[1]/one[0]": "reused",
        "-/outer[0]/inner[1]/two[0]": "reused",
    }


def test_a_join_that_is_named_itself_is_computed_anew_with_all_below_it() -> None:
    run = first(NESTED, NESTED_CALLS)
    once_more(run, "nested")
    assert sorted(executed()) == ["end 6", "nested", "times 1 2", "times 1 3", "times 2 3", "unreliable 6"]


def test_what_a_join_submits_that_was_not_there_before_is_computed_anew_too() -> None:
    apps = APPS + "\n@join_app(cache=True)\ndef fan(x):\n    return [one(i) for i in range(int(os.environ['WIDTH']))]\n"
    import os

    os.environ["WIDTH"] = "2"
    try:
        run = first(apps, "two(fan(0)).result(); one(2).result()")
        os.environ["WIDTH"] = "3"
        new = once_more(run, "fan")
    finally:
        del os.environ["WIDTH"]
    assert sorted(executed()) == ["one 0", "one 1", "one 2", "two [0, 1, 2]"]
    assert forced(new)["-/fan[0]/one[2]"] == "-/fan[0] runs again"
    assert statuses(new)["-/one[0]"] == "reused", "it shares the key of one that was computed anew"


@pytest.mark.parametrize("expression", ["path:'-/loop[1]/*'", "-/loop[1]/one[0]"])
def test_rounds_of_a_loop_are_addressed_by_their_scope(expression: str) -> None:
    run = first(
        APPS,
        """
        for i in reversed(range(3)):
            with parslish.scope("loop", i):
                two(one(i)).result()
        """,
    )
    once_more(run, expression)
    assert executed() == ["one 1", "two 1"]


def test_a_label_is_a_place() -> None:
    run = first(APPS, "[two(one(x, label=f'{x}!')).result() for x in (1, 2)]")
    new = once_more(run, "one[2!]")
    assert executed() == ["one 2", "two 2"]
    assert forced(new).keys() == {"-/one[2!]", "-/two[1]"}


def test_a_replay_app_draws_again_only_where_it_is_named() -> None:
    run = first(APPS, "a = draw(1).result(); b = draw(1).result(); two(a).result(); two(b).result()")
    new = once_more(run, "draw[1]")
    assert [each.split()[0] for each in executed()] == ["draw", "two"]
    before, after = results(run), results(new)
    assert before["-/draw[0]"] == after["-/draw[0]"] and before["-/draw[1]"] != after["-/draw[1]"]
    assert statuses(new)["-/two[0]"] == "reused"


def test_a_value_that_the_program_handed_on_has_its_task_computed_anew() -> None:
    run = first(APPS, "x = guess(1).result(); two(x + 0.0).result(); two(int(x)).result()")
    once_more(run, "guess")
    ran = executed()
    assert ran[0] == "guess 1" and len(ran) == 2 and ran[1].startswith("two 0.")


def test_of_two_calls_with_one_key_both_have_the_new_value() -> None:
    run = first(APPS, "a = guess(1); a.result(); b = guess(1); two([a, 'a']).result(); two([b, 'b']).result()")
    new = once_more(run, "guess[0]")
    ran = executed()
    assert [each.split()[0] for each in ran] == ["guess", "two", "two"]
    after = results(new)
    assert after["-/guess[0]"] == after["-/guess[1]"] != results(run)["-/guess[0]"]


def test_also_when_the_one_that_comes_later_is_named() -> None:
    run = first(APPS, "a = guess(1); a.result(); b = guess(1); two([a, 'a']).result(); two([b, 'b']).result()")
    new = once_more(run, "guess[1]")
    assert [each.split()[0] for each in executed()] == ["guess", "two", "two"]
    after = results(new)
    assert after["-/guess[0]"] == after["-/guess[1]"] != results(run)["-/guess[1]"]
    assert "guess[1]" in forced(new)["-/guess[0]"], "it says why"


def test_a_key_that_is_named_twice_is_computed_once() -> None:
    run = first(APPS, "a = guess(1); a.result(); b = guess(1); b.result(); two([b, 'b']).result()")
    new = once_more(run, "guess")
    assert [each.split()[0] for each in executed()] == ["guess", "two"]
    after = results(new)
    assert after["-/guess[0]"] == after["-/guess[1]"]
    assert forced(new)["-/two[0]"], "what takes the one that shared it is computed anew too"


def test_a_key_that_is_named_twice_is_computed_once_though_both_come_together() -> None:
    run = first(APPS, "a, b = guess(1), guess(1); two([a, 'a']).result(); two([b, 'b']).result()")
    new = once_more(run, "guess")
    ran = [each.split()[0] for each in executed()]
    assert ran == ["guess", "two", "two"]
    assert results(new)["-/guess[0]"] == results(new)["-/guess[1]"]


def test_arguments_that_are_ignored_for_the_key_do_not_matter() -> None:
    run = first(
        "@python_app(cache=True, ignore_for_cache=['at'])\ndef f(x, at):\n    note('f', x, at)\n    return x\n",
        "f(1, at='a').result(); f(1, at='b').result()",
    )
    new = once_more(run, "f[1]")
    assert executed() == ["f 1 a"]
    assert statuses(new)["-/f[1]"] == "reused"


def test_a_failure_that_is_remembered_runs_again() -> None:
    Path("broken").touch()
    run = first(
        "@python_app(cache=True, remember=[ValueError])\ndef f():\n    note('f')\n"
        "    if os.path.exists('broken'):\n        raise ValueError\n    return 1\n" + APPS,
        "two(f()).exception()",
    )
    executed()
    run.resume()
    assert executed() == ["f"], "also by a plain resume"
    Path("broken").unlink()
    new = parslish.run("last").rerun(from_failure=True)
    assert executed() == ["f", "two 1"]
    assert new.status == "completed"


def test_a_join_that_is_tried_twice_computes_its_children_anew_once() -> None:
    apps = (
        APPS
        + """
@join_app(cache=True)
def tries(x):
    note("tries")
    value = guess(x).result()
    if os.path.exists("broken"):
        os.remove("broken")
        raise ValueError
    return guess(x)
"""
    )
    run = first(apps, "two(tries(1)).result()", ", retries=1")
    Path("broken").touch()
    new = once_more(run, "-/tries[0]/guess[0]")
    assert new.status == "completed", statuses(new)
    assert [each.split()[0] for each in executed()] == ["tries", "guess", "tries", "two"]
    assert results(new)["-/tries[0]"] != results(run)["-/tries[0]"]


def test_a_first_try_that_failed_is_no_open_task() -> None:
    run = first(
        """
@python_app(cache=True)
def child(x):
    note("child", x)
    return x

@python_app(cache=True)
def broken(x):
    note("broken")
    raise ValueError

@join_app(cache=True)
def join(x):
    note("join")
    is_first = not os.path.exists("tried")
    Path("tried").touch()
    if is_first:
        broken(x).exception()
        raise ValueError
    return child(x)
""",
        "join(1).result()",
        ", retries=1",
    )
    executed()
    new = run.resume()
    assert executed() == []
    assert set(statuses(new).values()) == {"reused"}


@pytest.mark.parametrize("mode", ["exclusive=True", "strict_keys=True", "copy_results=True", "max_pending=1"])
def test_it_holds_under_any_configuration(mode: str) -> None:
    run = first(APPS, "two(one(1)).result(); one(2).result()", f", {mode}")
    new = once_more(run, "one[0]")
    assert executed() == ["one 1", "two 1"]
    assert statuses(new)["-/one[1]"] == "reused"


@pytest.mark.parametrize("mode", ["dfk_exit", "periodic", "manual"])
def test_it_holds_in_any_checkpoint_mode(mode: str) -> None:
    more = ", checkpoint_period='00:00:01'" if mode == "periodic" else ""
    calls = "two(one(1)).result(); one(2).result(); parslish.dfk().checkpoint()"
    run = first(APPS, calls)
    changed("'task_exit'", f"'{mode}'{more}")
    once_more(run, "one[0]")
    assert executed() == ["one 1", "two 1"]


def test_results_of_a_run_that_stores_nothing_are_not_there_to_be_reused() -> None:
    run = first(APPS, "two(one(1)).result(); one(2).result()")
    changed("checkpoint_mode='task_exit'", "")
    once_more(run, "one[0]")
    assert executed() == ["one 1", "two 1"], "what the run stored is loaded whatever the mode is"


def test_several_executors_each_keep_theirs() -> None:
    apps = APPS.replace("@python_app(cache=True)\ndef two", "@python_app(cache=True, executors=['far'])\ndef two")
    run = first(
        apps,
        "two(one(1)).result(); two(5).result()",
        ", executors=[parslish.ThreadPoolExecutor(label='near'), parslish.ProcessPoolExecutor(label='far')]",
    )
    new = once_more(run, "one")
    assert executed() == ["one 1", "two 1"]
    assert ":" in new.record.task("-/two[0]").worker


def test_files_are_edges() -> None:
    run = first(
        """
@bash_app(cache=True)
def write(text, outputs=()):
    return f"echo write >> executed; echo {text} > {outputs[0]}"

@python_app(cache=True)
def read(inputs=()):
    note("read")
    return Path(inputs[0]).read_text()

@python_app(cache=True)
def other():
    note("other")
""",
        """
        write("a", outputs=[File("a.txt")]).result()
        read(inputs=[File("a.txt")]).result()
        other().result()
        """,
    )
    once_more(run, "write")
    assert executed() == ["write", "read"]


def test_an_output_file_as_an_argument_is_an_edge() -> None:
    run = first(
        """
@bash_app(cache=True)
def write(text, outputs=()):
    return f"echo write >> executed; echo {text} > {outputs[0]}"

@python_app(cache=True)
def read(inputs=()):
    note("read")
    return Path(inputs[0]).read_text()
""",
        "read(inputs=[write('a', outputs=[File('a.txt')]).outputs[0]]).result()",
    )
    once_more(run, "write")
    assert executed() == ["write", "read"]


def test_a_selected_task_that_does_not_come_back_is_a_warning_or_with_strict_an_error() -> None:
    Path("branch").touch()
    run = first(APPS, "one(1).result(); two(1).result() if os.path.exists('branch') else None")
    Path("branch").unlink()
    with pytest.warns(UserWarning, match=r"did not come to 1 of the selected tasks, such as -/two\[0\]"):
        once_more(run, "two")
    with pytest.raises(UsageError, match="its program took another way"):
        once_more(run, "two", strict=True)


def test_a_selection_of_another_run_means_the_tasks_of_this_one() -> None:
    run = first(APPS, "one(1).result(); two(2).result()")
    other = first(APPS, "two(2).result(); one(1).result()")
    once_more(run, other.select("two"))  # type: ignore[arg-type]
    changed("two(2).result(); one(1).result()", "one(1).result(); two(2).result()")
    assert executed() == ["two 2"]


def test_several_expressions_are_a_union() -> None:
    run = first(APPS, "one(1).result(); two(2).result(); two(3).result()")
    once_more(run, ["one", "two[1]"])
    assert executed() == ["one 1", "two 3"]


def test_all_computes_everything_once() -> None:
    run = first(APPS, "a = guess(1); a.result(); two([guess(1), 0]).result(); draw(1).result()")
    executed()
    new = run.rerun(all=True)
    assert [each.split()[0] for each in executed()] == ["guess", "two", "draw"]
    assert "reused" in statuses(new).values(), "calls of one key share the new value"


def test_without_reuse_nothing_known_is_used() -> None:
    run = first(APPS, "two(one(1)).result()")
    executed()
    run.rerun(reuse=False)
    assert executed() == ["one 1", "two 1"]


def test_what_is_computed_anew_counts_from_then_on() -> None:
    run = first(APPS, "guess(1).result()")
    new = once_more(run, "guess")
    executed()
    newer = new.resume()
    assert executed() == []
    assert results(newer) == results(new) != results(run)


def test_a_child_that_failed_in_a_join_that_did_not_mind_is_computed_from_failure() -> None:
    Path("broken").touch()
    run = first(
        """
@python_app(cache=True)
def child(x):
    note("child", x)
    if x and os.path.exists("broken"):
        raise ValueError
    return x

@join_app(cache=True)
def join():
    note("join")
    child(1)
    return child(0)
""",
        "join().result(); parslish.dfk().wait_for_current_tasks()",
    )
    assert statuses(run)["-/join[0]/child[0]"] == "failed"
    Path("broken").unlink()
    executed()
    new = run.rerun(from_failure=True)
    assert executed() == ["join", "child 1"]
    assert statuses(new)["-/join[0]/child[0]"] == "done"


def test_methods_and_apps_of_one_name_are_forced_by_their_place() -> None:
    apps = """
def make(which):
    @python_app(cache=True)
    def work(x):
        note(which, x)
        return x
    return work

a, b = make("a"), make("b")
"""
    run = first(apps, "a(1).result(); b(1).result()")
    once_more(run, "work[1]")
    assert executed() == ["b 1"]
