"""Owns `run.json`: what a listing needs to know of a run, in one small file that is replaced whole."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

NAME = "run.json"


def write(run: Path, facts: dict[str, Any]) -> None:
    """Write a run's card. Trouble costs the card, never the run."""
    new = run / f".{NAME}.{os.getpid()}"
    with contextlib.suppress(OSError):
        new.write_text(json.dumps(facts, indent=1, default=str) + "\n")
        os.replace(new, run / NAME)


def read(run: Path) -> dict[str, Any]:
    """A run's card; empty when there is none, or it is not ours."""
    try:
        facts = json.loads((run / NAME).read_text())
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}
