"""A run as its record tells it: every way in which a task and a run can end, and whatever happens to the record."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import parslish
from parslish import Config, join_app, python_app
from parslish.errors import BadCheckpoint, UsageError
from parslish.executors import ProcessPoolExecutor, ThreadPoolExecutor
from parslish.history import event
from parslish.history.event import Kind
from parslish.history.record import STATUSES, RunRecord
from parslish.secret import Keys
from parslish.store import frame
from parslish.store.frame import Type
from parslish.store.log import Log
from tests.security import forge

ROOT = Path(parslish.__file__).parents[1]


@python_app(cache=True)
def double(x: int) -> int:
    return 2 * x


@python_app(cache=True)
def add(x: int, y: int = 1) -> int:
    return x + y


@python_app
def failing(x: Any = None) -> None:
    raise ValueError("told so")


@python_app
def failing_at_first(marks: str) -> int:
    marks_path = Path(marks)
    marks_path.mkdir(exist_ok=True)
    count = len(list(marks_path.iterdir()))
    (marks_path / str(count)).touch()
    if count < 2:
        raise OSError(f"failure {count}")
    return count


@python_app(cache=True, remember=[KeyError])
def remembered() -> None:
    raise KeyError("x")


@python_app
def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@python_app
def waiting(path: str) -> None:
    while not Path(path).exists():
        time.sleep(0.01)


@join_app
def each(n: int) -> Any:
    return [double(i) for i in range(n)]


@join_app
def failing_join() -> Any:
    return [failing(1), double(1)]


def read(run: str = "000", **options: Any) -> RunRecord:
    return RunRecord(Path("runinfo", run), Keys.load(), **options)


def statuses(record: RunRecord) -> dict[str, str]:
    return {task.path: task.status for task in record}


# ------------------------------------------------------------------------------------- how tasks end


def test_the_status_of_every_task_is_how_it_ended(tmp_path: Path) -> None:
    with parslish.load(Config(executors=[ThreadPoolExecutor(max_threads=1)])):
        double(1).result()
        double(1).result()
        add(failing(1)).exception()
        blocker, behind = waiting("go"), double(7)
        after = add(behind)
        assert behind.cancel()
        Path("go").touch()
        blocker.result()
        after.exception()
        each(2).result()
        failing_join().exception()
    assert statuses(read()) == {
        "-/double[0]": "done",
        "-/double[1]": "reused",
        "-/failing[0]": "failed",
        "-/add[0]": "upstream_failed",
        "-/waiting[0]": "done",
        "-/double[2]": "cancelled",
        "-/add[1]": "upstream_failed",
        "-/each[0]": "done",
        "-/each[0]/double[0]": "done",
        "-/each[0]/double[1]": "reused",
        "-/failing_join[0]": "failed",
        "-/failing_join[0]/failing[0]": "failed",
        "-/failing_join[0]/double[0]": "reused",
    }


def test_what_is_told_of_a_task() -> None:
    before = time.time()
    with parslish.load(Config(run_dir="runinfo")):
        first = add(3)
        with parslish.scope("scan", 2):
            add(first, y=4).result()
    task = read().task("-/scan[2]/add[0]")
    assert (task.id, task.loc, task.name, task.app.module) == (1, "-.N1", "add", __name__)
    assert before <= task.submitted <= task.started <= task.ended <= time.time()
    assert task.duration >= 0 and task.cpu >= 0 and task.tries == 1 and len(task.key or b"") == 32
    assert task.host == socket.gethostname() and task.worker.startswith(f"{task.host}:{os.getpid()}")
    assert (task.given, task.arguments) == ({"x": {"task": 0}, "y": 4}, {"x": 4, "y": 4})
    assert task.digests == {} and (task.result, list(task.dependencies)) == (8, [0])
    assert (task.error, task.origin, task.missed, task.forced, task.parent, task.label) == (None,) * 6
    assert task.app.line > 0 and task.app.file == __file__ and task.app.parameters == ["x", "y"]
    assert [(part[0], part[1]) for part in task.app.parts][:1] == [("function", f"{__name__}.add")] or task.app.parts


def test_a_result_of_an_earlier_run_is_told_with_its_origin() -> None:
    for _ in range(2):
        with parslish.load(Config(checkpoint_mode="task_exit")):
            double(5).result()
    task = read("001").task(0)
    assert (task.status, task.origin, task.started == task.ended) == ("reused", (0, 0), True)
    assert read().task(0).status == "done"


def test_tries_that_failed_are_told_one_by_one() -> None:
    with parslish.load(Config(retries=5)):
        failing_at_first("marks").result()
    task = read().task(0)
    assert (task.status, task.tries, task.error) == ("done", 3, None)
    assert [(each.number, each.type, each.message) for each in task.failures] == [
        (1, "OSError", "failure 0"),
        (2, "OSError", "failure 1"),
    ]
    assert "marks_path.iterdir" not in task.failures[0].message and "Traceback" in task.failures[0].traceback


def test_why_a_task_failed_is_told() -> None:
    with parslish.load(Config(retries=1)):
        failing().exception()
    task = read().task(0)
    assert task.error is not None and (task.error.type, task.error.message) == ("ValueError", "told so")
    assert (len(task.failures), task.tries, task.duration > 0) == (2, 2, True)


def test_a_worker_that_dies_is_told() -> None:
    with parslish.load(Config(executors=[ProcessPoolExecutor(max_workers=1)], worker_retries=1)):
        killed().exception()
    task = read().task(0)
    assert (task.status, task.tries) == ("failed", 2)
    assert [failure.type for failure in task.failures] == ["WorkerLost"] * 2


def test_a_failure_that_is_remembered_is_a_failure_in_the_run_that_reuses_it() -> None:
    for _ in range(2):
        with parslish.load(Config(checkpoint_mode="task_exit")):
            remembered().exception()
    task = read("001").task(0)
    assert (task.status, task.origin) == ("failed", (0, 0))
    assert task.error is not None and task.error.type == "KeyError"
    assert read("001").status == "failed"


# ------------------------------------------------------------------------------------- how runs end

SCRIPT = r"""
import os, sys, time, parslish
from parslish import python_app, Config
@python_app(cache=True)
def done(x):
    return x
@python_app
def hanging(x):
    os.write(1, b"ready\n")
    time.sleep(1000)
parslish.load(Config(checkpoint_mode="task_exit"))
done(1).result()
hanging(2), hanging(3), done(hanging(4)), done(5)
time.sleep(1000)
"""


@pytest.fixture
def script() -> Any:
    Path("script.py").write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, "script.py"], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    try:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == [b"ready\n"] * 2
        yield process
    finally:
        process.kill()
        process.communicate()


def soon(condition: Callable[[], bool]) -> None:
    """Wait for what is written within `recorder.PERIOD_S`."""
    for _ in range(500):
        if condition():
            return
        time.sleep(0.02)
    pytest.fail("it did not come about in 10 s")


def test_a_run_is_running_until_it_is_killed_and_then_its_open_tasks_are_lost(script: Any) -> None:
    soon(lambda: len(read()) == 6 and read().task(2).status == "running")
    record = read()
    assert (record.status, record.alive, record.ended, record.reason) == ("running", True, 0.0, "")
    words = [task.status for task in record]
    assert words == ["done", "running", "running", "waiting", "waiting", "waiting"]
    script.kill()
    script.wait()
    record = read()
    assert (record.status, record.alive) == ("lost", False)
    assert [task.status for task in record] == ["done", *["lost"] * 5]
    assert record.facts["pid"] == script.pid and list(record.facts["argv"]) == ["script.py"]


def test_a_run_that_is_ended_says_how() -> None:
    with parslish.load():
        double(1).result()
    with parslish.load():
        failing().exception()
    with pytest.raises(KeyError), parslish.load():
        raise KeyError("x")
    assert [read(run).status for run in ("000", "001", "002")] == ["completed", "failed", "ended by KeyError"]
    assert read("002").ended >= read("002").started > 0


def test_a_run_without_tasks_has_none_and_says_so() -> None:
    with parslish.load():
        pass
    record = read()
    assert (len(record), list(record), record.status) == (0, [], "completed")
    with pytest.raises(UsageError, match="run 000 has no task 0; it has none"):
        record.task(0)


# ------------------------------------------------------------------------------------- looking tasks up


@pytest.fixture
def run() -> RunRecord:
    with parslish.load():
        with parslish.scope("scan", 2):
            double(1, label="Si").result()
        each(3).result()
        double(9).result()
    return read()


def test_a_task_is_found_by_id_loc_and_path(run: RunRecord) -> None:
    for task in run:
        assert run.task(task.id) == run.task(str(task.id)) == run.task(task.loc) == run.task(task.path) == task
        assert run.find(task.path) == task and hash(run.find(task.path)) == hash(task)
    assert run.find("-/nothing[0]") is None
    assert [task.path for task in run][:2] == ["-/scan[2]/double[Si]", "-/each[0]"]
    assert run.task("-.N1.N2").path == "-/each[0]/double[2]"
    assert str(run.task(1)) == "<task 1 -/each[0] done>"


@pytest.mark.parametrize(
    ("which", "said"),
    [
        (6, "has no task 6; "),
        (-1, "has no task -1; "),
        (2**70, f"has no task {2**70}; "),
        ("17", "has no task '17'; "),
        ("9" * 5000, "has no task '9999"),
        ("-.N7", "has no task '-.N7'; "),
        ("-/scan[2]/doubel[Si]", "(did you mean '-/scan[2]/double[Si]'?); "),
        ("-/eech[0]/double[1]", "(did you mean '-/each[0]/double[1]'?); "),
        ("double", "has no task 'double'; "),
        ("", "has no task ''; "),
        ("-", "has no task '-'; "),
        ("-/", "has no task '-/'; "),
    ],
)
def test_a_task_that_is_not_there_is_an_error_in_one_sentence(run: RunRecord, which: int | str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        run.task(which)
    sentence = str(caught.value)
    assert said in sentence and sentence.count("\n") == 0
    assert "name one by its id (0 to 5), its loc such as -.N0 or its path such as -/scan[2]/double[Si]" in sentence


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "there is no such folder"),
        (lambda path: path.mkdir(parents=True), "it kept no record (record=False)"),
    ],
)
def test_a_folder_without_a_record_is_an_error_in_one_sentence(make: Callable[[Path], None], said: str) -> None:
    make(Path("runinfo/000"))
    with pytest.raises(UsageError) as caught:
        read()
    assert said in str(caught.value) and "parslish runs" in str(caught.value)


def test_a_run_that_was_told_to_keep_no_record_has_none() -> None:
    with parslish.load(Config(record=False)):
        double(1).result()
    with pytest.raises(UsageError, match=r"it kept no record \(record=False\)"):
        read()


# ------------------------------------------------------------------------------------- signatures


def test_what_others_have_signed_is_no_record_and_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with parslish.load():
        double(1).result()
    monkeypatch.setenv("PARSLISH_KEY_FILE", str(tmp_path / "other"))
    try:
        record = read()
    except BadCheckpoint as exc:
        pytest.fail(f"a listing of runs would end here: {exc}")
    assert len(record) == 0 and record.status == "lost" and dict(record.facts) == {}
    assert record.report.warnings


def test_what_a_card_says_is_not_said_by_the_run() -> None:
    """By its facts a program is started again; anybody may have written a card."""
    Path("runinfo/000/events").mkdir(parents=True, mode=0o700)
    told = {"command": ["sh", "-c", "true"], "executable": "/bin/sh", "entry": {"kind": "script"}, "root": "r"}
    Path("runinfo/000/run.json").write_text(json.dumps(told))
    record = read()
    assert dict(record.facts) == {} and record.card["executable"] == "/bin/sh" and record.root == "r"


# ------------------------------------------------------------------------------------- runs that were moved


def chain() -> None:
    for _ in range(2):
        with parslish.load(Config(checkpoint_mode="task_exit", run_dir="runinfo")) as kernel:
            double(1).result()
            if kernel.run_id == "000":
                kernel._close("stopped")


def test_the_run_that_was_continued_is_found_where_it_is() -> None:
    chain()
    child = read("001")
    assert child.parent == Path("runinfo/000").absolute() and child.root == read().root != ""
    assert read().parent is None


def test_the_run_that_was_continued_is_found_beside_where_both_were_moved() -> None:
    chain()
    shutil.move("runinfo", "moved")
    child = RunRecord(Path("moved/001"), Keys.load())
    assert child.parent == Path("moved/000").absolute()
    assert len(RunRecord(child.parent, Keys.load())) == 1


def test_of_a_copy_the_run_beside_it_is_meant_and_never_one_of_another_chain() -> None:
    chain()
    shutil.copytree("runinfo", "copy")
    shutil.rmtree("runinfo/000")
    shutil.copytree("copy", "third")
    with parslish.load(Config(run_dir="new")):
        double(1).result()
    shutil.move("new/000", "runinfo/000")  # of the same name, and of another chain
    assert RunRecord(Path("copy/001"), Keys.load()).parent == Path("copy/000").absolute()
    shutil.rmtree("third/000")
    shutil.copytree("runinfo/000", "third/000")
    found = RunRecord(Path("third/001"), Keys.load()).parent
    assert found is not None and found.name == "000"


def test_a_run_that_is_gone_is_told_where_it_was() -> None:
    chain()
    shutil.rmtree("runinfo/000")
    assert read("001").parent == Path("runinfo/000").absolute()


# ------------------------------------------------------------------------------------- what is left of a damaged record


def rewritten(change: Callable[[list[forge.Frame]], list[bytes]]) -> None:
    (segment,) = Path("runinfo/000/events").glob("*.seg")
    content = segment.read_bytes()
    frames = [each for each in forge.frames_of(content) if each.header.type == Type.EVENT]
    segment.write_bytes(content[: frame.SEGMENT_HEADER_BYTES] + b"".join(change(frames)))


def split(frames: list[forge.Frame], rng: random.Random) -> list[list[Any]]:
    """The events of frames, in small groups, so that there is something to lose."""
    events = [each for one in frames for each in event.rows(one.body)]
    groups = []
    while events:
        size = rng.randrange(1, 5)
        groups.append(events[:size])
        events = events[size:]
    return groups


@pytest.mark.parametrize("seed", range(30))
def test_whatever_is_lost_of_a_record_what_is_left_is_right(seed: int) -> None:
    print("seed", seed)
    rng = random.Random(seed)
    with parslish.load(Config(retries=1)):
        for i in range(6):
            with parslish.scope("scan", i % 3):
                add(double(i), i).result()
        each(3).result()
        failing().exception()
    whole = read()
    told = {task.id: (task.path, task.loc, task.status, task.name, task.key) for task in whole}
    groups = split_record(rng)
    kept = [group for group in groups if rng.random() < rng.choice((0.3, 0.8, 0.95))]
    rng.shuffle(kept)
    shutil.rmtree("runinfo/000/events")
    log = Log(Path("runinfo/000/events"), keys=Keys.load(), run_number=0, sync="manual")
    for group in kept:
        log.append(Type.EVENT, event.pack(group))
    log.close()
    left = read()
    submitted = {each[1] for group in kept for each in group if each[0] == Kind.SUBMIT}
    assert set(left.ids()) == submitted
    for task in left:
        path, loc, status, name, key = told[task.id]
        assert task.status in (status, "lost", "running", "waiting", "retrying")
        assert "?" in task.path or task.path == path
        assert "?" in task.loc or task.loc == loc
        assert task.name in (name, "?") and task.key in (key, None)
        assert left.find(task.path) is not None
        _ = (task.arguments, task.given, task.failures, task.error, task.parent, task.worker, repr(task))
        assert all(each in told for each in task.dependencies)
    assert left.status in ("failed", "completed", "lost") and left.marks == []


def split_record(rng: random.Random) -> list[list[Any]]:
    (segment,) = Path("runinfo/000/events").glob("*.seg")
    frames = [each for each in forge.frames_of(segment.read_bytes()) if each.header.type == Type.EVENT]
    return split(frames, rng)


def test_a_record_that_is_cut_off_anywhere_is_read_as_far_as_it_goes() -> None:
    with parslish.load():
        for i in range(5):
            double(i).result()
    (segment,) = Path("runinfo/000/events").glob("*.seg")
    content = segment.read_bytes()
    most = 0
    for length in range(0, len(content), max(1, len(content) // 60)):
        segment.write_bytes(content[:length])
        record = read()
        assert len(record) <= 5 and all(task.status in STATUSES for task in record)
        assert len(record) >= most
        most = len(record)
