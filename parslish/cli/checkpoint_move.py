"""Owns `parslish checkpoint export` and `import`: each prints what it is going to copy, and asks.

What is copied is in `parslish.care`. No value is opened.
"""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import click

from parslish.care import parsl
from parslish.care.moving import Copied, export, import_, refuse_target
from parslish.care.selection import Filter
from parslish.care.transfer import Transfer, plan_export, plan_import
from parslish.cli.asking import may_go_on, own_keys
from parslish.cli.choosing import change_options, choice_options
from parslish.cli.output import FINE, NOT_SO, TROUBLE, Column, counted, json_value, line, say, size, table
from parslish.cli.places import RUN_DIR, every_place
from parslish.errors import BadCheckpoint, UsageError
from parslish.secret import Keys
from parslish.store.report import Finding, Kind

_APPS: Final = (Column("app", narrow="cut"), Column("records", right=True))
_SHOWN: Final = 20  # of what is skipped, for people
_TRUST: Final = (
    "--trust: results are taken that no key of yours has signed, and are signed as yours; opening them in a script can "
    "run any program that their maker put into them"
)


@click.command("export")
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(readable=False))
@click.argument("target", type=click.Path(path_type=Path))
@choice_options
@change_options
def export_(
    paths: tuple[str, ...],
    target: Path,
    dry_run: bool,
    yes: bool,
    force: bool,
    shared: bool,
    as_json: bool,
    **chosen: Any,
) -> int:
    """Copy results into a new store.

    PATH is a run folder (the default is runinfo), a run, a store or a segment. TARGET is the folder of the new store,
    which can be carried elsewhere. It gets the results that count and fulfil all that is given, also those of the
    stores that these build upon. What cannot be read is named, and the rest is copied.

    Exit codes: 0 fine, 1 not confirmed, or there is no such result, 2 wrong usage, 3 something cannot be read, or is
    signed with other keys, or TARGET cannot be written.
    """
    if not paths and os.path.lexists(target):
        command = f"parslish checkpoint export {shlex.quote(str(target))} TARGET"
        raise UsageError(f"no TARGET was given for {str(target)!r}: {command}")
    refuse_target(target)
    keys = own_keys()
    transfer = plan_export(_sources(paths), Filter(**chosen), keys, force=force, shared=shared)
    return _copy(transfer, str(target), lambda: export(transfer, target, keys), dry_run, yes, as_json)


@click.command("import")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(readable=False))
@click.option("--into", "run_dir", default=RUN_DIR, show_default=True, help="The run folder that they go to.")
@click.option("--key", "key_files", multiple=True, metavar="FILE", help="Keys that another account has exported.")
@click.option("--trust", is_flag=True, help="Take results that no key of yours has signed.")
@click.option("--invalidated", is_flag=True, help="Take also what was invalidated in the run folder.")
@choice_options
@change_options
def import_into(
    paths: tuple[str, ...],
    run_dir: str,
    key_files: tuple[str, ...],
    trust: bool,
    invalidated: bool,
    dry_run: bool,
    yes: bool,
    force: bool,
    shared: bool,
    as_json: bool,
    **chosen: Any,
) -> int:
    """Copy results of other stores into a run folder.

    PATH is a run folder, a run, a store or a segment. Its results become a run, signed with your first key, where
    scripts find them; results that the run folder has already stay as they are, and those that were invalidated in it
    are not taken. Those of another account need its keys (parslish key export), or --trust. What cannot be read is
    named, and the rest is copied. A Parsl checkpoint cannot be imported, and why is said.

    Exit codes: 0 fine, 1 not confirmed, or there is nothing new, 2 wrong usage, 3 something cannot be read, or is
    signed with keys that are not yours, or the run folder cannot be written.
    """
    if not run_dir:
        raise UsageError("--into '': takes the name of a run folder; without --into it is 'runinfo'")
    for path in paths:
        with contextlib.suppress(OSError):  # told when it is read
            parsl.refuse(path)
    keys = Keys.load()
    if trust:
        say(f"warning: {_TRUST}")
    theirs = None if trust else Keys.load(key_files)
    transfer = plan_import(
        _sources(paths),
        Path(run_dir),
        Filter(**chosen),
        keys,
        theirs,
        invalidated=invalidated,
        force=force,
        shared=shared or trust or bool(key_files),
    )
    return _copy(transfer, run_dir, lambda: import_(transfer, Path(run_dir), keys), dry_run, yes, as_json)


def _sources(paths: tuple[str, ...]) -> list[Path]:
    """The stores that paths mean, and what may not be listed, which is told as all is that cannot be read.

    Raises:
        BadCheckpoint, UsageError: as `every_place`, and nothing may be listed.
    """
    try:
        return [place.path for place in every_place(paths)]
    except BadCheckpoint as exc:
        rest = tuple(path for path in paths if str(Path(path)) != exc.path)
        if not rest or not isinstance(exc.__cause__, PermissionError):
            raise
        return [Path(exc.path), *_sources(rest)]


def _copy(transfer: Transfer, target: str, copy: Callable[[], Copied], dry_run: bool, yes: bool, as_json: bool) -> int:
    _say_skipped(transfer)
    if not as_json:
        table(_APPS, [(app, f"{number:,}") for app, number in sorted(transfer.apps.items())])
        line(_sum(transfer, target))
    goes_on = transfer.records > 0 and not dry_run
    if goes_on and not may_go_on(yes, as_json):
        return NOT_SO
    copied = copy() if goes_on else None
    if as_json:
        json_value(_json(transfer, copied))
    elif copied:
        line(f"{copied.path}: {counted(copied.records, 'record')}")
    if _say_lost(transfer, copied) or transfer.findings:
        return TROUBLE
    return FINE if transfer.records else NOT_SO


def _sum(transfer: Transfer, target: str) -> str:
    parts = [f"{counted(transfer.records, 'record')}, {size(transfer.size_bytes)}, to {target}"]
    if transfer.known:
        parts.append(f"{transfer.known:,} more {'is' if transfer.known == 1 else 'are'} there already")
    if transfer.invalidated:
        was, it = ("was", "it") if transfer.invalidated == 1 else ("were", "them")
        parts.append(f"{transfer.invalidated:,} {was} invalidated there: not taken (--invalidated takes {it})")
    return "; ".join(parts)


def _say_skipped(transfer: Transfer) -> None:
    """Tell what is not copied, file by file."""
    unsigned: dict[Path, int] = {}
    for finding in transfer.findings:
        if finding.kind is Kind.UNTRUSTED:
            unsigned[finding.path] = unsigned.get(finding.path, 0) + finding.records
    sentences = [f"{path}: {counted(number, 'record')} not signed with your key" for path, number in unsigned.items()]
    sentences += [str(finding) for finding in transfer.findings if finding.kind is not Kind.UNTRUSTED]
    for sentence in sentences[:_SHOWN]:
        say(f"warning: not copied: {sentence}")
    if len(sentences) > _SHOWN:
        say(f"warning: not copied: {counted(len(sentences) - _SHOWN, 'thing')} more, which --json has")
    if unsigned:
        say(f"if you know who has signed those: {transfer.advice}")


def _say_lost(transfer: Transfer, copied: Copied | None) -> bool:
    """Tell what was planned and could not be copied; whether there was any."""
    if copied is None:
        return False
    for sentence in copied.lost:
        say(f"warning: not copied: {sentence}")
    missing = transfer.records - copied.records
    if missing > 0 and not copied.lost:
        say(f"warning: {counted(missing, 'record')} fewer than planned could be read: do the same again")
    return bool(copied.lost) or missing > 0


def _json(transfer: Transfer, copied: Copied | None) -> dict[str, Any]:
    return {
        "done": copied is not None,
        "sources": [str(path) for path in transfer.sources],
        "target": str(copied.path) if copied else None,
        "records": transfer.records,
        "size_bytes": transfer.size_bytes,
        "already_there": transfer.known,
        "invalidated_there": transfer.invalidated,
        "apps": dict(transfer.apps),
        "skipped": _skipped(transfer.findings),
        "copied": copied.records if copied else 0,
        "lost": list(copied.lost) if copied else [],
    }


def _skipped(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    return [{"path": str(each.path), "sentence": each.sentence, "records": each.records} for each in findings]
