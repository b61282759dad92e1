"""Owns `parslish key`: looking after the keys that sign stored results. Files and keys are left to `parslish.secret`.

No key is ever printed: what is shown are ids, as segments and warnings name them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from parslish import secret
from parslish.cli.output import Column, json_list, json_option, json_value, line, say, table

_COLUMNS: Final = (Column("key"), Column("does"))
_DOES: Final = {True: "signs and verifies", False: "verifies"}


@click.command()
@json_option
def path(as_json: bool) -> None:
    """Print where your keys are.

    That is the file that $PARSLISH_KEY_FILE names, else parslish/key in your configuration folder. It is made, with a
    new key, by the first command or script that needs one.

    Exit codes: 0 fine, 2 this account has no place for it.
    """
    where = str(secret.key_file())
    json_value({"path": where}) if as_json else line(where)


@click.command()
@json_option
def ls(as_json: bool) -> None:
    """List your keys by their ids, which tell nothing about them.

    The first signs, all verify. A key is retired by removing its line from the key file: what was signed with it alone
    is then computed again.

    Exit codes: 0 fine, 2 the keys cannot be read.
    """
    ids = secret.Keys.load().ids()
    if as_json:
        json_list({"key": key_id.hex(), "signs": key_id == ids[0]} for key_id in ids)
    else:
        table(_COLUMNS, [(key_id.hex(), _DOES[key_id == ids[0]]) for key_id in ids])


@click.command()
@json_option
def rotate(as_json: bool) -> None:
    """Make a new key that signs from now on.

    The older keys go on verifying, so nothing that is stored is lost. Runs that are going on keep to the key they
    began with.

    Exit codes: 0 fine, 2 the keys cannot be read or written.
    """
    new, *older = (key_id.hex() for key_id in secret.rotate().ids())
    if as_json:
        json_value({"signs": new, "verify": older})
    else:
        line(f"key {new} signs from now on; older keys that still verify: {len(older)}")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def export(file: Path, as_json: bool) -> None:
    """Write your keys to a new file, for another account.

    There FILE is named in Config(trusted_keys=[...]), so that results which you signed are opened. Whoever has it can
    also sign results that you will open, and a stored result may run code: hand it on as you would a password.

    Exit codes: 0 fine, 2 FILE is there already, or cannot be written.
    """
    ids = [key_id.hex() for key_id in secret.export(file).ids()]
    if as_json:
        json_value({"path": str(file), "keys": ids})
    else:
        line(f"{file} has your keys: {', '.join(ids)}")
    say("whoever has this file can sign results that you will open: hand it on as you would a password")
