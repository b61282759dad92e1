"""How a worker process begins: what it takes over from the driver, and what it does without."""

from __future__ import annotations

import builtins
import multiprocessing
import multiprocessing.shared_memory
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from parslish.executors.processes import ProcessPoolExecutor
from tests.executors import jobs
from tests.executors.contract import PATIENCE_S
from tests.executors.test_processes import await_gone

#: What a worker must be able to start without: each costs every worker of every script.
NOT_IN_A_WORKER = {
    "asyncio", "blake3", "dill", "msgpack", "numpy", "parslish.apps", "parslish.config",
    "parslish.executors.dispatch", "parslish.executors.threads", "parslish.kernel", "parslish.scheduler",
    "parslish.store.log",
}  # fmt: skip


@pytest.fixture
def executor() -> Iterator[ProcessPoolExecutor]:
    executor = ProcessPoolExecutor(max_workers=1)
    yield executor
    executor.shutdown()


def ask(executor: ProcessPoolExecutor, expression: str) -> Any:
    """What an expression gives in a worker; a function of Python's own, so that none of ours is imported for it."""
    return executor.submit(builtins.eval, None, expression, {"m": __import__}).result(PATIENCE_S)


def test_a_worker_imports_only_what_it_needs(executor: ProcessPoolExecutor) -> None:
    loaded = set(ask(executor, "[*m('sys').modules]"))
    assert "parslish.executors.worker" in loaded
    assert not NOT_IN_A_WORKER & loaded


def test_a_worker_has_the_drivers_path_arguments_and_folder(
    executor: ProcessPoolExecutor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["script", "caf\udce9", "-v"])
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "caf\udce9")])
    monkeypatch.chdir(tmp_path)
    assert ask(executor, "m('sys').argv") == sys.argv
    assert ask(executor, "m('sys').path") == sys.path
    assert ask(executor, "m('os').getcwd()") == str(tmp_path)


def test_shared_memory_that_a_task_made_outlives_its_worker(executor: ProcessPoolExecutor) -> None:
    name = ask(executor, "m('multiprocessing.shared_memory').shared_memory.SharedMemory(create=True, size=8).name")
    pid = ask(executor, "m('os').getpid()")
    executor.shutdown()
    assert await_gone(pid, PATIENCE_S)
    memory = multiprocessing.shared_memory.SharedMemory(name)
    memory.close()
    memory.unlink()


def test_a_worker_is_watched_where_the_system_has_no_pidfd(
    executor: ProcessPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    pid = executor.submit(jobs.pid, None).result(PATIENCE_S)
    executor.shutdown()
    assert await_gone(pid, PATIENCE_S)
