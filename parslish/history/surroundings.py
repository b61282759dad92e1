"""Owns what differs in what two runs ran with: the code of their apps, versions of packages, machine and command."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

from parslish.history.differences import Differences
from parslish.history.record import RunRecord

#: What a run says of itself that is compared; what else it says differs between any two runs.
_FACTS: Final = ("python", "parslish", "executable", "host", "user", "cwd", "argv", "commit", "seed")


@dataclass(frozen=True, slots=True)
class RunChange:
    """One thing that two runs ran with.

    Args:
        what: "code", "version" (of an app), "app" (its kind), "package", or one of "python", "parslish", "executable",
            "host", "user", "cwd", "argv", "commit", "seed".
        name: of the app or package; "" for others.
        old, new: as text; None where a run has none.
        sentence: what differs, in words.
        diff: of source texts, unified; "" for what has none.
    """

    what: str
    name: str
    old: str | None
    new: str | None
    sentence: str
    diff: str = ""

    def to_json(self) -> dict[str, Any]:
        """Its fields."""
        return asdict(self)


def surroundings(a: RunRecord, b: RunRecord) -> Iterator[RunChange]:
    """What differs in what two runs ran with: first code, then packages, then the rest."""
    yield from _apps(a, b)
    for name, old, new in _differing(a.facts.get("packages"), b.facts.get("packages")):
        yield RunChange("package", name, old, new, f"package {name}: {_was(old, new)}")
    mine, theirs = ({name: run.facts.get(name) for name in _FACTS} for run in (a, b))
    for name, old, new in _differing(mine, theirs):
        yield RunChange(name, "", old, new, f"{name}: {_was(old, new)}")


def _apps(a: RunRecord, b: RunRecord) -> Iterator[RunChange]:
    """Apps that both runs called and whose code differs; of several of one name, as a notebook has them, the last."""
    mine, theirs = ({app.name: number for number, app in sorted(run.apps.items())} for run in (a, b))
    differences = Differences(a, b)
    for name in mine:
        for each in differences.code(mine[name], theirs[name]) if name in theirs else ():
            facts = each.facts
            what = each.kind.removesuffix("_changed")
            diff = str(facts.get("diff", ""))
            values = [None if diff else facts.get(which) for which in ("old", "new")]
            old, new = (None if value is None else str(value) for value in values)
            yield RunChange(what, name, old, new, f"app {name}: {each.sentence}", diff)


def _differing(old: Any, new: Any) -> Iterator[tuple[str, str | None, str | None]]:
    if not isinstance(old, dict) or not isinstance(new, dict):
        return
    for name in dict.fromkeys([*old, *new]):
        was, is_ = _text(old.get(name)), _text(new.get(name))
        if was != is_:
            yield str(name), was, is_


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _was(old: str | None, new: str | None) -> str:
    if old is None:
        return f"{new} (was not there)"
    return f"{old} → {new}" if new is not None else f"{old} → not there"
