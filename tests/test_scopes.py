"""Scopes make blocks of a program places of their own, the same in each run of it."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

import parslish
from parslish import Config, join_app, python_app
from parslish.errors import UsageError
from parslish.history.record import RunRecord
from parslish.secret import Keys
from parslish.task import Task


@python_app
def work(*args: Any) -> None:
    return None


@python_app
def other(*args: Any) -> None:
    return None


def path(**options: Any) -> str:
    """The path of one more call."""
    return str(work(**options).task_record.path)


@pytest.fixture
def kernel() -> Iterator[Any]:
    with parslish.load() as kernel:
        yield kernel


@pytest.mark.usefixtures("kernel")
class TestPaths:
    def test_calls_in_a_scope_are_counted_by_themselves(self) -> None:
        assert path() == "-/work[0]"
        with parslish.scope("scan", 2):
            assert [path(), path(), other().task_record.path] == [
                "-/scan[2]/work[0]",
                "-/scan[2]/work[1]",
                "-/scan[2]/other[0]",
            ]
        assert path() == "-/work[1]"

    def test_scopes_nest(self) -> None:
        with parslish.scope("scan", "Si"), parslish.scope("scf", 0.5):
            assert path() == "-/scan[Si]/scf[0.5]/work[0]"
            with parslish.scope("scan", "Si"):
                assert path(label="last") == "-/scan[Si]/scf[0.5]/scan[Si]/work[last]"

    def test_a_label_that_comes_again_goes_on_in_the_same_place(self) -> None:
        found = []
        for label in (1, 2, 1, "1"):
            with parslish.scope("scan", label):
                found.append(path())
        assert found == ["-/scan[1]/work[0]", "-/scan[2]/work[0]", "-/scan[1]/work[1]", "-/scan[1]/work[2]"]

    def test_blocks_without_a_label_are_counted_as_they_make_their_first_call(self) -> None:
        with parslish.scope("empty"):
            pass
        found = []
        for _ in range(2):
            with parslish.scope("empty"), parslish.scope("inner"):
                found.append(path())
        assert found == ["-/empty[0]/inner[0]/work[0]", "-/empty[1]/inner[0]/work[0]"]

    def test_no_two_calls_have_the_same_path_though_labels_look_like_counts(self) -> None:
        found = []
        for label in (None, 0, None, "1", 1, None, 2):
            with parslish.scope("a", label):
                found.append(path())
        assert len(set(found)) == len(found)
        assert found[:2] == ["-/a[0]/work[0]", "-/a[0]/work[1]"]

    def test_a_scope_makes_a_decorator_whose_every_call_is_a_block(self) -> None:
        @parslish.scope("step")
        def step() -> str:
            return path()

        assert [step(), step()] == ["-/step[0]/work[0]", "-/step[1]/work[0]"]

    def test_a_block_that_raises_is_left(self) -> None:
        with pytest.raises(ValueError), parslish.scope("a"):
            raise ValueError
        assert path() == "-/work[0]"

    def test_a_thread_begins_outside_and_has_blocks_of_its_own(self) -> None:
        inside, found, barrier = threading.Barrier(2), {}, threading.Barrier(2)  # type: ignore[var-annotated]

        def run(label: str) -> None:
            found[label, "before"] = work(label=f"before {label}").task_record.path
            with parslish.scope("thread", label):
                inside.wait(20)
                found[label] = path()
                barrier.wait(20)

        with parslish.scope("main"):
            threads = [threading.Thread(target=run, args=(label,)) for label in "ab"]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(20)
            assert path() == "-/main[0]/work[0]"
        assert (found["a"], found["b"]) == ("-/thread[a]/work[0]", "-/thread[b]/work[0]")
        assert found["a", "before"] == "-/work[before a]"

    def test_asyncio_tasks_begin_where_they_were_made_and_have_blocks_of_their_own(self) -> None:
        async def run(label: str) -> str:
            with parslish.scope("task", label):
                await asyncio.sleep(0)
                found = path()
                await asyncio.sleep(0)
            return f"{found} {path()}"

        async def both() -> list[str]:
            with parslish.scope("main", 1):
                return await asyncio.gather(run("a"), run("b"))

        one, two = asyncio.run(both())
        assert (one.split()[0], two.split()[0]) == ("-/main[1]/task[a]/work[0]", "-/main[1]/task[b]/work[0]")
        assert {one.split()[1], two.split()[1]} == {"-/main[1]/work[0]", "-/main[1]/work[1]"}

    def test_many_threads_in_one_place_get_each_path_once(self) -> None:
        found: list[str] = []

        def run() -> None:
            for i in range(50):
                with parslish.scope("shared", i % 3), parslish.scope("inner"):
                    found.append(path())

        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(set(found)) == len(found) == 200

    @pytest.mark.parametrize("given", ["", "a/b", "a[", "]", "'", '"', "a\nb", "\x1b[31m", "\udcff"])
    def test_a_name_or_label_that_would_spoil_a_path_is_refused(self, given: str) -> None:
        for name, label in ((given, None), ("a", given)):
            with pytest.raises(UsageError, match="a name or label cannot be") as caught, parslish.scope(name, label):
                pytest.fail("the block was entered")
            assert str(caught.value).isprintable()
        assert path() == "-/work[0]", "nothing has changed"


def test_each_kernel_counts_by_itself() -> None:
    found = []
    with parslish.scope("around"):
        for _ in range(2):
            with parslish.load():
                found.append(path())
    assert found == ["-/around[0]/work[0]"] * 2


# ------------------------------------------------------------------------------------- joins

SEEN: dict[str, list[str]] = {}


@join_app
def outer(name: str, fails: int = 0) -> Any:
    seen = SEEN.setdefault(name, [])
    futures = [work()]
    for i in range(2):
        with parslish.scope("block", i), parslish.scope("unlabelled"):
            futures += [work(), inner(name)]
    for _ in range(2):
        with parslish.scope("unlabelled"):
            futures.append(work())
    seen += [each.task_record.path for each in futures]
    if len(seen) <= fails * len(futures):
        raise ValueError("this try fails")
    return futures


@join_app
def inner(name: str) -> Any:
    with parslish.scope("deep", name):
        return work()


def paths_of(record: RunRecord) -> dict[int, tuple[str, str]]:
    return {task.id: (task.path, task.loc) for task in record}


def test_in_the_body_of_a_join_scopes_are_below_the_join_whatever_is_around_its_call() -> None:
    SEEN.clear()
    with parslish.load(), parslish.scope("script"):
        outer("a").result()
    assert SEEN["a"] == [
        "-/script[0]/outer[0]/work[0]",
        "-/script[0]/outer[0]/block[0]/unlabelled[0]/work[0]",
        "-/script[0]/outer[0]/block[0]/unlabelled[0]/inner[0]",
        "-/script[0]/outer[0]/block[1]/unlabelled[0]/work[0]",
        "-/script[0]/outer[0]/block[1]/unlabelled[0]/inner[0]",
        "-/script[0]/outer[0]/unlabelled[0]/work[0]",
        "-/script[0]/outer[0]/unlabelled[1]/work[0]",
    ]
    record = RunRecord(Path("runinfo/000"), Keys.load())
    found = [path for path, _ in paths_of(record).values()]
    assert set(SEEN["a"]) < set(found)
    assert "-/script[0]/outer[0]/block[1]/unlabelled[0]/inner[0]/deep[a]/work[0]" in found


def test_a_second_try_of_a_join_counts_anew() -> None:
    SEEN.clear()
    with parslish.load(Config(retries=1)):
        outer("a", 1).result()
    half = len(SEEN["a"]) // 2
    assert SEEN["a"][:half] == SEEN["a"][half:]
    record = RunRecord(Path("runinfo/000"), Keys.load())
    join = record.task("-/outer[0]")
    last = record.task(SEEN["a"][-1])
    assert last.parent == join and last.id > half, "of two tries, the task of the second is found"


def test_paths_are_the_same_in_a_run_whose_calls_come_in_another_order() -> None:
    def run(order: list[int]) -> dict[str, str]:
        found = {}
        with parslish.load():
            for i in order:
                with parslish.scope("scan", i):
                    found[f"{i} work"] = path()
                    with parslish.scope("relax", "Si"):
                        found[f"{i} relax"] = path(label=f"r{i}")
        return found

    order = list(range(20))
    first = run(order)
    random.Random(5).shuffle(order)
    assert run(order) == first


# ------------------------------------------------------------------------------------- the record has the same paths


class Program:
    """A random program: calls, joins within joins, scopes and labels; it notes every task that it makes."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.tasks: list[Task] = []
        self.left = 60

    def body(self, depth: int) -> list[Any]:
        futures = []
        for _ in range(self.rng.randrange(1, 6)):
            with self.some_scopes():
                futures.append(self.call(depth))
        return futures

    @contextmanager
    def some_scopes(self) -> Iterator[None]:
        with ExitStack() as stack:
            for _ in range(self.rng.choice((0, 0, 1, 2))):
                label = self.rng.choice((None, None, 0, 1, "Si", 2.5, "a b"))
                stack.enter_context(parslish.scope(self.rng.choice(("scan", "work", "-")), label))
            yield

    def call(self, depth: int) -> Any:
        self.left -= 1
        label = {"label": self.rng.choice(("x", 0, "ä/b]"))} if self.rng.random() < 0.2 else {}
        if depth < 4 and self.left > 0 and self.rng.random() < 0.5:
            future = nested(self, depth + 1, **label)
        else:
            future = self.rng.choice((work, other))(*self.rng.sample((1, "a", None), 2), **label)
        self.tasks.append(future.task_record)
        return future


@join_app
def nested(program: Program, depth: int) -> Any:
    return program.body(depth)


@pytest.mark.parametrize("seed", range(25))
def test_the_record_has_the_paths_and_locs_that_the_kernel_has(seed: int) -> None:
    print("seed", seed)
    program = Program(seed)
    with parslish.load(Config(internal_tasks_max_threads=1)):  # one body at a time: they share a random generator
        while program.left > 0:
            for future in program.body(0):
                future.result()
    record = RunRecord(Path("runinfo/000"), Keys.load())
    told = paths_of(record)
    assert told == {task.id: (task.path, task.loc) for task in program.tasks}
    for id, (where, loc) in told.items():
        assert record.task(id).path == where
        assert record.path_of(record.task(where).id) == where
        assert record.loc_of(record.task(loc).id) == loc
