"""Which modules are the user's own, and how imports inside functions lead to them."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from parslish.identity.code import fingerprint, is_project_module
from tests.identity.scripts import Load


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of the user's own, `ownpack`, not imported yet."""
    folder = tmp_path / "lib" / "ownpack"
    (folder / "inner").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "tools.py").write_text("LIMIT = 3\ndef clip(x): return min(x, LIMIT)\ndef other(x): return x\n")
    (folder / "inner" / "__init__.py").write_text("from .deep import cut\n")
    (folder / "inner" / "deep.py").write_text("def cut(x):\n    from ..tools import clip\n    return clip(x)\n")
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "ownpack"]:
        del sys.modules[name]


def forget() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "ownpack"]:
        del sys.modules[name]


LIBRARIES = ["json.decoder", "numpy", "numpy.linalg", "sys", "os", "_thread", "importlib._bootstrap", "parslish.kernel"]


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_library_is_not_the_users_own(name: str) -> None:
    pytest.importorskip("numpy.linalg")
    assert not is_project_module(name)


def test_a_module_that_nobody_knows_is_the_users_own() -> None:
    assert is_project_module("__main__")
    assert is_project_module(__name__)
    assert is_project_module("made_up_module")


def test_a_name_inside_a_library_counts_as_the_library() -> None:
    pytest.importorskip("numpy")
    assert not is_project_module("numpy.not_there.at_all")
    assert not is_project_module("json.not_there")


def test_a_users_file_named_like_a_standard_module_is_the_users_own(load: Load) -> None:
    kept = sys.modules.get("sched")
    sys.modules["sched"] = module = types.ModuleType("sched")
    try:
        module.__file__ = "/home/user/project/sched.py"
        assert is_project_module("sched")
    finally:
        del sys.modules["sched"]
        if kept is not None:
            sys.modules["sched"] = kept


def test_an_installed_or_compiled_file_is_a_library() -> None:
    name, module = "placed_module", types.ModuleType("placed_module")
    sys.modules[name] = module
    try:
        for file, is_own in {
            "/home/user/project/a.py": True,
            "/home/user/project/.venv/lib/python3.11/site-packages/a.py": False,
            "/usr/lib/python3/dist-packages/a.py": False,
            "/home/user/project/a.abi3.so": False,
            types.__file__: False,
        }.items():
            module.__file__ = file
            assert is_project_module(name) is is_own, file
    finally:
        del sys.modules[name]


IMPORTS = {
    "from": "def f(x):\n    from ownpack.tools import clip\n    return clip(x)",
    "import": "def f(x):\n    import ownpack.tools\n    return ownpack.tools.clip(x)",
    "import as": "def f(x):\n    import ownpack.tools as t\n    return t.clip(x)",
    "from package": "def f(x):\n    from ownpack import tools\n    return tools.clip(x)",
    "through another": "def f(x):\n    from ownpack.inner import cut\n    return cut(x)",
    "in an inner function": "def f(x):\n    def g():\n        import ownpack.tools as t\n        t.clip\n    g()",
    "either": "def f(x):\n    try:\n        import ownpack.tools as t\n    except E:\n        t = None\n    return t",
}


@pytest.mark.parametrize("case", IMPORTS)
def test_an_import_inside_a_function_is_followed_before_and_after_it_was_made(
    load: Load, package: Path, case: str
) -> None:
    module = load(IMPORTS[case])
    before = fingerprint(module.f)
    module.f(1)
    assert before.is_current()
    assert fingerprint(module.f).digest == before.digest
    sys.modules["ownpack.tools"].LIMIT = 4  # type: ignore[attr-defined]
    assert not before.is_current()
    assert fingerprint(module.f).digest != before.digest


def test_only_what_is_taken_of_a_module_counts(load: Load, package: Path) -> None:
    for case in ("from", "import", "import as", "from package"):
        before = fingerprint(load(IMPORTS[case]).f).digest
        file = package / "tools.py"
        text = file.read_text()
        file.write_text(text.replace("def other(x): return x", "def other(x): return -x"))
        forget()
        assert fingerprint(load(IMPORTS[case]).f).digest == before, case
        file.write_text(text)
        forget()


def test_all_of_a_module_that_is_passed_on_counts(load: Load, package: Path) -> None:
    source = "from ownpack import tools\ndef f(x): return getattr(tools, x)"
    before = fingerprint(load(source).f)
    (package / "tools.py").write_text((package / "tools.py").read_text().replace("return x", "return -x"))
    forget()
    assert fingerprint(load(source).f).digest != before.digest


def test_an_import_that_fails_is_left_to_the_call(load: Load, package: Path) -> None:
    (package / "broken.py").write_text("raise RuntimeError('no')")
    module = load("def f(x):\n    import ownpack.broken, not_installed_at_all\n    from . import relative")
    assert fingerprint(module.f).is_current()


def test_a_library_is_not_imported_for_a_fingerprint(load: Load) -> None:
    sys.modules.pop("this", None)
    fingerprint(load("def f(x):\n    import this\n    return this").f)
    assert "this" not in sys.modules
