"""Checkpoints as Parsl scripts rely on them beyond the manual's page: numbered behaviours 3 to 6."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

import parslish
from parslish import Config, join_app, python_app
from parslish.utils import get_all_checkpoints, get_last_checkpoint
from tests.parsl.helpers import PATIENCE_S, Counted, run_script

MODES = ["task_exit", "periodic", "dfk_exit", "manual"]


def config(mode: str | None = "task_exit", files: list[str] | None = None, **more: Any) -> Config:
    return Config(checkpoint_mode=mode, checkpoint_files=files, **more)  # type: ignore[arg-type]


def size(folder: str | Path) -> int:
    return sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())


# -- 3: the last run's checkpoint is enough


def test_3_the_last_runs_checkpoint_is_enough_two_runs_later() -> None:
    count = Counted()

    @python_app(cache=True)
    def app(x: int) -> Any:
        return count(x), "x" * 100_000

    for run in range(5):
        with parslish.load(config(files=get_last_checkpoint())) as dfk:
            assert [app(i).result()[0] for i in range(3)] == [1, 2, 3], f"run {run}"
            assert size(Path(dfk.run_dir, "checkpoint")) > (300_000 if run == 0 else 0)
            if run:
                assert size(Path(dfk.run_dir, "checkpoint")) < 50_000, "hits are referred to, never copied"
    assert len(count) == 3


def test_3_a_run_without_hits_in_between_loses_nothing_that_was_hit_before() -> None:
    count = Counted()
    app = python_app(lambda x: count(x), cache=True)
    for calls in ([1], [1, 2], [2], [1, 2]):
        with parslish.load(config(files=get_last_checkpoint())):
            for x in calls:
                app(x).result()
    assert count.calls == [1, 2], "each was computed once in four runs that load only the last"


# -- 4: mode set and no files named


@pytest.mark.parametrize("mode", MODES)
def test_4_with_a_mode_and_no_files_named_all_earlier_runs_are_loaded(mode: str) -> None:
    count = Counted()
    app = python_app(lambda x: count(x), cache=True)
    for x in range(3):
        with parslish.load(config(mode)) as dfk:
            app(x).result()
            dfk.checkpoint()
    with parslish.load(config(mode)):
        assert [app(x).result() for x in range(3)] == [1, 2, 3]
    assert len(count) == 3


@pytest.mark.parametrize(("mode", "files"), [("task_exit", []), (None, None), (None, [])])
def test_4_with_an_empty_list_or_no_mode_none_is(mode: Any, files: Any) -> None:
    count = Counted()
    app = python_app(lambda x: count(x), cache=True)
    with parslish.load(config()):
        app(1).result()
    with parslish.load(config(mode, files)):
        app(1).result()
    assert len(count) == 2


def test_4_only_the_runs_of_the_same_run_folder_are_loaded() -> None:
    count = Counted()
    app = python_app(lambda x: count(x), cache=True)
    for folder in ("here", "there", "here"):
        with parslish.load(config(run_dir=folder)):
            app(1).result()
    assert len(count) == 2
    assert len(get_all_checkpoints("here")) == 2
    assert len(get_all_checkpoints("there")) == 1


def test_4_run_numbers_are_numbers_beyond_999() -> None:
    count = Counted()
    app = python_app(lambda x: count(x), cache=True)
    Path("runinfo/998").mkdir(parents=True)
    runs = []
    for _ in range(3):
        with parslish.load(config(files=[])) as dfk:  # none loads another: each computes
            app(1).result()
            runs.append(Path(dfk.run_dir).name)
    assert runs == ["999", "1000", "1001"]
    assert [Path(folder).parent.name for folder in get_all_checkpoints()] == runs
    assert [Path(folder).parent.name for folder in get_last_checkpoint()] == ["1001"]
    with parslish.load(config()):
        assert app(1).result() == 3, "1001 is later than 999"


def test_4_other_files_in_the_run_folder_do_not_matter() -> None:
    Path("runinfo").mkdir()
    for name in ("README", "000.bak", "x01", "-1", "0x5", "1.5", "٣"):
        Path("runinfo", name).write_text("not a run")
    for name in ("notes", "tmp", "000-old"):
        Path("runinfo", name, "checkpoint").mkdir(parents=True)
    count = Counted()
    app = python_app(lambda x: count(x), cache=True)
    for run in range(2):
        with parslish.load(config()) as dfk:
            assert Path(dfk.run_dir).name == f"{run:03d}"
            app(1).result()
    assert len(count) == 1


# -- 5: when each mode writes


def test_5_task_exit_is_on_disk_promptly_without_any_cleanup() -> None:
    count = Counted()
    app = python_app(lambda x: count(x), cache=True)
    first = parslish.load(config())
    app(1).result()
    parslish.clear()  # the first kernel goes on
    with parslish.load(config(None, [f"{first.run_dir}/checkpoint"])):
        assert app(1).result() == 1
    assert len(count) == 1
    first.cleanup()


@pytest.mark.parametrize("mode", ["manual", "dfk_exit", None])
def test_5_manual_writes_nothing_before_checkpoint(mode: str | None) -> None:
    app = python_app(lambda x: "x" * 100_000, cache=True)
    with parslish.load(config(mode, [])) as dfk:
        folder = Path(dfk.run_dir, "checkpoint")
        app(1).result()
        assert size(folder) < 1000
        dfk.checkpoint()
        assert size(folder) > 100_000


def test_5_a_second_checkpoint_adds_nothing() -> None:
    app = python_app(lambda x: "x" * 100_000, cache=True)
    with parslish.load(config("manual")) as dfk:
        app(1).result()
        folder = dfk.checkpoint()
        before = size(folder)
        app(1).result()  # a hit is nothing new
        for _ in range(3):
            assert dfk.checkpoint() == folder
        assert size(folder) - before < 1000


def test_5_what_manual_never_checkpointed_is_not_there() -> None:
    count = Counted()
    app = python_app(lambda x: count(x), cache=True)
    with parslish.load(config("manual")) as dfk:
        app(1).result()
        dfk.checkpoint()
        app(2).result()
    with parslish.load(config("manual")):
        app(1).result()
        app(2).result()
    assert count.calls == [1, 2, 2]


@pytest.mark.parametrize("mode", [*MODES, None])
def test_5_the_folder_exists_even_when_nothing_was_cached(mode: str | None) -> None:
    with parslish.load(config(mode)) as dfk:
        assert Path(dfk.run_dir, "checkpoint").is_dir()
        dfk.checkpoint()
    with parslish.load(config(mode, get_all_checkpoints())):
        pass  # an empty one is no bad one


@pytest.mark.parametrize("end", ["", "raise SystemExit(3)", "raise RuntimeError('x')"])
def test_5_dfk_exit_also_works_at_the_interpreters_exit_without_cleanup(end: str) -> None:
    script = f"""
    import parslish
    from parslish import Config, python_app
    parslish.load(Config(checkpoint_mode="dfk_exit"))

    @python_app(cache=True)
    def app(x):
        open("ran", "a").write("ran\\n")
        return x

    app(1).result()
    {end}
    """
    code = 0 if not end else 3 if "SystemExit" in end else 1
    for _ in range(2):
        assert run_script(script, ok=False).returncode == code
    assert Path("ran").read_text() == "ran\n"


def test_5_at_the_interpreters_exit_tasks_that_run_are_waited_for() -> None:
    script = """
    import parslish
    from parslish import Config, python_app
    parslish.load(Config(checkpoint_mode="dfk_exit"))

    @python_app(cache=True)
    def app(x):
        import time
        time.sleep(0.2)
        open("ran", "a").write("ran\\n")
        return x

    [app(x) for x in range(3)]
    """
    run_script(script)
    run_script(script)
    assert Path("ran").read_text() == "ran\n" * 3


def test_5_a_killed_driver_loses_nothing_that_task_exit_showed() -> None:
    script = """
    import os, signal
    import parslish
    from parslish import Config, python_app
    parslish.load(Config(checkpoint_mode="task_exit"))

    @python_app(cache=True)
    def app(x):
        open("ran", "a").write(f"{x}\\n")
        return x

    assert [app(x).result() for x in range(20)] == list(range(20))
    os.kill(os.getpid(), signal.SIGKILL)
    """
    for _ in range(2):
        assert run_script(script, ok=False).returncode == -signal.SIGKILL
    assert Path("ran").read_text().split() == [str(x) for x in range(20)]


# -- 6: failures


def test_6_failures_are_never_restored_from_a_checkpoint() -> None:
    count = Counted()

    @python_app(cache=True)
    def app(x: int) -> int:
        if count(x) == 1:
            raise ValueError("in the first run")
        return 7

    @python_app(cache=True)
    def after(x: int) -> int:
        return x + 1

    with parslish.load(config()):
        assert isinstance(after(app(1)).exception(PATIENCE_S), parslish.DependencyError)
    with parslish.load(config()):
        assert after(app(1)).result(PATIENCE_S) == 8
    assert len(count) == 2


def test_6_unless_the_app_says_that_such_a_failure_is_a_result() -> None:
    count = Counted()

    @python_app(cache=True, remember=[ValueError])
    def app(x: int) -> int:
        count(x)
        raise ValueError("for good")

    for _ in range(2):
        with parslish.load(config()), pytest.raises(ValueError, match="for good"):
            app(1).result(PATIENCE_S)
    assert len(count) == 1


# -- what is loaded is what was computed


def test_values_of_all_kinds_come_back_as_they_were() -> None:
    values: list[Any] = [None, 0, -1.5, float("inf"), "text", b"bytes", [1, [2]], (1,), {"k": {1, 2}}, 2**100, 1j]
    app = python_app(lambda i: values[i], cache=True, version="1")
    for _ in range(2):
        with parslish.load(config()):
            assert [app(i).result() for i in range(len(values))] == values


def test_a_result_that_cannot_be_stored_is_still_a_result() -> None:
    app = python_app(lambda: (i for i in range(3)), cache=True)
    with parslish.load(config()):
        assert list(app().result()) == [0, 1, 2]


def test_a_join_app_is_restored_without_its_children() -> None:
    count = Counted()

    @python_app
    def child(x: int) -> int:
        return count(x)

    @join_app(cache=True)
    def outer(x: int) -> Any:
        return [child(x), child(x)]

    for _ in range(2):
        with parslish.load(config()):
            assert sorted(outer(1).result()) == [1, 2]
    assert len(count) == 2


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: Path(folder).rename("elsewhere"),
        lambda folder: os.replace(folder, "moved") or Path(folder).write_text("a file"),
    ],
)
def test_a_named_checkpoint_that_is_none_is_a_bad_checkpoint(harm: Any) -> None:
    with parslish.load(config()) as dfk:
        python_app(lambda: 1, cache=True)().result()
        folder = dfk.checkpoint()
    harm(folder)
    with pytest.raises(parslish.BadCheckpoint) as caught:
        parslish.load(config(files=[folder]))
    assert folder in str(caught.value)
