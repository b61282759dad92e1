"""`FORMAT.md` is enough to read a store: a reader that was written from it alone reads what parslish has written."""

from __future__ import annotations

import ast
import contextlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import parslish
import parslish.store
from parslish import Config, File, codec, python_app
from parslish.errors import PropagatedError
from parslish.history.event import FIELDS, Kind
from parslish.history.recorder import read_events
from parslish.result import StoredResult
from parslish.secret import Keys
from parslish.store.reader import Store
from tests.store import format_reader
from tests.store.format_reader import Result, Segment

PAGE = Path(parslish.store.__file__).with_name("FORMAT.md").read_text()
CHECKPOINTS = [Path("runinfo", run, "checkpoint") for run in ("000", "001")]
#: Kind → name and fields, as the table of the page has them.
KINDS = {
    int(number): (name, fields.split(", "))
    for number, name, fields in re.findall(
        r"^\| (\d+) \| (\w+) \| (.*) \|$", PAGE.split("## Events")[1].split("## Reading")[0], re.MULTILINE
    )
}


def test_the_reader_uses_nothing_of_parslish() -> None:
    tree = ast.parse(Path(format_reader.__file__).read_text())
    names = {
        alias.name if isinstance(node, ast.Import) else node.module or ""
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert not [name for name in names if name.startswith(("parslish", "tests"))]


def test_the_events_of_the_page_are_those_of_the_code() -> None:
    assert {int(kind): (kind.name.lower(), list(FIELDS[kind])) for kind in Kind} == KINDS


@python_app(cache=True)
def small(x: int) -> dict[str, int]:
    return {"x": x}


@python_app(cache=True)
def array(x: int) -> Any:
    return [np.full(200_000, float(x)), "beside", np.arange(150_000)]


@python_app(cache=True)
def text(x: int) -> str:
    return str(x) * (2 << 20)


@python_app(cache=True)
def function(x: int) -> Callable[[int], int]:
    return lambda y: x + y


@python_app(cache=True, remember=[ValueError])
def failing(x: int) -> None:
    raise ValueError("told so", x)


@python_app(cache=True)
def filed(outputs: Any = ()) -> int:
    return Path(outputs[0].filepath).write_text("output")


def one_run(upto: int) -> None:
    with parslish.load(Config(checkpoint_mode="task_exit")):
        futures = [app(x) for x in range(upto) for app in (small, array, text, function, failing)]
        futures += [small(futures[0]), filed(outputs=[File("out.txt")])]
        for future in futures:
            with contextlib.suppress(ValueError, PropagatedError):
                future.result()


@pytest.fixture
def keys() -> list[bytes]:
    """Two runs: the second builds upon the first, and has something invalidated, and something that was taken back."""
    one_run(1)
    one_run(2)
    run = parslish.run()
    run.invalidate("-/small[1]", reason="wrong")
    run.invalidate("-/array[1]", reason="a mistake").undo()
    return list(Keys.load().all())


def as_parslish_reads_them() -> dict[bytes, Result]:
    store = Store.open(CHECKPOINTS, Keys.load())
    found = {}
    for key in {entry for path in CHECKPOINTS for entry, _ in index_of(path)}:
        record = next(iter(store.find(key)), None)
        if record is not None:
            stored = StoredResult.unpack(record.body)
            opened = codec.decode(stored.encoded, record.folder)
            facts = (stored.kind, stored.app, stored.task_id, stored.completed, stored.duration)
            found[key] = Result(*facts, [list(each) for each in stored.outputs], record.run_number, opened)
    return found


def index_of(folder: Path) -> list[tuple[bytes, int]]:
    return [entry for path in folder.glob("*.seg") for entry in Segment(path, list(Keys.load().all())).index() or []]


def comparable(value: Any) -> Any:
    if isinstance(value, BaseException):
        return type(value), value.args
    if callable(value):
        return "called", value(40)
    return [each.tolist() if isinstance(each, np.ndarray) else each for each in value] if type(value) is list else value


def shown(found: dict[bytes, Result]) -> dict[bytes, Any]:
    return {key: each._replace(value=comparable(each.value)) for key, each in found.items()}


def test_results_of_all_forms_are_read_as_parslish_reads_them(keys: list[bytes]) -> None:
    found = format_reader.results(CHECKPOINTS, keys)
    assert shown(found) == shown(as_parslish_reads_them())
    by_app = sorted((each.app, each.kind) for each in found.values())
    assert (
        by_app
        == [("array", 0)] * 2
        + [("failing", 1)] * 2
        + [("filed", 0)]
        + [("function", 0)] * 2
        + [("small", 0)] * 2
        + [("text", 0)] * 2
    ), "one of the three results of small was invalidated"
    assert len(list(Path("runinfo").rglob("*.blob"))) == 4
    (output,) = next(each.outputs for each in found.values() if each.app == "filed")
    assert output == [str(Path("out.txt").absolute()), 6, Path("out.txt").stat().st_mtime_ns]


def test_what_a_store_builds_upon_is_read_with_it_also_when_both_have_moved(keys: list[bytes], tmp_path: Path) -> None:
    alone = shown(format_reader.results(CHECKPOINTS[1:], keys))
    assert alone == shown(format_reader.results(CHECKPOINTS, keys))
    shutil.move("runinfo", tmp_path / "elsewhere")
    there = tmp_path / "elsewhere" / "001" / "checkpoint"
    assert shown(format_reader.results([there], keys)) == alone


def test_an_index_names_the_results_that_are_there(keys: list[bytes]) -> None:
    for path in (each for folder in CHECKPOINTS for each in folder.glob("*.seg")):
        segment = Segment(path, keys)
        found = sorted((head.key, at) for at, head in segment.places() if head.type == format_reader.RESULT)
        assert segment.index() == found


def test_events_are_read_as_parslish_reads_them(keys: list[bytes]) -> None:
    for run in ("000", "001"):
        found = format_reader.events(Path("runinfo", run, "events"), keys, KINDS)
        assert found == [
            {**as_msgpack(each), "kind": each["kind"].name.lower()}
            for each in read_events(Path("runinfo", run), Keys.load())
        ]
        kinds = {each["kind"] for each in found}
        assert {"run_start", "app", "worker", "submit", "start", "end", "fail", "run_end"} <= kinds
    ended = next(each for each in found if each["kind"] == "reuse")
    assert ended["key"] in format_reader.results(CHECKPOINTS, keys)


def as_msgpack(value: Any) -> Any:
    """With lists for tuples, as msgpack does not know them."""
    if isinstance(value, dict):
        return {key: as_msgpack(each) for key, each in value.items()}
    return [as_msgpack(each) for each in value] if isinstance(value, list | tuple) else value


def test_marks_are_events_too(keys: list[bytes]) -> None:
    parslish.run().restart_task("-/small[0]")
    (mark,) = format_reader.events(Path("runinfo/001/marks"), keys, KINDS)
    assert (mark["kind"], mark["what"]) == ("mark", "restart")


def test_what_is_not_whole_or_not_ours_is_passed_over_and_the_rest_is_read(keys: list[bytes]) -> None:
    whole = shown(format_reader.results(CHECKPOINTS, keys))
    (path,) = CHECKPOINTS[0].glob("*.seg")
    content = bytearray(path.read_bytes())
    at, head = next((at, head) for at, head in Segment(path, keys).places() if head.type == format_reader.RESULT)
    content[at + 50] ^= 1  # in the header
    path.write_bytes(content)
    left = shown(format_reader.results(CHECKPOINTS, keys))
    assert left == {key: each for key, each in whole.items() if key != head.key}
    path.write_bytes(content[: at + 100] + content[at + 150 :])  # bytes are missing: from there on it is searched
    assert shown(format_reader.results(CHECKPOINTS, keys)) == left
    assert format_reader.results(CHECKPOINTS, [bytes(32)]) == {}
