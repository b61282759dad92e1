"""The process pool: the contract, and what only it promises."""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import CancelledError, wait
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parslish import codec
from parslish.errors import ConfigurationError, SerializationError, WorkersUnavailable
from parslish.executors import remote
from parslish.executors.processes import ProcessPoolExecutor
from tests.executors import jobs
from tests.executors.contract import PATIENCE_S, ExecutorContract, Recorder, make_try


def is_gone(pid: int) -> bool:
    """Whether a process has ended (a zombie has)."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] == "Z"
    return True


def await_true(condition: Callable[[], bool], seconds: float = PATIENCE_S) -> bool:
    """Poll what another process changes; whether it came true in time."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return condition()


def await_gone(pid: int, seconds: float) -> bool:
    return await_true(lambda: is_gone(pid), seconds)


def await_file(path: Path) -> str:
    """A file that another process writes, when it has something in it."""
    assert await_true(lambda: path.exists() and bool(path.read_text())), f"{path} was not written"
    return path.read_text()


class TestProcessPool(ExecutorContract):
    kind = ProcessPoolExecutor
    arguments = {"max_workers": 2}  # noqa: RUF012 — a ClassVar of the base

    # ------------------------------------------------------------------------- construction

    @pytest.mark.parametrize("count", [0, -1, 1.5, "two"])
    def test_a_wrong_number_of_workers_is_refused(self, count: Any) -> None:
        with pytest.raises(ConfigurationError, match="max_workers"):
            ProcessPoolExecutor(max_workers=count)

    def test_workers_are_as_many_as_the_cpus_we_may_use(self) -> None:
        assert ProcessPoolExecutor().max_workers == len(os.sched_getaffinity(0))

    def test_no_process_is_started_before_there_is_work(self, executor: ProcessPoolExecutor) -> None:
        assert executor._dispatcher is not None
        assert executor._dispatcher._crew.workers == []

    def test_one_task_at_a_time_needs_one_worker(self, executor: ProcessPoolExecutor) -> None:
        pids = {executor.submit(jobs.pid, None).result(PATIENCE_S) for _ in range(20)}
        assert len(pids) == 1

    # ------------------------------------------------------------------------- functions

    def test_a_function_crosses_once_per_worker(self, executor: ProcessPoolExecutor) -> None:
        wait([executor.submit(jobs.identity, None, i) for i in range(2000)], PATIENCE_S)
        wait([executor.submit(jobs.identity, None, i) for i in range(2000)], PATIENCE_S)
        assert executor._dispatcher is not None
        assert 1 <= executor._dispatcher.sent_functions <= 2

    def test_lambdas_and_closures_cross_by_value(self, executor: ProcessPoolExecutor) -> None:
        offset = 5
        assert executor.submit(lambda x: x + offset, None, 1).result(PATIENCE_S) == 6

    def test_a_closure_that_changes_crosses_again(self, executor: ProcessPoolExecutor) -> None:
        state = {"n": 1}

        def read() -> int:
            return state["n"]

        assert executor.submit(read, None).result(PATIENCE_S) == 1
        state["n"] = 2
        assert executor.submit(read, None).result(PATIENCE_S) == 2

    def test_a_function_that_is_no_more_is_not_kept(self, executor: ProcessPoolExecutor) -> None:
        payload = np.ones(1000)

        def total() -> float:
            return float(payload.sum())

        alive = weakref.ref(total)
        assert executor.submit(total, None).result(PATIENCE_S) == 1000.0
        executor.submit(jobs.add, None, 1).result(PATIENCE_S)  # the dispatcher holds nothing of the first
        del total
        gc.collect()
        assert alive() is None
        assert executor.submit(jobs.add, None, 1).result(PATIENCE_S) == 1
        assert executor._dispatcher is not None
        (worker,) = executor._dispatcher._crew.workers
        assert len(worker.functions) == 1

    def test_a_module_loaded_from_a_file_goes_by_value(
        self, executor: ProcessPoolExecutor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = tmp_path / "hidden_away.py"
        source.write_text(
            "class Pair:\n    def __init__(self, a): self.a = a\n"
            "def helper(x): return x + 1\ndef use(x): return Pair(helper(x))\n"
        )
        spec = importlib.util.spec_from_file_location("hidden_away", source)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "hidden_away", module)
        spec.loader.exec_module(module)
        result = executor.submit(module.use, None, 1).result(PATIENCE_S)
        assert isinstance(result, module.Pair)
        assert result.a == 2

    def test_an_argument_of_a_module_that_only_we_have_goes_by_value(
        self, executor: ProcessPoolExecutor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = tmp_path / "hidden_class.py"
        source.write_text("class Thing:\n    def __init__(self, a): self.a = a\n")
        spec = importlib.util.spec_from_file_location("hidden_class", source)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "hidden_class", module)
        spec.loader.exec_module(module)
        back = executor.submit(jobs.identity, None, module.Thing(3)).result(PATIENCE_S)
        assert type(back) is module.Thing
        assert back.a == 3

    def test_a_module_that_was_loaded_again_does_not_run_its_old_code(
        self, executor: ProcessPoolExecutor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        source = tmp_path / "edited.py"
        source.write_text("def helper(): return 'old'\ndef answer(): return helper()\n")
        edited = importlib.import_module("edited")
        assert executor.submit(edited.answer, None).result(PATIENCE_S) == "old"
        source.write_text("def helper(): return 'newer'\ndef answer(): return helper()\n")
        importlib.reload(edited)
        assert executor.submit(edited.answer, None).result(PATIENCE_S) == "newer"
        monkeypatch.delitem(sys.modules, "edited")

    def test_a_path_added_later_reaches_the_workers(
        self, executor: ProcessPoolExecutor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert executor.submit(jobs.add, None, 1).result(PATIENCE_S) == 1
        (tmp_path / "added_later.py").write_text("def answer(): return 42\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        added_later = importlib.import_module("added_later")
        assert executor.submit(added_later.answer, None).result(PATIENCE_S) == 42

    # ------------------------------------------------------------------------- values

    def test_large_values_cross_both_ways_at_once_and_stay_writable(self, executor: ProcessPoolExecutor) -> None:
        arrays = [np.full(4_000_000, i, dtype=np.float64) for i in range(6)]
        futures = [executor.submit(jobs.identity, None, a) for a in arrays]
        for array, future in zip(arrays, futures, strict=True):
            back = future.result(PATIENCE_S)
            assert np.array_equal(back, array)
            back[0] = -1.0

    def test_large_arguments_reach_a_worker_that_is_busy(
        self, executor: ProcessPoolExecutor, sink: Recorder, tmp_path: Path
    ) -> None:
        block = b"x" * 20_000_000
        gate = tmp_path / "gate"
        tries = [make_try(jobs.wait_for, str(gate)) for _ in range(2)]
        tries += [make_try(jobs.identity, block) for _ in range(4)]
        for attempt in tries:
            executor.launch(attempt, sink)
        gate.touch()
        sink.wait(6)
        assert all(sink.reply_to(t).value == block for t in tries[2:])

    def test_the_stored_form_comes_along_when_it_is_asked_for(
        self, executor: ProcessPoolExecutor, sink: Recorder
    ) -> None:
        value = {"a": [1, 2.5, "x"], "b": np.arange(3000)}
        attempt = make_try(jobs.identity, value, encode=True)
        executor.launch(attempt, sink)
        reply = sink.reply_to(attempt)
        assert reply.encoded is not None
        stored = codec.decode(reply.encoded)
        assert stored["a"] == value["a"]
        assert np.array_equal(stored["b"], value["b"])

    def test_without_being_asked_there_is_no_stored_form(self, executor: ProcessPoolExecutor, sink: Recorder) -> None:
        attempt = make_try(jobs.identity, 1)
        executor.launch(attempt, sink)
        assert sink.reply_to(attempt).encoded is None

    def test_what_pickle_cannot_carry_has_no_stored_form_from_the_worker(
        self, executor: ProcessPoolExecutor, sink: Recorder
    ) -> None:
        attempt = make_try(lambda: lambda x: x + 1, encode=True)
        executor.launch(attempt, sink)
        reply = sink.reply_to(attempt)
        assert reply.encoded is None
        assert reply.value(1) == 2

    def test_an_argument_that_cannot_cross_fails_its_task_alone(
        self, executor: ProcessPoolExecutor, sink: Recorder
    ) -> None:
        bad, good = make_try(jobs.identity, (i for i in ())), make_try(jobs.identity, 1)
        executor.launch(bad, sink)
        executor.launch(good, sink)
        exception = sink.reply_to(bad).exception
        assert isinstance(exception, SerializationError)
        assert "task of identity" in str(exception)
        assert "generator" in str(exception)
        assert sink.reply_to(good).value == 1

    def test_a_remote_traceback_is_the_cause(self, executor: ProcessPoolExecutor) -> None:
        exception = executor.submit(jobs.fail, None, "because").exception(PATIENCE_S)
        assert exception is not None
        text = str(exception.__cause__)
        assert "jobs.py" in text
        assert "raise ValueError(message)" in text
        assert "outcome.py" not in text

    def test_what_a_task_prints_is_out_before_its_reply(
        self, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
        executor = ProcessPoolExecutor(max_workers=1)
        executor.submit(jobs.print_, None, "heard").result(PATIENCE_S)
        assert "heard" in capfd.readouterr().out
        executor.shutdown()

    # ------------------------------------------------------------------------- batches

    def test_ten_thousand_short_tasks_are_answered_exactly_once(
        self, executor: ProcessPoolExecutor, sink: Recorder
    ) -> None:
        tries = [make_try(jobs.identity, i) for i in range(10_000)]
        for attempt in tries:
            executor.launch(attempt, sink)
        replies = sink.wait(len(tries))
        executor.shutdown()
        assert sorted(reply.value for reply in replies) == list(range(10_000))
        assert len(sink.replies) == 10_000

    def test_a_long_task_among_short_ones_holds_nobody_back(
        self, executor: ProcessPoolExecutor, sink: Recorder, tmp_path: Path
    ) -> None:
        wait([executor.submit(jobs.maybe_wait, None, None) for _ in range(200)], PATIENCE_S)  # known to be short
        gate = tmp_path / "gate"
        tries = [make_try(jobs.maybe_wait, None) for _ in range(600)]
        tries[100] = long = make_try(jobs.maybe_wait, str(gate))
        for attempt in tries:
            executor.launch(attempt, sink)
        sink.wait(len(tries) - 1)
        assert long not in sink.at
        gate.touch()
        assert sink.reply_to(long).value == str(gate)

    def test_tries_with_a_walltime_are_never_packed(self, executor: ProcessPoolExecutor, sink: Recorder) -> None:
        wait([executor.submit(jobs.identity, None, i) for i in range(500)], PATIENCE_S)
        held: list[int] = []

        class Looks(Recorder):
            def deliver(self, reply: Any) -> None:
                assert executor._dispatcher is not None
                held.append(max((len(w.jobs) for w in executor._dispatcher._crew.workers), default=0))
                super().deliver(reply)

        looks = Looks()
        for i in range(100):
            executor.launch(make_try(jobs.identity, i, walltime=60.0), looks)
        looks.wait(100)
        assert max(held) <= 1

    # ------------------------------------------------------------------------- cancel

    def test_cancel_frees_the_slot_of_a_running_task(
        self, executor: ProcessPoolExecutor, sink: Recorder, tmp_path: Path
    ) -> None:
        attempt = make_try(jobs.say_and_wait, str(tmp_path / "pid"), str(tmp_path / "never"))
        executor.launch(attempt, sink)
        pid = int(await_file(tmp_path / "pid"))
        began = time.monotonic()
        assert executor.cancel(attempt)
        assert isinstance(sink.reply_to(attempt).exception, CancelledError)
        assert time.monotonic() - began < 1.0
        assert is_gone(pid)

    def test_cancel_of_many_waiting_tasks_keeps_the_rest(self, executor: ProcessPoolExecutor, sink: Recorder) -> None:
        tries = [make_try(jobs.identity, i) for i in range(3000)]
        for attempt in tries:
            executor.launch(attempt, sink)
        unwanted = [t for t in tries[::3] if executor.cancel(t)]
        sink.wait(len(tries))
        executor.shutdown()
        assert len(sink.replies) == len(tries)
        for attempt in unwanted:
            assert isinstance(sink.reply_to(attempt).exception, CancelledError)
        kept = set(tries) - set(unwanted)
        assert all(sink.reply_to(t).value == t.args[0] for t in kept)

    def test_a_future_cancelled_while_waiting_is_not_run(self, executor: ProcessPoolExecutor, tmp_path: Path) -> None:
        gate, log = tmp_path / "gate", tmp_path / "log"
        blockers = [executor.submit(jobs.wait_for, None, str(gate)) for _ in range(2)]
        future = executor.submit(jobs.append, None, "ran", str(log))
        assert future.cancel()
        gate.touch()
        wait(blockers, PATIENCE_S)
        assert executor.submit(jobs.add, None, 1).result(PATIENCE_S) == 1
        assert not log.exists()

    # ------------------------------------------------------------------------- ends

    def test_shutdown_ends_the_processes(self, executor: ProcessPoolExecutor, tmp_path: Path) -> None:
        idle = executor.submit(jobs.pid, None).result(PATIENCE_S)
        busy = executor.submit(jobs.say_and_wait, None, str(tmp_path / "pid"), str(tmp_path / "never"))
        pid = int(await_file(tmp_path / "pid"))
        executor.shutdown()
        assert isinstance(busy.exception(PATIENCE_S), CancelledError)
        assert is_gone(idle)
        assert is_gone(pid)

    def test_a_launch_after_shutdown_is_cancelled(self, executor: ProcessPoolExecutor, sink: Recorder) -> None:
        executor.shutdown()
        attempt = make_try(jobs.add, 1)
        executor.launch(attempt, sink)
        assert isinstance(sink.reply_to(attempt).exception, CancelledError)

    def test_a_dropped_executor_ends_its_workers(self) -> None:
        executor = ProcessPoolExecutor(max_workers=1)
        pid = executor.submit(jobs.pid, None).result(PATIENCE_S)
        assert executor._dispatcher is not None
        thread = executor._dispatcher.thread
        del executor
        gc.collect()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
        assert is_gone(pid)

    def test_no_descriptor_is_leaked(self) -> None:
        executor = ProcessPoolExecutor(max_workers=2)
        executor.submit(jobs.add, None, 1).result(PATIENCE_S)
        executor.shutdown()  # the first worker of a process starts loky's resource tracker, too
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            executor.start()
            wait([executor.submit(jobs.add, None, 1) for _ in range(4)], PATIENCE_S)
            executor.shutdown()
        gc.collect()
        assert len(os.listdir("/proc/self/fd")) == before

    @pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
    def test_a_forked_child_begins_anew_with_the_same_executor(self, executor: ProcessPoolExecutor) -> None:
        pid = executor.submit(jobs.pid, None).result(PATIENCE_S)
        child = os.fork()
        if not child:
            code = 1
            try:
                theirs = executor.submit(jobs.pid, None).result(PATIENCE_S)
                parent = executor.submit(jobs.parent, None).result(PATIENCE_S)
                executor.shutdown()
                code = 0 if theirs != pid and parent == os.getpid() else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert executor.submit(jobs.pid, None).result(PATIENCE_S) == pid

    def test_workers_that_cannot_start_fail_what_waits(
        self, executor: ProcessPoolExecutor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: Any, **__: Any) -> Any:
            raise BlockingIOError(11, "Resource temporarily unavailable")

        monkeypatch.setattr("loky.backend.fork_exec.fork_exec", refuse)
        exception = executor.submit(jobs.add, None, 1).exception(PATIENCE_S)
        assert isinstance(exception, WorkersUnavailable)
        assert "temporarily unavailable" in str(exception)
        monkeypatch.undo()
        assert executor.submit(jobs.add, None, 1).result(PATIENCE_S) == 1

    def test_workers_that_die_at_birth_fail_what_waits(
        self, executor: ProcessPoolExecutor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(remote.far, "serve", jobs.kill_self_instead)
        exception = executor.submit(jobs.add, None, 1).exception(PATIENCE_S)
        assert isinstance(exception, WorkersUnavailable)
        assert "-9" in str(exception)
        monkeypatch.undo()
        assert executor.submit(jobs.add, None, 1).result(PATIENCE_S) == 1

    def test_ctrl_c_does_not_reach_tasks(self, executor: ProcessPoolExecutor, tmp_path: Path) -> None:
        future = executor.submit(jobs.say_and_wait, None, str(tmp_path / "pid"), str(tmp_path / "gate"))
        pid = int(await_file(tmp_path / "pid"))
        os.kill(pid, signal.SIGINT)
        (tmp_path / "gate").touch()
        assert future.result(PATIENCE_S) == pid

    def test_concurrent_launches_are_all_answered(self, executor: ProcessPoolExecutor, sink: Recorder) -> None:
        def launch(base: int) -> None:
            for i in range(500):
                executor.launch(make_try(jobs.identity, base + i), sink)

        threads = [threading.Thread(target=launch, args=(1000 * n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(r.value for r in sink.wait(2000)) == sorted(1000 * n + i for n in range(4) for i in range(500))
