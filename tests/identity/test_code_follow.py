"""What a fingerprint covers: code reached in every way that Python has of reaching code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from parslish.identity.code import fingerprint
from tests.identity.scripts import Load
from tests.identity.sources import (
    APPS,
    ARRAY,
    ASYNC,
    ATTRIBUTE,
    ATTRS,
    CACHED,
    CLASSES,
    CONTEXT,
    DATACLASS,
    DEFAULTS,
    ENUM,
    METHOD,
    MODULE_GETATTR,
    NAMED_TUPLES,
    OBJECT,
    PARTIAL,
    RANDOM,
    SINGLEDISPATCH,
    STATIC,
    TABLE,
    VECTORIZED,
    WRAPPED,
)

# Every one of these edits of a script must change the fingerprint of its function `f`.
EDITS = [
    (SINGLEDISPATCH, "return 2", "return 3"),
    (SINGLEDISPATCH, "register(str)", "register(bytes)"),
    (CACHED, "x + STEP", "x - STEP"),
    (CACHED, "STEP = 1", "STEP = 2"),
    (CONTEXT, "x + 1", "x + 2"),
    (WRAPPED, "@times(2)", "@times(3)"),
    (WRAPPED, "* n", "+ n"),
    (WRAPPED, "x + 1", "x + 2"),
    (ENUM, "BLUE = 2", "BLUE = 3"),
    (ENUM, '"!"', '"?"'),
    (NAMED_TUPLES, '"x y"', '"y x"'),
    (NAMED_TUPLES, "[1]", "[2]"),
    (NAMED_TUPLES, "= 3", "= 4"),
    (NAMED_TUPLES, "2 * self", "3 * self"),
    *((kind, old, new) for kind in (DATACLASS, ATTRS) for old, new in [
        ("[1]", "[2]"), ("2.0", "3.0"), ("self.x", "self.z"), ("x: int", "x: str"),
    ]),
    (DATACLASS, "frozen=True", "frozen=False"),
    (CLASSES, "return super().__call__(*args)", "return super().__call__()"),
    (CLASSES, "return 5", "return 6"),
    (CLASSES, "limit = 10", "limit = 11"),
    (CLASSES, "inherited() + 1", "inherited() + 2"),
    (CLASSES, "return 2", "return 22"),
    (CLASSES, "return 3", "return 33"),
    (CLASSES, "return 4", "return 44"),
    (TABLE, "x + 2", "x + 3"),
    (TABLE, '"b": b', '"b": a'),
    (OBJECT, "[1, 2]", "[1, 3]"),
    (OBJECT, "x * self", "x + self"),
    (RANDOM, "Random(3)", "Random(4)"),
    (ARRAY, "3.0", "4.0"),
    (VECTORIZED, "x + 1", "x + 2"),
    (APPS, "x + 1", "x + 2"),
    (APPS, "@python_app", "@join_app"),
    (ASYNC, "return x", "return -x"),
    (DEFAULTS, "make(2)", "make(4)"),
    (DEFAULTS, "m=3", "m=4"),
    (PARTIAL, "add, 1", "add, 2"),
    (PARTIAL, "c=2", "c=3"),
    (PARTIAL, "+ c", "- c"),
    (METHOD, "Adder(3)", "Adder(4)"),
    (METHOD, "x + self", "x - self"),
    (ATTRIBUTE, "[1, 2]", "[1, 3]"),
    (STATIC, "data = [1]", "data = [2]"),
    (STATIC, "limit = 3", "limit = 4"),
    (MODULE_GETATTR, "return len", "return sum"),
]  # fmt: skip
SCRIPTS = list(dict.fromkeys(source for source, _, _ in EDITS))


@pytest.mark.parametrize(("source", "old", "new"), EDITS)
def test_an_edit_anywhere_in_the_code_used_changes_the_fingerprint(load: Load, source: str, old: str, new: str) -> None:
    assert old in source
    before = fingerprint(load(source).f).digest
    assert fingerprint(load(source.replace(old, new)).f).digest != before


@pytest.mark.parametrize("source", SCRIPTS)
def test_the_same_script_loaded_again_has_the_same_fingerprint(load: Load, source: str) -> None:
    assert fingerprint(load(source).f).digest == fingerprint(load(source).f).digest


JIT = """
from fastlib import jit, traced
from parslish import python_app
LEVEL = 1
@python_app(cache=True)
@jit(fast=True, level=LEVEL)
def helper(x): return x + 1
@traced("a")
def other(x): return x
def f(x): return other(helper(x))
"""
JIT_EDITS = {
    "fast=True": "fast=False",
    "LEVEL = 1": "LEVEL = 2",
    '"a"': '"b"',
    "x + 1": "x + 2",
    "return x\n": "return 1\n",
}


@pytest.fixture
def fastlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A library whose decorators keep what they were told where nobody can see it, as compiled ones do."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    (folder / "fastlib.py").write_text(
        "import functools\n"
        "class Compiled:\n"
        "    def __init__(self, function): functools.update_wrapper(self, function)\n"
        "    def __call__(self, *args): return self.__wrapped__(*args)\n"
        "    def __reduce__(self): raise TypeError('no')\n"
        "def jit(**options): return Compiled\n"
        "def traced(label):\n"
        "    def decorate(function):\n"
        "        @functools.wraps(function)\n"
        "        def wrapper(*args): return function(*args)\n"
        "        return wrapper\n"
        "    return decorate\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    yield
    sys.modules.pop("fastlib", None)


@pytest.mark.parametrize("old", JIT_EDITS)
def test_what_a_librarys_decorator_was_told_counts(load: Load, fastlib: None, old: str) -> None:
    assert old in JIT
    before = fingerprint(load(JIT).f)
    assert before.digest == fingerprint(load(JIT).f).digest
    assert fingerprint(load(JIT.replace(old, JIT_EDITS[old])).f).digest != before.digest


def test_what_parslishs_own_decorators_were_told_does_not_count(load: Load, fastlib: None) -> None:
    before = fingerprint(load(JIT).helper.func)
    assert fingerprint(load(JIT.replace("cache=True", "cache=False")).helper.func).digest == before.digest


def test_renaming_a_function_that_calls_itself_changes_nothing(load: Load) -> None:
    source = "def f(n): return n * f(n - 1) if n else 1"
    assert fingerprint(load(source).f).digest == fingerprint(load(source.replace("f(n", "fact(n")).fact).digest


def test_a_version_stands_for_the_code_of_an_app_that_is_called(load: Load) -> None:
    def digest(version: str, step: int) -> bytes:
        options = f"cache=True, version='{version}'"
        return fingerprint(load(APPS.replace("cache=True", options).replace("x + 1", f"x + {step}")).f).digest

    assert digest("1", 1) == digest("1", 2) != digest("2", 1)


def test_code_that_calls_in_a_circle_has_a_fingerprint_whichever_way_it_is_entered(load: Load) -> None:
    module = load("def even(n): return n == 0 or odd(n - 1)\ndef odd(n): return n != 0 and even(n - 1)")
    even, odd = fingerprint(module.even), fingerprint(module.odd)
    assert even.digest != odd.digest
    assert {part.name for part in even.parts} == {part.name for part in odd.parts}


def test_a_chain_of_a_thousand_helpers_does_not_recurse(load: Load) -> None:
    chain = "\n".join(f"def h{i}(x): return h{i + 1}(x)" for i in range(1000))
    source = f"{chain}\ndef h1000(x): return x\ndef f(x): return h0(x)"
    made = fingerprint(load(source).f)
    assert len(made.parts) == 1002
    assert made.is_current()
    assert fingerprint(load(source.replace("h1000(x): return x", "h1000(x): return -x")).f).digest != made.digest


def test_a_constant_is_encoded_once_however_often_it_is_named(load: Load) -> None:
    """It may be a large array."""
    source = """
    asked = []
    class Constant:
        a = b = 1
        def __parslish_key__(self): return asked.append(1)
    G = Constant()
    def helper(): return G.b, G
    def f(x): return G.a, G.b, G, helper()
    """
    module = load(source)
    made = fingerprint(module.f)
    assert len(module.asked) == 1
    assert made.is_current()
    assert len(module.asked) == 2


def test_numbers_are_shown_and_strings_are_not(load: Load) -> None:
    made = fingerprint(load("N = 3\nTOKEN = 'secret'\nBIG = 10**5000\ndef f(x): return N, TOKEN, BIG").f)
    shown = {part.name: part.text for part in made.parts if part.kind == "constant"}
    assert shown == {"user_script.N": "3", "user_script.TOKEN": "", "user_script.BIG": ""}


def test_what_cannot_be_told_is_named_by_its_kind(load: Load) -> None:
    source = "import threading\nlock = threading.Lock()\nseen = []\ndef f(x):\n    seen.append(lock)\n    return gone"
    kinds = {part.name.rpartition(".")[2]: part.kind for part in fingerprint(load(source).f).parts}
    assert kinds == {"f": "function", "seen": "state", "lock": "opaque", "gone": "missing"}


def test_the_kinds_of_parts_are_those_that_are_documented(load: Load) -> None:
    documented = {"function", "class", "constant", "closure", "default", "attribute", "state", "opaque", "missing"}
    assert documented >= {part.kind for source in SCRIPTS for part in fingerprint(load(source).f).parts}
