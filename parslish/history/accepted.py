"""Owns which earlier code of an app is as good as its present one: marks in the run folder, said by somebody."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeGuard

from parslish.history import marks
from parslish.secret import Keys

_WHAT: Final = "accept"
_CODE: Final = re.compile("[0-9a-f]{64}")


def write(run_dir: Path, keys: Keys, app: str, code: str, earlier: str, *, reason: str, user: str) -> None:
    """Let results of `earlier` code of an app count for `code`; both in hexadecimal. Raises StoreError."""
    facts = {"app": app, "code": code, "earlier": earlier, "reason": reason, "user": user}
    marks.write(run_dir, keys, _WHAT, facts)


class Accepted:
    """What was accepted in a run folder."""

    def __init__(self, run_dir: Path, keys: Keys) -> None:
        self._earlier: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for mark in marks.read(run_dir, keys):
            app, code, earlier = (mark.facts.get(name) for name in ("app", "code", "earlier"))
            if mark.what == _WHAT and isinstance(app, str) and _is_code(code) and _is_code(earlier):
                self._earlier[app, code].append(earlier)

    def __bool__(self) -> bool:
        return bool(self._earlier)

    def codes(self, app: str, code: str) -> Sequence[str]:
        """The earlier code of an app whose results count for `code`, and what had been accepted for that."""
        found: list[str] = []
        waiting = list(self._earlier.get((app, code), ()))
        while waiting:
            each = waiting.pop(0)
            if each not in found and each != code:
                found.append(each)
                waiting += self._earlier.get((app, each), ())
        return found


def _is_code(found: object) -> TypeGuard[str]:
    return isinstance(found, str) and _CODE.fullmatch(found) is not None
