"""What a run's record keeps of calls, and what opens it again."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import fractions
import uuid
import zoneinfo
from concurrent.futures import Future
from pathlib import Path, PurePosixPath
from typing import Any

import numpy
import pandas
import pytest

import parslish
from parslish import AUTO_LOGNAME, Config, File, bash_app, codec, python_app, recorded
from parslish.errors import SerializationError
from parslish.future import DataFuture
from parslish.history.event import CALL_BYTES
from parslish.history.record import RunRecord, TaskRecord
from parslish.recorded import FAILED_BYTES, ResultOf, opened
from parslish.secret import Keys
from tests.history import evil

KINDS = {"calls": [], "reduced": []}  # type: dict[str, list[Any]]


@python_app(cache=True)
def same(x: Any, *more: Any, **named: Any) -> Any:
    return x


@python_app(cache=True)
def some(n: int) -> Any:
    return {"a": [n, n + 1], 7: "seven"}


@python_app
def uncached(x: Any = None, *more: Any, **named: Any) -> None:
    return None


@python_app
def failing(x: Any, *more: Any, **named: Any) -> None:
    raise ValueError("told so")


@bash_app
def write(text: str, stdout: Any = None, outputs: Any = ()) -> str:
    return f"echo {text}; touch {outputs[0].filepath if outputs else '/dev/null'}"


@python_app
def size(file: Any) -> int:
    return Path(file).stat().st_size


def record() -> RunRecord:
    return RunRecord(Path("runinfo/000"), Keys.load())


def recorded_call(*args: Any, app: Any = uncached, **kwargs: Any) -> TaskRecord:
    """What is recorded of a call."""
    with parslish.load():
        app(*args, **kwargs).exception()
    return record().task(0)


def again(task: TaskRecord) -> tuple[tuple[Any, ...], dict[str, Any]]:
    assert task.call is not None
    return opened(task.call, lambda reference: reference)


# ------------------------------------------------------------------------------------- what is kept


@pytest.mark.parametrize("args", [(), (1,), (1, "a", None, 2.5, True, b"a")])
def test_of_a_call_whose_previews_are_all_nothing_else_is_kept(args: tuple[Any, ...]) -> None:
    task = recorded_call(*args)
    assert (task.call, list(task.given.values())) == (None, list(args))


def test_keywords_that_are_told_in_full_are_no_reason_to_keep_more() -> None:
    task = recorded_call(1, a="b", c=2.5)
    assert (task.call, task.given) == (None, {"x": 1, "a": "b", "c": 2.5})


HERE = datetime.datetime(2020, 1, 2, tzinfo=zoneinfo.ZoneInfo("Europe/Zurich"))
KEPT: list[Any] = [
    "x" * 101, b"x" * 101, [1, 2], (1, [2, {3}]), {"a": {"b": (None,)}}, {1, "b"}, frozenset({2}), 2**100,
    bytearray(b"ab"), range(5), slice(1, None, 2), 1j, ..., Path("a/b"), PurePosixPath("c"), File("a"),
    File("http://host/a"), datetime.datetime(2020, 1, 2), datetime.datetime(2020, 1, 2, tzinfo=datetime.timezone.utc),
    HERE, datetime.time(1, 2), datetime.date(2020, 1, 2), datetime.timedelta(1), decimal.Decimal("1.50"),
    fractions.Fraction(1, 3), uuid.UUID(int=5), numpy.float32(1.5), numpy.str_("a"), numpy.datetime64("2020-01-01"),
    "\udcff" * 200, [File("a")], [], {}, "",
]  # fmt: skip


@pytest.mark.parametrize("value", KEPT, ids=str)
def test_what_is_small_and_simple_is_given_back_as_it_was(value: Any) -> None:
    task = recorded_call([value], named=value)
    ((found,),), kwargs = again(task)
    assert found == value and type(found) is type(value)
    assert kwargs == {"named": value}


def test_small_arrays_are_given_back(tmp_path: Path) -> None:
    given = [numpy.arange(12.0).reshape(3, 4).T, numpy.array(["a"]), numpy.array(1)]
    (found,), _ = again(recorded_call(given))
    for mine, yours in zip(given, found, strict=True):
        assert (mine == yours).all() and mine.dtype == yours.dtype


def test_a_long_text_alone_is_kept_though_such_calls_are_plain() -> None:
    assert again(recorded_call("x" * 4000, 5)) == (("x" * 4000, 5), {})


@pytest.mark.parametrize(
    "value", [list(range(300)), "x" * 5000, numpy.zeros(1000), [[0] * 150] * 5, 10**10_000, {"a": b"x" * 5000}],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_is_large_is_told_of_and_not_kept(value: Any) -> None:
    task = recorded_call(value, named=value)
    assert task.call is None
    assert len(str(task.given)) < 1000


class Meddling:
    """Runs code of its own when it is pickled."""

    def __init__(self) -> None:
        self.content = 5

    def __reduce__(self) -> Any:
        KINDS["reduced"].append(self)
        return Meddling, ()


class OwnText(str):
    def __reduce__(self) -> Any:
        KINDS["reduced"].append(self)
        return OwnText, ("a",)


class OwnPath(PurePosixPath):
    pass


@dataclasses.dataclass
class Pair:
    one: Any
    two: Any


class Having:
    """Has an item of any key."""

    def __getitem__(self, key: Any) -> int:
        return 5


METADATA = numpy.dtype("f8", metadata={"meddling": Meddling()})
NOT_SIMPLE: list[Any] = [
    Meddling(), OwnText("a"), OwnPath("a"), Pair(1, 2), collections.OrderedDict(a=1), collections.Counter("a"),
    slice(Meddling(), None), {Meddling(): 1}, numpy.zeros(1, METADATA), numpy.array([Meddling()]),
    pandas.DataFrame({"a": [1]}), lambda: 1, Pair, datetime.datetime(2020, 1, 1, tzinfo=evil.Zone()),
    datetime.time(1, tzinfo=evil.Zone()),
    datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(0), OwnText("x"))),
]  # fmt: skip


@pytest.mark.parametrize("value", NOT_SIMPLE, ids=lambda value: type(value).__name__)
def test_nothing_that_runs_code_is_pickled_for_a_call_that_did_not_fail(value: Any) -> None:
    KINDS["reduced"].clear()
    evil.called.clear()
    task = recorded_call(value, [value], named=value)
    assert task.call is None and not KINDS["reduced"] and not evil.called
    assert list(task.given) == ["x", "more", "named"] or len(task.given) == 3


def test_a_list_inside_itself_and_a_deep_one_are_told_of() -> None:
    inside: list[Any] = []
    inside.append(inside)
    deep: list[Any] = []
    for _ in range(500):
        deep = [deep]
    task = recorded_call(inside, deep)
    assert task.call is None and task.given["x"] == {"repr": "[[[[…]]]]"}


def test_of_many_arguments_as_many_are_told_as_is_sensible() -> None:
    task = recorded_call(*range(5000), **{f"k{i}": i for i in range(5000)})
    assert task.call is None and len(task.given) < 600
    short = recorded_call_of_run("001", *range(1000))
    assert again(short) == (tuple(range(1000)), {})


def recorded_call_of_run(run: str, *args: Any) -> TaskRecord:
    with parslish.load():
        uncached(*args).result()
    return RunRecord(Path("runinfo", run), Keys.load()).task(0)


# ------------------------------------------------------------------------------------- futures


def call_of(task: int) -> TaskRecord:
    return record().task(task)


def test_futures_wherever_they_are_stand_for_the_results_of_their_tasks() -> None:
    with parslish.load():
        a, b = same(1), some(2)
        same([a, {"k": (b,)}], b["a"][1], named=b[7]).result()
    task = call_of(2)
    args, kwargs = again(task)
    assert args == ([ResultOf(0), {"k": (ResultOf(1),)}], ResultOf(1, (("item", "a"), ("item", 1))))
    assert kwargs == {"named": ResultOf(1, (("item", 7),))}
    results = {0: 1, 1: {"a": [2, 3], 7: "seven"}}
    assert task.call is not None
    assert opened(task.call, lambda found: found.of(results[found.task])) == (
        ([1, {"k": (results[1],)}], 3),
        {"named": "seven"},
    )
    assert (task.given["named"], task.given["*1" if "*1" in task.given else "more"]) == (
        {"task": 1, "of": "[7]"},
        {"task": 1, "of": "['a'][1]"},
    )


def test_a_future_by_itself_is_told_and_needs_no_more() -> None:
    with parslish.load():
        same(same(1), same(2)).result()
    task = call_of(2)
    assert task.call is None and list(task.given.values()) == [{"task": 0}, {"task": 1}]
    assert list(task.dependencies) == [0, 1]


def test_attributes_of_futures_are_kept_as_steps() -> None:
    with parslish.load():
        f = same(Pair(1, {"b": 5}))
        assert same(f.two["b"]).result() == 5
    task = call_of(1)
    (found,), _ = again(task)
    assert found == ResultOf(0, (("attribute", "two"), ("item", "b")))
    assert found.of(Pair(1, {"b": 6})) == 6
    assert task.given["x"] == {"task": 0, "of": ".two['b']"}


def test_a_step_by_a_key_that_runs_code_is_not_kept_nor_told() -> None:
    class Key:
        __repr__ = evil._telling("__repr__")
        __reduce__ = evil._telling("__reduce__")

    key = Key()
    with parslish.load():
        assert same(same(Having())[key]).result() == 5
    task = call_of(1)
    assert task.call is None and not set(evil.called) & {"__repr__", "__reduce__"}
    assert str(task.given["x"]["of"]).startswith("[<")  # type: ignore[index,call-overload]


def test_a_future_of_no_task_is_told_as_such() -> None:
    foreign: Future[int] = Future()
    foreign.set_result(5)
    task = recorded_call(foreign, [foreign])
    assert task.call is None and task.given["x"] == {"repr": "<a future of no task of this run>"}


def test_files_and_futures_of_files_are_files(tmp_path: Path) -> None:
    with parslish.load():
        made = write("a", outputs=[File("out.txt")])
        size(made.outputs[0]).result()
        same([File("out.txt"), made.outputs[0]]).result()
    first, second, third = call_of(0), call_of(1), call_of(2)
    assert (first.outputs, second.inputs, third.inputs) == (("out.txt",), ("out.txt",), ("out.txt", "out.txt"))
    assert second.given["file"] == {"file": "out.txt"} and list(second.dependencies) == [0]
    (reference,), _ = again(second)
    assert reference.task == 0 and reference.of(None) == File("out.txt")
    future: Future[Any] = Future()
    (waiting,), _ = opened(second.call or b"", lambda found: found.of(future))
    assert isinstance(waiting, DataFuture) and not waiting.done()
    future.set_result(0)
    assert waiting.result() == File("out.txt")


def test_what_a_call_says_to_parslish_is_kept_but_its_label() -> None:
    with parslish.load():
        write("a", stdout="a.txt", outputs=[File("b")], label="first").result()
        write("a", stdout=AUTO_LOGNAME, walltime=60, label="second").result()
        uncached(1, parsl_resource_specification={"cores": 1}).exception()
        uncached(1, label="third").result()
    assert again(call_of(0))[1] == {"stdout": "a.txt", "outputs": [File("b")]}
    _, kwargs = again(call_of(1))
    assert kwargs["stdout"] is AUTO_LOGNAME and kwargs["walltime"] == 60.0, "a log of a run is another in the next"
    assert again(call_of(2)) == ((1,), {"parsl_resource_specification": {"cores": 1}})
    assert call_of(3).call is None and call_of(3).label == "third"


# ------------------------------------------------------------------------------------- failed tasks


def test_of_a_failed_task_the_arguments_are_kept_with_the_results_that_it_was_given() -> None:
    with parslish.load():
        failing([same(1), Pair(same(2), 3)], named=some(4)["a"]).exception()
    task = next(each for each in record() if each.name == "failing")
    assert task.failed_call is not None
    args, kwargs = opened(task.failed_call, lambda found: pytest.fail("there are no references"))
    assert (args, kwargs) == (([1, Pair(2, 3)],), {"named": [4, 5]})


def test_of_a_failed_task_even_what_only_dill_can_carry_is_kept() -> None:
    task = recorded_call(lambda x: x + 1, app=failing)
    assert task.call is None and task.failed_call is not None and task.failed_call[0] == codec.DILL
    (function,), _ = opened(task.failed_call, lambda found: found)
    assert function(1) == 2


@pytest.mark.parametrize(
    "value",
    [
        b"x" * FAILED_BYTES,
        numpy.zeros(FAILED_BYTES),
        ["x" * 1000 + str(i) for i in range(2000)],
        [lambda: 1, b"x" * FAILED_BYTES],
    ],
    ids=["bytes", "array", "list", "dill"],
)
def test_of_a_failed_task_what_is_large_is_not_kept(value: Any) -> None:
    task = recorded_call(value, app=failing)
    assert task.failed_call is None and task.status == "failed"
    assert sum(path.stat().st_size for path in Path("runinfo/000/events").iterdir()) < 50_000


def test_a_large_array_of_a_failed_task_is_not_copied() -> None:
    import tracemalloc

    array = numpy.zeros(50_000_000, dtype="u1")
    tracemalloc.start()
    try:
        assert recorded._kept(((array,), {"named": [array]}), FAILED_BYTES) is None
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


class Exiting:
    def __reduce__(self) -> Any:
        raise SystemExit(5)


class Unwilling:
    def __reduce__(self) -> Any:
        raise ValueError("no")


@pytest.mark.parametrize("value", [Exiting(), Unwilling()])
def test_a_failed_task_whose_arguments_cannot_be_pickled_fails_as_it_failed(value: Any) -> None:
    with parslish.load():
        assert str(failing(value).exception(timeout=20)) == "told so"
    task = call_of(0)
    assert task.failed_call is None and task.error is not None and task.error.message == "told so"


def test_a_task_whose_dependency_failed_keeps_nothing_of_it() -> None:
    with parslish.load():
        same(failing(1)).exception()
    task = call_of(1)
    assert (task.status, task.failed_call) == ("upstream_failed", None)


# ------------------------------------------------------------------------------------- opening


def test_what_is_no_call_is_refused_in_a_sentence() -> None:
    for content in (codec.encode(5), codec.encode((1, 2)), codec.encode(((), {}, 3)), b"\0", b"\x80garbage"):
        with pytest.raises(SerializationError):
            opened(content, lambda found: found)


def test_nothing_of_arguments_and_results_is_told_where_previews_are_off() -> None:
    canary, other = "canary-in-an-argument", "canary-in-a-result"

    @python_app(cache=True)
    def takes(x: Any, **named: Any) -> Any:
        return "".join(chr(ord(each)) for each in "canary-in-") + "a-result"

    @python_app
    def fails(x: Any) -> Any:
        raise ValueError("of something else")

    with parslish.load(Config(previews=False, retries=1)):
        first = takes(canary)
        takes(first, named=[canary]).result()
        takes(canary + "x" * 200, named={canary: canary}).result()
        takes(canary).result()
        fails(canary).exception()
        fails([first, canary]).exception()
        takes(File(canary), named=Path(canary)).exception()
    content = b"".join(path.read_bytes() for path in Path("runinfo/000/events").iterdir())
    source = Path(__file__).read_text()
    assert canary not in source[source.index("def takes(") : source.index("with parslish.load(Config(previews=False")]
    assert canary.encode() not in content and other.encode() not in content
    run = record()
    assert len(run) == 7 and {task.status for task in run} == {"done", "failed", "reused"}
    assert all(not task.given and task.call is None and task.failed_call is None for task in run)
    assert CALL_BYTES > 200, "else nothing would be kept in any case"


def test_the_same_calls_are_told_where_previews_are_on() -> None:
    """Else the test before would prove nothing."""
    with parslish.load():
        same("canary-in-an-argument").result()
    content = b"".join(path.read_bytes() for path in Path("runinfo/000/events").iterdir())
    assert content.count(b"canary-in-an-argument") == 2


def identity(x: Any) -> Any:
    return x


def test_futures_of_another_kernel_are_not_taken_for_tasks_of_this_run() -> None:
    with parslish.load(Config(run_dir="one")), parslish.DataFlowKernel(Config(run_dir="other")) as other:
        far = python_app(identity, data_flow_kernel=other)(1)
        python_app(identity)([far]).result()
        python_app(identity)(far).result()
    record = RunRecord(Path("one/000"), Keys.load())
    assert all(task.dependencies == () and task.call is None for task in record)
    assert "no task of this run" in str(record.task(1).given["x"])
