"""Owns the options of commands that change stores: what is chosen, sizes and ages, and how it is gone about."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from parslish.cli.output import json_option

_UNITS: Final = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BINARY_UNITS: Final = {"k": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

_SHOWN: Final = 40  # characters of what is no size and no age

F = TypeVar("F", bound=Callable[..., Any])
Given = Callable[[click.Context, click.Parameter, str | None], Any]


def size_of(text: str) -> int:
    """The bytes of a size as `500MB`, `1.5GB` or `2GiB`. Raises ValueError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?(?:([kKMGT])(i?))?B?", text)
    size_bytes = math.inf
    if match:
        unit = (match[2] or "").replace("K", "k")
        size_bytes = float(match[1]) * (_BINARY_UNITS if match[3] else _UNITS)[unit]
    if not math.isfinite(size_bytes):
        raise ValueError(f"{_shown(text)} is no size: takes a number and a unit, as 500MB, 1.5GB or 2GiB")
    return round(size_bytes)


def age_of(text: str) -> float:
    """The seconds of an age as `30d`, `12h` or `1d12h`. Raises ValueError."""
    age_s = math.inf
    if re.fullmatch(r"(\d+(\.\d+)?[smhdw])+", text):
        age_s = sum(float(number) * _SECONDS[unit] for number, unit in re.findall(r"([\d.]+)(\w)", text))
    if not math.isfinite(age_s):
        raise ValueError(f"{_shown(text)} is no age: takes numbers with s, m, h, d or w, as 30d, 12h or 1d12h")
    return age_s


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")


def _by(parse: Callable[[str], float]) -> Given:
    def given(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
        try:
            return None if value is None else parse(value)
        except ValueError as exc:
            raise click.BadParameter(str(exc), ctx, param) from None

    return given


def _all(*options: Callable[[F], F]) -> Callable[[F], F]:
    def decorated(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorated


#: Arguments `dry_run`, `yes`, `force`, `shared`, `as_json`.
change_options: Final = _all(
    click.option("--dry-run", is_flag=True, help="Print the plan and change nothing."),
    click.option("--yes", is_flag=True, help="Do it without asking."),
    click.option("--force", is_flag=True, help="Go by what can be read of what is damaged."),
    click.option("--shared", is_flag=True, help="Accept stores that others own or can write to."),
    json_option,
)
#: Argument `ended`, of commands that remove what is stored.
ended_option: Final = click.option(
    "--ended",
    multiple=True,
    metavar="HOST",
    help="Processes on HOST have ended, though nobody can ask it; may be repeated.",
)
#: Arguments as `Filter` takes them.
choice_options: Final = _all(
    click.option("--app", "apps", multiple=True, metavar="NAME", help="Results of this app; may be repeated."),
    click.option("--run", "runs", multiple=True, metavar="ID", help="Results of this run; may be repeated."),
    click.option(
        "--record", "keys", multiple=True, metavar="KEY", help="Results whose key begins so; may be repeated."
    ),
    click.option(
        "--older-than", "older_than_s", metavar="AGE", callback=_by(age_of), help="Results older than 30d, 12h."
    ),
    click.option(
        "--newer-than", "newer_than_s", metavar="AGE", callback=_by(age_of), help="Results younger than that."
    ),
    click.option(
        "--max-size",
        "max_bytes",
        metavar="SIZE",
        callback=_by(size_of),
        help="The most recent results that fit into 500MB.",
    ),
    click.option(
        "--reachable-from", multiple=True, metavar="ID", help="What this run computed or reused; may be repeated."
    ),
)
