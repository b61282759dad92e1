"""What a run's record says of what it is a run of."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from parslish.history import entry
from parslish.history.record import RunRecord
from parslish.secret import Keys
from tests.parsl.helpers import ROOT

TEXT = "import parslish\nwith parslish.load():\n    pass\n"


def entry_of(*command: str, stdin: str | None = None) -> dict[str, Any]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, *command], env=environment, input=stdin, text=True, check=True, timeout=60)
    found = RunRecord(Path("runinfo", "000"), Keys.load()).facts["entry"]
    assert isinstance(found, dict)
    return found


def test_a_script_can_be_started_again_as_it_was() -> None:
    Path("script.py").write_text(TEXT)
    assert entry_of("-O", "script.py", "--n", "3") == {
        "kind": "script", "command": (sys.executable, "-O", "script.py", "--n", "3"), "cwd": os.getcwd(),
    }  # fmt: skip


def test_so_can_a_command() -> None:
    assert entry_of("-c", TEXT, "x")["command"] == (sys.executable, "-c", TEXT, "x")


def test_so_can_a_module() -> None:
    Path("mod.py").write_text(TEXT)
    assert entry_of("-m", "mod", "x")["command"] == (sys.executable, "-m", "mod", "x")


@pytest.mark.parametrize("command", [(), ("-",), ("-i", "-")], ids=str)
def test_what_comes_by_stdin_or_from_a_prompt_cannot(command: tuple[str, ...]) -> None:
    assert entry_of(*command, stdin=TEXT + "\n") == {"kind": "interactive"}


@pytest.mark.parametrize("module", ["ipykernel"])
def test_nor_can_a_notebook(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, sys)
    assert entry.take() == {"kind": "interactive"}


def test_what_is_given_is_for_kernels_made_in_the_block() -> None:
    facts = {"kind": "workflow", "name": "flow", "inputs": b"secret", "shown": {"x": 1}}
    with entry.given(facts):
        assert entry.take() == facts
    assert entry.take()["kind"] == "script"
    assert entry.for_card(facts) == {"kind": "workflow", "name": "flow", "shown": {"x": 1}}
