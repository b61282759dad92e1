"""Keys that are replaced: what the old ones signed goes on being loaded, until their line is removed."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

import parslish
from parslish import Config, python_app, secret
from parslish.cli import main
from parslish.secret import Keys, key_file
from parslish.store import frame
from parslish.store.reader import Store

PAGE = " ".join((Path(parslish.__file__).parents[1] / "SECURITY.md").read_text().split())


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


def promised(sentence: str) -> None:
    """What follows checks a sentence of the page, which has to be there."""
    assert sentence in PAGE


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    return (main(list(arguments)), *capsys.readouterr())


def test_the_rotation_of_the_page_from_the_first_step_to_the_last(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    runs: list[int] = []
    squares(runs, 2)
    squares(runs, 2)
    old = Keys.load()

    assert run(capsys, "key", "rotate")[0] == 0
    new, *_ = key_file().read_text().splitlines()
    promised("Old results go on loading")
    assert (squares(runs, 2), runs) == ([0, 1], [0, 1])
    promised("Keep the old line as long as you want to ask runs of before")
    assert run(capsys, "show", "0")[0] == 0

    assert run(capsys, "checkpoint", "compact", "--yes")[0] == 0
    promised("it signs the results in `checkpoint` folders anew")
    promised("It does not sign the records of runs anew (`events` and `marks`)")
    (checkpoint,), (events,) = (list(Path("runinfo/000", part).glob("*.seg")) for part in ("checkpoint", "events"))
    ids = [frame.parse_segment_header(path.read_bytes()) for path in (checkpoint, events)]
    assert [header and header.key_id for header in ids] == [Keys.load().id, old.id]

    whole = key_file().read_text()
    key_file().write_text(f"{new}\n")
    promised("Results that were signed anew load as before")
    caplog.clear()
    assert (squares(runs, 2), runs) == ([0, 1], [0, 1])
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []
    promised("Runs of before are still listed, but cannot be asked")
    code, out, _ = run(capsys, "runs")
    assert (code, [line.split()[:2] for line in out.splitlines()[1:3]]) == (
        0,
        [["000", "completed"], ["001", "completed"]],
    )
    promised("says that it is signed with a key that is not in your key file")
    for command in (
        ["show", "0"],
        ["why", "-/square[0]", "1"],
        ["select", "square", "0"],
        ["diff", "0", "1"],
        ["checkpoint", "prune", "--reachable-from", "1", "--dry-run"],
        ["checkpoint", "export", "runinfo", "target", "--reachable-from", "1", "--dry-run"],
    ):
        code, _, err = run(capsys, *command)
        assert code in (2, 3), command
        assert f"signed with a key that is not in {key_file()}: if it was one of yours, put its line back" in err
        assert "damaged" not in err
    assert run(capsys, "show", "3")[0] == run(capsys, "why", "-/square[0]", "3")[0] == 0, "what is new can be asked"

    promised("With the old line put back, below the new one, they answer again")
    key_file().write_text(whole)
    assert run(capsys, "show", "0")[0] == run(capsys, "why", "-/square[0]", "1")[0] == 0
    assert run(capsys, "checkpoint", "prune", "--app", "x", "--reachable-from", "1", "--dry-run")[0] == 0


def test_what_compact_leaves_alone_is_computed_again_without_the_old_key(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    runs: list[int] = []
    squares(runs, 2)
    run(capsys, "key", "rotate")
    (segment,) = Path("runinfo/000/checkpoint").glob("*.seg")
    content = segment.read_bytes()
    segment.with_name("link").write_bytes(content)
    segment.unlink()
    segment.symlink_to("link")
    _, out, _ = run(capsys, "checkpoint", "compact", "--yes")
    promised("nor what it says that it leaves alone")
    assert "left alone: is a symbolic link" in out
    segment.unlink()
    segment.with_name("link").rename(segment)
    key_file().write_text(key_file().read_text().splitlines()[0] + "\n")
    caplog.clear()
    promised("those that only the old key signed are computed again, with a warning that says so")
    assert (squares(runs, 2), runs) == ([0, 1], [0, 1, 0, 1])
    (warning,) = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert warning.startswith("not opened, since not signed with a key of yours: 2 records")
