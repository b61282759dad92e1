"""What the command line loads, and what the package does not: by names, never by the clock."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import parslish

ROOT = Path(parslish.__file__).parents[1]
UNPICKLES = {"parslish.codec", "dill", "cloudpickle", "loky"}


def loaded_by(code: str, cwd: Path) -> set[str]:
    """The modules that are there after some code."""
    code += "\nimport sys\nsys.stderr.write(' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "PARSLISH_KEY_FILE": str(cwd / "key")},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(done.stderr.split())


def test_the_package_loads_neither_click_nor_rich(tmp_path: Path) -> None:
    every = "import parslish\nfor name in parslish.__all__: getattr(parslish, name)"
    assert not {"click", "rich", "parslish.cli"} & loaded_by(every, tmp_path)


def test_help_loads_no_command(tmp_path: Path) -> None:
    loaded = loaded_by("from parslish.cli import main\nassert main(['--help']) == 0", tmp_path)
    assert {name for name in loaded if name.startswith("parslish.cli.")} == {"parslish.cli.base", "parslish.cli.output"}
    assert not {"rich", "parslish.store", "parslish.config", "asyncio", *UNPICKLES} & loaded


@pytest.mark.parametrize(
    "command",
    [
        "ls",
        "verify",
        "compact --yes",
        "prune --app x --yes",
        "export runinfo target --yes",
        "import target --into other",
    ],
)
def test_looking_at_stores_and_moving_them_loads_nothing_that_unpickles(tmp_path: Path, command: str) -> None:
    store(tmp_path)
    if command.startswith("import"):
        (tmp_path / "runinfo").rename(tmp_path / "target")
        command += " --yes"
    code = f"from parslish.cli import main\nassert main({['checkpoint', *command.split()]!r}) == 0"
    loaded = loaded_by(code, tmp_path)
    assert "parslish.store.reader" in loaded or "parslish.store.loading" in loaded
    assert not {"pickle", "_pickle", *UNPICKLES} & loaded  # rich loads pickle, where it is a terminal


def store(tmp_path: Path) -> None:
    """Make `runinfo` with one result, in another process."""
    code = (
        "import parslish\n"
        "double = parslish.python_app(lambda x: 2 * x, cache=True)\n"
        "with parslish.load(parslish.Config(checkpoint_mode='task_exit')): double(21).result()"
    )
    loaded_by(code, tmp_path)
