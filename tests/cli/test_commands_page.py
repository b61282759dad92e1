"""`docs/commands.md` names what there is: every command, option, exit code and field."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

import parslish
from parslish.cli import base, output
from parslish.cli.base import COMMANDS, RUN_COMMANDS
from tests.cli import made
from tests.cli.conftest import Call
from tests.cli.stores import make_run, spoil, three

PAGE = (Path(parslish.__file__).parents[1] / "docs" / "commands.md").read_text()
#: Heading → the text below it.
SECTIONS = {text.split("\n")[0]: text for text in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]}
NAMES = [*RUN_COMMANDS, *(f"{group} {name}" for group, section in COMMANDS.items() for name in section.entries)]


def command(name: str) -> click.Command:
    found: click.Command = base.root
    for word in name.split():
        assert isinstance(found, click.Group)
        inner = found.get_command(click.Context(base.root), word)
        assert inner is not None
        found = inner
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_a_section_that_names_its_options_arguments_and_exit_codes(name: str) -> None:
    section = SECTIONS[f"parslish {name}"]
    for each in command(name).params:
        shown = each.opts if isinstance(each, click.Option) else [each.human_readable_name.strip("[].")]
        for option in shown:
            assert f"`{option}" in section or f" {option}" in section or f"[{option}]" in section, option
    assert "Exit codes: 0" in section


def test_no_section_is_of_a_command_that_is_not_there() -> None:
    assert {heading for heading in SECTIONS if heading.startswith("parslish ")} == {
        f"parslish {name}" for name in NAMES
    }


def test_every_exit_code_is_there() -> None:
    codes = (output.FINE, output.NOT_SO, output.WRONG_USAGE, output.TROUBLE, output.INTERRUPTED, output.PIPE_CLOSED)
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", SECTIONS["Exit codes"], re.MULTILINE)] == list(codes)


def fields(found: object, depth: int = 9) -> set[str]:
    if isinstance(found, list):
        return set().union(*(fields(each, depth) for each in found))
    if isinstance(found, dict) and depth:
        return set(found).union(*(fields(each, depth - 1) for each in found.values()))
    return set()


@pytest.mark.parametrize(
    ("name", "options", "depth"),
    [
        ("checkpoint ls", [], 1),
        ("checkpoint ls", ["--records"], 9),
        ("checkpoint verify", [], 9),
        ("config check", ["config.toml"], 1),
        ("runs", [], 9),
        ("show", [], 1),
        ("show", ["-/fail[0]"], 1),
        ("select", ["fail"], 9),
        ("why", ["-/fail[0]"], 1),
        ("diff", ["000"], 1),
        ("plan", [], 1),
        ("restart", ["-/fail[0]"], 1),
        ("invalidate", ["prep", "--reason", "x"], 1),
        ("edit", ["-/fail[0]", "--result", "1"], 1),
        ("logs", ["-/fail[0]"], 9),
    ],
)
def test_every_field_of_json_is_there(call: Call, tmp_path: Path, name: str, options: list[str], depth: int) -> None:
    if name in RUN_COMMANDS:
        made.make()
        made.make()
        assert_all_are_there(call(name, "--json", *options).json, name, depth)
        return
    make_run(three())
    spoil(make_run(three()))
    (tmp_path / "config.toml").touch()
    assert_all_are_there(call(*name.split(), "--json", *options).json, name, depth)


def assert_all_are_there(found: object, name: str, depth: int) -> None:
    for field in fields(found, depth):
        assert f"`{field}`" in SECTIONS[f"parslish {name}"], field
