"""Owns the words in expressions: when they need quotes, patterns with `*`, lengths and points of time."""

from __future__ import annotations

import datetime
import functools
import re
from collections.abc import Callable, Sequence
from typing import Final

#: Where a word without quotes goes on; what is in brackets belongs to it.
_BARE: Final = re.compile(r"(?:\[[^\]]*\]|[^\s,()\"'|\[\]])+")
_STRING: Final = re.compile(r"\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'", re.DOTALL)
_NUMBER: Final = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
#: What stands behind a word to be walked from it. Behind a slash `*` is a pattern.
_STEPS: Final = re.compile(r"(?:(?<![/*])\*|\+\d*|\++)\Z")
_NAME: Final = re.compile(r"[^\W\d]\w*")
_RESERVED: Final = frozenset({"and", "or", "not", "AND", "OR", "NOT"})
_UNITS_S: Final = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LENGTH: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ms|[smhd])")

Test = Callable[[str], bool]


# ------------------------------------------------------------------------------------- reading and writing


def name_at(text: str, at: int) -> str | None:
    """The name, or word of the grammar, that begins there."""
    found = _NAME.match(text, at)
    return found[0] if found else None


def is_plain_name(text: str) -> bool:
    """Whether a name needs no quotes."""
    return bool(_NAME.fullmatch(text)) and text not in _RESERVED


def is_reserved(word: str) -> bool:
    return word in _RESERVED


def string_at(text: str, at: int) -> tuple[str, int] | None:
    """The content of the string in quotes that begins there, and where it ends."""
    found = _STRING.match(text, at)
    if found is None:
        return None
    content = found[1] if found[1] is not None else found[2]
    return re.sub(r"\\(.)", r"\1", content, flags=re.DOTALL), found.end()


def bare_at(text: str, at: int) -> str | None:
    """The word without quotes that begins there, without the steps of a walk behind it."""
    found = _BARE.match(text, at)
    if found is None:
        return None
    word = found[0]
    while not _NUMBER.fullmatch(word) and (steps := _STEPS.search(word)):
        word = word[: steps.start()]
    return word or None


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def written(text: str) -> str:
    """A word as it is to be written: in quotes where it would be read as something else."""
    return text if bare_at(text, 0) == text and not is_pattern(text) else quoted(text)


def shown(which: str) -> str:
    """What stands in the brackets of a call."""
    return quoted(which) if not which or which[0] in "\"'" or "]" in which or which != which.strip() else which


# ------------------------------------------------------------------------------------- patterns


def is_pattern(text: str) -> bool:
    return "*" in text or "?" in text


def any_of(words: Sequence[str], pattern_of: Callable[[str], re.Pattern[str]] | None = None) -> Test:
    """Whether a text is one of these words, or as one of those that are patterns."""
    pattern_of = pattern_of or pattern
    plain = frozenset(word for word in words if not is_pattern(word))
    patterns = [pattern_of(word).fullmatch for word in words if is_pattern(word)]
    if not patterns:
        return plain.__contains__
    return lambda text: text in plain or any(matches(text) for matches in patterns)


@functools.lru_cache(maxsize=256)
def pattern(word: str) -> re.Pattern[str]:
    """`*` is anything, `?` one character."""
    return re.compile("".join({"*": ".*", "?": "."}.get(each, re.escape(each)) for each in word), re.DOTALL)


@functools.lru_cache(maxsize=256)
def path_pattern(word: str) -> re.Pattern[str]:
    """`*` and `?` are anything within one part of a path, `**` any number of parts; `/**` at the end is all below."""
    pieces = re.split(r"(\*\*/|/\*\*\Z|\*\*|\*|\?)", word)
    meant = {"**/": "(?:.*/)?", "/**": "/.+", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(meant.get(each, re.escape(each)) for each in pieces), re.DOTALL)


# ------------------------------------------------------------------------------------- times


def length_s(text: str) -> float:
    """The seconds of a length of time as `10m`, `1h30m` or `250ms`. Raises ValueError."""
    if not re.fullmatch(f"(?:{_LENGTH.pattern})+", text):
        raise ValueError(f"{text!r} is no length of time: takes numbers with ms, s, m, h or d, as 10m, 1h30m or 250ms")
    return sum(float(number) * _UNITS_S[unit] for number, unit in _LENGTH.findall(text))


def time_s(text: str) -> float:
    """The seconds since the epoch of a point of time in ISO format; local time where it names no zone.

    Raises:
        ValueError: it is none.
    """
    try:
        # Python 3.10 does not read the Z.
        return datetime.datetime.fromisoformat(re.sub(r"[zZ]\Z", "+00:00", text)).timestamp()
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{text!r} is no time: takes 2026-11-21T16:30, or the path or loc of a task") from None


def shown_time(time: float) -> str:
    return datetime.datetime.fromtimestamp(time).isoformat(timespec="seconds")
