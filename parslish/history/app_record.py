"""Owns `AppRecord`: what a run's record tells of an app; what is not as it should be is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from parslish.history.event import Event

UNNAMED: Final = "?"  # what something is called of which the record was lost


class AppRecord(NamedTuple):
    """An app, as it was when it was first called.

    Args:
        kind: "python", "bash" or "join"; `cache`: "True", "False" or "replay".
        code: what stands for its code in keys, in hexadecimal; "" for one that is not cached.
        file, line: where it is written.
        parameters: their names, in order.
        parts: what its code is made of: (kind, name, digest, text), as `identity.code.Part`; 8 bytes of the digest.
        ignored: the names of parameters that do not count for its keys; `draws`: whether its place does, since it draws
            random numbers.
    """

    number: int
    name: str
    module: str
    code: str = ""
    kind: str = "python"
    cache: str = ""
    version: str | None = None
    file: str = ""
    line: int = 0
    parameters: Sequence[str] = ()
    parts: Sequence[tuple[str, str, bytes, str]] = ()
    ignored: Sequence[str] = ()
    draws: bool = False


class Apps(dict[int, AppRecord]):
    """The apps of a run by number; one of which nothing is known, since that was lost, has no name."""

    def __missing__(self, number: int) -> AppRecord:
        return AppRecord(number, UNNAMED, "")


def of_events(events: Mapping[int, Event]) -> Apps:
    """The apps that events tell of."""
    return Apps({number: _app(event) for number, event in events.items()})


def _app(event: Event) -> AppRecord:
    told = AppRecord(*event[1:14])
    defaults = AppRecord._field_defaults
    wrong = {name: default for name, default in defaults.items() if not _is_like(getattr(told, name), default)}
    sound = told._replace(**wrong)
    return sound._replace(
        parameters=[each for each in sound.parameters if isinstance(each, str)],
        ignored=[each for each in sound.ignored if isinstance(each, str)],
        parts=[each for each in sound.parts if _is_part(each)],
    )


def _is_like(found: Any, default: Any) -> bool:
    return isinstance(found, type(default)) or (default is None and isinstance(found, str))


def _is_part(found: Any) -> bool:
    return isinstance(found, tuple) and tuple(map(type, found)) == (str, str, bytes, str)
