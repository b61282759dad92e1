"""Owns how commands show things: tables, JSON, exit codes, and the cleaning of what others have written.

A stored string may be hostile: everything that is printed goes through `clean`, and everything in JSON is escaped.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import sys
import time
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, TypeVar

import click

FINE: Final = 0
NOT_SO: Final = 1  #: something that was asked about is not so
WRONG_USAGE: Final = 2
TROUBLE: Final = 3  #: a store is damaged, or cannot be read or written
INTERRUPTED: Final = 130  #: as shells have it: 128 and the number of SIGINT
PIPE_CLOSED: Final = 141  #: and that of SIGPIPE

#: What terminals obey: escape sequences, whole (CSI, then those with a text of their own, then the short ones).
_ESCAPES: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)
_JOINERS: Final = "\u200c\u200d"  # format characters that languages need
_STYLES: Final = {
    "clean": "green", "torn": "yellow", "unread": "yellow", "corrupt": "bold red", "in use": "cyan",
    "completed": "green", "running": "cyan", "paused": "cyan", "lost": "yellow", "failed": "bold red",
    "upstream_failed": "red", "differs": "bold red",
}  # fmt: skip
_UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
_PLAIN_GAP: Final = "  "
_LEAST_WIDTH: Final = 12  # that is left to a column that may be folded or cut, before others are left out

F = TypeVar("F", bound=Callable[..., Any])


def json_option(command: F) -> F:
    """The option `--json` of a command, as the argument `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")(command)


def clean(text: str) -> str:
    """A text without what a terminal obeys or what hides other text: escape sequences, control characters,
    changes of direction, half characters; line ends and tabs become spaces."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(filter(None, map(_harmless, _ESCAPES.sub("", text))))


def _harmless(char: str) -> str:
    if char in "\n\r\t\v\f\x85\u2028\u2029":
        return " "
    kind = unicodedata.category(char)
    if kind == "Cs":
        return "\N{REPLACEMENT CHARACTER}"  # of a file name that is no UTF-8
    return "" if kind in ("Cc", "Cf") and char not in _JOINERS else char


class Column(NamedTuple):
    """A column of a table: its title; whether it stands at the right, as numbers do; and what becomes of it where the
    terminal is too narrow: "" stays whole, "fold" goes on in the next line, "cut" loses its end, "drop" is left out
    (the last one first)."""

    title: str
    right: bool = False
    narrow: Literal["", "fold", "cut", "drop"] = ""


def line(text: str) -> None:
    """Print one line."""
    print(clean(text))


def say(sentence: str) -> None:
    """Print one line to stderr, for people: an error, a warning, a note."""
    with contextlib.suppress(OSError):
        print(f"parslish: {clean(sentence)}", file=sys.stderr)


def table(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    """Print a table: drawn where it is a terminal, else aligned text, uncut. Nothing for no rows."""
    cells = [[clean(cell) for cell in row] for row in rows]
    if not cells:
        return
    if sys.stdout.isatty():
        _drawn(columns, cells)
    else:
        _aligned(columns, cells)


def _drawn(columns: Sequence[Column], rows: list[list[str]]) -> None:
    # Here: it takes longer to import than most commands take to run. Of all that it can do, cells get nothing:
    # as `Text` they are neither markup nor links.
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
    shown = _that_fit(columns, rows, console.width)
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for column in (columns[n] for n in shown):
        drawn.add_column(
            Text(column.title),
            justify="right" if column.right else "left",
            overflow="fold" if column.narrow == "fold" else "ellipsis",
            no_wrap=not column.narrow,
        )
    for row in rows:
        drawn.add_row(*(Text(row[n], style=_STYLES.get(row[n], "")) for n in shown))
    console.print(drawn)
    if len(shown) < len(columns):
        left_out = ", ".join(column.title for n, column in enumerate(columns) if n not in shown)
        console.print(Text(f"not shown, for want of room: {left_out}"))


def _that_fit(columns: Sequence[Column], rows: list[list[str]], width: int) -> list[int]:
    """Which columns a terminal of that width has room for."""
    from rich.cells import cell_len

    shown = list(range(len(columns)))
    least = []
    for n, column in enumerate(columns):
        whole = max(cell_len(column.title), *(cell_len(row[n]) for row in rows))
        least.append(min(whole, _LEAST_WIDTH) if column.narrow in ("fold", "cut") else whole)
    for n in reversed(range(len(columns))):
        if columns[n].narrow == "drop" and sum(least[each] + 1 for each in shown) > width:
            shown.remove(n)
    return shown


def _aligned(columns: Sequence[Column], rows: list[list[str]]) -> None:
    everything = [[column.title for column in columns], *rows]
    widths = [max(map(len, cells)) for cells in zip(*everything, strict=True)]
    for row in everything:
        cells = (
            cell.rjust(width) if column.right else cell.ljust(width)
            for cell, width, column in zip(row, widths, columns, strict=True)
        )
        print(_PLAIN_GAP.join(cells).rstrip())


def json_value(value: Mapping[str, Any]) -> None:
    """Print one object as JSON: text is escaped to ASCII, so none of it reaches a terminal as it is."""
    print(_dumped(value, indent=2))


def json_list(items: Iterable[Mapping[str, Any]]) -> int:
    """Print objects as one JSON array, one a line, as they come (there may be millions); returns how many."""
    number = 0
    for number, item in enumerate(items, 1):
        print("[" if number == 1 else ",", _dumped(item), sep="\n", end="")
    print("\n]" if number else "[]")
    return number


def _dumped(value: Mapping[str, Any], indent: int | None = None) -> str:
    """JSON, which knows no NaN and nothing infinite: where a time or a duration is nonsense, null stands for it."""
    try:
        return json.dumps(value, indent=indent, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), indent=indent, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value


def size(size_bytes: float) -> str:
    """Bytes for people: `512 B`, `1.5 MB`; a unit is 1,000 of the one below."""
    for unit in _UNITS:
        if size_bytes < 999.5 or unit == _UNITS[-1]:
            break
        size_bytes /= 1000
    digits = 0 if unit == "B" or size_bytes >= 99.95 else 1
    return f"{size_bytes:.{digits}f} {unit}"


def seconds(duration_s: float) -> str:
    """A duration for people: `350 us`, `12 ms`, `3.4 s`, `1:01`, `2:05:09`."""
    if not math.isfinite(duration_s) or duration_s < 0:
        return "?"
    if duration_s < 1e-3:
        return f"{duration_s * 1e6:.0f} us"
    if duration_s < 1:
        return f"{duration_s * 1e3:.0f} ms"
    if duration_s < 59.95:
        return f"{duration_s:.1f} s"
    minutes, rest = divmod(round(duration_s), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"


def when(time_s: float | None) -> str:
    """A time for people, in the zone of this machine: `2026-11-21 13:08:05`; `?` for one that no clock gives."""
    try:
        return "?" if time_s is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time_s))
    except (OverflowError, ValueError, OSError):
        return "?"


def recently(time_s: float | None) -> str:
    """A time for people, short: `13:08:05` of today, `2026-11-20 13:08` of another day; `?` as `when`."""
    whole = when(time_s)
    day, _, clock = whole.partition(" ")
    return clock if clock and day == time.strftime("%Y-%m-%d") else whole[:16]


def counted(number: int, noun: str) -> str:
    """`1 record`, `1,234 records`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
