"""What others have put into the folder of a run, seen by the next run: results, events, the card."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import parslish
from parslish import Config, python_app
from parslish.history import card, lineage
from parslish.history.event import Kind, pack
from parslish.history.folder import create, numbered
from parslish.history.recorder import read_events
from parslish.secret import Keys
from parslish.store import frame
from parslish.store.frame import Type
from parslish.utils import get_all_checkpoints
from tests.faults.stores import seeded
from tests.security import forge
from tests.security.forge import THEIRS, Canary, Frame

Runs = list[int]


@pytest.fixture
def canary(tmp_path: Path) -> Canary:
    return Canary(tmp_path / "sang")


def squares(runs: Runs, **config: Any) -> list[int]:
    """A run of a script with three calls, which notes what it computes."""

    def square(x: int) -> int:
        runs.append(x)
        return x * x

    app = python_app(square, cache=True)
    with parslish.load(Config(checkpoint_mode="task_exit", **config)):
        return [app(x).result() for x in range(3)]


def segment_of(run: str, kind: str = "checkpoint") -> Path:
    (path,) = Path("runinfo", run, kind).glob("*.seg")
    return path


def rewrite(path: Path, change: Callable[[list[Frame]], list[bytes]]) -> None:
    """Put other frames into a segment, behind its own header."""
    content = path.read_bytes()
    frames = change(forge.frames_of(content))
    path.write_bytes(content[: frame.SEGMENT_HEADER_BYTES] + b"".join(frames))


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]


# ------------------------------------------------------------------------------------- results


def in_place(frames: list[Frame], canary: Canary) -> list[bytes]:
    """Each result replaced by the canary, under its key, number and signature."""
    return [(each.but(body=canary.result()) if each.header.key != frame.NO_KEY else each).sealed() for each in frames]


def on_top(frames: list[Frame], canary: Canary) -> list[bytes]:
    """The canary as a newer result for each key, signed with the attacker's key; the genuine ones are gone."""
    heads = [each.header._replace(run=9) for each in frames if each.header.type == Type.RESULT]
    return [forge.pack_frame(head, canary.result(), THEIRS) for head in heads]


def from_events(frames: list[Frame], canary: Canary) -> list[bytes]:
    """An event that the user signed, with a text of others in it, as a result."""
    keys = [each.header.key for each in frames if each.header.type == Type.RESULT]
    event = frame.signer(Keys.load().signing)
    head = frames[0].header
    signed = [forge.pack_frame(head._replace(type=Type.EVENT, key=frame.NO_KEY), canary.result(), event) for _ in keys]
    made = [Frame(parsed, canary.result()) for each in signed if (parsed := frame.parse(each))]
    return [each.but(type=Type.RESULT, key=key).sealed() for each, key in zip(made, keys, strict=True)]


@pytest.mark.parametrize("attack", [in_place, on_top, from_events], ids=lambda attack: attack.__name__)
def test_a_forged_store_is_computed_again_with_one_warning(
    attack: Callable[[list[Frame], Canary], list[bytes]], canary: Canary, caplog: pytest.LogCaptureFixture
) -> None:
    runs: Runs = []
    assert squares(runs) == [0, 1, 4]
    rewrite(segment_of("000"), lambda frames: attack(frames, canary))
    assert squares(runs) == [0, 1, 4]
    assert runs == [0, 1, 2] * 2
    (warning,) = warnings_in(caplog)
    assert re.match(
        r"not opened, since not signed with a key of yours: 3 records in /.*\.seg; .*computed again", warning
    )
    assert not canary.sang


def test_the_canary_sings_when_the_user_has_signed_it(canary: Canary) -> None:
    """Else its silence would prove nothing."""
    runs: Runs = []
    squares(runs)
    sign = frame.signer(Keys.load().signing)
    rewrite(
        segment_of("000"),
        lambda frames: [
            forge.pack_frame(each.header, canary.result(), sign) for each in frames if each.header.type == Type.RESULT
        ],
    )
    squares(runs)
    assert canary.sang


def test_a_forged_record_beside_the_genuine_one_costs_nothing(canary: Canary, caplog: pytest.LogCaptureFixture) -> None:
    runs: Runs = []
    squares(runs)
    rewrite(segment_of("000"), lambda frames: on_top(frames, canary) + [each.sealed() for each in frames])
    assert squares(runs) == [0, 1, 4]
    assert runs == [0, 1, 2]
    assert len(warnings_in(caplog)) == 1
    assert not canary.sang


def test_a_store_of_many_foreign_segments_is_one_warning(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    runs: Runs = []
    for _ in range(30):
        squares(runs, checkpoint_files=[])
    (tmp_path / "key").unlink()
    assert squares(runs) == [0, 1, 4]
    (warning,) = warnings_in(caplog)
    assert "90 records in" in warning and "and 29 files more" in warning
    assert str(tmp_path / "key") in warning and "trusted_keys" in warning


def test_a_name_that_a_terminal_would_obey_is_shown_and_not_obeyed(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    runs: Runs = []
    squares(runs)
    checkpoint = Path("runinfo/000/checkpoint")
    (checkpoint / "\x1b]0;evil\x07\x9b2J\u202e.seg").write_bytes(b"no segment")
    os.symlink("/etc/passwd", os.fsencode(checkpoint) + b"/\xff\x1b[2J.seg")
    squares(runs)
    warned = warnings_in(caplog)
    assert len(warned) == 2
    everything = "".join([*warned, capfd.readouterr().err, Path("runinfo/001/parslish.log").read_text()])
    assert everything.replace("\n", "").isprintable()
    assert r"\x1b]0;evil\x07" in everything


# ------------------------------------------------------------------------------------- events


def test_forged_events_are_not_told(canary: Canary) -> None:
    squares([])
    keys = Keys.load()
    genuine = list(read_events(Path("runinfo/000"), keys))
    rng = seeded("events")
    hostile = pack([(Kind.SUBMIT, 99, 0.0, 0, -1, 0, 0, "\x1b[2Jevil", [], (), None, -1)])
    nested = b"\x91" * 100_000 + b"\xc0"
    bodies = [hostile, nested, canary.result(), b"", b"\xdd\xff\xff\xff\xff", rng.randbytes(100)]

    def change(frames: list[Frame]) -> list[bytes]:
        head = frames[0].header
        made = [Frame(head._replace(seq=1000 + n), body).sealed() for n, body in enumerate(bodies)]
        spliced = [each.but(body=hostile).sealed() for each in frames]
        results = [
            each.but(type=Type.EVENT, key=frame.NO_KEY) for each in forge.frames_of(segment_of("000").read_bytes())
        ]
        mixed = [*(each.sealed() for each in frames), *made, *spliced, *(each.sealed() for each in results)]
        rng.shuffle(mixed)
        return mixed

    rewrite(segment_of("000", "events"), change)
    assert list(read_events(Path("runinfo/000"), keys)) == genuine
    assert not canary.sang


# ------------------------------------------------------------------------------------- the card

TEXTS = {
    "nothing": "",
    "no text": "\udcff",
    "deep": "[" * 5_000_000,
    "deep maps": '{"root":' * 1_000_000,
    "a long number": '{"root": ' + "9" * 10_000 + "}",
    "numbers of no kind": '{"root": NaN, "ended": Infinity}',
    "another type": '{"root": ["a"], "ended": {}, "counts": 1}',
    "no encoding": '{"root": "\\ud800", "ended": null}',
    "zeros": '{"root": "a\\u0000b", "ended": null}',
    "a long root": json.dumps({"root": "a" * 1_000_000, "ended": None}),
    "too long": json.dumps({"root": "a" * 32, "filler": "b" * card.LIMIT_BYTES, "ended": None}),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_hostile_card_costs_nothing_but_itself(text: str, caplog: pytest.LogCaptureFixture) -> None:
    runs: Runs = []
    squares(runs)
    Path("runinfo/000/run.json").write_bytes(text.encode(errors="surrogateescape"))
    assert replays_and_squares(runs) == [0, 1, 4]
    assert runs == [0, 1, 2]
    assert warnings_in(caplog) == []


def replays_and_squares(runs: Runs) -> list[int]:
    """A later run: what a card says of the run's root goes into the keys of replayed calls."""

    @python_app(cache="replay")
    def draw(x: int) -> int:
        return x

    with parslish.load(Config(checkpoint_mode="task_exit")):
        assert draw(5).result() == 5
        parslish.dfk().cleanup()
    return squares(runs)


def fifo(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def link(path: Path) -> None:
    Path("elsewhere").write_text('{"root": "abc", "ended": null}')
    path.symlink_to(Path("elsewhere").absolute())


def folder(path: Path) -> None:
    path.mkdir()


def sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


@pytest.mark.parametrize("plant", [fifo, device, link, folder, sparse], ids=lambda plant: plant.__name__)
def test_a_card_that_is_no_file_of_ours_is_none(plant: Callable[[Path], None]) -> None:
    runs: Runs = []
    squares(runs)
    path = Path("runinfo/000/run.json")
    path.unlink()
    plant(path)
    assert card.read(Path("runinfo/000")) == {}
    assert replays_and_squares(runs) == [0, 1, 4]
    assert runs == [0, 1, 2]


def test_a_root_that_no_run_of_ours_has_is_not_taken_over(tmp_path: Path) -> None:
    for root in ("\ud800", "é", "a" * 33, 7, None, ["a"]):
        card.write(tmp_path, {"root": root, "ended": None})
        assert lineage.of([str(tmp_path / "checkpoint")], named=True).parent is None


def test_a_folder_whose_name_is_a_date_is_no_run(tmp_path: Path) -> None:
    for name in ("20261121130805", "4294967296", "٠٠٠", "12"):
        (tmp_path / name).mkdir()
    assert list(numbered(tmp_path)) == []
    assert create(tmp_path)[0] == 0
    runs: Runs = []
    assert squares(runs, run_dir=str(tmp_path)) == [0, 1, 4]
    assert len(get_all_checkpoints(tmp_path)) == 1
