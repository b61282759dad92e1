"""Imports point one way, and the modules that listings need cannot unpickle."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import parslish

PACKAGE = Path(parslish.__file__).parent

#: From the top down; a module imports from its own row or from rows below.
LAYERS = [
    ["__main__"],
    ["cli"],
    ["__init__"],
    ["executors.facade"],
    ["rerun"],
    ["dispatching", "dispatching.outcomes", "dispatching.nodes"],
    ["dispatching.workflows", "dispatching.programs"],
    ["dispatching.dispatched"],
    ["kernel"],
    ["scheduler"],
    ["guide"],
    ["apps", "calls"],
    ["live_run", "stopping"],
    ["checkpoint", "trouble", "memoizer", "deadlines", "table", "steps", "reuse", "joins", "waiting", "loader"],
    ["recorded", "scopes"],
    ["orders"],
    ["memo", "executors", "leases", "turns"],
    ["compare"],
    ["care"],
    ["result"],
    ["history"],
    ["codec"],
    ["unpickling"],
    ["staging"],
    ["future", "bash", "bash_guard"],
    ["config", "config_check", "config_dict", "configs"],
    ["store"],
    ["secret"],
    ["files", "utils", "logs"],
    ["random_numbers"],
    ["identity"],
    ["graph", "task"],
    ["errors", "exit_code", "interrupts", "latch", "lean", "version"],
]
HEIGHT = {name: -row for row, names in enumerate(LAYERS) for name in names}


def noun(module: str) -> str:
    """The entry of LAYERS that a module belongs to."""
    parts = module.split(".")
    return next(name for n in (2, 1) if (name := ".".join(parts[:n])) in HEIGHT)


def imports_at_load(path: Path) -> list[str]:
    """The parslish modules that a file imports when it is loaded (not inside functions or TYPE_CHECKING)."""
    found = []
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "parslish":
            inside = (node.module or "").removeprefix("parslish").removeprefix(".")
            found += [f"{inside}.{alias.name}".removeprefix(".") for alias in node.names]
    return found


def test_imports_point_one_way() -> None:
    wrong = []
    for path in PACKAGE.rglob("*.py"):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
        for imported in imports_at_load(path):
            if HEIGHT[noun(imported)] > HEIGHT[noun(name)]:
                wrong.append(f"{name} imports {imported}")
    assert not wrong, "\n".join(wrong)


def test_every_module_has_a_layer() -> None:
    for path in PACKAGE.rglob("*.py"):
        noun(".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"))


def test_reading_runs_and_stores_imports_nothing_that_unpickles() -> None:
    """`show`, `ls` and `verify` must not be able to run what a store holds."""
    for package in ("history", "store", "care", "cli"):
        for path in (PACKAGE / package).rglob("*.py"):
            names = {
                alias.name
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, (ast.Import, ast.ImportFrom))
                for alias in node.names
            }
            assert not names & {"pickle", "dill", "cloudpickle", "marshal", "codec", "unpickling"}, path


def test_importing_the_package_starts_no_thread_and_loads_nothing_heavy() -> None:
    code = (
        "import sys, threading, parslish; "
        "heavy = {'numpy', 'pandas', 'loky', 'dill', 'cloudpickle', 'fsspec', 'ftplib', 'multiprocessing'}; "
        "print(threading.active_count(), sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "1 []\n", done.stdout + done.stderr
