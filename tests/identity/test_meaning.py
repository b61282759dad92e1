"""What changes the fingerprint of a function, and what does not."""

from __future__ import annotations

import linecache
import os
import subprocess
import sys
import textwrap
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from parslish.identity.code import fingerprint
from parslish.identity.key import KeyMaker
from parslish.identity.project import is_project_module

BASE = '''
import math
from dataclasses import dataclass
SCALE = 2.0
TABLE = {"a": 1, "b": [1, 2]}
seen = []
counts = {}

def helper(x, offset=1):
    """Adds."""
    return x + offset

def other(x):
    return x

class Model:
    order = 3
    def evaluate(self, x):
        return helper(x) * self.order

@dataclass
class Point:
    x: float
    y: float = 0.0

def app(x, y=0):
    """What the app does."""
    seen.append(x)
    counts["n"] = counts.get("n", 0) + 1
    values = [helper(i) for i in range(3)]
    if x and y:
        return SCALE * math.sqrt(x) + TABLE["a"] + sum(values)
    return Model().evaluate(x) + Point(x).y
'''

SAME = {
    "lines moved": ("import math", "import math\n\n\n# a comment\n"),
    "comment added": ("    if x and y:", "    # why\n    if x and y:"),
    "docstring changed": ("What the app does.", "Something else."),
    "docstring removed": ('    """What the app does."""\n', ""),
    "docstring of a helper changed": ("Adds.", "Sums."),
    "condition on two lines": ("    if x and y:", "    if (\n        x\n        and y\n    ):"),
    "redundant parentheses": ("return x + offset", "return (x + offset)"),
    "quotes": ('counts["n"]', "counts['n']"),
    "annotations": ("def app(x, y=0):", "def app(x: float, y: int = 0) -> float:"),
    "default of the app itself": ("def app(x, y=0):", "def app(x, y=1):"),
    "state at the start": ("seen = []", "seen = [1, 2]"),
    "state set by index": ("counts = {}", "counts = {'n': 5}"),
    "unused code": ("def other(x):\n    return x", "def other(x):\n    return -x"),
    "order of a dict": ('{"a": 1, "b": [1, 2]}', '{"b": [1, 2], "a": 1}'),
    "helper moved": ("import math", "def helper(x, offset=1):\n    return 0\nimport math"),
    "trailing comma": ("helper(i) for i in range(3)", "helper(i,) for i in range(3,)"),
}

DIFFERENT = {
    "constant of the code": ("range(3)", "range(4)"),
    "type of a constant": ("range(3)", "range(3.0)"),
    "operator": ("SCALE * math", "SCALE + math"),
    "branch": ("if x and y", "if x or y"),
    "global constant": ("SCALE = 2.0", "SCALE = 2.5"),
    "type of a global constant": ("SCALE = 2.0", "SCALE = 2"),
    "item of a global dict": ('{"a": 1,', '{"a": 2,'),
    "nested item of a global dict": ("[1, 2]}", "[1, 3]}"),
    "helper": ("return x + offset", "return x - offset"),
    "default of a helper": ("offset=1", "offset=2"),
    "method": ("helper(x) * self.order", "helper(x) + self.order"),
    "class attribute": ("order = 3", "order = 4"),
    "field of a dataclass": ("y: float = 0.0", "y: float = 1.0"),
    "another library function": ("math.sqrt", "math.cbrt"),
    "another helper": ("[helper(i)", "[other(i)"),
    "helper of a helper": (
        "return x + offset",
        "return x + other(offset)",
    ),
    "helper that is not there": ("[helper(i)", "[missing(i)"),
}


def module_of(text: str, name: str, folder: Path) -> types.ModuleType:
    path = folder / f"{name}.py"
    path.write_text(text)
    module = types.ModuleType(name)
    module.__file__ = str(path)
    exec(compile(text, str(path), "exec", dont_inherit=True), vars(module))
    return module


@pytest.fixture(autouse=True)
def fresh_lines() -> Iterator[None]:
    yield
    linecache.clearcache()


def app_of(text: str, folder: Path, name: str = "script") -> Any:
    return module_of(text, name, folder).app


@pytest.mark.parametrize("case", SAME)
def test_nothing_of_meaning_changed(case: str, tmp_path: Path) -> None:
    old, new = SAME[case]
    assert old in BASE
    first = KeyMaker(app_of(BASE, tmp_path, "one"), "app").code_digest
    assert KeyMaker(app_of(BASE.replace(old, new), tmp_path, "two"), "app").code_digest == first


@pytest.mark.parametrize("case", DIFFERENT)
def test_something_of_meaning_changed(case: str, tmp_path: Path) -> None:
    old, new = DIFFERENT[case]
    assert old in BASE
    first = fingerprint(app_of(BASE, tmp_path, "one"))
    assert fingerprint(app_of(BASE.replace(old, new), tmp_path, "two")).digest != first.digest


@pytest.mark.parametrize("case", [*SAME, *DIFFERENT])
def test_without_source_changes_of_meaning_are_seen_too(case: str) -> None:
    """Code from `exec` or stdin has no source: its bytecode speaks."""

    def unsourced(text: str) -> bytes:
        names: dict[str, Any] = {"__name__": "unsourced"}
        exec(compile(text, "<nowhere>", "exec", dont_inherit=True), names)
        return fingerprint(names["app"]).digest

    old, new = {**SAME, **DIFFERENT}[case]
    changed = unsourced(BASE.replace(old, new))
    if case in DIFFERENT:
        assert changed != unsourced(BASE)
    else:  # formatting may show in bytecode; what is promised is that nothing is missed
        assert changed == unsourced(BASE.replace(old, new))


SCRIPT = (
    BASE
    + """
from parslish.identity.code import fingerprint
print(fingerprint(app).digest.hex())
"""
)


def run(*command: str, cwd: Path, stdin: str = "", **env: str) -> str:
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
    return done.stdout.strip()


def test_the_same_in_another_process_folder_and_under_c(tmp_path: Path) -> None:
    for folder in ("a", "b/c"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "script.py").write_text(SCRIPT)
    digests = {
        run("script.py", cwd=tmp_path / "a", PYTHONHASHSEED="1"),
        run("script.py", cwd=tmp_path / "b/c", PYTHONHASHSEED="2"),
        run("-c", SCRIPT, cwd=tmp_path),
        run("-c", "import script", cwd=tmp_path / "a"),
    }
    assert len(digests) == 1


def test_the_same_in_a_notebook_cell(tmp_path: Path) -> None:
    linecache.cache["<ipython-input-1>"] = (len(BASE), None, BASE.splitlines(keepends=True), "<ipython-input-1>")
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(BASE, "<ipython-input-1>", "exec", dont_inherit=True), names)
    assert fingerprint(names["app"]).digest == fingerprint(app_of(BASE, tmp_path)).digest


def test_two_scripts_with_the_same_name_in_main_differ(tmp_path: Path) -> None:
    one, two = SCRIPT, SCRIPT.replace("range(3)", "range(5)")
    (tmp_path / "one.py").write_text(one)
    (tmp_path / "two.py").write_text(two)
    assert run("one.py", cwd=tmp_path) != run("two.py", cwd=tmp_path)


def test_a_file_edited_after_import_speaks_for_what_runs(tmp_path: Path) -> None:
    """The new text must not be taken for the code that was loaded: its results would be filed under the new code."""
    old_app = app_of(BASE, tmp_path)
    new_text = BASE.replace("range(3)", "range(4)")
    (tmp_path / "script.py").write_text(new_text)
    os.utime(tmp_path / "script.py", (1, 1))
    after = fingerprint(old_app).digest
    assert after != fingerprint(app_of(new_text, tmp_path, "new")).digest


def test_rebinding_a_name_makes_a_fingerprint_outdated(tmp_path: Path) -> None:
    module = module_of(BASE, "script", tmp_path)
    made = fingerprint(module.app)
    assert made.is_current()
    module.SCALE = 3.0  # type: ignore[attr-defined]
    assert not made.is_current()
    module.SCALE = 2.0  # type: ignore[attr-defined]
    assert fingerprint(module.app).digest == made.digest


def test_changing_a_constant_container_makes_it_outdated_and_state_does_not(tmp_path: Path) -> None:
    module = module_of(BASE, "script", tmp_path)
    made = fingerprint(module.app)
    module.seen.append(1)
    module.counts["n"] = 7
    assert made.is_current()
    module.TABLE["a"] = 9
    assert not made.is_current()


def test_helpers_behind_modules_and_imports_inside_functions_are_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    package = tmp_path / "proj_followed"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "tools.py").write_text("LIMIT = 3\ndef clip(x):\n    return min(x, LIMIT)\n")
    text = textwrap.dedent("""
        import proj_followed.tools
        import proj_followed.tools as t
        from proj_followed import tools
        def by_attribute(x): return tools.clip(x)
        def by_full_name(x): return proj_followed.tools.clip(x)
        def by_from(x):
            from proj_followed.tools import clip
            return clip(x)
        def by_import_as(x):
            import proj_followed.tools as local
            return local.clip(x)
    """)
    module = module_of(text, "uses", tmp_path)
    names = ["by_attribute", "by_full_name", "by_from", "by_import_as"]
    before = {name: fingerprint(getattr(module, name)).digest for name in names}
    sys.modules["proj_followed.tools"].LIMIT = 4  # type: ignore[attr-defined]
    for name in names:
        assert fingerprint(getattr(module, name)).digest != before[name], name


def test_closures_partials_methods_and_callable_objects_are_told_apart(tmp_path: Path) -> None:
    text = textwrap.dedent("""
        import functools
        def outer(n):
            def inner(x): return x + n
            return inner
        def add(x, y): return x + y
        class Call:
            def __init__(self, n): self.n = n
            def __call__(self, x): return x + self.n
            def method(self, x): return x * self.n
        def even(n): return n == 0 or odd(n - 1)
        def odd(n): return n != 0 and even(n - 1)
        @functools.lru_cache
        def cached(x): return x + 1
        things = [outer(1), outer(2), functools.partial(add, 1), functools.partial(add, 2), Call(1), Call(2),
                  Call(1).method, Call(2).method, even, odd, cached, lambda x: x + 1, len]
    """)
    things = module_of(text, "callables", tmp_path).things
    digests = [fingerprint(thing).digest for thing in things]
    assert len(set(digests)) == len(digests)
    again = module_of(text, "callables", tmp_path).things
    assert [fingerprint(thing).digest for thing in again] == digests


def test_an_app_called_by_another_is_followed_through_its_decorator(tmp_path: Path) -> None:
    text = textwrap.dedent("""
        from parslish import python_app, join_app
        @python_app{options}
        def inner(x): return x + {n}
        @join_app
        def outer(x): return inner(x)
    """)

    def digest(name: str, options: str, n: int) -> bytes:
        module = module_of(text.format(options=options, n=n), name, tmp_path)
        return fingerprint(module.outer.func).digest

    assert digest("a", "", 1) == digest("b", "(cache=True)", 1)
    assert digest("a", "", 1) != digest("c", "", 2)


def test_the_parts_name_what_changed(tmp_path: Path) -> None:
    first = fingerprint(app_of(BASE, tmp_path, "one")).parts
    second = fingerprint(app_of(BASE.replace("x + offset", "x - offset"), tmp_path, "two")).parts
    changed = [(a.kind, a.name, b.text) for a, b in zip(first, second, strict=True) if a.digest != b.digest]
    assert [kind for kind, _, _ in changed] == ["function"]
    assert changed[0][1].endswith("helper") and "x - offset" in changed[0][2]


def test_a_lock_or_logger_among_the_globals_does_no_harm(tmp_path: Path) -> None:
    text = "import threading, logging\nlock = threading.Lock()\nlog = logging.getLogger('x')\n" + (
        "def app(x):\n    with lock:\n        log.info('x')\n        return x\n"
    )
    assert fingerprint(app_of(text, tmp_path, "a")).digest == fingerprint(app_of(text, tmp_path, "b")).digest


def test_libraries_are_named_and_not_followed() -> None:
    assert not is_project_module("json.decoder")
    import numpy  # noqa: F401 — only a module that is there can be told

    assert not is_project_module("numpy")
    assert not is_project_module("parslish.kernel")
    assert is_project_module("__main__")
    assert is_project_module(__name__)
