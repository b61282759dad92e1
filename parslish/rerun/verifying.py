"""Owns verifying: some of the stored results are computed once more, and compared with what is stored."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parslish.compare import difference
from parslish.errors import UsageError
from parslish.history import marks
from parslish.history.record import GOOD, STATUSES, RunRecord, TaskRecord
from parslish.secret import Keys
from parslish.store.reader import Store

if TYPE_CHECKING:
    from parslish.guide import Guide
    from parslish.kernel import DataFlowKernel
    from parslish.rerun.handle import RecordedRun

MARK = "verified"


@dataclass(frozen=True)
class Verified:
    """One task that was computed once more.

    Args:
        path: its place in its run.
        equal: whether the same came out.
        difference: in words, where it did not; or why it could not be compared.
    """

    path: str
    equal: bool
    difference: str

    def to_json(self) -> dict[str, Any]:
        """As the command line gives it."""
        return {"path": self.path, "equal": self.equal, "difference": self.difference}


def verify(run: RecordedRun, sample: float, seed: int, keys: Keys) -> list[Verified]:
    """As `RecordedRun.verify`."""
    if not 0 < sample <= 1:
        raise UsageError(f"sample={sample!r}: takes a part between 0 and 1, such as 0.05 for 5 %")
    from parslish.rerun import entry, making

    record = run.record
    chosen = _chosen(record, sample, random.Random(seed), keys)
    if not chosen:
        raise UsageError(
            f"run {run.id} has no task that could be verified: one that is cached, has ended well, and whose result "
            f"and arguments are stored"
        )
    told = making.make(record, keys, verify=chosen)
    path, _ = entry.start(record, told, keys)
    for mark in marks.read(path, keys):
        if mark.what == MARK:
            return [Verified(*each) for each in mark.facts["results"]]
    raise UsageError(
        f"run {path.name}, which was to verify results of run {run.id}, did not come to its end; see its log"
    )


def _chosen(record: RunRecord, sample: float, rng: random.Random, keys: Keys) -> list[int]:
    """That part of the tasks with a key and a result, without those that cannot be verified."""
    from parslish.rerun import by_record, invalidation

    columns, apps = record.columns, record.apps
    ids = [id for id in record.ids() if columns.key[id] is not None and apps[columns.app[id]].kind != "join"]
    good = [id for id in ids if STATUSES[columns.status[id]] in GOOD]
    wanted = max(1, round(sample * len(good)))
    store = Store.open((), keys, found=lambda: invalidation.stores(record.path.parent))

    def can_be(id: int) -> bool:
        needed = (columns.key[each] for each in (id, *columns.dependencies.get(id, ())))
        is_stored = all(key is not None and key in store for key in needed)
        return is_stored and by_record.why_not_kept(TaskRecord(record, id)) is None

    try:
        return sorted(itertools.islice(filter(can_be, rng.sample(good, len(good))), wanted))
    finally:
        store.close()


def compare(kernel: DataFlowKernel, guide: Guide, made: Mapping[int, Future[Any]]) -> None:
    """In the run that verifies: compare what came out with what is stored, and note that beside the run."""
    results = [_compared(kernel, TaskRecord(guide.record, id), future) for id, future in made.items()]
    facts = {"results": [(each.path, each.equal, each.difference) for each in results]}
    marks.write(Path(kernel.run_dir), guide.keys, MARK, facts)


def _compared(kernel: DataFlowKernel, task: TaskRecord, future: Future[Any]) -> Verified:
    assert task.key is not None
    stored = kernel.stored(task.key)
    if stored is None:
        return Verified(task.path, False, "its result is not stored")
    exc = future.exception()
    if exc is not None:
        return Verified(task.path, False, f"it failed this time: {type(exc).__name__}: {exc}")
    found = difference(stored.value, future.result())
    return Verified(task.path, found.equal, str(found))
