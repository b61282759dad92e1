"""Looking at runs runs nothing that is in them, and loads nothing that could."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import parslish
from parslish import recorded
from tests.cli import made
from tests.cli.conftest import Call
from tests.cli.test_imports import UNPICKLES, loaded_by

ROOT = Path(parslish.__file__).parents[1]

#: Among arguments, results, and the kept arguments of a failed task there is what sings when it is unpickled.
MAKE = """
import pathlib, parslish
class Canary:
    def __init__(self, n): self.n = n
    def __parslish_key__(self): return self.n
    def __reduce__(self): return pathlib.Path.touch, (pathlib.Path('canary'),)
same = parslish.python_app(lambda x: x, cache=True)
def fail(x): raise ValueError(x)
fail = parslish.python_app(fail)
for n in (1, 2):
    with parslish.load(parslish.Config(checkpoint_mode='task_exit')):
        same(Canary(n)).result(), fail(Canary(n)).exception()
"""
LOOKS = [
    "runs", "show", "show -.N0", "show -.N1 --json", "select *", "select arg:x=1", "why -.N0", "why -.N1 --json",
    "diff 000", "diff 000 --json", "plan --all", "plan --from -.N0", "logs -.N1", "invalidations",
    "restart -.N0 --dry-run", "invalidate -.N0 --reason x --dry-run", "rerun --all --dry-run",
]  # fmt: skip


@pytest.mark.parametrize("command", LOOKS)
def test_what_is_stored_in_a_run_is_not_unpickled(call: Call, tmp_path: Path, command: str) -> None:
    env = {"PYTHONPATH": str(ROOT), "PARSLISH_KEY_FILE": str(tmp_path / "key")}
    subprocess.run([sys.executable, "-c", MAKE], check=True, timeout=60, env=env)
    (tmp_path / "canary").unlink(missing_ok=True)
    assert call(*command.split()).code in (0, 1), command
    assert not (tmp_path / "canary").exists()
    kept = made.record("001").task(1).failed_call
    assert kept is not None
    recorded.opened(kept, lambda reference: None)
    assert (tmp_path / "canary").exists(), "the canary would not have sung"


@pytest.mark.parametrize("command", ["runs", "show", "select *", "logs"])
def test_listing_and_showing_runs_loads_nothing_that_unpickles(tmp_path: Path, command: str) -> None:
    made.make()
    Path("runinfo/000/parslish.log").write_text("a line\n")
    loaded = loaded_by(f"from parslish.cli import main\nassert main({command.split()!r}) == 0", tmp_path)
    assert "parslish.history.record" in loaded
    assert not {"pickle", "_pickle", "rich", "parslish.kernel", *UNPICKLES} & loaded
