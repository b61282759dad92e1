"""The card of a run, also where the disk takes no new file."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from parslish.history import card

FACTS = {"run": 1, "started": 5.0, "ended": None, "packages": {"numpy": "2.0"}}
END = {"ended": "completed", "time_ended": 6.0, "counts": {"exec_done": 10**9, "failed": 3}, "lost_results": 7}


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that makes files, and takes nothing that is to be written to them."""

    def refuse(path: Path, content: bytes) -> None:
        path.write_bytes(content[:4])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(card, "_write_new", refuse)


def test_a_card_is_replaced_whole_and_is_for_its_owner_only(tmp_path: Path) -> None:
    card.write(tmp_path, FACTS)
    with (tmp_path / card.NAME).open() as before:
        card.write(tmp_path, FACTS | END)
        assert json.load(before) == FACTS and card.read(tmp_path) == FACTS | END
    assert os.listdir(tmp_path) == [card.NAME]
    assert (tmp_path / card.NAME).stat().st_mode & 0o777 == 0o600


def test_on_a_full_disk_the_end_of_a_run_is_written_over_its_beginning(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    kept = card.Card(tmp_path, dict(FACTS))
    size = (tmp_path / card.NAME).stat().st_size
    request.getfixturevalue("full")
    kept.note(degraded=True)
    assert card.read(tmp_path) == {**FACTS, "degraded": True}
    kept.note(degraded=False, **END)
    assert card.read(tmp_path) == {**FACTS, **END, "degraded": False}
    assert os.listdir(tmp_path) == [card.NAME]
    assert (tmp_path / card.NAME).stat().st_size == size


def test_what_does_not_fit_costs_the_card_nothing(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    card.write(tmp_path, FACTS | END)
    request.getfixturevalue("full")
    card.write(tmp_path, FACTS | END | {"more": "x" * 2 * card.ROOM_BYTES})
    assert card.read(tmp_path) == FACTS | END
    assert os.listdir(tmp_path) == [card.NAME]


def test_on_a_disk_that_was_full_before_there_is_no_card_and_nothing_else(tmp_path: Path, full: None) -> None:
    card.write(tmp_path, FACTS)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("plant", ["link", "pipe"])
def test_what_was_planted_in_place_of_a_card_is_not_written_over(plant: str, tmp_path: Path, full: None) -> None:
    path: Any = tmp_path / card.NAME
    target = tmp_path / "target"
    target.write_text("x" * 5000)
    path.symlink_to(target) if plant == "link" else os.mkfifo(path)
    card.write(tmp_path, FACTS)
    assert target.read_text() == "x" * 5000
