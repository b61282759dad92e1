"""Looking at runs and stores cannot run what they hold: what would unpickle is not even imported."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import parslish
from parslish import Config, python_app
from parslish.secret import Keys
from parslish.store import frame
from parslish.store.frame import Type
from tests.security import forge
from tests.security.forge import Canary

PACKAGE = Path(parslish.__file__).parent
UNPICKLES = {"parslish.codec", "dill", "cloudpickle", "loky", "parslish.memo", "parslish.checkpoint"}

EVERY = """
import importlib, json, pkgutil, sys

import parslish.{package} as package

for each in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    importlib.import_module(each.name)
print(json.dumps(sorted(sys.modules)))
"""

LOOK = """
import json, sys
from pathlib import Path
from parslish.care.items import items, stores
from parslish.history import card
from parslish.history.recorder import read_events
from parslish.secret import Keys
from parslish.store.check import check
from parslish.store.reader import read_frames

run = Path("runinfo/000")
keys = Keys.load()
count = len(list(items([run / "checkpoint"], keys)))
assert count == len(list(read_frames(run / "checkpoint", keys))) == 1, count
assert [each.records for each in stores("runinfo")] == [1]
assert check(run / "checkpoint", keys=keys).state == "torn"
assert list(read_events(run, keys)) and card.read(run)
print(json.dumps(sorted(sys.modules)))
"""


def loaded_by(code: str) -> set[str]:
    """The modules that are there after some code, in a process of its own."""
    env = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def test_what_unpickles_would_be_found() -> None:
    """Else not finding it would prove nothing."""
    code = "import json, sys, parslish.codec, dill\nprint(json.dumps(sorted(sys.modules)))"
    assert {"parslish.codec", "dill"} <= loaded_by(code)


@pytest.mark.parametrize("package", ["history", "store", "care", "cli"])
def test_no_module_that_lists_or_verifies_imports_what_unpickles(package: str) -> None:
    loaded = loaded_by(EVERY.format(package=package))
    assert f"parslish.{package}" in loaded
    assert not UNPICKLES & loaded


def test_a_canary_that_we_have_signed_ourselves_is_listed_and_verified_in_silence(tmp_path: Path) -> None:
    canary = Canary(tmp_path / "sang")

    @python_app(cache=True)
    def one() -> int:
        return 1

    with parslish.load(Config(checkpoint_mode="task_exit")):
        one().result()
    (segment,) = Path("runinfo/000/checkpoint").glob("*.seg")
    content = segment.read_bytes()
    (head,) = [each.header for each in forge.frames_of(content) if each.header.type == Type.RESULT]
    signed = forge.pack_frame(head, canary.result(), frame.signer(Keys.load().signing))
    segment.write_bytes(content[: frame.SEGMENT_HEADER_BYTES] + signed)
    assert not UNPICKLES & loaded_by(LOOK)
    assert not canary.sang
    with parslish.load(Config(checkpoint_mode="task_exit")):
        one().result()
    assert canary.sang  # it was there to sing


@pytest.mark.parametrize("package", ["history", "store", "care"])
def test_none_of_them_names_what_unpickles(package: str) -> None:
    """`pickletools` only reads a pickle's instructions."""
    for path in (PACKAGE / package).rglob("*.py"):
        nodes = [
            node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Import | ast.ImportFrom)
        ]
        names = {alias.name for node in nodes for alias in node.names} | {getattr(node, "module", "") for node in nodes}
        assert not names & {"pickle", "dill", "cloudpickle", "marshal", "shelve", "codec", "parslish.codec"}, path
