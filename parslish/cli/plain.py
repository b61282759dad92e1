"""Owns what facts of a record are in JSON's types, and in a line for people."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from parslish.cli.sheet import some
from parslish.history import previews

_SHOWN: Final = 5  # parts of a list


def plain(value: Any) -> Any:
    """A fact or a preview in JSON's types; what these have not, as the preview that has its `repr`."""
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, bytes) or (isinstance(value, float) and not math.isfinite(value)):
        return {"repr": previews.shown(value)}
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def in_a_line(value: object) -> str:
    """A fact for people; of bytes only how many there are."""
    if isinstance(value, list | tuple):
        return some([in_a_line(each) for each in value], _SHOWN)
    return f"{len(value):,} bytes" if isinstance(value, bytes) else str(value)
