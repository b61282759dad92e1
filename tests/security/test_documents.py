"""`SECURITY.md` names what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import parslish
from parslish.cli.base import COMMANDS
from parslish.config import Config

ROOT = Path(parslish.__file__).parents[1]
PAGE = (ROOT / "SECURITY.md").read_text()
TESTS = sorted(set(re.findall(r"`(tests/[^`]*)`", PAGE)))


@pytest.mark.parametrize("name", TESTS)
def test_each_test_that_is_named_is_there(name: str) -> None:
    path = ROOT / name
    assert path.is_dir() or "\ndef test_" in path.read_text()


def test_each_threat_names_its_tests() -> None:
    table = PAGE.split("## What is defended, and by what")[1].split("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 8
    assert [row for row in rows if "`tests/" not in row] == []


def test_each_test_of_security_is_named() -> None:
    here = {f"tests/security/{path.name}" for path in Path(__file__).parent.glob("test_*.py")}
    assert here - {f"tests/security/{Path(__file__).name}"} <= set(TESTS)


def test_the_commands_and_options_that_are_named_are_there() -> None:
    commands = {f"{group} {name}" for group, section in COMMANDS.items() for name in section.entries}
    named = set(re.findall(r"parslish ((?:key|config|checkpoint) \w+)", PAGE))
    assert named and named <= commands | {"checkpoint compact"}
    code = PAGE.split("```python\n")[1].split("```")[0]
    assert isinstance(eval(code, {"Config": Config}), Config)


def test_each_section_that_a_user_looks_for_is_there() -> None:
    headings = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    assert {"Reporting a vulnerability", "Supported versions", "What is not defended"} <= set(headings)
