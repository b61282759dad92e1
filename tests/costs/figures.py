"""Owns the stored figures: measures all kinds of cost, compares, and writes them anew.

    python -m tests.costs.figures            print what has changed
    python -m tests.costs.figures --renew    keep what is measured now

Figures belong to a minor version of Python, since what is a call differs between them. Where there are none for the
version that runs, those of the nearest one are taken, with `SLACK`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("figures.json")
ROOT = Path(__file__).resolve().parents[2]
KINDS = ("calls", "locks", "memory", "disk", "hops")
RENEW = "python -m tests.costs.figures --renew"
SLACK = 0.15  # of figures of another version
LAYOUT_SLACK = 0.6  # of objects then: before 3.11 each with attributes has a dict besides
BYTES_SLACK = 0.02  # of bytes: lists and dicts grow in steps

Figures = Mapping[str, Any]


def measured(kind: str) -> dict[str, Any]:
    """One kind of cost as it is now."""
    command = [sys.executable, "-m", "tests.costs.measure", kind]
    with tempfile.TemporaryDirectory() as folder:
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "PARSLISH_KEY_FILE": f"{folder}/key"}
        done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def stored(kind: str, version: str) -> tuple[dict[str, Any], float]:
    """The figures to compare with on a version of Python, such as "3.11", and the slack they need there."""
    by_version = json.loads(FILE.read_text())
    nearest = min(by_version, key=lambda known: abs(_minor(known) - _minor(version)))
    return by_version[nearest][kind], 0.0 if nearest == version else SLACK


def risen(kind: str, before: Figures, now: Figures, slack: float = 0.0) -> list[str]:
    """A sentence for each figure that is higher than it was."""
    return [
        f"{name}: from {before.get(name, 0)} to {value}{'' if kind == 'hops' else ' per 1,000 tasks'}"
        for name, value in now.items()
        if _is_more(name, before.get(name), value, slack)
    ]


def _is_more(name: str, before: Any, now: Any, slack: float) -> bool:
    if isinstance(now, list):
        return bool(now != before)
    if name.endswith("bytes"):
        slack = max(slack, BYTES_SLACK)
    elif name.endswith("followed") and slack:
        slack = LAYOUT_SLACK
    return bool(now > (before or 0) * (1 + slack))


def renew(version: str) -> None:
    """Keep what is measured now, of this version of Python."""
    by_version = json.loads(FILE.read_text()) if FILE.exists() else {}
    by_version[version] = {kind: measured(kind) for kind in KINDS}
    FILE.write_text(json.dumps(by_version, indent=1, sort_keys=True) + "\n")


def _minor(version: str) -> int:
    return int(version.split(".")[1])


def running() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _print_changes() -> None:
    for kind in KINDS:
        before, slack = stored(kind, running())
        now = measured(kind)
        for name in sorted({*before, *now}):
            if before.get(name) != now.get(name):
                print(f"{kind}: {name}: {before.get(name, 0)} → {now.get(name, 0)}" + (" (slack)" if slack else ""))


if __name__ == "__main__":
    renew(running()) if "--renew" in sys.argv[1:] else _print_changes()
