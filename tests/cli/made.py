"""A run as kernels make them, with every kind of task in it: what the commands about runs are tried on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import parslish
from parslish import Config, bash_app, join_app, python_app
from parslish.history.record import RunRecord
from parslish.secret import Keys


@python_app(cache=True)
def prep(x: int) -> dict[str, Any]:
    return {"a": x}


@python_app(cache=True)
def relax(p: dict[str, Any], scale: float = 0.5) -> float:
    value: float = p["a"] * scale + 0.125
    return value


@join_app
def scan(n: int) -> list[Any]:
    return [relax(prep(i), label=f"m{i}") for i in range(n)]


@python_app
def total(xs: list[float]) -> float:
    return sum(xs)


@python_app
def fail(x: int) -> None:
    raise ValueError("told so:\n\x1b[31mred")


@bash_app
def echo(text: str, stdout: Any = None, stderr: Any = None) -> str:
    return f"echo {text}; echo oops >&2"


def make(n: int = 2, **options: Any) -> None:
    """A run of 5 + 2n tasks, of which two did not end well: ids 0 to 4 are those of the script itself."""
    with parslish.load(Config(run_dir="runinfo", checkpoint_mode="task_exit", retries=1, **options)):
        with parslish.scope("scf", 1):
            values = scan(n)
        ended = [total(values), echo("hello", stdout=parslish.AUTO_LOGNAME, stderr="err.txt")]
        failed = fail(1)
        ended += [failed, total([failed])]
        for each in ended:
            each.exception()


def record(run: str = "000") -> RunRecord:
    return RunRecord(Path("runinfo", run), Keys.load())


SCRIPT = """
import os, sys, parslish

@parslish.python_app(cache=True)
def f(x):
    if x == 2 and not os.path.exists("mended"):
        raise ValueError("not yet")
    return x + 0.5

@parslish.python_app(cache=True)
def g(xs):
    return sum(xs)

with parslish.load({config}):
    got = g([f(i) for i in range(4)])
    bad = got.exception() is not None
print("printed", *sys.argv[1:])
sys.exit(3 if bad else 0)
"""


def script(config: str = "parslish.Config(checkpoint_mode='task_exit')", name: str = "script.py") -> Path:
    """A script of five tasks that ends with 3 until there is a file named mended."""
    path = Path(name)
    path.write_text(SCRIPT.replace("{config}", config))
    return path
