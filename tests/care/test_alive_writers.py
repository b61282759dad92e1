"""Nobody who may be alive is touched (I5), whatever is asked for: what a process still writes to stays as it is, and so
do the large values that it may be about to refer to."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from parslish.care import compact, prune
from parslish.care.plan import Plan
from parslish.care.rewrite import carry_out
from parslish.care.selection import Filter
from parslish.store.disk import OS_DISK
from parslish.store.reader import Store
from tests.care.stores import KEYS, Writer, body, key, large

Planned = Callable[[Path, bool], Plan]


def compacting(store: Path, force: bool) -> Plan:
    return compact.plan([store], KEYS, force=force)


def pruning(store: Path, force: bool) -> Plan:
    return prune.plan([store], Filter(apps=("relax",)), KEYS, force=force)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "runinfo" / "000" / "checkpoint"


def card(store: Path, **facts: object) -> None:
    (store.parent / "run.json").write_text(json.dumps({"host": socket.gethostname(), **facts}))


def ended_process() -> int:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def carried_out(plan: Plan) -> Plan:
    if not plan.is_empty:
        carry_out(plan)
    return plan


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("planned", [compacting, pruning], ids=lambda each: each.__name__)
def test_what_a_process_writes_to_stays_and_the_process_goes_on(store: Path, planned: Planned, force: bool) -> None:
    Writer(OS_DISK, store, run=0).add({key(1): body(), key(2): body("scf")}).close()
    (closed,) = store.iterdir()
    writer = Writer(OS_DISK, store, run=1).add({key(1): body(text=b"newer"), key(3): body()})
    writer.leave()
    (segment,) = set(store.iterdir()) - {closed}
    before = segment.stat().st_ino, segment.read_bytes()
    plan = carried_out(planned(store, force))
    assert [path for path, reason in plan.stores[0].left.items() if "still writes to it" in reason] == [segment]
    assert (segment.stat().st_ino, segment.read_bytes()) == before
    writer.add({key(4): body(text=b"later")}).close()
    found = Store.open([store], KEYS)
    assert found.report.warnings == []
    bodies = {n: [record.body for record in found.find(key(n))][:1] for n in (1, 3, 4)}
    assert bodies == {1: [body(text=b"newer")], 3: [body()], 4: [body(text=b"later")]}


@pytest.mark.parametrize("planned", [compacting, pruning], ids=lambda each: each.__name__)
def test_large_values_stay_as_long_as_a_process_may_be_about_to_refer_to_them(store: Path, planned: Planned) -> None:
    value = large(store, OS_DISK, b"x" * 1000)
    Writer(OS_DISK, store, run=0).add({key(1): value, key(2): body("scf")}).close()
    Writer(OS_DISK, store, run=1).add({key(1): body(text=b"newer"), key(3): body("scf")}).close()
    (blob,) = store.glob("*.blob")
    card(store, pid=os.getpid(), ended=None)
    planned_here = planned(store, False)
    assert planned_here.stores[0].blobs == ()
    carried_out(planned_here)
    assert blob.exists(), "this process is the run's, and may store an equal value at any moment"
    card(store, pid=ended_process(), ended=None)
    Writer(OS_DISK, store, run=2).add({key(2): body("scf", b"newest")}).close()
    carried_out(compacting(store, False))
    assert not blob.exists()


@pytest.mark.parametrize("planned", [compacting, pruning], ids=lambda each: each.__name__)
def test_large_values_stay_when_a_process_has_come_since_the_plan_was_made(store: Path, planned: Planned) -> None:
    value = large(store, OS_DISK, b"x" * 1000)
    Writer(OS_DISK, store, run=0).add({key(1): value, key(2): body("scf")}).close()
    Writer(OS_DISK, store, run=1).add({key(1): body(text=b"newer"), key(3): body("scf")}).close()
    (blob,) = store.glob("*.blob")
    plan = planned(store, False)
    assert plan.stores[0].blobs == (blob,)
    card(store, pid=os.getpid(), ended=None)
    carried_out(plan)
    assert blob.exists()
