"""What a run writes down of itself, read back without unpickling anything."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import msgpack
import pytest

import parslish
from parslish import Config, join_app, python_app
from parslish.history import card, event, lineage
from parslish.history.event import FIELDS, Kind
from parslish.history.recorder import GROUP, Recorder, read_events
from parslish.secret import Keys

Events = list[dict[str, Any]]


@python_app(cache=True)
def double(x: int) -> int:
    return 2 * x


@python_app
def fail(x: int) -> None:
    raise ValueError("told so")


@join_app
def each(n: int) -> Any:
    return [double(i) for i in range(n)]


def events_of(run: str = "000") -> Events:
    return list(read_events(Path("runinfo", run), Keys.load()))


def of_kind(events: Events, kind: Kind) -> Events:
    return [e for e in events if e["kind"] is kind]


def test_every_task_is_submitted_started_and_ended_with_its_edges_and_place() -> None:
    with parslish.load() as kernel:
        first = double(1)
        second = double([first])
        second.exception()
        each(2).result()
        assert kernel.run_id == "000"
    events = events_of()
    submitted = {e["task"]: e for e in of_kind(events, Kind.SUBMIT)}
    assert set(submitted) == {0, 1, 2, 3, 4}
    assert submitted[1]["dependencies"] == (0,)
    assert [(submitted[t]["parent"], submitted[t]["position"], submitted[t]["occurrence"]) for t in (2, 3, 4)] == [
        (-1, 2, 0),
        (2, 0, 0),
        (2, 1, 1),
    ]
    apps = {e["app"]: e for e in of_kind(events, Kind.APP)}
    assert apps[submitted[0]["app"]]["name"] == "double" and len(apps[submitted[0]["app"]]["code"]) == 64
    ended = {e["task"]: e for e in of_kind(events, Kind.END)}
    reused = {e["task"]: e for e in of_kind(events, Kind.REUSE)}
    assert set(ended) | set(reused) == set(submitted)
    assert reused[4]["origin_task"] == 0 and reused[4]["key"] == ended[0]["key"]
    workers = {e["worker"]: e["name"] for e in of_kind(events, Kind.WORKER)}
    started = {e["task"]: e for e in of_kind(events, Kind.START)}
    assert workers[started[0]["worker"]].endswith(("threads-0", "threads-1"))
    assert ended[0]["duration"] >= 0 and ended[0]["started"] > 1.7e9


def test_a_failure_has_its_type_message_and_traceback() -> None:
    with parslish.load(Config(retries=1)):
        fail(1).exception()
    failures = of_kind(events_of(), Kind.FAIL)
    assert [(f["state"], f["try"]) for f in failures] == [("fail_retryable", 1), ("failed", 2)]
    assert failures[1]["type"] == "ValueError" and failures[1]["message"] == "told so"
    assert 'raise ValueError("told so")' in failures[1]["traceback"]


def test_the_run_says_where_it_ran_and_how_it_ended() -> None:
    with parslish.load(Config(checkpoint_mode="task_exit")):
        double(1).result()
    with parslish.load(Config(checkpoint_mode="task_exit")):
        double(1).result()
    start = of_kind(events_of("001"), Kind.RUN_START)[0]["facts"]
    assert start["cwd"] == str(Path.cwd()) and start["parslish"] == parslish.__version__
    assert "environ" not in str(start), "the environment may hold secrets"
    assert of_kind(events_of("001"), Kind.REUSE)[0]["origin_run"] == 0
    end = of_kind(events_of("001"), Kind.RUN_END)[0]
    assert (end["reason"], end["counts"]) == ("completed", {"memo_done": 1})
    assert card.read(Path("runinfo/001"))["counts"] == {"memo_done": 1}


def test_events_are_on_disk_soon_without_any_cleanup() -> None:
    parslish.load()
    double(1).result()
    pause = threading.Event()
    for _ in range(200):
        if of_kind(events_of(), Kind.END):
            break
        pause.wait(0.05)
    assert of_kind(events_of(), Kind.END), "not written in 10 s"


def test_the_record_can_be_switched_off() -> None:
    with parslish.load(Config(record=False)):
        assert double(1).result() == 2
    assert not Path("runinfo/000/events").exists()


def test_groups_hold_all_events_in_order(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "events", keys=Keys([b"k" * 32]), run_number=3)
    for i in range(5 * GROUP + 7):
        recorder.add((Kind.WORKER, i, f"w{i}"))
    recorder.close()
    found = [e["worker"] for e in read_events(tmp_path, Keys([b"k" * 32]))]
    assert found == list(range(5 * GROUP + 7))


def test_an_event_that_cannot_be_packed_fails_nothing_and_takes_no_other_with_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    deep: list[Any] = []
    for _ in range(2_000):
        deep = [deep]
    recorder = Recorder(tmp_path / "events", keys=Keys([b"k" * 32]), run_number=3)
    for name in ("before", deep, "after"):
        recorder.add((Kind.WORKER, 1, name))
    recorder.close()
    assert [e["name"] for e in read_events(tmp_path, Keys([b"k" * 32]))] == ["before", "after"]
    assert "cannot be recorded" in caplog.text


def test_a_reader_passes_over_kinds_and_fields_that_it_does_not_know() -> None:
    body = msgpack.packb([(99, "new kind"), (int(Kind.WORKER), 1, "w", "a field of the future")])
    assert list(event.unpack(body)) == [{"kind": Kind.WORKER, "worker": 1, "name": "w"}]


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_has_its_fields(kind: Kind) -> None:
    assert FIELDS[kind]


def test_a_card_that_is_no_card_is_an_empty_one(tmp_path: Path) -> None:
    assert card.read(tmp_path) == {}
    (tmp_path / card.NAME).write_text("{torn")
    assert card.read(tmp_path) == {}
    (tmp_path / card.NAME).write_text("[1]")
    assert card.read(tmp_path) == {}


def test_lineage_continues_what_is_named_or_was_not_completed(tmp_path: Path) -> None:
    checkpoint = tmp_path / "000" / "checkpoint"
    checkpoint.mkdir(parents=True)
    for ended, named, continues in [
        ("completed", False, False),
        ("completed", True, True),
        (None, False, True),
        ("stopped by SIGTERM", False, True),
    ]:
        card.write(checkpoint.parent, {"root": "r", "ended": ended})
        found = lineage.of([str(checkpoint)], named=named)
        assert (found.root == "r") is continues
        assert (found.parent == str(checkpoint.parent)) is continues
    assert lineage.of([], named=False).parent is None
