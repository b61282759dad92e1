"""Nobody who looks at a store runs what is in it."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import parslish
from tests.cli.conftest import Call

ROOT = Path(parslish.__file__).parents[1]

#: In another process, since this one must not have loaded what makes the canary.
MAKE = """
import pathlib, pickle
from tests.cli.stores import key, make_run, result
class Canary:
    def __reduce__(self):
        return pathlib.Path.touch, (pathlib.Path('canary'),)
song = pickle.dumps(Canary())
pathlib.Path('song').write_bytes(song)
make_run({key(1): result(encoded=song), key(2): song, key(3): result(encoded=b'D' + song)})
"""


@pytest.mark.parametrize("command", ["ls", "ls --records", "ls --records --json", "verify", "verify --json"])
def test_a_stored_pickle_is_never_run(call: Call, tmp_path: Path, command: str) -> None:
    env = {"PYTHONPATH": str(ROOT), "PARSLISH_KEY_FILE": str(tmp_path / "key")}
    subprocess.run([sys.executable, "-c", MAKE], check=True, timeout=60, env=env)
    assert call("checkpoint", *command.split()).code == 0
    assert not (tmp_path / "canary").exists()
    pickle.loads((tmp_path / "song").read_bytes())
    assert (tmp_path / "canary").exists(), "the canary would not have sung"
