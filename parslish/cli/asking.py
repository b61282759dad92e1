"""Owns what commands need before they change stores: the user's own keys, and the word to go on."""

from __future__ import annotations

import sys

import click

from parslish.cli.output import line
from parslish.errors import UsageError
from parslish.secret import Keys, key_file


def own_keys() -> Keys:
    """The user's keys. Raises UsageError when there are none: nothing could have been signed with them."""
    file = key_file()
    try:
        is_there = file.exists()
    except OSError:
        is_there = True  # and why it cannot be read is said below
    if not is_there:
        raise UsageError(f"there is no key in {str(file)!r}, so no store is yours to change: set PARSLISH_KEY_FILE")
    return Keys.load()


def may_go_on(yes: bool, as_json: bool) -> bool:
    """Ask, where there is somebody to ask. Raises UsageError where there is not."""
    if yes:
        return True
    if as_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "nothing was changed: add --yes to do it without being asked, or --dry-run to see the plan only"
        )
    if _confirmed():
        return True
    line("nothing was changed")
    return False


def _confirmed() -> bool:
    try:
        return click.confirm("Go on?")
    except click.Abort as exc:
        if isinstance(exc.__context__, KeyboardInterrupt):
            raise
        print()  # Ctrl-D, which ends no line, is a no
        return False
