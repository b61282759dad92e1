"""load, clear, dfk: how scripts of three generations begin."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

import parslish
from parslish import (
    App,
    BasicMemoizer,
    Config,
    ConfigurationError,
    DataFlowKernel,
    NoDataFlowKernelError,
    ThreadPoolExecutor,
    python_app,
)
from tests.faults.executor import InlineExecutor
from tests.parsl.helpers import Counted, double

# -- load, clear, dfk


def test_load_returns_the_kernel_which_is_its_own_context_manager() -> None:
    kernel = parslish.load()
    assert isinstance(kernel, DataFlowKernel)
    assert parslish.dfk() is kernel
    with kernel as entered:
        assert entered is kernel
        assert double(2).result() == 4
    assert kernel.cleanup_called


@pytest.mark.parametrize("spelled", [None, Config(), {"retries": 1}, "site.toml"])
def test_load_takes_every_spelling_of_a_configuration(spelled: Any) -> None:
    Path("site.toml").write_text("retries = 1\n")
    with parslish.load(spelled) as kernel:
        assert isinstance(kernel.config, Config)
        assert double(2).result() == 4


@pytest.mark.parametrize("ask", [parslish.dfk, lambda: double(1), parslish.wait_for_current_tasks])
def test_without_a_kernel_the_error_says_to_load_first(ask: Any) -> None:
    with pytest.raises(NoDataFlowKernelError, match="Must first load config"):
        ask()


def test_a_second_load_is_an_error_and_the_first_kernel_stays() -> None:
    with parslish.load() as kernel:
        with pytest.raises(ConfigurationError, match="loaded already"):
            parslish.load()
        assert parslish.dfk() is kernel
        assert double(3).result() == 6


def test_clear_makes_room_for_another_kernel_without_ending_the_first() -> None:
    first = parslish.load()
    parslish.clear()
    with pytest.raises(NoDataFlowKernelError):
        parslish.dfk()
    with parslish.load() as second:
        assert parslish.dfk() is second
        assert not first.cleanup_called
    first.cleanup()


def test_after_the_block_another_configuration_can_be_loaded_without_clear() -> None:
    for _ in range(2):
        with parslish.load():
            assert double(1).result() == 2


def test_after_cleanup_by_hand_too() -> None:
    parslish.load()
    parslish.dfk().cleanup()
    parslish.load().cleanup()


def test_clear_with_nothing_loaded_does_nothing() -> None:
    parslish.clear()
    parslish.clear()


def test_a_failed_load_leaves_nothing_loaded_and_nothing_started() -> None:
    executor = InlineExecutor()
    with pytest.raises(parslish.BadCheckpoint):
        parslish.load(Config(executors=[executor], checkpoint_files=["not/there"]))
    assert executor.starts == 0
    with pytest.raises(NoDataFlowKernelError):
        parslish.dfk()
    parslish.load().cleanup()


def test_wait_for_current_tasks_returns_when_all_are_done() -> None:
    with parslish.load():
        futures = [double(i) for i in range(50)]
        parslish.wait_for_current_tasks()
        assert all(f.done() for f in futures)


# -- the three generations


def test_generation_1_config_dict_and_app_with_a_kernel() -> None:
    config = {
        "sites": [
            {"site": "Local_Threads", "auth": {"channel": None}, "execution": {"executor": "threads", "maxThreads": 4}}
        ],
        "globals": {"lazyErrors": True, "memoize": True},
    }
    before = copy.deepcopy(config)
    dfk = DataFlowKernel(config=config)

    @App("python", dfk, cache=True)
    def treble(x: int) -> int:
        return x * 3

    assert treble(2).result() == 6
    assert list(dfk.executors)[:1] == ["Local_Threads"]
    assert Path(dfk.rundir).is_dir()
    dfk.cleanup()
    assert config == before, "the user's dict is never changed"


@pytest.mark.parametrize("word", ["max_workers", "max_threads"])
def test_generation_1_executors_given_to_the_kernel(word: str) -> None:
    dfk = DataFlowKernel(executors=[ThreadPoolExecutor(**{word: 4})])
    assert App("python", dfk)(lambda: 7)().result() == 7
    assert next(iter(dfk.executors.values())).max_threads == 4  # type: ignore[attr-defined]
    dfk.cleanup()


@pytest.mark.parametrize(("mode", "cache"), [("checkpointMode", "appCache"), ("checkpoint_mode", "app_cache")])
def test_generation_1_options_of_the_kernel(mode: str, cache: str) -> None:
    first = DataFlowKernel(**{mode: "task_exit", cache: True})
    count = Counted()
    app = App("python", first, cache=True)(count)
    app(1).result()
    first.cleanup()
    second = DataFlowKernel(config=None, checkpointFiles=[f"{first.rundir}/checkpoint"])
    app.data_flow_kernel = second
    app(1).result()
    second.cleanup()
    assert len(count) == 1


def test_generation_1_a_python_app_and_a_bash_app_by_word() -> None:
    dfk = DataFlowKernel()
    assert App("bash", dfk)(lambda: "true")().result() == 0
    with pytest.raises(ConfigurationError, match="'python', 'bash' or 'join'"):
        App("pythn", dfk)
    dfk.cleanup()


def test_generation_2_fields_of_config() -> None:
    count = Counted()
    app = python_app(count, cache=True)
    for files in (None, ["runinfo/000/checkpoint"]):
        config = Config(
            executors=[ThreadPoolExecutor(max_threads=1)],
            app_cache=True,
            checkpoint_mode="manual",
            checkpoint_files=files,
            checkpoint_period="00:30:00",
        )
        with parslish.load(config) as dfk:
            app(1).result()
            dfk.checkpoint()
    assert len(count) == 1


def test_generation_3_a_memoizer_object() -> None:
    count = Counted()
    app = python_app(count, cache=True)
    for files in (None, ["runinfo/000/checkpoint"]):
        memoizer = BasicMemoizer(
            memoize=True, checkpoint_mode="manual", checkpoint_files=files, checkpoint_period="00:30:00"
        )
        with parslish.load(Config(memoizer=memoizer)) as dfk:
            assert dfk.memoizer is memoizer
            app(1).result()
            memoizer.checkpoint()
    assert len(count) == 1


def test_generation_3_memoize_false_switches_reuse_off() -> None:
    count = Counted()
    app = python_app(count, cache=True)
    with parslish.load(Config(memoizer=BasicMemoizer(memoize=False))):
        app(1).result()
        app(1).result()
    assert len(count) == 2
    with pytest.raises(ConfigurationError, match="memoiz"):
        parslish.load(Config(memoizer=BasicMemoizer(memoize=False, checkpoint_mode="manual")))


# -- the same objects loaded twice in a row


def test_the_same_config_executor_and_memoizer_serve_twice_in_a_row() -> None:
    config = Config(executors=[ThreadPoolExecutor(max_threads=1)], memoizer=BasicMemoizer(checkpoint_mode="task_exit"))
    count = Counted()
    app = python_app(count, cache=True)
    for _ in range(3):
        with parslish.load(config):
            app(1).result()
            assert double(4).result() == 8
    assert len(count) == 1, "a mode and no files: earlier runs are loaded"
