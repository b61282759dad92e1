"""Owns the environments in `.bench`: makes each once, and again when its requirements change."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

from benchmarks.peers import REQUIREMENTS

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".bench"


class NotInstalled(Exception):
    """An environment could not be made; the one sentence says why."""


@functools.cache
def python_of(environment: str) -> str:
    """The interpreter of an environment, which is made if need be.

    Raises:
        NotInstalled: pip could not install what it needs.
    """
    folder = HOME / environment
    wanted = _description(environment)
    stamp = folder / "requirements.txt"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"making .bench/{environment}", file=sys.stderr, flush=True)
        _make(folder, wanted)
        stamp.write_text(wanted)
    return str(folder / "bin" / "python")


def _description(environment: str) -> str:
    """What pip reads; the comments let another Python, or other dependencies of ours, make it anew."""
    lines = [f"# Python {sys.version.split()[0]}", *REQUIREMENTS[environment]]
    if "." in lines:
        lines.append(f"# setup.cfg {zlib.crc32((ROOT / 'setup.cfg').read_bytes())}")
    return "\n".join([*lines, ""])


def _make(folder: Path, wanted: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(exist_ok=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip"]
    if subprocess.run([sys.executable, "-m", "venv", folder], capture_output=True).returncode:
        # Debian's Python has no ensurepip: the pip of the system installs into a bare environment.
        _run([sys.executable, "-m", "venv", "--without-pip", "--clear", folder])
        pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
    listed = folder / "wanted.txt"
    listed.write_text(wanted)
    _run([*pip, "install", "--quiet", "--disable-pip-version-check", "--requirement", listed])


def _run(command: list[str | Path]) -> None:
    # In the project's folder, where "." is the project.
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        errors = [line for line in said if line.startswith("ERROR:")]
        raise NotInstalled((errors or said or [f"exit code {done.returncode}"])[-1].removeprefix("ERROR: "))
