"""Orders: whom they reach, whose they are, and what becomes of those that cannot be obeyed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import parslish
from parslish import UsageError
from parslish.history import marks
from parslish.orders import VARIABLE, Orders
from parslish.secret import Keys
from tests.parsl.helpers import PATIENCE_S
from tests.rerun.program import NESTED, NESTED_CALLS, again, executed, first, forced, written


def started(address: str) -> subprocess.CompletedProcess[str]:
    """The program that is there, with orders in its environment."""
    return subprocess.run(
        [sys.executable, "script.py"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env={**os.environ, VARIABLE: address},
    )


def test_orders_come_back_from_the_disk_as_they_were() -> None:
    run = first(NESTED, NESTED_CALLS)
    from parslish.rerun import making

    run.edit("-/end[0]", arguments={"n": [1, 2]}, reason="so")
    told = making.make(run.record, Keys.load(), from_="-/nested[0]/times[0]", pause="end", replace={"end": "math:sqrt"})
    told.write(Keys.load())
    assert Orders.read(run.path, told.id, Keys.load()) == told


@pytest.mark.parametrize("address", ["", "nonsense", "1234@/nowhere", "@", "ffffffff@{run}", "\udcff@{run}"])
def test_a_variable_that_names_no_orders_is_one_sentence_and_exit_code_2(address: str) -> None:
    run = first(NESTED, NESTED_CALLS)
    executed()
    done = started(address.format(run=run.path))
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1 and VARIABLE in done.stderr, done.stderr
    assert executed() == []
    assert len(parslish.runs()) == 1, "no run is begun"


def test_orders_that_another_key_signed_are_not_obeyed() -> None:
    run = first(NESTED, NESTED_CALLS)
    executed()
    told = Orders(id="forged", parent=run.path, root=run.record.root, style="all", reuse=False)
    _mark_with_another_key(run.path, "orders", {"id": told.id, "body": told._packed()})
    done = started(told.address)
    assert done.returncode == 2 and "signed" in done.stderr
    assert executed() == []


def test_marks_that_another_key_signed_are_not_obeyed_and_hide_no_others() -> None:
    run = first(NESTED, NESTED_CALLS)
    executed()
    run.restart_task("-/end[0]")
    _mark_with_another_key(run.path, "restart", {"paths": ["-/start[0]"], "user": "mallory"})
    new = parslish.run("000").resume()
    assert forced(new) == {"-/end[0]": "restarted"}
    assert executed() == ["end 6"]


def test_edits_that_another_key_signed_are_not_unpickled(tmp_path: Path) -> None:
    import pickle

    class Evil:
        def __reduce__(self) -> object:
            return (Path.touch, (tmp_path / "owned",))

    run = first(NESTED, NESTED_CALLS)
    _mark_with_another_key(
        run.path, "edit", {"path": "-/end[0]", "arguments": None, "result": pickle.dumps(Evil()), "reason": ""}
    )
    run.resume()
    assert not Path("owned").exists()


def _mark_with_another_key(run: Path, what: str, facts: dict[str, object]) -> None:
    code = f"""
from pathlib import Path
from parslish.history import marks
from parslish.secret import Keys
marks.write(Path({str(run)!r}), Keys.load(), {what!r}, {facts!r})
"""
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        env={**os.environ, "PARSLISH_KEY_FILE": str(Path("other-key").absolute())},
    )


KERNELS = """
@python_app(cache=True)
def f(x):
    note("f", x, os.environ.get("PARSLISH_ORDERS"))
    return x

@python_app
def shell():
    import subprocess
    return subprocess.run("echo [$PARSLISH_ORDERS]", shell=True, capture_output=True, text=True).stdout

@bash_app
def say(stdout=None):
    return "echo [$PARSLISH_ORDERS]"
"""


@pytest.mark.parametrize("executors", ["", ", executors=[parslish.ProcessPoolExecutor(max_workers=1)]"])
def test_neither_workers_nor_their_subprocesses_see_them(executors: str) -> None:
    run = first(KERNELS, "f(1).result(); shell().result(); say(stdout='said').result()", executors)
    executed()
    new = run.rerun(from_="f")
    assert executed() == ["f 1 None"]
    assert new.record.task("-/shell[0]").result == "[]\n"
    assert Path("said").read_text().endswith("[]\n")


def test_the_second_kernel_of_a_program_has_none() -> None:
    written(KERNELS, "f(1).result()")
    with open("script.py", "a") as file:
        file.write("\nparslish.clear()\nwith parslish.load(Config(checkpoint_mode='task_exit')):\n    f(2).result()\n")
    again()
    executed()
    parslish.run("000").rerun(all=True)
    assert executed() == ["f 1 None"]
    assert [run.record.facts.get("orders", {}).get("style") for run in parslish.runs()] == [None, None, "all", None]


def test_a_run_of_the_second_kernel_of_a_program_is_executed_again_as_such() -> None:
    written(KERNELS, "f(1).result()")
    with open("script.py", "a") as file:
        file.write("\nwith parslish.load(Config(checkpoint_mode='task_exit')):\n    f(2).result(); f(3).result()\n")
    again()
    executed()
    new = parslish.run("001").rerun(from_="f[1]")
    assert executed() == ["f 3 None"]
    assert (new.id, new.parent and new.parent.id) == ("003", "001")
    new = parslish.run("001").rerun(only="f[0]")
    assert executed() == ["f 2 None"]


def test_a_kernel_of_another_run_folder_leaves_them_to_the_one_that_is_meant() -> None:
    text = written(KERNELS, "f(2).result()").read_text()
    head, _, _ = text.partition("\n\nwith ")
    other = "\n\nwith parslish.load(Config(checkpoint_mode='task_exit', run_dir='other')):\n    f(1).result()\n"
    Path("script.py").write_text(head + other + text[len(head) :])
    again()
    executed()
    new = parslish.run("000").rerun(all=True)
    assert executed() == ["f 2 None"]
    assert new.parent is not None and new.parent.id == "000"
    assert parslish.run("last", run_dir="other").record.facts.get("orders") is None


def test_a_program_that_another_program_starts_before_its_kernel_has_none() -> None:
    written(KERNELS, "f(1).result()", ", run_dir='inner'", name="inner.py")
    text = written(KERNELS, "f(2).result()").read_text()
    start = "import subprocess\nsubprocess.run([sys.executable, 'inner.py'], check=True)\n\n\nwith "
    Path("script.py").write_text(text.replace("\n\nwith ", f"\n\n{start}"))
    again()
    executed()
    parslish.run("000").rerun(all=True)
    assert executed() == ["f 2 None"]


def test_a_configuration_error_in_the_program_is_its_own_and_the_orders_were_not_lost() -> None:
    text = written(KERNELS, "f(2).result()").read_text()
    attempt = "try:\n    parslish.load(Config(run_dir='/proc/nowhere'))\nexcept Exception:\n    pass\n\n\nwith "
    Path("script.py").write_text(text.replace("\n\nwith ", f"\n\n{attempt}"))
    again()
    executed()
    parslish.run("000").rerun(all=True)
    assert executed() == ["f 2 None"]


def test_a_program_that_makes_no_kernel_any_more_is_told_of() -> None:
    run = first(NESTED, NESTED_CALLS)
    Path("script.py").write_text("print('nothing')\n")
    with pytest.raises(UsageError, match="made no run"):
        run.resume()


def test_a_program_that_is_gone_is_told_of() -> None:
    run = first(NESTED, NESTED_CALLS)
    Path("script.py").unlink()
    with pytest.raises(UsageError, match="made no run"):
        run.resume()


def test_a_working_folder_that_is_gone_is_told_of() -> None:
    Path("work").mkdir()
    os.chdir("work")
    written(NESTED, NESTED_CALLS, ", run_dir='../runinfo'")
    subprocess.run([sys.executable, "script.py"], check=True)
    os.chdir("..")
    run = parslish.run("last")
    shutil.rmtree("work")
    with pytest.raises(UsageError, match=r"No such file or directory.*it was  .*script.py  in .*/work"):
        run.resume()


def test_a_program_that_changes_its_folder_first_is_found_again() -> None:
    text = written(NESTED, NESTED_CALLS).read_text()
    Path("work").mkdir()
    Path("script.py").write_text(text.replace("\n\nwith ", "\n\nos.chdir('work')\n\n\nwith "))
    subprocess.run([sys.executable, "script.py"], check=True)
    run = parslish.run("last", run_dir="work/runinfo")
    new = run.rerun(from_="end")
    assert forced(new) == {"-/end[0]": "selected"}


def test_a_run_that_was_typed_at_a_prompt_is_told_of() -> None:
    code = written(NESTED, NESTED_CALLS).read_text()
    subprocess.run([sys.executable, "-"], input=code, text=True, check=True)
    with pytest.raises(UsageError, match="interactive session"):
        parslish.run("last").resume()


@pytest.mark.parametrize(
    "command", [["-m", "script"], ["-c", "import script"], ["-W", "ignore", "script.py", "a", "b c"]]
)
def test_a_program_is_started_as_it_was(command: list[str]) -> None:
    written("@python_app(cache=True)\ndef f():\n    note(*sys.argv[1:], sys.warnoptions)\n", "f().result()")
    subprocess.run([sys.executable, *command], check=True)
    before = executed()
    parslish.run("last").rerun(all=True)
    assert executed() == before


def test_two_ways_at_once_are_told_of() -> None:
    run = first(NESTED, NESTED_CALLS)
    with pytest.raises(UsageError, match="all and from_ exclude each other"):
        run.rerun(all=True, from_="end")


def test_the_new_run_says_what_it_was_told() -> None:
    run = first(NESTED, NESTED_CALLS)
    new = run.rerun(from_="end")
    assert new.record.facts["orders"]["style"] == "from"
    assert [mark.what for mark in marks.read(run.path, Keys.load())] == ["orders"]
