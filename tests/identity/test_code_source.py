"""Where source is found, and that only source which is what runs is taken for it."""

from __future__ import annotations

import linecache
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

from parslish.identity.code import fingerprint
from parslish.identity.source import definition
from tests.identity.scripts import Load

SCRIPT = """
import random
from dataclasses import dataclass

SIZES = {"a": 1, "b": frozenset({"x", "y", "z"})}

@dataclass
class Box:
    edge: float = 1.0
    def volume(self): return self.edge ** 3

def helper(x):
    # a comment
    where = __name__, __file__, __doc__
    return Box(x).volume() + SIZES["a"], where

def f(x, boxes=()):
    return [helper(i) for i in range(x)], random.Random(x), {"p", "q", "r"}
"""
PRINTS = SCRIPT + "\nfrom parslish.identity.code import fingerprint\nprint(fingerprint(f).digest.hex())\n"


def as_cell(source: str, name: str, flags: int = 0) -> dict[str, Any]:
    """Run a text as a notebook does: its lines are in `linecache`, and in no file."""
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(source, name, "exec", flags, dont_inherit=True), names)
    return names


def found(func: FunctionType) -> str | None:
    known = definition(func.__code__, func.__globals__)
    return known and known.text


def output(*command: str, cwd: Path, stdin: str = "", **env: str) -> str:
    done = subprocess.run(
        [sys.executable, *command],
        input=stdin,
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_one_script_has_one_fingerprint_however_it_is_run(tmp_path: Path) -> None:
    """As a script, imported, by -c, as a notebook cell; in any folder, with any seed of str's hash."""
    for number, text in enumerate([PRINTS, "\n\n# moved\n" + PRINTS, PRINTS.replace("# a comment", "# another")]):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "script.py").write_text(text)
    printed = {
        output("script.py", cwd=tmp_path / "0", PYTHONHASHSEED="1"),
        output("script.py", cwd=tmp_path / "1", PYTHONHASHSEED="2"),
        output("2/script.py", cwd=tmp_path, PYTHONHASHSEED="3"),
        output("-c", "import script", cwd=tmp_path / "0"),
        output("-Bc", PRINTS, cwd=tmp_path),
        fingerprint(as_cell(SCRIPT, "<ipython-input-7-abc>")["f"]).digest.hex() + "\n",
    }
    assert len(printed) == 1


def test_code_without_source_is_the_same_in_every_process(tmp_path: Path) -> None:
    runs = {output("-", stdin=PRINTS, cwd=tmp_path, PYTHONHASHSEED=seed) for seed in "123"}
    assert len(runs) == 1


def test_a_file_edited_after_import_does_not_speak_for_the_old_code(load: Load) -> None:
    module = load(SCRIPT)
    file = Path(str(module.__file__))
    file.write_text(SCRIPT.replace("range(x)", "range(y)"))
    assert found(module.f) is None
    assert found(module.helper) is not None  # the same lines, still at their place
    file.write_text("# a line more\n" + SCRIPT)
    assert found(module.helper) is None
    file.unlink()
    assert found(module.helper) is None


def test_the_old_code_keeps_the_fingerprint_that_it_had_before_the_edit(load: Load) -> None:
    module = load(SCRIPT)
    before = fingerprint(module.f)
    Path(str(module.__file__)).write_text(SCRIPT.replace("range(x)", "range(y)"))
    assert fingerprint(module.f).digest == before.digest


def test_old_code_and_the_edited_file_have_different_fingerprints(load: Load) -> None:
    old = load(SCRIPT)
    new_text = SCRIPT.replace("range(x)", "range(2 * x)")
    Path(str(old.__file__)).write_text(new_text)
    assert fingerprint(old.f).digest != fingerprint(load(new_text).f).digest


def test_the_text_of_a_function_has_its_decorators_and_comments(load: Load) -> None:
    source = """
    def outer():
        @staticmethod
        # why
        def inner(x):
            return x  # so

        return inner.__func__
    """
    expected = "@staticmethod\n# why\ndef inner(x):\n    return x  # so"
    assert found(load(source).outer()) == expected


def test_lambdas_that_share_a_line_are_told_apart_by_the_keywords_of_their_calls(load: Load) -> None:
    source = "one, two = lambda x: sorted(x, key=None), lambda x: sorted(x, reverse=None)\n"
    module = load(source)
    assert fingerprint(module.one).digest != fingerprint(module.two).digest
    assert fingerprint(load(source).one).digest == fingerprint(module.one).digest


def test_lambdas_that_share_a_line_are_told_apart_by_bytecode(load: Load) -> None:
    module = load("one, two = lambda x: x + 1, lambda x: x + 2\nalone = lambda x: x + 1")
    assert found(module.one) is None
    assert found(module.alone) is not None
    assert fingerprint(module.one).digest != fingerprint(module.two).digest


def test_a_cell_is_found_with_the_future_of_an_earlier_cell() -> None:
    import __future__

    flags = __future__.annotations.compiler_flag
    names = as_cell("def f(x: Undefined) -> None:\n    def g(): return x\n    return g", "<cell with flags>", flags)
    assert found(names["f"]) is not None
    assert found(names["f"](1)) is not None


def test_a_cell_that_awaits_is_found() -> None:
    import ast

    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    source = "def f(x): return x\nasync def g(): return 1\nif f(0):\n    await g()\n"
    linecache.cache["<cell that awaits>"] = (len(source), None, source.splitlines(True), "<cell that awaits>")
    names: dict[str, Any] = {"__name__": "__main__"}
    code = compile(source, "<cell that awaits>", "exec", flags, dont_inherit=True)
    FunctionType(code, names)().close()  # a coroutine: run up to the functions is enough
    exec(next(each for each in [source.split("if")[0]]), names)
    assert definition(code.co_consts[0], names) is not None


def test_redefining_a_cell_changes_the_fingerprint_and_back_again() -> None:
    cell = "def helper(x): return x + 1\ndef f(x): return helper(x)"
    names = as_cell(cell, "<cell 1>")
    before = fingerprint(names["f"])
    for number, (step, same) in enumerate([(2, False), (1, True)]):
        again = as_cell(f"# {number}\ndef helper(x):\n    return (x + {step})", f"<cell {2 + number}>")
        names["helper"] = again["helper"]
        assert not before.is_current()
        assert (fingerprint(names["f"]).digest == before.digest) is same


def test_source_that_does_not_compile_any_more_is_passed_over(load: Load) -> None:
    module = load("def f(x): return x")
    for text in ["def f(x) return x", "def f(x): return x\0", "é".encode("latin-1").decode("latin-1")]:
        Path(str(module.__file__)).write_text(text)
        assert found(module.f) is None


def test_windows_line_ends_change_nothing(load: Load, tmp_path: Path) -> None:
    module = load(SCRIPT)
    file = tmp_path / "crlf.py"
    file.write_bytes(SCRIPT.replace("\n", "\r\n").encode())
    names: dict[str, Any] = {"__name__": "user_script"}
    exec(compile(file.read_bytes(), str(file), "exec", dont_inherit=True), names)
    assert fingerprint(names["f"]).digest == fingerprint(module.f).digest


def test_text_is_that_of_the_function_after_a_form_feed(load: Load) -> None:
    module = load("A = 'x'\n\f\ndef f(x):\n    return x\n")
    assert found(module.f) == "def f(x):\n    return x"


def test_source_of_a_module_in_a_zip_archive_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib
    import zipfile

    with zipfile.ZipFile(tmp_path / "lib.zip", "w") as archive:
        archive.writestr("zipped_script.py", textwrap.dedent(SCRIPT))
    monkeypatch.syspath_prepend(str(tmp_path / "lib.zip"))
    module = importlib.import_module("zipped_script")
    assert "a comment" in (found(module.helper) or "")
