"""`parslish.rng()`: the same numbers in each re-execution, by every executor; others for each task."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import parslish
from parslish import Config, UsageError, bash_app, join_app, python_app, rng, workflow
from parslish.executors.base import Executor
from parslish.executors.functions import DRAWING, Functions
from parslish.executors.threads import ThreadPoolExecutor
from parslish.random_numbers import Drawing, origin_of, seed_of_run
from tests.parsl.helpers import PATIENCE_S, run_script

LARGE = 1 << 40


@python_app
def draw(n: int = 3) -> list[int]:
    return [int(each) for each in rng().integers(0, LARGE, n)]


@python_app
def by_helper() -> int:
    return _helper()


def _helper() -> int:
    return int(parslish.rng().integers(0, LARGE))


@python_app(rng=True)
def hidden_and_said() -> int:
    return int(getattr(parslish, "r" + "ng")().integers(0, LARGE))


@python_app
def hidden() -> int:
    return int(getattr(parslish, "r" + "ng")().integers(0, LARGE))


@python_app(cache=True)
def cached(x: int) -> int:
    return int(rng().integers(0, LARGE))


@python_app(cache=True)
def shared(x: int) -> int:
    return x


@bash_app
def echo(stdout: Any = None) -> str:
    return f"echo {rng().integers(0, LARGE)}"


@join_app
def joined() -> list[Any]:
    return [draw(1) for _ in range(int(rng().integers(2, 5)))]


@python_app
def fails_twice(path: str) -> int:
    drawn = int(rng().integers(0, LARGE))
    with open(path, "a") as file:
        file.write(f"{drawn}\n")
    if len(Path(path).read_text().split()) < 3:
        raise ValueError("not yet")
    return drawn


def drawn_with(executor: Executor, run_dir: str, **options: Any) -> list[Any]:
    """What a program with every kind of app draws in a fresh run."""
    with parslish.load(Config(executors=[executor], run_dir=run_dir, seed=7, **options)):
        file = Path(run_dir, "echo").absolute()
        futures = [draw(), draw(), by_helper(), hidden_and_said(), joined(), echo(stdout=str(file))]
        return [*(future.result(PATIENCE_S) for future in futures), file.read_text()]


EXECUTORS: dict[str, Callable[[], Executor]] = {
    "threads": lambda: ThreadPoolExecutor(),
    "processes": lambda: parslish.ProcessPoolExecutor(max_workers=1),
    "dask": lambda: parslish.DaskExecutor(max_workers=1),
}

# ------------------------------------------------------------------------------- which numbers


@pytest.mark.parametrize("name", ["processes", "dask"])
def test_every_executor_draws_what_threads_draw(name: str) -> None:
    if name == "dask":
        pytest.importorskip("distributed")
    assert drawn_with(EXECUTORS[name](), "elsewhere") == drawn_with(ThreadPoolExecutor(), "threads")


def test_each_task_draws_other_numbers() -> None:
    with parslish.load():
        drawn = [draw(1).result()[0] for _ in range(50)]
    assert len(set(drawn)) == 50


def test_the_same_place_draws_the_same_whatever_else_is_called_and_in_whatever_order() -> None:
    def places(*, backwards: bool) -> dict[int, list[int]]:
        with parslish.load(Config(seed=1)):
            futures = {}
            for i in range(9, -1, -1) if backwards else range(10):
                with parslish.scope("round", i):
                    futures[i] = draw()
            if backwards:
                draw()
            return {i: future.result() for i, future in futures.items()}

    assert places(backwards=True) == places(backwards=False)


def test_a_task_has_one_generator_a_stream_which_goes_on() -> None:
    @python_app
    def draws_on() -> tuple[list[int], list[int], bool]:
        first = [int(rng().integers(0, LARGE)) for _ in range(3)]
        noise = [int(rng("noise").integers(0, LARGE)) for _ in range(3)]
        return first, noise, rng() is rng() and rng("noise") is not rng()

    with parslish.load(Config(seed=3)):
        first, noise, is_one = draws_on().result()
    assert is_one
    assert len({*first, *noise}) == 6


def test_without_a_seed_numbers_follow_from_the_root_of_the_lineage() -> None:
    def run() -> list[int]:
        with parslish.load(Config(checkpoint_mode="task_exit")):
            return draw().result()

    def interrupted() -> list[int]:
        with pytest.raises(KeyError), parslish.load(Config(checkpoint_mode="task_exit")):
            drawn.append(draw().result())
            raise KeyError
        return drawn[-1]

    drawn: list[list[int]] = []
    first = interrupted()
    assert run() == first  # which goes on with the run that was interrupted
    assert run() != first  # and this one begins anew


def test_a_seed_decides_whatever_the_lineage_is() -> None:
    def run(seed: int) -> list[int]:
        with parslish.load(Config(seed=seed, run_dir=f"runs of {seed}")):
            return draw().result()

    assert run(5) == run(5) != run(6)


def test_the_numbers_are_these_for_ever() -> None:
    """A change of them would make every re-execution of a stored run another one."""
    origin = origin_of(seed_of_run(7, "whatever"), "-/draw[0]")
    assert [int(x) for x in Drawing(lambda: rng().integers(0, 1000, 4))(origin)] == [406, 889, 300, 157]
    assert [int(x) for x in Drawing(lambda: rng("noise").integers(0, 1000, 4))(origin)] == [333, 547, 92, 758]


def test_each_try_of_a_task_draws_the_same() -> None:
    with parslish.load(Config(retries=2)):
        last = fails_twice("tries").result()
    assert Path("tries").read_text().split() == [str(last)] * 3


# ------------------------------------------------------------------------------- reuse


def test_calls_with_equal_arguments_at_two_places_are_two_draws() -> None:
    with parslish.load():
        assert cached(1).result() != cached(1).result()
        assert shared(1).result() == 1


def test_a_resumed_run_reuses_what_was_drawn_and_a_new_one_draws_anew() -> None:
    def run() -> tuple[int, str]:
        with parslish.load(Config(checkpoint_mode="task_exit")):
            future = cached(1)
            return future.result(), future.task_status()

    with pytest.raises(KeyError), parslish.load(Config(checkpoint_mode="task_exit")):
        first = cached(1).result()
        raise KeyError
    assert run() == (first, "memo_done")
    value, how = run()
    assert (value != first, how) == (True, "exec_done")


def test_with_a_seed_a_new_run_reuses_what_another_has_drawn_and_another_seed_does_not() -> None:
    def run(seed: int) -> str:
        with parslish.load(Config(checkpoint_mode="task_exit", seed=seed)):
            future = cached(1)
            future.result()
            return future.task_status()

    assert [run(1), run(1), run(2)] == ["exec_done", "memo_done", "exec_done"]


def test_an_app_that_does_not_draw_is_shared_by_its_arguments_alone() -> None:
    with parslish.load():
        assert [shared(1).result(), shared(1).result()] == [1, 1]
        assert parslish.dfk().task_state_counts[parslish.States.memo_done] == 1


# ------------------------------------------------------------------------------- what is refused


def test_outside_of_a_task_it_is_an_error() -> None:
    with pytest.raises(UsageError, match="no task runs that is known to draw random numbers"):
        rng()


@pytest.mark.parametrize("name", ["threads", "processes"])
def test_where_the_call_cannot_be_seen_the_error_says_what_to_write(name: str) -> None:
    with parslish.load(Config(executors=[EXECUTORS[name]()])), pytest.raises(UsageError, match=r"@app\(rng=True\)"):
        hidden().result(PATIENCE_S)


def test_rng_false_hands_nothing_over() -> None:
    app = python_app(_helper, rng=False)
    with parslish.load(), pytest.raises(UsageError, match=r"@app\(rng=True\)"):
        app().result()


def test_the_name_of_a_stream_is_a_text() -> None:
    app = python_app(lambda: rng(3), rng=True)  # type: ignore[arg-type]
    with parslish.load(), pytest.raises(UsageError, match="a text, not int"):
        app().result()


@pytest.mark.parametrize("wrong", [-1, 1.5, "7", True])
def test_a_seed_is_a_whole_number(wrong: Any) -> None:
    with pytest.raises(parslish.ConfigurationError, match=r"seed: got .*, takes a whole number >= 0"):
        Config(seed=wrong)


def test_rng_of_an_app_is_true_false_or_none() -> None:
    with pytest.raises(parslish.ConfigurationError, match="rng='yes': True, False or None"):
        python_app(draw.func, rng="yes")


def test_a_task_leaves_nothing_behind_on_its_thread() -> None:
    with parslish.load(Config(executors=[ThreadPoolExecutor(max_threads=1)])):
        draw().result()
        with pytest.raises(UsageError, match="known to draw"):
            hidden().result()


# ------------------------------------------------------------------------------- how it crosses


def test_numpy_is_not_imported_for_those_who_draw_nothing() -> None:
    code = "import sys, parslish; parslish.rng; print('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_a_function_that_draws_is_sent_to_a_worker_once() -> None:
    executor = parslish.ProcessPoolExecutor(max_workers=1)
    with parslish.load(Config(executors=[executor])):
        for _ in range(20):
            draw(1).result(PATIENCE_S)
        assert executor._dispatcher is not None
        assert executor._dispatcher.sent_functions == 1


def test_a_function_of_a_module_crosses_by_its_name_though_it_draws() -> None:
    functions = Functions()
    carried = functions.find(draw.drawing)
    functions.refresh(carried, draw.drawing)
    assert carried.form == DRAWING
    assert carried.body == (__name__, "draw", 1)


def test_apps_of_a_script_draw_in_processes_as_on_threads() -> None:
    script = """
        import sys, parslish
        from parslish import Config, python_app, rng

        @python_app
        def draw():
            return rng().integers(0, 1 << 40, 3).tolist()

        executor = parslish.ThreadPoolExecutor() if sys.argv[1] == "threads" else parslish.ProcessPoolExecutor()
        with parslish.load(Config(executors=[executor], seed=1)):
            print(draw().result())
    """
    assert run_script(script, "threads").stdout == run_script(script, "processes").stdout


# ------------------------------------------------------------------------------- re-execution


@workflow
def simulated(n: int) -> Any:
    total = 0
    for i in range(n):
        with parslish.scope("step", i):
            total += sum(draw(2).result())
    return total, joined()


def test_a_workflow_that_is_executed_again_draws_the_same_and_a_new_dispatch_does_not() -> None:
    first = parslish.get_result(parslish.dispatch(simulated)(3), wait=True)
    again = parslish.run(first.run_id).rerun(all=True)
    other = parslish.get_result(parslish.dispatch(simulated)(3), wait=True)
    assert parslish.get_result(again.id).result == first.result
    assert other.result != first.result


def test_tasks_that_are_made_again_without_their_program_draw_the_same() -> None:
    first = parslish.get_result(parslish.dispatch(simulated)(3), wait=True)
    again = parslish.run(first.run_id).rerun(only='path:"-/step[1]/*"')
    drawn = {task.path: task.result for task in first.record}
    assert [(task.path, task.result) for task in again.record] == [("-/step[1]/draw[0]", drawn["-/step[1]/draw[0]"])]
