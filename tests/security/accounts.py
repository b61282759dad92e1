"""Owns being two accounts of one machine: scripts that run as another user, with a home, key and folders of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import parslish

ROOT = Path(parslish.__file__).parents[1]
ADA, BOB = 54_321, 54_322  # ids that nobody has
PATIENCE_S = 60

#: Calls an app three times; prints the results, what was computed, and where.
SQUARES = """
import json, sys
import parslish

runs = []

@parslish.python_app(cache=True)
def square(x):
    runs.append(x)
    return x * x

with parslish.load(parslish.Config(checkpoint_mode="task_exit", **json.loads(sys.argv[1]))) as kernel:
    results = [square(x).result() for x in range(3)]
    print(json.dumps({"results": results, "runs": runs, "run": kernel.run_dir}))
"""

#: Becomes another user, and runs a script. What that may import is imported before: the interpreter may lie
#: where only root can read.
BECOME = """
import difflib, importlib, os, pkgutil, pwd, runpy, sys
import parslish

for each in pkgutil.walk_packages(parslish.__path__, "parslish."):
    if not each.name.endswith(("__main__", ".frames", ".arrays")):  # pandas and numpy take longest, and are not used
        importlib.import_module(each.name)
uid, umask, *sys.argv = sys.argv[1:]
os.setgroups([])
os.setgid(int(uid))
os.setuid(int(uid))
os.umask(int(umask))
runpy.run_path(sys.argv[0], run_name="__main__")
"""

needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="to be two accounts, tests have to be started by root (as in a container, or by sudo)"
)


@dataclass(frozen=True)
class Done:
    """What a script left."""

    code: int
    out: str
    err: str

    @property
    def facts(self) -> dict[str, Any]:
        assert self.code == 0, self.err
        facts: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return facts


@dataclass(frozen=True)
class Account:
    """A user, and the folder that is home and working folder."""

    uid: int
    home: Path

    @property
    def key(self) -> Path:
        return self.home / ".config" / "parslish" / "key"

    def python(self, code: str, *arguments: str, umask: int = 0o022) -> Done:
        """Run a script as this user, in its home."""
        env = {"PATH": os.environ["PATH"], "HOME": str(self.home), "PYTHONPATH": str(ROOT), "LOGNAME": "somebody"}
        script = self.home.parent / "script.py"  # a file, as an app's code is read from its source
        script.write_text(code)
        script.chmod(0o644)
        done = subprocess.run(
            [sys.executable, "-c", BECOME, str(self.uid), str(umask), str(script), *arguments],
            cwd=self.home,
            env=env,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def squares(self, umask: int = 0o022, **config: Any) -> Done:
        """Run the script `SQUARES` with options of `Config`."""
        return self.python(SQUARES, json.dumps(config), umask=umask)

    def command(self, *arguments: str) -> Done:
        """Run a command of `parslish`."""
        code = "import sys; from parslish.cli import main; sys.exit(main())"
        return self.python(code, *arguments)

    def own(self, path: Path, mode: int) -> Path:
        """Give a file or folder to this user."""
        os.chown(path, self.uid, self.uid, follow_symlinks=False)
        path.chmod(mode)
        return path


@contextmanager
def two_accounts() -> Iterator[tuple[Account, Account]]:
    """Two users, each with a home that the other may enter and not write to."""
    # Not below pytest's own folder, which only its user may enter.
    base = Path(tempfile.mkdtemp(prefix="parslish-accounts-"))
    base.chmod(0o755)
    try:
        accounts = []
        for name, uid in (("ada", ADA), ("bob", BOB)):
            (base / name).mkdir()
            account = Account(uid, base / name)
            account.own(base / name, 0o755)
            accounts.append(account)
        ada, bob = accounts
        yield ada, bob
    finally:
        shutil.rmtree(base)
