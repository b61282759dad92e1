"""Keys that are replaced: what the old ones signed goes on being loaded, until their line is removed."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

import parslish
from parslish import Config, python_app, secret
from parslish.secret import Keys, key_file
from parslish.store import frame
from parslish.store.reader import Store


def squares(runs: list[int], upto: int, **config: Any) -> list[int]:
    def square(x: int) -> int:
        runs.append(x)
        return x * x

    app = python_app(square, cache=True)
    with parslish.load(Config(checkpoint_mode="task_exit", **config)):
        return [app(x).result() for x in range(upto)]


def key_ids(run: str) -> list[bytes]:
    """What the segments of a run say they are signed with, results and events."""
    headers = [frame.parse_segment_header(path.read_bytes()) for path in Path("runinfo", run).rglob("*.seg")]
    return [header.key_id for header in headers if header is not None]


def test_after_a_rotation_old_results_load_and_new_ones_are_signed_with_the_new_key() -> None:
    runs: list[int] = []
    squares(runs, 3)
    old = Keys.load()
    new = secret.rotate()
    assert squares(runs, 4) == [0, 1, 4, 9]
    assert runs == [0, 1, 2, 3]
    assert key_ids("000") == [old.id] * 2
    assert key_ids("001") == [new.id] * 2
    # The new key alone opens what is new.
    assert len(Store.open(["runinfo/001/checkpoint"], Keys([new.signing])).report.warnings) == 1  # its base, run 000
    assert len(Store.open(["runinfo/001/checkpoint"], Keys([new.signing]))) == 1


def test_when_the_old_key_is_removed_one_warning_says_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    runs: list[int] = []
    squares(runs, 2)
    squares(runs, 3)
    secret.rotate()
    squares(runs, 4)
    first, *_ = key_file().read_text().splitlines()
    key_file().write_text(f"{first}\n")
    assert squares(runs, 4) == [0, 1, 4, 9]
    assert sorted(runs) == [0, 0, 1, 1, 2, 2, 3]
    (warning,) = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert warning.startswith("not opened, since not signed with a key of yours: ")
    assert "and 1 files more; what they hold is computed again" in warning
    assert f"put their key below yours in {key_file()}" in warning


def test_with_its_line_back_an_old_key_opens_its_results_again() -> None:
    runs: list[int] = []
    squares(runs, 3)
    text = key_file().read_text()
    key_file().unlink()
    squares(runs, 3, checkpoint_files=[])
    key_file().write_text(key_file().read_text() + text)
    squares(runs, 3)
    assert runs == [0, 1, 2] * 2


def test_a_run_that_goes_on_during_a_rotation_loses_nothing() -> None:
    runs: list[int] = []

    @python_app(cache=True)
    def square(x: int) -> int:
        runs.append(x)
        return x * x

    with parslish.load(Config(checkpoint_mode="task_exit")):
        square(1).result()
        secret.rotate()
        square(2).result()
    with parslish.load(Config(checkpoint_mode="task_exit")):
        assert [square(x).result() for x in (1, 2)] == [1, 4]
    assert runs == [1, 2]
