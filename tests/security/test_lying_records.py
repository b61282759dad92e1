"""Records that are signed with a key of ours, and lie: a teammate's, or ones that a bug has written. Whoever reads them
comes to an end, takes no more memory than is sensible, and runs nothing of what is in them."""

from __future__ import annotations

import ast
import itertools
import os
import pickle
import random
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import msgpack
import pytest

import parslish
from parslish.errors import UsageError
from parslish.history import columns, event, previews
from parslish.history.edges import KINDS, Edges, edges
from parslish.history.event import Event, Kind
from parslish.history.record import STATUSES, RunRecord
from parslish.history.recorder import read_events
from parslish.secret import Keys
from parslish.store.frame import Type
from parslish.store.log import Log
from tests.security.forge import Canary

PACKAGE = Path(parslish.__file__).parent
RUN = Path("runinfo/000")
APP = (int(Kind.APP), 0, "work", "script")


def submit(task: int, **said: Any) -> Event:
    given = {"app": 0, "parent": -1, "place": task, "label": None, "dependencies": (), "arguments": (task,), **said}
    place, rest = given["place"], (given.get("scope", -1), (), (), given.get("call"))
    told = given["label"], given["dependencies"], given["arguments"], given.get("keywords")
    return (int(Kind.SUBMIT), task, 1.0 + task, given["app"], given["parent"], place, place, *told, *rest)


def end(task: int, result: Any = 1) -> Event:
    return (int(Kind.END), task, 9.0 + task, bytes(32), None, 9.0, 0.5, 0.5, 0, result)


def scope(number: int, parent: int = -1, outer: int = -1, name: Any = "scan", label: Any = "0") -> Event:
    return (int(Kind.SCOPE), number, parent, outer, name, label)


def lie(*events: Any, bodies: Iterable[bytes] = ()) -> RunRecord:
    """The record of a run that says this of itself."""
    log = Log(RUN / "events", keys=Keys.load(), run_number=0, sync="manual")
    for start in range(0, len(events), 500):
        log.append(Type.EVENT, msgpack.packb(list(events[start : start + 500])))
    for body in bodies:
        log.append(Type.EVENT, body)
    log.close()
    return RunRecord(RUN, Keys.load())


def look_at_everything(record: RunRecord) -> None:
    """Ask a record whatever can be asked."""
    for task in record:
        assert task.status in STATUSES and isinstance(task.path, str) and isinstance(task.loc, str)
        assert record.find(task.path) is not None and isinstance(record.scope_of(task.id), str)
        assert all(isinstance(name, str) and previews.text(each) for name, each in task.arguments.items())
        assert all(isinstance(name, str) for name in (*task.given, *task.digests, task.name, task.worker, task.host))
        assert all(isinstance(each, str) for failure in task.failures for each in failure[2:])
        assert task.call is None or isinstance(task.call, bytes)
        assert task.failed_call is None or isinstance(task.failed_call, bytes)
        assert isinstance(task.app.file + task.app.code + task.app.kind, str)
        assert all(isinstance(each, str) for each in task.app.parameters)
        assert all(isinstance(each, str) for kind, name, _, text in task.app.parts for each in (kind, name, text))
        assert previews.text(task.result) and repr(task) and task.parent != task
        _ = (task.error, task.origin, task.missed, task.forced, task.label, task.key, task.tries, task.cpu)
    assert isinstance(record.status + record.root + record.reason, str)
    assert record.parent is None or isinstance(record.parent, Path)
    assert all(isinstance(each, float | int) for each in (record.started, record.ended))
    assert all(isinstance(mark.what, str) and isinstance(mark.facts, dict) for mark in record.marks)
    assert all(isinstance(name, str) for name in record.workers.values()) and record.number >= -1
    with pytest.raises(UsageError):
        record.task("-/no such[0]")
    walk(record)


def walk(record: RunRecord) -> None:
    ids = list(record.ids())
    for edge in edges(record, KINDS):
        assert edge.source != edge.to and edge.source < len(record) and edge.to < len(record)
    found = Edges(record)
    for id in ids[:20]:
        assert id in found.ancestors([id]) & found.descendants([id])
    assert sorted(found.topological(ids)) == ids


# ------------------------------------------------------------------------------------- who is whose parent


def test_a_task_that_is_its_own_ancestor_is_passed_over() -> None:
    record = lie(APP, submit(0, parent=0), submit(1, parent=2), submit(2, parent=1), submit(3), submit(4, parent=3))
    assert [task.path for task in record] == ["-/?[?]/work[2]", "-/work[3]", "-/work[3]/work[4]"]
    look_at_everything(record)


def test_scopes_inside_each_other_end() -> None:
    record = lie(
        APP, scope(0, 5, 0), scope(1, 0, 2), scope(2, 0, 1), scope(3, 3, 2**40), scope(-7, -7, -8),
        *[submit(id, scope=id % 4) for id in range(6)], submit(6, scope=-7), submit(7, scope=2**31 - 1),
        submit(8, parent=7, scope=0),
    )  # fmt: skip
    assert [task.path for task in record if task.id not in (1, 2, 3)] == [
        "-/scan[0]/work[0]",
        "-/scan[0]/work[4]",
        "-/scan[0]/work[5]",
        "-/?[?]/work[7]",
        "-/?[?]/work[7]/scan[0]/work[8]",
    ]
    look_at_everything(record)


def test_dependencies_that_go_round_or_nowhere_are_none() -> None:
    record = lie(
        APP, submit(0, dependencies=(0, 1, 5)), submit(1, dependencies=(0, 2, -1, 2**40)), submit(2, dependencies=(1,)),
        submit(3, dependencies=tuple([2] * 3)), submit(4, dependencies=("a",)), submit(5, dependencies=(1.5,)),
    )  # fmt: skip
    assert dict(record.columns.dependencies) == {1: (0,), 2: (1,), 3: (2, 2, 2)}
    assert Edges(record).ancestors([3]) == {0, 1, 2, 3}
    look_at_everything(record)


def test_a_chain_of_joins_deeper_than_any_stack_has_paths_and_an_end() -> None:
    deep = 20_000
    record = lie(APP, *[submit(id, parent=id - 1, place=0) for id in range(deep)])
    assert record.path_of(500) == "-" + "/work[0]" * 501 and record.loc_of(500) == "-" + ".N0" * 501
    tracemalloc.start()
    try:
        last = record.path_of(deep - 1)
        assert last.startswith("…19000.-1/") and record.loc_of(deep - 1).startswith("…18999.N0") and len(last) < 20_000
        assert tracemalloc.get_traced_memory()[1] < 400_000_000
    finally:
        tracemalloc.stop()
    assert len({task.path for task in record}) == deep and record.task(last).id == deep - 1
    assert record.task(record.loc_of(deep - 1)).id == deep - 1
    found = Edges(record)
    assert len(found.ancestors([deep - 1])) == len(found.topological(range(deep))) == deep


def test_a_chain_of_scopes_deeper_than_any_stack_has_paths_and_an_end() -> None:
    deep = 20_000
    scopes = [scope(number, outer=number - 1) for number in range(deep)]
    record = lie(APP, *scopes, submit(0, scope=deep - 1), submit(1, scope=0))
    assert record.path_of(0).startswith("…-1.19000/scan[0]/") and record.path_of(1) == "-/scan[0]/work[1]"


# ------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize("id", [2**31 - 1, 2**31, 2**40, 2**63 - 1, 2**64 - 1])
@pytest.mark.parametrize("make", [submit, end, lambda id: (int(Kind.START), id, 1.0, 1, 0)])
def test_an_id_that_cannot_be_takes_no_memory(id: int, make: Any) -> None:
    lie(APP, submit(0), make(id))
    tracemalloc.start()
    try:
        record = RunRecord(RUN, Keys.load())
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
    assert len(record) == 1
    look_at_everything(record)


def test_the_largest_id_that_may_be_takes_what_a_record_of_that_size_may() -> None:
    """A record of which most was lost still tells of the rest."""
    record = lie(APP, submit(0), submit(60_000))
    assert [task.id for task in record] == [0, 60_000] and record.task(60_000).path == "-/work[60000]"
    tracemalloc.start()
    try:
        RunRecord(RUN, Keys.load())
        assert tracemalloc.get_traced_memory()[1] < 12_000_000
    finally:
        tracemalloc.stop()


def test_apps_workers_and_parents_that_are_not_there_have_no_names() -> None:
    record = lie(
        submit(0, app=7), submit(1, app=2**31 - 1), submit(2, app=-1), submit(3, app=-5), submit(9, app=7, parent=5),
        (int(Kind.START), 0, 1.0, 1, 99), (int(Kind.START), 1, 1.0, -7, -99),
    )  # fmt: skip
    assert [task.path for task in record] == ["-/?[0]", "-/?[1]", "-/?[?]/?[9]"]
    assert [task.worker for task in record] == [""] * 3
    assert record.task(9).parent is not None and record.task(9).parent.name == "?"  # type: ignore[union-attr]
    look_at_everything(record)


# ------------------------------------------------------------------------------------- wrong types everywhere

WRONG: Sequence[Any] = (
    None, True, -1, 2**40, 2**63, -(2**63), 1.5, float("nan"), float("inf"), "", "text", "\x1b[31m", b"bytes", [], {},
    ["a"], [[1]], {"a": 1}, {"task": 5}, {"task": 2**60}, {"task": "x"}, {"task": {}}, {"file": 5}, {"repr": []},
    {1: 2}, {"of": "x"}, [None] * 300, [{"a": [{}]}], msgpack.ExtType(3, b"x"), msgpack.Timestamp(1),
)  # fmt: skip
HONEST: Sequence[Event] = (
    (int(Kind.RUN_START), 1.0, {"root": "r", "parent": "/a/000", "host": "h", "pid": 1}),
    (
        int(Kind.APP),
        0,
        "work",
        "m",
        "c0de",
        "python",
        "True",
        "1",
        "f.py",
        3,
        ["x"],
        [["function", "m.work", b"", "t"]],
    ),
    (int(Kind.WORKER), 0, "host:1"),
    scope(0),
    submit(0),
    submit(1, parent=0, dependencies=(0,), keywords={"y": {"task": 0}}, label="a", scope=0, call=b"call"),
    (int(Kind.ARGUMENTS), 1, ["x", "y"], [b"", b"12345678"], [1, {"repr": "[]"}]),
    (int(Kind.START), 1, 2.0, 1, 0),
    end(1),
    (int(Kind.REUSE), 0, 2.0, bytes(32), None, 5, 1),
    (int(Kind.FAIL), 1, 2.0, 1, "failed", "E", "m", "t", bytes(32), 0, b"call"),
    (int(Kind.MISS), 1, "expired", "d"),
    (int(Kind.FORCE), 1, "why"),
    (int(Kind.TROUBLE), 1.0, "results", "m"),
    (int(Kind.MARK), 1.0, "restart", {"paths": ["-/work[0]"]}),
    (int(Kind.RUN_END), 3.0, "completed", {"exec_done": 1}),
)


def test_what_is_honest_is_told() -> None:
    """Else nothing that follows would prove anything."""
    record = lie(*HONEST)
    look_at_everything(record)
    task = record.task(1)
    assert (task.path, task.status, task.worker) == ("-/work[0]/scan[0]/work[a]", "failed", "host:1")
    assert (task.arguments, task.call, task.failed_call) == ({"x": 1, "y": {"repr": "[]"}}, b"call", b"call")
    assert (record.root, record.status, len(record.marks)) == ("r", "failed", 1)


@pytest.mark.parametrize("place", range(len(HONEST)), ids=lambda place: Kind(HONEST[place][0]).name.lower())
def test_a_lie_in_any_field_of_an_event_leaves_a_record_that_can_be_read(place: int) -> None:
    honest = HONEST[place]
    for field, wrong in itertools.product(range(1, len(honest)), WRONG):
        lying = [*HONEST[:place], (*honest[:field], wrong, *honest[field + 1 :]), *HONEST[place + 1 :]]
        if not _can_be_packed(lying):
            continue
        record = _folded(lying)
        look_at_everything(record)


def _can_be_packed(events: Sequence[Any]) -> bool:
    try:
        return bool(msgpack.packb(events))
    except OverflowError:
        return False


def _folded(events: Sequence[Any]) -> RunRecord:
    """As `lie`, without a file for each."""
    if not RUN.exists():
        lie(*HONEST)
    found = columns.Columns()
    found.fold([event.rows(msgpack.packb(list(events)))])
    with mock.patch("parslish.history.record.read", lambda *args, **kwargs: found):
        return RunRecord(RUN, Keys.load())


@pytest.mark.parametrize("seed", range(60))
def test_a_record_of_random_lies_can_be_read(seed: int) -> None:
    print("seed", seed)
    rng = random.Random(seed)
    events = []
    for _ in range(200):
        honest = list(rng.choice(HONEST))
        for field in range(1, len(honest)):
            if rng.random() < 0.15:
                honest[field] = rng.choice([each for each in WRONG if each != 2**63])
            elif field == 1 and type(honest[1]) is int:
                honest[1] = rng.randrange(40)
        events.append(honest[: rng.choice((len(honest), len(honest), rng.randrange(len(honest)) + 1))])
    look_at_everything(_folded(events))


BODIES = (
    b"", b"\0", b"\xc1", b"\x93", b"\x91" * 5000, b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xa1\xff",
    msgpack.packb(7), msgpack.packb("text"), msgpack.packb({"a": 1}), msgpack.packb([1, "a", {}, [], [[]], [None]]),
    msgpack.packb([[["a"], 1]]), msgpack.packb([[{"a": 1}]]), pickle.dumps([1, 2]),
)  # fmt: skip


def test_bodies_that_are_no_events_cost_themselves() -> None:
    record = lie(*HONEST, bodies=BODIES)
    assert record.task(1).status == "failed"
    look_at_everything(record)
    assert len(list(read_events(RUN, Keys.load()))) >= len(HONEST)


# ------------------------------------------------------------------------------------- much of it


def test_a_record_of_nothing_but_lies_takes_memory_in_keeping_with_its_size() -> None:
    rng = random.Random(5)
    events = [end(rng.randrange(2**33)) for _ in range(50_000)]
    lie(APP, *events)
    size = sum(path.stat().st_size for path in (RUN / "events").iterdir())
    tracemalloc.start()
    began = time.monotonic()
    try:
        record = RunRecord(RUN, Keys.load())
        assert tracemalloc.get_traced_memory()[1] < 20 * size
    finally:
        tracemalloc.stop()
    assert time.monotonic() - began < 60 and list(record) == []


# ------------------------------------------------------------------------------------- nothing is run


def test_nothing_that_a_record_holds_is_opened(tmp_path: Path) -> None:
    canary = Canary(tmp_path / "sang")
    song = pickle.dumps(canary)
    record = lie(
        (int(Kind.RUN_START), 1.0, {"argv": [song], "orders": song, "entry": {"inputs": song}}),
        (int(Kind.APP), 0, "work", "m", "", "python", "", None, "", 0, [], [["constant", "n", song, "t"]]),
        submit(0, arguments=(song,), call=song, keywords={"x": song}),
        (int(Kind.ARGUMENTS), 0, ["x"], [song], [song]),
        (int(Kind.FAIL), 0, 2.0, 1, "failed", "E", "m", "t", song, 0, song),
        end(0, song),
        (int(Kind.MARK), 1.0, "edit", {"path": "-/work[0]", "arguments": song, "result": song}),
    )
    look_at_everything(record)
    assert record.task(0).call == record.task(0).failed_call == song and not canary.sang
    pickle.loads(song)
    assert canary.sang, "the canary would not have sung"


def test_all_that_a_record_is_read_with_cannot_unpickle() -> None:
    seen, left = set(), ["history.record", "history.edges", "history.recorder"]
    while left:
        module = left.pop()
        path = PACKAGE / f"{module.replace('.', '/')}.py"
        if module in seen or not path.exists():
            continue
        seen.add(module)
        for names in _imported(ast.parse(path.read_text())):
            assert not names & {"pickle", "dill", "cloudpickle", "marshal", "shelve", "codec"} or module in ALLOWED, (
                module
            )
            left += names
    assert {"history.columns", "history.previews", "store.reader", "store.frame"} <= seen


UNPICKLING = {"pickle", "dill", "cloudpickle", "marshal", "shelve", "codec"}
#: Which import something of that name, and open nothing with it.
ALLOWED = {"identity.atoms"}  # marshal, to write


def _imported(tree: ast.AST) -> Iterable[set[str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inside = node.module.removeprefix("parslish").removeprefix(".")
            found = {alias.name for alias in node.names}
            yield found | {f"{inside}.{name}".lstrip(".") for name in found} | {inside or node.module}


READ = """
import pickle, sys
from pathlib import Path
import parslish.history.record as record
def refuse(*args, **kwargs):
    raise SystemExit("something was unpickled")
import _pickle
for module in (pickle, _pickle):
    module.loads = module.load = module.Unpickler = refuse
if "dill" in sys.modules: sys.exit("dill is loaded")
from parslish.secret import Keys
run = record.RunRecord(Path("runinfo/000"), Keys.load())
print([(task.path, task.status, task.arguments, task.result) for task in run])
if "dill" in sys.modules: sys.exit("dill was loaded")
"""


def test_a_real_record_is_read_by_a_process_that_cannot_unpickle() -> None:
    @parslish.python_app(cache=True)
    def work(x: Any) -> Any:
        return x

    with parslish.load():
        work([1, {"a": 2}]).result()
    done = subprocess.run(
        [sys.executable, "-c", READ], capture_output=True, text=True, timeout=60, cwd=Path.cwd(),
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
    )  # fmt: skip
    assert done.returncode == 0 and "-/work[0]" in done.stdout, done.stderr
