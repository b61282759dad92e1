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

#: In another process, since this one must not have loaded what makes the canary. Two segments, so that there is
#: something to put together, a result that another supersedes, and a large value.
MAKE = """
import pathlib, pickle
from parslish.history.folder import CHECKPOINT
from parslish.secret import Keys
from parslish.store.blobs import Blobs
from parslish.store.frame import Type
from parslish.store.log import Log
from tests.cli.stores import key, make_run, result
class Canary:
    def __reduce__(self):
        return pathlib.Path.touch, (pathlib.Path('canary'),)
song = pickle.dumps(Canary())
pathlib.Path('song').write_bytes(song)
pathlib.Path('tasks.pkl').write_bytes(pickle.dumps({'hash': 'x', 'result': Canary()}))
store = make_run({key(1): result(encoded=song), key(2): song, key(3): result(encoded=b'D' + song)}).parent
large = Blobs(store).put([[song]]).pack()
log = Log(store, keys=Keys.load(), run_number=0)
log.append(Type.RESULT, result(encoded=song), key(1))
log.append(Type.RESULT, result('scf', encoded=large), key(4))
assert log.close()
"""

LOOKING = ["ls", "ls --records", "ls --records --json", "verify", "verify --json"]
CHANGING = [
    "compact --yes",
    "prune --app scf --yes",
    "export runinfo target --yes",
    "import runinfo --into other --yes",
    "import runinfo --into other --trust --yes",
]


@pytest.mark.parametrize("command", LOOKING + CHANGING)
def test_a_stored_pickle_is_never_run(call: Call, tmp_path: Path, command: str) -> None:
    env = {"PYTHONPATH": str(ROOT), "PARSLISH_KEY_FILE": str(tmp_path / "key")}
    subprocess.run([sys.executable, "-c", MAKE], check=True, timeout=60, env=env)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.seg")}
    done = call("checkpoint", *command.split())
    assert done.code in (0, 3), done  # 3: the one that is no result is not copied
    after = {path: path.read_bytes() for path in tmp_path.rglob("*.seg")}
    assert (before != after) == (command in CHANGING), "nothing was done, so nothing could have been run"
    assert not (tmp_path / "canary").exists()
    pickle.loads((tmp_path / "song").read_bytes())
    assert (tmp_path / "canary").exists(), "the canary would not have sung"


def test_a_checkpoint_of_parsl_is_refused_unopened(call: Call, tmp_path: Path) -> None:
    env = {"PYTHONPATH": str(ROOT), "PARSLISH_KEY_FILE": str(tmp_path / "key")}
    subprocess.run([sys.executable, "-c", MAKE], check=True, timeout=60, env=env)
    assert call("checkpoint", "import", "tasks.pkl", "--trust", "--yes").code == 2
    assert not (tmp_path / "canary").exists()
    pickle.loads((tmp_path / "tasks.pkl").read_bytes())
    assert (tmp_path / "canary").exists()
