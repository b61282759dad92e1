"""Owns where the tasks of a run are: their paths and locs, and which task has one."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Final

from parslish.history.app_record import UNNAMED, AppRecord
from parslish.history.columns import UNKNOWN, Columns
from parslish.history.event import Kind

DEEPEST: Final = 1_000  # places inside each other that are told of: what a record takes grows with its square
_LOC: Final = re.compile(r"(?:-|…\d+)(?:\.N\d+)+")
_NO_SCOPE: Final = (Kind.SCOPE, -1, -1, -1, UNNAMED, UNNAMED)
_DIGITS: Final = 18
_ALL = "-"
_CUT = "…"  # stands for what a path or loc that is too deep begins with


class Places:
    """The places of a run's tasks.

    Args:
        columns: the run.
        apps: its apps.
    """

    def __init__(self, columns: Columns, apps: Mapping[int, AppRecord]) -> None:
        self._columns, self._apps = columns, apps
        #: (parent, scope) → the path of that place, and how deep it is.
        self._known: dict[tuple[int, int], tuple[str, int]] = {(-1, -1): (_ALL, 0)}

    def ids(self) -> Iterator[int]:
        """The ids of the tasks, in order."""
        apps = self._columns.app
        return (id for id in range(self._columns.count) if apps[id] != UNKNOWN)

    def path_of(self, id: int) -> str:
        """`-/scan[2]/relax[Si]`."""
        found = self._columns
        return f"{self.path_around(found.parent[id], found.scope[id])}/{self._part(id)}"

    def loc_of(self, id: int) -> str:
        """`-.N3.N5`."""
        found, parts = self._columns, list[str]()
        while id >= 0 and len(parts) < DEEPEST:
            parts.append(f".N{found.position[id] if found.app[id] >= 0 else UNNAMED}")
            id = found.parent[id]
        return (_ALL if id < 0 else f"{_CUT}{id}") + "".join(reversed(parts))

    def path_around(self, parent: int, scope: int) -> str:
        """The path of a scope, or without one of a join, or "-" for the script itself."""
        known = self._known.get((parent, scope))
        return self._found(parent, scope) if known is None else known[0]

    def find(self, which: int | str) -> int | None:
        """The id of the task with an id, a loc or a path; None when there is none."""
        if isinstance(which, str) and which.isdecimal() and len(which) <= _DIGITS:
            which = int(which)
        if isinstance(which, int):
            known = 0 <= which < self._columns.count and self._columns.app[which] != UNKNOWN
            return which if known else None
        return self._by_loc.get(which) if _LOC.fullmatch(which) else self.by_path.get(which)

    @functools.cached_property
    def by_path(self) -> Mapping[str, int]:
        """The task of each path; of several, as the tries of a join have, the last."""
        return {self.path_of(id): id for id in self.ids()}

    @functools.cached_property
    def _by_loc(self) -> Mapping[str, int]:
        return {self.loc_of(id): id for id in self.ids()}

    def _found(self, parent: int, scope: int) -> str:
        # A loop, not recursion: places may be nested deeper than Python's stack.
        steps, place = [], (parent, scope)
        while place not in self._known:
            part, around = self._step_out(*place)
            steps.append((place, part))
            place = around
        path, depth = self._known[place]
        for place, part in reversed(steps):
            if depth >= DEEPEST:  # with the numbers of the place, so that no other has this path
                path, depth = f"{_CUT}{place[0]}.{place[1]}", 0
            path, depth = f"{path}/{part}", depth + 1
            self._known[place] = path, depth
        return path

    def _step_out(self, parent: int, scope: int) -> tuple[str, tuple[int, int]]:
        """The last part of a place's path, and the place around it: of a lower number, whatever was said."""
        found = self._columns
        if scope < 0:
            return self._part(parent), (found.parent[parent], found.scope[parent])
        _, _, _, outer, name, label, *_ = found.scopes.get(scope, _NO_SCOPE)
        return f"{name}[{label}]", (parent, outer if 0 <= outer < scope else UNKNOWN)

    def _part(self, id: int) -> str:
        found = self._columns
        if found.app[id] == UNKNOWN:
            return f"{UNNAMED}[{UNNAMED}]"
        label = found.label.get(id)
        return f"{self._apps[found.app[id]].name}[{found.occurrence[id] if label is None else label}]"
