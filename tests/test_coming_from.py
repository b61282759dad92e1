"""The page "Coming from …": every name of ours on it exists, and is called in a way that it can be called."""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

import parslish
from parslish import AppFuture, Config, RecordedRun, WorkflowResult
from parslish.apps import CALL_KEYWORDS, AppBase
from parslish.cli.base import COMMANDS, RUN_COMMANDS, Entry
from parslish.history.selection import parse
from tests.parsl.helpers import ROOT

PAGE = ROOT / "docs/coming-from.md"
SYSTEMS = ["Parsl", "Dagster", "Covalent", "Tierkreis", "redun", "Nextflow"]
#: What names on the page stand for, besides the public ones.
STAND_FOR = {"parslish": parslish, "run": RecordedRun, "result": WorkflowResult, "future": AppFuture}
PLACEHOLDERS = {"run_id", "pool", "config", "new"}
OPTIONS = {*Config.__dataclass_fields__, *inspect.signature(AppBase).parameters, *CALL_KEYWORDS}
OURS = re.compile(r"parslish\b|run\.|result\.|future\[|@|with |Config\(|\w+=")


def rows() -> Iterator[list[str]]:
    """The rows of all tables, without their heads."""
    for line in PAGE.read_text().splitlines():
        if line.startswith("|") and not line.startswith("|---") and "| here |" not in line:
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


def spans(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def of_ours() -> list[str]:
    """All code in the middle columns, and what looks like ours anywhere else but in the first ones."""
    found = [span for row in rows() for span in spans(row[1])]
    prose = "".join(line for line in PAGE.read_text().splitlines(keepends=True) if not line.startswith("|"))
    elsewhere = [span for text in (prose, *(row[2] for row in rows())) for span in spans(text)]
    return list(dict.fromkeys([*found, *(span for span in elsewhere if OURS.match(span))]))


def check(span: str) -> None:
    """Fails on what does not exist."""
    option = re.fullmatch(r"(\w+)=(?!=)(.*)", span)
    if re.match(r"parslish [a-z]", span):
        check_command(shlex.split(span)[1:])
    elif span.startswith(("-/", "-.")):
        parse(span)
    elif span.startswith(f"{Config().run_dir}/"):
        assert set(span.split("/")[1:]) <= {"000", "checkpoint", "events"}
    elif option is not None:
        assert option[1] in OPTIONS, f"there is no option {option[1]}="
        check_python(option[2] or "None")
    elif span.startswith("with "):
        check_nodes(ast.parse(f"{span} pass"))
    else:
        check_python(span.removeprefix("@"))


def check_command(words: list[str]) -> None:
    name, *rest = words
    if name in COMMANDS:
        entries = COMMANDS[name].entries
        name, *rest = rest
    else:
        entries = RUN_COMMANDS
    assert name in entries, f"there is no command {' '.join(words)}"
    known = {option for parameter in command(entries[name]).params for option in parameter.opts}
    for word in rest:
        assert not word.startswith("--") or word in known, f"{name} has no option {word}"


def command(entry: Entry) -> click.Command:
    found = getattr(importlib.import_module(f"parslish.cli.{entry.module}"), entry.name)
    assert isinstance(found, click.Command)
    return found


def check_python(text: str) -> None:
    """An expression of Python; or one of the language of selections, which may look like one with an operator."""
    try:
        tree = ast.parse(text, mode="eval")
    except SyntaxError:
        parse(text)
        return
    if isinstance(tree.body, ast.UnaryOp | ast.BinOp | ast.BoolOp):
        parse(text)
    else:
        check_nodes(tree)


def check_nodes(tree: ast.AST) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            found(node)
        elif isinstance(node, ast.Call) and not isinstance(node.func, ast.Call):
            check_call(node)


def check_call(call: ast.Call) -> None:
    function = found(call.func)
    is_method = isinstance(call.func, ast.Attribute) and inspect.isclass(found(call.func.value))
    given = [None] * (len(call.args) + is_method)
    inspect.signature(function).bind(*given, **{str(each.arg): None for each in call.keywords})


def found(node: ast.expr) -> Any:
    """What a name or an attribute is."""
    if isinstance(node, ast.Attribute):
        owner = found(node.value)
        assert owner is not parslish or node.attr in parslish.__all__, f"parslish has no {node.attr}"
        attribute = getattr(owner, node.attr, None) or owner.__annotations__.get(node.attr) or _set_by(owner, node.attr)
        assert attribute, f"{ast.unparse(node.value)} has no {node.attr}"
        return attribute
    assert isinstance(node, ast.Name)
    if node.id in STAND_FOR:
        return STAND_FOR[node.id]
    if node.id in PLACEHOLDERS or hasattr(builtins, node.id):
        return getattr(builtins, node.id, object())
    assert node.id in parslish.__all__, f"parslish has no {node.id}"
    return getattr(parslish, node.id)


def _set_by(owner: Any, name: str) -> object:
    """Whether a class gives its objects an attribute of that name."""
    return f"self.{name} = " in inspect.getsource(owner)


@pytest.mark.parametrize("span", of_ours())
def test_what_the_page_calls_ours_is_there(span: str) -> None:
    check(span)


@pytest.mark.parametrize(
    "span",
    [
        "parslish rerunn",
        "parslish rerun --fro x",
        "parslish checkpoint list",
        "parslish.reruns()",
        "run.rerun(form_='x')",
        "run.restart('-.N3')",
        "result.state",
        "Config(retrys=1)",
        "@python_app(cached=True)",
        "@parslish.workfow",
        "PoolExecuter(pool)",
        "Dask",
        "stauts:failed and a",
        "outputz=[]",
        "runinfo/000/checkpoints",
    ],
)
def test_a_name_that_is_not_there_is_found_out(span: str) -> None:
    with pytest.raises(Exception):  # noqa: B017 – of whatever kind
        check(span)


def test_each_system_has_its_table_and_each_row_its_three_cells() -> None:
    assert re.findall(r"^## (.*)", PAGE.read_text(), re.MULTILINE) == SYSTEMS
    assert re.findall(r"^\| (\w+) \| here \| what differs \|", PAGE.read_text(), re.MULTILINE) == SYSTEMS
    assert {len(row) for row in rows()} == {3}
    assert all(all(row) for row in rows())


def test_the_readme_leads_to_the_page() -> None:
    assert "docs/coming-from.md" in Path(ROOT, "README.md").read_text()
