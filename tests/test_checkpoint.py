"""What each mode keeps, what a later run reuses of it, and what it does not."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import parslish
from parslish import Config, DataFlowKernel, States, python_app
from parslish.executors.base import Reply
from parslish.history import card
from parslish.store.frame import Type
from parslish.store.log import Log
from parslish.store.segment import SegmentWriter
from parslish.task import Try

Runs = list[Any]


def counting(runs: Runs, **options: Any) -> Any:
    """An app that notes its runs."""

    def square(x: int) -> int:
        runs.append(x)
        return x * x

    return python_app(square, cache=True, **options)


def one_run(app: Any, xs: Any, *, mode: str | None = "task_exit", **options: Any) -> list[Any]:
    with parslish.load(Config(checkpoint_mode=mode, **options)) as kernel:
        results = [f.result() for f in [app(x) for x in xs]]
        if mode in (None, "manual"):
            kernel.checkpoint()
    return results


def segments(run: str = "000") -> list[Path]:
    return sorted(Path("runinfo", run, "checkpoint").glob("*.seg"))


@pytest.mark.parametrize("mode", ["task_exit", "periodic", "dfk_exit", "manual"])
def test_a_later_run_recomputes_nothing(mode: str) -> None:
    runs: Runs = []
    app = counting(runs)
    assert one_run(app, range(10), mode=mode) == one_run(app, range(10), mode=mode)
    assert sorted(runs) == list(range(10))


@pytest.mark.parametrize("mode", ["task_exit", "dfk_exit"])
def test_what_a_script_does_to_a_large_result_does_not_reach_the_checkpoint(mode: str) -> None:
    runs: Runs = []

    def make(n: int) -> Any:
        runs.append(n)
        return np.full(n, 1.0)

    app = python_app(make, cache=True)
    for _ in range(2):
        with parslish.load(Config(checkpoint_mode=mode)):
            result = app(300_000).result()
            assert (result == 1.0).all()
            result[:] = 2.0
    assert runs == [300_000]


def test_without_a_mode_checkpoint_keeps_what_memory_holds() -> None:
    runs: Runs = []
    app = counting(runs)
    one_run(app, range(5), mode=None)
    with parslish.load(Config(checkpoint_files=parslish.get_all_checkpoints())):
        assert [app(x).result() for x in range(5)] == [0, 1, 4, 9, 16]
    assert len(runs) == 5


def test_task_exit_has_a_result_on_disk_when_its_future_resolves() -> None:
    app = counting([])
    with parslish.load(Config(checkpoint_mode="task_exit")):
        for x in range(5):
            before = sum(s.stat().st_size for s in segments())
            app(x).result()
            assert sum(s.stat().st_size for s in segments()) > before


def test_sync_always_resolves_after_the_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    app = counting([])
    synced: list[int] = []  # how long each segment was when an fsync of it had ended
    fsync = SegmentWriter.fsync

    def noted(writer: SegmentWriter) -> None:
        length = sum(s.stat().st_size for s in segments())
        fsync(writer)
        synced.append(length)

    monkeypatch.setattr(SegmentWriter, "fsync", noted)
    with parslish.load(Config(checkpoint_mode="task_exit", sync="always")) as kernel:
        for x in range(20):
            before = sum(s.stat().st_size for s in segments())
            assert app(x).result() == x * x
            assert synced and synced[-1] > before, "its future resolved before its record was synced"
        assert kernel.task_state_counts[States.exec_done] == 20


def test_manual_writes_nothing_before_checkpoint_and_nothing_twice() -> None:
    app = counting([])
    with parslish.load(Config(checkpoint_mode="manual")) as kernel:
        app(1).result()
        assert not segments() and Path("runinfo/000/checkpoint").is_dir()
        folder = kernel.checkpoint()
        assert Path(folder) == Path("runinfo/000/checkpoint").absolute()
        size = segments()[0].stat().st_size
        app(1).result()
        kernel.checkpoint()
        assert segments()[0].stat().st_size <= size + 200, "only a mark that all is synced may follow"


def test_an_interrupt_while_results_are_appended_forgets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: Runs = []
    app = counting(runs)
    post, left = Log.post, iter(range(3))

    def interrupted(log: Log, type: int, *args: Any, **options: Any) -> None:
        if type == Type.RESULT and next(left, None) is None:
            raise KeyboardInterrupt
        post(log, type, *args, **options)

    with parslish.load(Config(checkpoint_mode="manual")) as kernel:
        assert [app(x).result() for x in range(5)] == [x * x for x in range(5)]
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Log, "post", interrupted)
            kernel.checkpoint()
        kernel.checkpoint()
    one_run(app, range(5))
    assert len(runs) == 5


def test_what_waits_to_be_written_holds_no_try_and_no_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    app, posted, write, waits = counting([]), threading.Semaphore(0), Log.write, True

    def put_off(log: Log) -> None:
        if waits and log.folder.name == "checkpoint":
            posted.release()
        else:
            write(log)

    monkeypatch.setattr(Log, "write", put_off)
    with parslish.load(Config(checkpoint_mode="task_exit")) as kernel:
        futures = [app(x) for x in range(20)]
        for _ in futures:
            assert posted.acquire(timeout=30)
        # Two threads may each be about to let go of the last one.
        assert sum(isinstance(each, (Try, Reply)) for each in gc.get_objects()) <= 4
        assert not any(future.done() for future in futures)
        waits = False
        kernel.checkpoint()
        assert [future.result(30) for future in futures] == [x * x for x in range(20)]


def test_periodic_writes_by_itself() -> None:
    runs: Runs = []
    app = counting(runs)
    kernel = parslish.load(Config(checkpoint_mode="periodic", checkpoint_period=0.05))
    app(3).result()
    waited = threading.Event()
    for _ in range(400):
        if segments():
            break
        waited.wait(0.05)
    assert segments(), "nothing was written in 20 s"
    kernel.cleanup()


def test_hits_are_not_copied_and_the_last_checkpoint_alone_is_enough() -> None:
    runs: Runs = []
    app = counting(runs)
    one_run(app, range(10))
    size_of_first = sum(s.stat().st_size for s in segments("000"))
    one_run(app, range(12))
    assert sum(s.stat().st_size for s in segments("001")) < size_of_first
    with parslish.load(Config(checkpoint_files=parslish.get_last_checkpoint())):
        assert [app(x).result() for x in range(12)] == [x * x for x in range(12)]
    assert len(runs) == 12


def test_named_checkpoints_alone_are_loaded_and_an_empty_list_loads_none() -> None:
    runs: Runs = []
    app = counting(runs)
    one_run(app, [1])
    one_run(app, [1], checkpoint_files=[])
    assert runs == [1, 1]


def test_the_most_recent_result_is_used() -> None:
    values = iter([10, 20])
    first = python_app(lambda x: next(values), cache=True, version="same")
    first.name = "measure"
    one_run(first, [1])
    one_run(first, [1], checkpoint_files=[])
    assert one_run(first, [1]) == [20]


def test_failures_are_never_restored() -> None:
    runs: Runs = []

    @python_app(cache=True)
    def flaky(x: int) -> int:
        runs.append(x)
        if len(runs) == 1:
            raise OSError("first time")
        return x

    with parslish.load(Config(checkpoint_mode="task_exit")):
        assert flaky(1).exception() is not None
    assert one_run(flaky, [1]) == [1]


def test_a_remembered_failure_is_restored() -> None:
    runs: Runs = []

    @python_app(cache=True, remember=[ZeroDivisionError])
    def divide(x: int) -> float:
        runs.append(x)
        return 1 / x

    for _ in range(2):
        with parslish.load(Config(checkpoint_mode="task_exit")):
            assert isinstance(divide(0).exception(), ZeroDivisionError)
    assert len(runs) == 1


def test_version_stands_for_the_code() -> None:
    runs: Runs = []
    one_run(counting(runs, version="1"), [1])
    other: Any = python_app(lambda x: runs.append(x) or -1, cache=True, version="1")
    other.name = "square"
    assert one_run(other, [1]) == [1]
    assert one_run(counting(runs, version="2"), [1]) == [1]
    assert runs == [1, 1]


def test_aka_finds_results_of_the_earlier_name() -> None:
    runs: Runs = []

    def make(name: str, **options: Any) -> Any:
        def app(x: int) -> int:
            runs.append(x)
            return x

        app.__name__ = app.__qualname__ = name
        return python_app(app, cache=True, version="1", **options)

    one_run(make("old"), [1])
    assert one_run(make("new", aka=["old"]), [1]) == [1]
    assert one_run(make("newer"), [1]) == [1]
    assert runs == [1, 1]


def test_expired_results_are_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: Runs = []
    one_run(counting(runs, expires="1d"), [1])
    one_run(counting(runs, expires="1d"), [1])
    assert runs == [1]
    import time

    now = time.time()
    monkeypatch.setattr("parslish.memo.time.time", lambda: now + 90_000)
    one_run(counting(runs, expires="1d"), [1])
    assert runs == [1, 1]


def test_a_result_whose_output_file_is_gone_is_computed_again() -> None:
    runs: Runs = []

    @python_app(cache=True)
    def write(x: int, outputs: Any = ()) -> int:
        runs.append(x)
        Path(outputs[0]).write_text(str(x))
        return x

    def again() -> None:
        with parslish.load(Config(checkpoint_mode="task_exit")):
            assert write(1, outputs=[parslish.File("out.txt")]).result() == 1

    again()
    again()
    assert runs == [1]
    Path("out.txt").unlink()
    again()
    assert runs == [1, 1]
    assert Path("out.txt").read_text() == "1"


class TestReplay:
    """`cache="replay"`: impure apps, reused at their place in a run that is continued."""

    @staticmethod
    def app(runs: Runs) -> Any:
        @python_app(cache="replay")
        def draw(x: int) -> int:
            runs.append(x)
            return len(runs)

        return draw

    def test_calls_with_equal_arguments_are_not_shared(self) -> None:
        runs: Runs = []
        assert sorted(one_run(self.app(runs), [1, 1, 1])) == [1, 2, 3]

    def test_an_interrupted_run_is_continued_with_its_draws(self) -> None:
        runs: Runs = []
        app = self.app(runs)
        kernel = parslish.load(Config(checkpoint_mode="task_exit"))
        first = [app(1).result(), app(1).result()]
        kernel.stop("killed by the test")  # all that a kill leaves: no clean end
        kernel.cleanup()
        assert one_run(app, [1, 1, 1]) == [*first, 3]

    def test_a_completed_run_starts_afresh_unless_it_is_named(self) -> None:
        runs: Runs = []
        app = self.app(runs)
        first = one_run(app, [1])
        named = parslish.get_last_checkpoint()
        assert one_run(app, [1]) != first
        assert one_run(app, [1], checkpoint_files=named) == first


def test_an_argument_without_identity_runs_uncached_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    runs: Runs = []

    @python_app(cache=True)
    def use(lock: Any, x: int) -> int:
        runs.append(x)
        return x

    with parslish.load(Config(checkpoint_mode="task_exit")):
        assert [use(threading.Lock(), 1).result() for _ in range(3)] == [1, 1, 1]
    assert runs == [1, 1, 1]
    warnings = [r.getMessage() for r in caplog.records if "use runs unmemoized" in r.getMessage()]
    assert len(warnings) == 1 and "'lock'" in warnings[0]


def test_with_strict_keys_it_is_an_error() -> None:
    @python_app(cache=True)
    def use(lock: Any) -> None: ...

    with parslish.load(Config(strict_keys=True)), pytest.raises(parslish.Unidentifiable, match="argument 'lock'"):
        use(threading.Lock()).result()


def test_a_result_that_cannot_be_stored_is_handed_out_with_one_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @python_app(cache=True)
    def generate(x: int) -> Any:
        return (i for i in range(x))

    with parslish.load(Config(checkpoint_mode="task_exit")):
        assert list(generate(3).result()) == [0, 1, 2]
        assert list(generate(4).result()) == [0, 1, 2, 3]
    assert sum("not checkpointed" in r.getMessage() for r in caplog.records) == 1


@pytest.mark.parametrize("limit", [0, 1, 2, 9, 10])
def test_memory_is_bounded_and_what_was_dropped_is_computed_again(limit: int) -> None:
    runs: Runs = []
    app = counting(runs)
    with parslish.load(Config(memo_entries=limit)):
        for x in range(100):
            app(x).result()
        for x in range(100 - (limit + 1) // 2, 100):
            app(x).result()
        assert len(runs) == 100  # the latest half of them are always kept
        for x in range(100 - limit):
            app(x).result()
        assert len(runs) == 100 + 100 - limit  # and never more than all


def test_the_run_says_how_it_ended_and_what_it_continues() -> None:
    app = counting([])
    one_run(app, [1])
    assert card.read(Path("runinfo/000"))["ended"] == "completed"
    with pytest.raises(RuntimeError), parslish.load(Config(checkpoint_mode="task_exit")):
        raise RuntimeError
    assert card.read(Path("runinfo/001"))["ended"] == "ended by RuntimeError"
    one_run(app, [1])
    assert card.read(Path("runinfo/002"))["root"] == card.read(Path("runinfo/001"))["root"]
    assert card.read(Path("runinfo/002"))["root"] != card.read(Path("runinfo/000"))["root"]


def test_two_runs_that_start_at_once_have_folders_of_their_own() -> None:
    gate, kernels = threading.Barrier(4), []

    def start() -> None:
        gate.wait()
        kernels.append(DataFlowKernel())

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(k.run_id for k in kernels) == ["000", "001", "002", "003"]


def test_run_numbers_go_on_beyond_999_and_other_files_do_not_matter() -> None:
    for name in ("000", "998", "1000", "notes", "12x"):
        Path("runinfo", name).mkdir(parents=True)
    Path("runinfo/1001").write_text("a file")
    with parslish.load() as kernel:
        assert kernel.run_id == "1002"


def test_values_that_come_from_tasks_are_digested_once(monkeypatch: pytest.MonkeyPatch) -> None:
    digested: list[Any] = []

    class Big:
        def __parslish_key__(self) -> str:
            digested.append(self)
            return "big"

    @python_app
    def make() -> Big:
        return Big()

    @python_app(cache=True)
    def use(big: Any, i: int) -> int:
        return i

    with parslish.load():
        big = make()
        assert [use(big, i).result() for i in range(20)] == list(range(20))
    assert len(digested) == 1


def test_a_bad_checkpoint_is_named_with_the_reason(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no checkpoint")
    for path, reason in ((tmp_path / "nowhere", "nowhere"), (text, "notes.txt")):
        with pytest.raises(parslish.BadCheckpoint, match=reason):
            parslish.load(Config(checkpoint_files=[str(path)]))
    assert not Path("runinfo").exists(), "nothing was started"


def test_pending_futures_resolve_when_the_kernel_ends() -> None:
    gate: Future[int] = Future()
    app: Callable[..., Any] = counting([])
    kernel = parslish.load(Config(checkpoint_mode="dfk_exit"))
    waiting = app(gate)
    kernel.cleanup()
    assert waiting.cancelled()


def test_the_same_function_as_an_app_of_another_kind_has_results_of_its_own() -> None:
    def say(word: str) -> str:
        return f"echo {word} > /dev/null"

    with parslish.load():
        assert python_app(say, cache=True)("hi").result() == "echo hi > /dev/null"
        assert parslish.bash_app(say, cache=True)("hi").result() == 0
