"""Who may be alive is left alone: by what is asked, not by any clock."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import parslish
from parslish.care import compact
from parslish.history import alive
from parslish.store import folder
from parslish.store.disk import OS_DISK
from tests.care.stores import KEYS, Writer, body, key, large

ROOT = Path(parslish.__file__).parents[1]
WRITER = """
import sys
from pathlib import Path
from tests.care.stores import Writer, body, key
from parslish.store.disk import OS_DISK
writer = Writer(OS_DISK, Path("runinfo/000/checkpoint"), run=0).add({key(1): body()})
writer.leave()
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "runinfo" / "000" / "checkpoint"


def torn(store: Path) -> Path:
    """A segment that its writer, this process, has left without closing it."""
    writer = Writer(OS_DISK, store, run=0).add({key(1): body()})
    writer.leave()
    (path,) = store.glob("*.seg")
    content = path.read_bytes()
    writer.close()
    path.write_bytes(content)
    return path


def named(path: Path, *, host: str = "", pid: int = 0) -> Path:
    """The same segment as if another host or process had written it."""
    stamp, was_host, was_pid, *rest = path.name.split("-")
    new = path.with_name("-".join([stamp, host or was_host, str(pid or was_pid), *rest]))
    return path.rename(new)


def card(store: Path, **facts: object) -> None:
    (store.parent / "run.json").write_text(json.dumps(facts))


def no_process() -> int:
    """A number that no process has."""
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def test_a_process_that_writes_is_alive_and_dead_when_it_was_killed(store: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        (path,) = store.glob("*.seg")
        assert alive.segment(path) == f"process {process.pid} still writes to it"
        assert alive.store(store)
        plan = compact.plan([store], KEYS)
        assert plan.is_empty and list(plan.stores[0].left) == [path]
    finally:
        process.kill()
        process.communicate()
    assert alive.segment(path) is None
    assert not alive.store(store)
    assert not compact.plan([store], KEYS).is_empty


def test_a_closed_segment_has_no_writer_whoever_is_alive(store: Path) -> None:
    writer = Writer(OS_DISK, store, run=0).add({key(1): body()})
    writer.log.sync()
    (path,) = store.glob("*.seg")
    assert alive.segment(path) == f"process {os.getpid()} still writes to it"
    writer.close()
    assert alive.segment(path) is None


def test_a_process_that_lives_but_has_no_segment_open_is_not_the_writer(store: Path) -> None:
    path = torn(store)
    assert alive.segment(path) is None, "this process lives, and has closed it"
    assert alive.segment(named(path, pid=no_process())) is None


def test_a_process_that_writes_to_another_segment_may_come_back_to_this_one(store: Path) -> None:
    path = torn(store)
    Writer(OS_DISK, store, run=0).add({key(2): body()}).leave()
    assert "still writes" in (alive.segment(path) or "")


def test_a_process_that_only_reads_is_not_the_writer(store: Path) -> None:
    path = torn(store)
    with path.open("rb"):
        assert alive.segment(path) is None


def test_another_machine_cannot_be_asked_until_its_run_has_ended(store: Path) -> None:
    path = named(torn(store), host="elsewhere", pid=77)
    assert alive.segment(path) == "process 77 on elsewhere may still write to it"
    card(store, host="elsewhere", pid=77, ended=None)
    assert alive.segment(path) is not None
    card(store, host="elsewhere", pid=78, ended="completed")
    assert alive.segment(path) is not None, "a fork of the run, or who thins its store out"
    card(store, host="elsewhere", pid=77, ended="completed")
    assert alive.segment(path) is None


def test_a_segment_of_another_name_that_is_not_closed_may_be_written_to(store: Path) -> None:
    path = torn(store)
    assert "name" in (alive.segment(path.rename(path.with_name("copy.seg"))) or "")


def test_a_run_that_has_not_ended_may_write_though_it_has_no_segment_yet(store: Path) -> None:
    store.mkdir(parents=True)
    card(store, host=socket.gethostname(), pid=os.getpid(), ended=None)
    assert alive.store(store)
    card(store, host=socket.gethostname(), pid=no_process(), ended=None)
    assert not alive.store(store)
    card(store, host="elsewhere", pid=no_process(), ended=None)
    assert alive.store(store)
    card(store, host="elsewhere", pid=1, ended="signal")
    assert not alive.store(store)
    card(store, ended=None)
    assert alive.store(store), "who knows what wrote such a card"


def test_hosts_are_named_as_segments_name_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "a-long name." + "x" * 60)
    writer = alive._writer(Path(folder.segment_name(0.0, bytes(8), 0)))
    assert writer == alive.Process(alive._host(socket.gethostname()), os.getpid())


def test_blobs_stay_as_long_as_a_writer_may_come(store: Path) -> None:
    Writer(OS_DISK, store, run=0).add({key(1): large(store, OS_DISK), key(2): body()}).close()
    Writer(OS_DISK, store, run=1).add({key(1): body()}).close()
    card(store, host=socket.gethostname(), pid=os.getpid(), ended=None)
    plan = compact.plan([store], KEYS).stores[0]
    assert (plan.superseded, plan.blobs) == (1, ())
    card(store, host=socket.gethostname(), pid=no_process(), ended=None)
    assert len(compact.plan([store], KEYS).stores[0].blobs) == 1


def in_another_container() -> str:
    boot, _ = alive.machine().split()
    return f"{boot} pid:[1]"


def test_who_runs_in_another_container_is_left_alone_though_its_process_is_none_of_ours(store: Path) -> None:
    path = named(torn(store), pid=no_process())
    pid = int(path.name.split("-")[2])
    facts = {"host": socket.gethostname(), "pid": pid, "ended": None}
    card(store, **facts, machine=in_another_container())
    assert "in another container" in str(alive.segment(path))
    assert alive.run(store.parent) and alive.store(store)
    assert compact.plan([store], KEYS).is_empty
    for machine in (alive.machine(), f"before-the-last-start {alive.machine().split()[1]}", "", None):
        card(store, **facts, machine=machine)
        assert alive.segment(path) is None, machine
        assert not alive.run(store.parent) and not alive.store(store)


def test_a_user_may_say_that_all_has_ended_on_a_host(store: Path) -> None:
    path = named(torn(store), host="node_17")
    card(store, host="node-17", pid=1, ended=None)
    assert "node_17 may still write" in str(alive.segment(path))
    assert alive.segment(path, ended={"node-17"}) is None
    assert not alive.store(store, ended={"node-17"}) and not alive.run(store.parent, {"node-17"})
    assert alive.store(store, ended={"node-18"})
