"""`only=`: recorded calls that are made again without the program."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import parslish
from parslish import RecordedRun, UsageError
from tests.parsl.helpers import PATIENCE_S
from tests.rerun.program import (
    NESTED,
    NESTED_CALLS,
    SCRIPT,
    again,
    changed,
    executed,
    first,
    forced,
    results,
    statuses,
    written,
)

APPS = """
@python_app(cache=True)
def give(x):
    note("give", x)
    return x

@python_app(cache=True)
def pair(x):
    return {"a": [x, x + 1], "b": x}

@python_app(cache=True)
def take(*args, **kwargs):
    note("take", *args, *kwargs.items())
    return 1

@python_app(cache=True)
def default(x, y=5, *, z=6):
    note("default", x, y, z)
    return x

@python_app
def plain(x):
    note("plain", x)
    return x
"""


def only(run: RecordedRun, expression: str | list[str], ok: bool = True) -> RecordedRun:
    executed()
    new = run.rerun(only=expression)
    assert (new.exit_code == 0) == ok, new.exit_code
    return new


@pytest.mark.parametrize(
    ("call", "ran"),
    [
        ("take(give(1))", "take 1"),
        ("take([give(1), {'k': (give(2),)}])", "take [1, {'k': (2,)}]"),
        ("take({1, 2}, {'d': 0})", "take {1, 2} {'d': 0}"),
        ("take(pair(3)['a'][1])", "take 4"),
        ("take(x=give(1), y=2)", "take ('x', 1) ('y', 2)"),
        ("take(1, 'text', None, 2.5, b'bytes')", "take 1 text None 2.5 b'bytes'"),
        ("take('t' * 2000)", f"take {'t' * 2000}"),
        ("take([2 ** 100], 1j, ..., float('inf'))", f"take [{2**100}] 1j Ellipsis inf"),
        ("take(Path('a'), range(3))", "take a range(0, 3)"),
        ("take(float('nan'))", "take nan"),
        ("take()", "take"),
    ],
)
def test_arguments_are_what_they_were(call: str, ran: str) -> None:
    run = first(APPS, f"{call}.result()")
    new = only(run, "take")
    assert executed() == [ran]
    assert statuses(new) == {"-/take[0]": "done"}, "the child run holds just these tasks"


@pytest.mark.parametrize("call", ["default(1)", "default(1, 5)", "default(x=1, z=6)"])
def test_defaults_are_filled_in(call: str) -> None:
    run = first(APPS, f"{call}.result()")
    new = only(run, "default")
    assert executed() == ["default 1 5 6"]
    assert new.record.task("-/default[0]").key == run.record.task("-/default[0]").key


def test_several_tasks_hand_on_their_new_values() -> None:
    apps = APPS + "\n@python_app(cache=True)\ndef guess():\n    note('guess')\n    return random.random()\n"
    run = first(apps, "take(guess()).result(); give(1).result()")
    new = only(run, ["guess", "take"])
    ran = executed()
    assert ran[0] == "guess" and ran[1] == f"take {results(new)['-/guess[0]']}" and len(ran) == 2
    assert results(new)["-/guess[0]"] != results(run)["-/guess[0]"]


def test_nothing_downstream_is_run_and_the_program_is_left_at_its_first_call() -> None:
    run = first(NESTED, NESTED_CALLS + "\nnote('the program went on')\n")
    new = only(run, "unreliable")
    assert executed() == ["unreliable 6"]
    assert statuses(new) == {"-/unreliable[0]": "done"}
    assert new.status == "completed"


def test_what_was_computed_counts_for_later_runs() -> None:
    apps = APPS + "\n@python_app(cache=True)\ndef guess():\n    note('guess')\n    return random.random()\n"
    run = first(apps, "guess().result()")
    new = only(run, "guess")
    executed()
    assert results(again()) == results(new)
    assert executed() == []


def test_a_join_is_made_again_with_what_it_submits_reused() -> None:
    run = first(NESTED, NESTED_CALLS)
    new = only(run, "nested")
    assert executed() == ["nested"]
    assert statuses(new)["-/nested[0]/times[2]"] == "reused"


def test_a_child_of_a_join_is_made_at_its_place() -> None:
    run = first(NESTED, NESTED_CALLS)
    new = only(run, "-/nested[0]/times[2]")
    assert executed() == ["times 2 3"]
    assert statuses(new) == {"-/nested[0]/times[2]": "done"}


def test_a_child_of_a_join_that_was_reused_is_made_of_its_own_arguments() -> None:
    apps = NESTED.replace('note("start")', 'note("start"); extra = 1')
    first(apps, "give0 = start(); give1 = start();\n" + NESTED_CALLS)
    run = again()
    run = parslish.run("last")
    assert statuses(run)["-/nested[0]/times[2]"] == "reused"
    new = only(run, "-/nested[0]/times[2]")
    assert executed() == ["times 2 3"]
    assert statuses(new) == {"-/nested[0]/times[2]": "done"}


def test_children_of_a_join_that_was_reused_take_containers_of_futures() -> None:
    apps = APPS + (
        "\n@join_app(cache=True)\ndef join(x):\n"
        "    note('join')\n    return take([give(x), pair(x)['a'][0]], k=give(x))\n"
    )
    first(apps, "give(100).result(); give(200).result(); give(join(7)).result()")
    changed("give(100)", "give(5), give(6), give(100)")
    run = again()
    assert statuses(run)["-/join[0]/take[0]"] == "reused"
    only(run, "-/join[0]/take[0]")
    assert executed() == ["take [7, 7] ('k', 7)"]


def test_labels_and_scopes_are_kept() -> None:
    run = first(
        APPS,
        """
        for i in range(2):
            with parslish.scope("loop", i):
                with parslish.scope("inner"):
                    give(i, label="Si").result()
                    take(i).result()
        """,
    )
    new = only(run, ["-/loop[1]/inner[0]/give[Si]", "-/loop[0]/inner[0]/take[0]"])
    assert sorted(executed()) == ["give 1", "take 0"]
    assert set(statuses(new)) == {"-/loop[1]/inner[0]/give[Si]", "-/loop[0]/inner[0]/take[0]"}


@pytest.mark.parametrize("label", ["a/b", "a]b", "[", "x'y", "ä \n", "0"])
def test_labels_of_any_text_are_kept(label: str) -> None:
    apps = APPS + "\n@join_app(cache=True)\ndef join(x):\n    return give(x, label='in')\n"
    run = first(apps, f"give(1, label={label!r}).result(); join(3, label={label!r}).result()")
    outer, _, child = [task.path for task in run.record]
    new = only(run, "give")
    assert sorted(executed()) == ["give 1", "give 3"]
    assert sorted(statuses(new)) == sorted([outer, child])


def test_a_parameter_called_label_is_no_label() -> None:
    run = first(
        "@python_app(cache=True)\ndef f(x, label='none'):\n    note('f', x, label)\n",
        "f(1).result(); f(2, label='two').result()",
    )
    only(run, "f")
    assert sorted(executed()) == ["f 1 none", "f 2 two"]


def test_what_a_call_said_to_parslish_it_says_again() -> None:
    run = first(
        """
@bash_app(cache=True)
def write(text, outputs=(), stdout=None):
    return f"echo {text}; echo {text} > {outputs[0]}; echo write >> executed"
""",
        "write('a', outputs=[File('a.txt')], stdout='said.txt').result()",
    )
    Path("a.txt").unlink()
    Path("said.txt").unlink()
    only(run, "write")
    assert executed() == ["write"]
    assert Path("a.txt").read_text() == "a\n" and "a\n" in Path("said.txt").read_text()


def test_files_that_other_tasks_wrote_are_taken() -> None:
    run = first(
        """
@bash_app(cache=True)
def write(text, outputs=()):
    return f"echo write >> executed; echo {text} > {outputs[0]}"

@python_app(cache=True)
def read(inputs=()):
    note("read", Path(inputs[0]).read_text().strip())
""",
        "read(inputs=[write('a', outputs=[File('a.txt')]).outputs[0]]).result()",
    )
    only(run, "read")
    assert executed() == ["read a"]
    only(run, ["read", "write"])
    assert executed() == ["write", "read a"]


def test_an_uncached_task_is_made_again_and_what_it_gave_is_told_to_be_missing() -> None:
    run = first(APPS, "take(plain(give(1))).result()")
    only(run, "plain")
    assert executed() == ["plain 1"]
    only(run, ["plain", "take"])
    assert executed() == ["plain 1", "take 1"]


def test_a_result_that_is_not_stored_is_told_with_the_task_that_gave_it(capfd: pytest.CaptureFixture[str]) -> None:
    run = first(APPS, "take(plain(1)).result()")
    only(run, "take", ok=False)
    assert executed() == []
    told = capfd.readouterr().err
    assert "the result of -/plain[0] is needed, and not stored; select it too, or use from_='-/plain[0]'" in told
    assert "Traceback" not in told


def test_a_value_that_the_program_handed_on_is_told_with_both_tasks() -> None:
    apps = APPS + "\n@python_app(cache=True)\ndef guess():\n    return random.random()\n"
    run = first(apps, "take(guess().result()).result()")
    with pytest.raises(UsageError, match=r"-/take\[0\] took a value that the program had from -/guess\[0\].*from_="):
        run.rerun(only=["guess", "take"])
    only(run, "take")
    assert len(executed()) == 1, "by itself it has the value that it had"


def test_arguments_that_were_not_recorded_are_told() -> None:
    run = first(APPS + "\nclass Thing:\n    pass\n", "take(Thing()).result()")
    with pytest.raises(UsageError, match=r"of -/take\[0\] were not kept, as .* such as args=<__main__.Thing>"):
        run.rerun(only="take")


def test_arguments_that_a_task_failed_with_are_kept_whatever_they_are() -> None:
    Path("broken").touch()
    apps = """
class Thing:
    def __init__(self, name):
        self.name = name
    def __parslish_key__(self):
        return self.name

@python_app(cache=True)
def use(thing, others):
    note("use", thing.name, len(others))
    if os.path.exists("broken"):
        raise ValueError
"""
    run = first(apps, "use(Thing('a'), list(range(10_000))).exception()")
    Path("broken").unlink()
    only(run, "use")
    assert executed() == ["use a 10000"]


def test_arguments_of_a_run_without_previews_are_told() -> None:
    run = first(APPS, "take(1).result()", ", previews=False")
    with pytest.raises(UsageError, match="were not recorded"):
        run.rerun(only="take")


def test_an_app_that_is_made_after_the_first_call_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    run = first(APPS, "give(1).result()\n@python_app(cache=True)\ndef late(x):\n    note('late')\nlate(1).result()")
    only(run, "late", ok=False)
    assert (
        "app 'late' of module '__main__' is not there when the program makes its first call" in capfd.readouterr().err
    )


def test_several_apps_of_one_name_are_told_apart_or_told_of() -> None:
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
    executed()
    new = run.rerun(only="work[0]")
    assert executed() in (["a 1"], []), "never another function"
    assert (new.exit_code == 0) == ("-/work[0]" in statuses(new))


GUARDED: list[tuple[str, str]] = [
    ("finally", "try:\n    give(1).result()\nfinally:\n    note('finally')\n"),
    ("except Exception", "try:\n    give(1).result()\nexcept Exception:\n    note('caught')\n    raise\n"),
    ("atexit", "import atexit\natexit.register(note, 'atexit')\ngive(1).result()\n"),
    ("a context manager", "import contextlib\nwith contextlib.suppress(Exception):\n    give(1).result()\n"),
    ("a generator", "for x in (give(i).result() for i in (1, 2)):\n    note('program', x)\n"),
    ("a finally that calls", "try:\n    give(1).result()\nfinally:\n    give(2).result()\n"),
    ("a bare except", "try:\n    give(1).result()\nexcept:\n    note('caught')\n"),
    ("a bare except that calls", "try:\n    give(1).result()\nexcept:\n    pass\ngive(2).result()\nnote('program')\n"),
    ("a thread", "import threading\nt = threading.Thread(target=lambda: give(1).result())\nt.start()\nt.join()\n"),
    (
        "two threads",
        "from concurrent.futures import ThreadPoolExecutor as P\n"
        "list(P(2).map(lambda i: give(i).result(), range(2)))\n",
    ),
    ("asyncio", "import asyncio\nasync def main():\n    return await give(1)\nasyncio.run(main())\n"),
]


@pytest.mark.parametrize("calls", [calls for _, calls in GUARDED], ids=[name for name, _ in GUARDED])
def test_a_program_is_left_in_order_whatever_guards_its_calls(calls: str) -> None:
    run = first(APPS, calls)
    new = only(run, "-/give[0]")
    ran = executed()
    bodies = [each for each in ran if each.startswith("give")]
    assert len(bodies) == 1, ran
    assert not any(each.startswith("program") for each in ran), ran
    assert set(statuses(new)) == {"-/give[0]"}
    assert new.status == "completed"


def test_a_task_that_fails_again_is_exit_code_1() -> None:
    Path("broken").touch()
    run = first(NESTED, NESTED_CALLS)
    new = only(run, "unreliable", ok=False)
    assert (new.exit_code, new.status) == (1, "failed")
    Path("broken").unlink()
    assert only(new, "unreliable").status == "completed"


def test_a_program_without_with_is_left_too() -> None:
    text = written(NESTED, NESTED_CALLS).read_text()
    Path(SCRIPT).write_text(
        text.replace("with parslish.load(", "parslish.load(")
        .replace("it')):", "it'))")
        .replace("\n    result", "\nresult")
    )
    run = again()
    only(run, "unreliable")
    assert executed() == ["unreliable 6"]


def test_an_explicit_kernel_is_left_too() -> None:
    Path(SCRIPT).write_text(
        """
from parslish import DataFlowKernel, Config, App
dfk = DataFlowKernel(config=Config(checkpoint_mode="task_exit"))
@App("python", dfk, cache=True)
def f(x):
    with open("executed", "a") as file: file.write(f"f {x}\\n")
    return x
print(f(1).result(), f(2).result())
dfk.cleanup()
"""
    )
    run = again()
    only(run, "f[1]")
    assert executed() == ["f 2"]


def test_a_program_that_no_longer_calls_anything_is_no_success() -> None:
    run = first(APPS, "give(1).result()")
    changed("give(1).result()", "pass")
    executed()
    new = run.rerun(only="give")
    assert executed() == []
    assert new.exit_code != 0 or new.status != "completed" or statuses(new) == {}


def test_what_a_resume_of_such_a_run_finishes_is_the_program() -> None:
    run = first(NESTED, NESTED_CALLS)
    new = only(run, "unreliable")
    executed()
    newer = new.resume()
    assert executed() == []
    assert set(statuses(newer).values()) == {"reused"}


def test_that_also_with_named_checkpoints() -> None:
    run = first(NESTED, NESTED_CALLS)
    changed("task_exit'", "task_exit', checkpoint_files=[]")
    new = only(run, "unreliable")
    executed()
    newer = new.resume()
    assert executed() == []
    assert set(statuses(newer).values()) == {"reused"}


def test_retries_make_only_what_failed_again() -> None:
    run = first(
        """
@python_app(cache=True)
def shaky(x):
    note("shaky", x)
    with open(f"tries-{x}", "a") as file:
        file.write("x")
    if os.path.exists("broken") and x and len(Path(f"tries-{x}").read_text()) < 4:
        raise ValueError
    return x
""",
        "shaky(0).result(); shaky(1).result(); note('the program went on')",
    )
    executed()
    Path("broken").touch()
    new = run.rerun(only="shaky", retries=3)
    assert sorted(executed()) == ["shaky 0", "shaky 1", "shaky 1", "shaky 1"]
    assert new.status == "completed"


@pytest.mark.parametrize("executor", ["ThreadPoolExecutor", "ProcessPoolExecutor"])
def test_it_runs_in_the_executors_of_the_program(executor: str) -> None:
    run = first(APPS, "take([give(1)]).result()", f", executors=[parslish.{executor}(max_workers=2)]")
    only(run, ["give", "take"])
    assert executed() == ["give 1", "take [1]"]


def test_edits_hold() -> None:
    run = first(APPS, "take(give(1)).result()")
    run.edit("-/give[0]", arguments={"x": 9})
    only(run, ["give", "take"])
    assert executed() == ["give 9", "take 9"]


def test_what_only_would_do_is_planned() -> None:
    run = first(NESTED, NESTED_CALLS)
    plan = run.plan(only="unreliable")
    assert [run.record.path_of(id) for id in plan.run] == ["-/unreliable[0]"]
    assert not plan.unknown


def test_a_workflow_is_left_out_too() -> None:
    Path("flows.py").write_text(
        """
import parslish
from parslish import python_app, workflow

def note(*words):
    with open("executed", "a") as file:
        file.write(" ".join(map(str, words)) + "\\n")

@python_app(cache=True)
def one(x):
    note("one", x)
    return x

@workflow
def flow(x):
    note("flow")
    return one(one(x))
"""
    )
    code = "import parslish, flows; parslish.get_result(parslish.dispatch(flows.flow)(3), wait=True)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=PATIENCE_S)
    executed()
    code = "import parslish; run = parslish.run('last').rerun(only='one[1]')\nprint(run.status, list(run.record))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.stdout == "completed [<task 0 -/one[1] done>]\n", done.stdout + done.stderr
    assert executed() == ["one 3"]


def test_why_it_ran_is_told() -> None:
    run = first(NESTED, NESTED_CALLS)
    assert forced(only(run, "unreliable")) == {"-/unreliable[0]": "selected"}
