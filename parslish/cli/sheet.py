"""Owns how one thing is shown: its facts by name, texts of several lines, and differences of code.

Tables are `output`'s. Everything goes through `clean`, line by line.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable
from typing import Final

import click

from parslish.cli.output import clean, line

_INDENT: Final = "  "
_NARROWEST: Final = 30  # characters that a value gets where the terminal is narrower
_LINE_ENDS: Final = re.compile(r"\r\n|\r|\n")
#: The colour of a line of a unified diff, by how it begins; the first that fits.
_DIFF: Final = (("+++", "bold"), ("---", "bold"), ("+", "green"), ("-", "red"), ("@@", "cyan"))


def heading(text: str) -> None:
    """Print the title of what follows, a blank line before it."""
    print()
    line(text)


def facts(pairs: Iterable[tuple[str, str]]) -> None:
    """Print names and values, one pair a line; a pair without a value is left out. On a terminal long values go on in
    the next line below their beginning; elsewhere they are uncut."""
    shown = [(clean(name), clean(value)) for name, value in pairs if value]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        first = f"{_INDENT}{name.ljust(width)}{_INDENT}"
        for number, part in enumerate(_wrapped(value, len(first))):
            print((first if not number else " " * len(first)) + part)


def _wrapped(value: str, indent: int) -> list[str]:
    if not sys.stdout.isatty():
        return [value]
    room = max(_NARROWEST, shutil.get_terminal_size().columns - indent)
    return textwrap.wrap(value, room, break_on_hyphens=False) or [value]


def block(text: str) -> None:
    """Print a text of several lines, indented."""
    for each in _LINE_ENDS.split(text.rstrip()):
        print(f"{_INDENT}{clean(each)}".rstrip())


def difference(text: str) -> None:
    """Print a unified diff, indented, in colour on a terminal."""
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    for each in _LINE_ENDS.split(text.rstrip()):
        shown = f"{_INDENT}{clean(each)}".rstrip()
        style = next((style for begin, style in _DIFF if each.startswith(begin)), None) if coloured else None
        print(shown if style is None else click.style(shown, bold=True) if style == "bold" else _fg(shown, style))


def _fg(text: str, colour: str) -> str:
    return click.style(text, fg=colour)


def some(texts: list[str], limit: int) -> str:
    """Texts in a line, the first ones where there are many."""
    more = f" and {len(texts) - limit:,} more" if len(texts) > limit else ""
    return ", ".join(texts[:limit]) + more
