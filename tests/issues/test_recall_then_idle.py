"""A worker whose jobs were called back during a long one gets new jobs as soon as that is answered.

The shared cell may still name the answered job then; a pool that went by it waited for ever, its workers idle.
"""

from __future__ import annotations

import random
import time
from types import SimpleNamespace
from typing import Any

from parslish.executors.processes import ProcessPoolExecutor
from parslish.executors.remote import RemoteWorker
from tests.executors.contract import Recorder, make_try


def a_worker(running: int) -> Any:
    """A worker as the driver sees it, without a process."""
    worker: Any = object.__new__(RemoteWorker)
    worker.ready, worker.load_s, worker._recalled = True, 0.0, 0
    worker.jobs = {n: SimpleNamespace(cost_s=0.0) for n in (running, running + 1)}
    worker.cell = SimpleNamespace(job=running)
    worker.sent = []
    worker.channel = SimpleNamespace(send=worker.sent.append)
    return worker


def test_the_answer_opens_it_though_the_cell_still_names_the_job() -> None:
    worker = a_worker(running=5)
    worker.recall()
    worker.recall()
    assert len(worker.sent) == 1 and not worker.has_room
    worker.release(6)  # given back
    assert not worker.has_room
    worker.release(5)  # answered
    assert worker.cell.job == 5 and worker.has_room


def test_nothing_is_recalled_on_account_of_an_answered_job() -> None:
    worker = a_worker(running=5)
    worker.release(5)
    worker.recall()
    assert not worker.sent and worker.has_room


def test_many_short_jobs_behind_long_ones_are_all_answered() -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    rng = random.Random(seed)
    executor, sink = ProcessPoolExecutor(max_workers=2), Recorder()
    executor.start()
    attempts = [make_try(time.sleep, rng.choice([0.0] * 20 + [0.015, 0.03])) for _ in range(1500)]
    for attempt in attempts:
        executor.launch(attempt, sink)
    sink.wait(len(attempts))
    executor.shutdown()
