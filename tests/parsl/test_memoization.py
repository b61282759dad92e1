"""What makes two calls the same, and what a hit does within a run (behaviours 6, 7 and 8)."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import pytest

import parslish
from parslish import (
    Config,
    File,
    States,
    bash_app,
    python_app,
)
from tests.parsl.helpers import PATIENCE_S, Counted, Gate

pytestmark = pytest.mark.usefixtures("loaded")


# -- 7: an argument without identity


def test_7_an_argument_without_identity_never_fails_the_call(caplog: pytest.LogCaptureFixture) -> None:
    count = Counted()

    @python_app(cache=True)
    def app(x: int, lock: Any) -> int:
        return count()

    lock = threading.Lock()
    with caplog.at_level(logging.WARNING, "parslish"):
        assert [app(1, lock).result() for _ in range(3)] == [1, 2, 3]
    warnings = [record.getMessage() for record in caplog.records if "unmemoized" in record.getMessage()]
    assert len(warnings) == 1, "one warning for the app and its argument, not one a call"
    assert "app" in warnings[0] and "'lock'" in warnings[0]


def test_7_a_hook_that_raises_does_not_fail_the_call_either() -> None:
    class Broken:
        def __parslish_key__(self) -> Any:
            raise RuntimeError("no key today")

    class BrokenReduction:
        def __reduce_ex__(self, protocol: Any) -> Any:
            raise RuntimeError("cannot be pickled")

    count = Counted()
    app = python_app(lambda x: count(), cache=True)
    for value in (Broken(), BrokenReduction(), (i for i in ())):
        before = len(count)
        app(value).result()
        app(value).result()
        assert len(count) == before + 2


def test_7_with_strict_keys_it_is_an_error_that_names_the_argument() -> None:
    parslish.dfk().cleanup()
    with parslish.load(Config(strict_keys=True)):
        error = python_app(lambda lock: 1, cache=True)(threading.Lock()).exception(PATIENCE_S)
        assert isinstance(error, parslish.Unidentifiable)
        assert error.argument == "lock"


# -- 8: ignore_for_cache, outputs, stdout


def test_8_ignored_arguments_make_no_difference_passed_or_not() -> None:
    count = Counted()

    @python_app(cache=True, ignore_for_cache=["verbose"])
    def app(x: int, verbose: bool = False) -> int:
        return count()

    assert [app(1).result(), app(1, verbose=True).result(), app(1, True).result(), app(2).result()] == [1, 1, 1, 2]


def test_8_ignore_for_cache_is_copied() -> None:
    ignored = ["verbose"]
    count = Counted()

    @python_app(cache=True, ignore_for_cache=ignored)
    def app(x: int, verbose: bool = False) -> int:
        return count()

    ignored.append("x")
    assert [app(1, True).result(), app(1, False).result(), app(2).result()] == [1, 1, 2]
    assert ignored == ["verbose", "x"], "and never changed"


def test_8_ignore_for_cache_may_name_stdout_as_parsl_scripts_do() -> None:
    @bash_app(cache=True, ignore_for_cache=["stdout"])
    def shout(stdout: Any = None) -> str:
        return "echo hello"

    shout(stdout="first.out").result()
    shout(stdout="second.out").result()
    assert Path("first.out").exists() and not Path("second.out").exists()


def test_8_an_unknown_name_to_ignore_is_an_error_at_the_decorator() -> None:
    with pytest.raises(parslish.UsageError, match="verbose"):
        python_app(cache=True, ignore_for_cache=["verbos"])(lambda x, verbose: x)


@pytest.mark.parametrize("named", [True, False])
def test_8_names_of_stdout_and_stderr_are_no_input_and_a_hit_creates_no_file(named: bool) -> None:
    def with_parameters(x: int, stdout: Any = None, stderr: Any = None) -> str:
        return f"echo {x} >> ran"

    app = bash_app(with_parameters if named else (lambda x: f"echo {x} >> ran"), cache=True)
    assert app(1, stdout="one.out", stderr="one.err").result() == 0
    assert app(1, stdout="two.out", stderr=("two.err", "w")).result() == 0
    assert Path("ran").read_text() == "1\n"
    assert Path("one.out").exists() and Path("one.err").exists()
    assert not Path("two.out").exists() and not Path("two.err").exists()


def test_8_an_output_file_is_no_input_so_its_content_does_not_matter() -> None:
    @bash_app(cache=True)
    def make(x: int, outputs: Any = ()) -> str:
        return f"echo {x} >> ran; echo {x} > {outputs[0]}"

    for _ in range(3):  # before the first call the file is not there; afterwards it is
        make(1, outputs=[File("out.txt")]).outputs[0].result()
    assert Path("ran").read_text() == "1\n"


def test_8_a_hit_never_leaves_the_caller_without_the_file_it_asked_for() -> None:
    @bash_app(cache=True)
    def make(x: int, outputs: Any = ()) -> str:
        return f"echo {x} > {outputs[0]}"

    for name in ("one.txt", "two.txt", "one.txt"):
        assert Path(make(1, outputs=[File(name)]).outputs[0].result()).read_text() == "1\n"


def test_8_nor_does_sharing_with_a_task_that_is_running() -> None:
    gate = Gate()
    held = python_app(gate.wait)()

    @python_app(cache=True)
    def make(x: Any, outputs: Any = ()) -> None:
        Path(outputs[0]).write_text("made")

    futures = [make(held, outputs=[File(name)]) for name in ("one.txt", "two.txt")]
    gate.open()
    for future in futures:
        assert Path(future.outputs[0].result(PATIENCE_S)).read_text() == "made"


@pytest.mark.parametrize("harm", [lambda path: path.unlink(), lambda path: path.write_text("changed")])
def test_8_a_result_whose_output_file_is_gone_or_changed_is_computed_again(harm: Any) -> None:
    @bash_app(cache=True)
    def make(outputs: Any = ()) -> str:
        return f"echo ran >> ran; echo made > {outputs[0]}"

    make(outputs=[File("out.txt")]).result()
    harm(Path("out.txt"))
    make(outputs=[File("out.txt")]).result()
    assert Path("out.txt").read_text() == "made\n"
    assert Path("ran").read_text() == "ran\nran\n"


def test_8_an_input_file_counts_by_its_content() -> None:
    count = Counted()
    app = python_app(lambda inputs=(): count(), cache=True)
    Path("a.txt").write_text("same")
    Path("b.txt").write_text("same")
    assert app(inputs=[File("a.txt")]).result() == app(inputs=[File("b.txt")]).result() == 1
    Path("a.txt").write_text("another")
    assert app(inputs=[File("a.txt")]).result() == 2


# -- hits within a run


def test_the_same_call_in_all_its_spellings_is_one(loaded: Any) -> None:
    count = Counted()

    @python_app(cache=True)
    def app(x: int, y: int = 0) -> int:
        return count()

    assert {f.result() for f in (app(1), app(x=1), app(1, 0), app(1, y=0), app(y=0, x=1))} == {1}
    assert loaded.task_state_counts[States.memo_done] == 4


def test_without_cache_every_call_runs() -> None:
    count = Counted()
    app = python_app(count)
    assert [app(1).result() for _ in range(3)] == [1, 2, 3]


def test_a_hit_hands_out_the_same_object_and_a_copy_on_request() -> None:
    app = python_app(lambda: [1, 2], cache=True)
    assert app().result() is app().result()
    parslish.dfk().cleanup()
    with parslish.load(Config(copy_results=True)):
        first, second = app().result(), app().result()
        assert first == second and first is not second


def test_callers_of_a_running_key_share_its_result() -> None:
    gate = Gate()
    count = Counted()

    @python_app(cache=True)
    def app(x: int) -> int:
        gate.wait()
        return count()

    futures = [app(1) for _ in range(10)]
    gate.open()
    assert {f.result(PATIENCE_S) for f in futures} == {1}


def test_6_a_failure_is_shared_with_those_who_wait_and_not_replayed_later() -> None:
    """Parsl replays it; parslish runs the app again: the reason may be gone."""
    gate = Gate()
    count = Counted()

    @python_app(cache=True)
    def app(x: int) -> int:
        gate.wait()
        if count() == 1:
            raise ValueError("the first time")
        return 7

    waiting = [app(1) for _ in range(3)]
    gate.open()
    assert all(isinstance(f.exception(PATIENCE_S), ValueError) for f in waiting)
    assert len(count) == 1
    assert app(1).result(PATIENCE_S) == 7


def test_app_cache_off_runs_everything() -> None:
    parslish.dfk().cleanup()
    count = Counted()
    app = python_app(count, cache=True)
    with parslish.load(Config(app_cache=False)):
        assert [app(1).result() for _ in range(3)] == [1, 2, 3]
