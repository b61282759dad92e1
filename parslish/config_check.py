"""Owns what single values of a configuration may be; leaves which field takes what to `config`.

A check is a function of (place, value): it gives back the value in its normal form, or raises
`ConfigurationTypeError` with the place, what it got and what is taken there. The place is how the user
spelled the field, such as `checkpoint_mode`, `globals.checkpointMode` or `executors[1].max_threads`.
"""

from __future__ import annotations

import math
import operator
import os
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from parslish.errors import ConfigurationTypeError, near

Check = Callable[[str, Any], Any]

_CLOCK = re.compile(r"(\d+):([0-5]\d):([0-5]\d)")


def refuse(place: str, value: object, takes: str, hint: str = "") -> NoReturn:
    """Raise the one error of all checks."""
    raise ConfigurationTypeError(f"{place}: got {_short(value)}, takes {takes}{hint}")


def unknown(place: str, name: object, known: Iterable[str]) -> NoReturn:
    """Raise the error for a field that does not exist, with a near match or the list of those that do."""
    names = sorted(set(known))
    hint = near(name, names) or f"; known are {', '.join(names)}"
    where = f"{place}.{name}" if place else str(name)
    raise ConfigurationTypeError(f"{where}: there is no such field{hint}")


def anything(place: str, value: Any) -> Any:
    """Takes every value: for options that are not looked at."""
    return value


def flag(place: str, value: Any) -> bool:
    """Takes True or False, and not what merely counts as one: `"false"` would be true."""
    return value if isinstance(value, bool) else refuse(place, value, "True or False")


def text(place: str, value: Any) -> str:
    return value if isinstance(value, str) and value else refuse(place, value, "a text that is not empty")


def any_text(place: str, value: Any) -> str:
    return value if isinstance(value, str) else refuse(place, value, "a text")


def folder(place: str, value: Any) -> str:
    """Takes the path of a folder, as text or path object; it need not exist yet."""
    path = _path(value)
    return path if path else refuse(place, value, "the path of a folder")


def folders(place: str, value: Any) -> list[str]:
    """Takes a list of paths of checkpoints."""
    return _paths(place, value, "a list of checkpoint folders, such as get_all_checkpoints() gives")


def files(place: str, value: Any) -> tuple[str, ...]:
    """Takes a list of paths of files."""
    return tuple(_paths(place, value, "a list of files"))


def hook(place: str, value: Any) -> Callable[..., Any]:
    if not callable(value):
        refuse(place, value, "a function, or None")
    return value  # type: ignore[no-any-return]


def count(least: int) -> Check:
    """Takes whole numbers from `least` on; True is not 1 here."""

    def check(place: str, value: Any) -> int:
        try:
            number = -1 if isinstance(value, bool) else operator.index(value)
        except TypeError:
            number = -1
        return number if number >= least else refuse(place, value, f"a whole number >= {least}")

    return check


def one_of(*words: str) -> Check:
    """Takes one of the words."""

    def check(place: str, value: Any) -> str:
        if isinstance(value, str) and value in words:
            return value
        refuse(place, value, f"one of {', '.join(map(repr, words))}", near(value, words))

    return check


def optional(inner: Check) -> Check:
    """Takes None, or what `inner` takes."""
    return lambda place, value: None if value is None else inner(place, value)


def having(methods: Sequence[str], takes: str) -> Check:
    """Takes objects that have the methods."""

    def check(place: str, value: Any) -> Any:
        if isinstance(value, type) or not all(callable(getattr(value, name, None)) for name in methods):
            refuse(place, value, takes)
        return value

    return check


def period(place: str, value: Any) -> str | float:
    """Takes "HH:MM:SS", or seconds as a number; longer than nothing."""
    try:
        period_s(value)
    except ValueError:
        refuse(place, value, 'a time longer than zero as "HH:MM:SS", or as a number of seconds')
    return value  # type: ignore[no-any-return]


def period_s(value: object) -> float:
    """The seconds of a period.

    Raises:
        ValueError: it is neither "HH:MM:SS" nor a finite number above zero.
    """
    clock = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if clock:
        hours, minutes, seconds = map(int, clock.groups())
        value = 3600 * hours + 60 * minutes + seconds
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ValueError(value)
    return float(value)


def _paths(place: str, value: Any, takes: str) -> list[str]:
    # A lone path is refused: as a sequence of letters it would be many.
    if isinstance(value, str | bytes | os.PathLike) or not isinstance(value, Iterable):
        refuse(place, value, takes)
    return [_path(item) or refuse(f"{place}[{i}]", item, "a path") for i, item in enumerate(value)]


def _path(value: object) -> str | None:
    if not isinstance(value, str | os.PathLike):
        return None
    path = os.fspath(value)
    return path if isinstance(path, str) and "\0" not in path else None


def _short(value: object) -> str:
    # A wrong value may be a huge array, or an object whose repr fails: neither belongs into a sentence.
    try:
        shown = repr(value)
    except Exception:  # user code
        shown = "an object"
    return f"{shown if len(shown) <= 80 else shown[:77] + '...'} ({type(value).__name__})"
