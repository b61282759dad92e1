"""A large value that is gone or damaged is not copied, and who copies is told so, by the exit code too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from parslish.care.items import items
from parslish.secret import Keys
from tests.cli.conftest import Call
from tests.cli.stores import key, make_run, result
from tests.cli.test_states import cut_blob, no_blob, with_blob


def other_content(segment: Path, blob: Path) -> None:
    blob.write_bytes(bytes(blob.stat().st_size))


@pytest.mark.parametrize("harm", [no_blob, cut_blob, other_content], ids=lambda each: each.__name__)
@pytest.mark.parametrize(
    ("command", "target"), [("export runinfo target", "target"), ("import runinfo --into new", "new/000/checkpoint")]
)
def test_a_large_value_that_cannot_be_copied_is_told_and_exit_code_3(
    call: Call, harm: Callable[[Path, Path], None], command: str, target: str
) -> None:
    harm(*with_blob())
    make_run({key(2): result("small")})
    done = call("checkpoint", *command.split(), "--yes")
    assert done.code == 3
    assert "warning: not copied: " in done.err
    assert [item.app for item in items([target], Keys.load())] == ["small"]


def test_in_json_each_is_named(call: Call) -> None:
    no_blob(*with_blob())
    make_run({key(2): result("small")})
    done = call("checkpoint", "export", "runinfo", "target", "--yes", "--json")
    assert (done.code, done.json["copied"], len(done.json["lost"])) == (3, 1, 1)
