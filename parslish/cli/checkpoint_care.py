"""Owns `parslish checkpoint compact`, `prune`, `export` and `import`: each prints what it is going to do, and asks.

What is done, and how it survives a kill, is in `parslish.care`. No value is opened.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from parslish.care import compact as compacting
from parslish.care import parsl
from parslish.care import prune as pruning
from parslish.care.plan import Plan, StorePlan
from parslish.care.rewrite import carry_out
from parslish.care.selection import Filter
from parslish.care.transfer import Copied, Transfer, export, import_, plan_export, plan_import
from parslish.cli.choosing import change_options, choice_options
from parslish.cli.output import FINE, NOT_SO, TROUBLE, Column, counted, json_value, line, say, size, table
from parslish.cli.places import RUN_DIR, places
from parslish.errors import UsageError
from parslish.history.folder import CHECKPOINT
from parslish.secret import Keys, key_file

_PLAN: Final = (
    Column("run"),
    Column("records", right=True),
    Column("go", right=True),
    Column("stay", right=True),
    Column("size", right=True),
    Column("then", right=True),
    Column("left alone", right=True),
)
_APPS: Final = (Column("app", narrow="cut"), Column("records", right=True))
_SHOWN_LEFT: Final = 20  # segments that are left alone, for people
_TRUST: Final = (
    "--trust: results are taken that no key of yours has signed, and are signed as yours; opening them in a script can "
    "run any program that their maker put into them"
)

_paths = click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path())


@click.command()
@_paths
@change_options
def compact(paths: tuple[str, ...], dry_run: bool, yes: bool, force: bool, shared: bool, as_json: bool) -> int:
    """Drop what does not count, and put the rest together.

    PATH is a run folder (the default is runinfo), a run or a store. What stays is signed with your first key. A result
    does not count when a newer one in the same store has its key, or when it was invalidated. Segments whose writer may
    be alive are left alone, and so are damaged ones, unless --force is given. A kill at any moment loses nothing; the
    same again finishes the work.

    Exit codes: 0 fine, 1 not confirmed, 2 wrong usage, 3 a store cannot be read or written.
    """
    plan = compacting.plan(_stores(paths), _keys(), force=force, shared=shared)
    return _thin_out(plan, dry_run, yes, as_json)


@click.command()
@_paths
@choice_options
@change_options
def prune(
    paths: tuple[str, ...], dry_run: bool, yes: bool, force: bool, shared: bool, as_json: bool, **chosen: Any
) -> int:
    """Let results go: by app, run, age, size or reachability.

    PATH is a run folder (the default is runinfo), a run or a store. What fulfils all that is given goes. But what the
    runs of --reachable-from computed or reused stays, and so do the most recent results that fit into --max-size.
    What is left alone, and what a kill does, is as with compact.

    Exit codes: 0 fine, 1 not confirmed, 2 wrong usage, 3 a store cannot be read or written.
    """
    plan = pruning.plan(_stores(paths), Filter(**chosen), _keys(), force=force, shared=shared)
    return _thin_out(plan, dry_run, yes, as_json)


@click.command("export")
@_paths
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
    stores that these build upon.

    Exit codes: 0 fine, 1 not confirmed, or there is no such result, 2 wrong usage, 3 a store cannot be read or written.
    """
    keys = _keys()
    sources = [place.path for place in places(paths)]
    transfer = plan_export(sources, Filter(**chosen), keys, force=force, shared=shared)
    return _copy(transfer, str(target), lambda: export(transfer, target, keys), dry_run, yes, as_json)


@click.command("import")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path())
@click.option("--into", "run_dir", default=RUN_DIR, show_default=True, help="The run folder that they go to.")
@click.option("--key", "key_files", multiple=True, metavar="FILE", help="Keys that another account has exported.")
@click.option("--trust", is_flag=True, help="Take results that no key of yours has signed.")
@choice_options
@change_options
def import_into(
    paths: tuple[str, ...],
    run_dir: str,
    key_files: tuple[str, ...],
    trust: bool,
    dry_run: bool,
    yes: bool,
    force: bool,
    shared: bool,
    as_json: bool,
    **chosen: Any,
) -> int:
    """Copy results of other stores into a run folder.

    PATH is a run folder, a run, a store or a segment. Its results become a run, signed with your first key, where
    scripts find them; results that the run folder has already stay as they are. Those of another account need its keys
    (parslish key export), or --trust. A Parsl checkpoint cannot be imported, and why is said.

    Exit codes: 0 fine, 1 not confirmed, or there is nothing new, 2 wrong usage, 3 a store cannot be read or written, or
    its results are signed with keys that are not yours.
    """
    for path in paths:
        parsl.refuse(path)
    keys = Keys.load()
    if trust:
        say(f"warning: {_TRUST}")
    theirs = None if trust else Keys.load(key_files)
    sources = [place.path for place in places(paths)]
    shared |= trust or bool(key_files)
    transfer = plan_import(sources, Path(run_dir), Filter(**chosen), keys, theirs, force=force, shared=shared)
    return _copy(transfer, run_dir, lambda: import_(transfer, Path(run_dir), keys), dry_run, yes, as_json)


def _keys() -> Keys:
    """The user's keys. Raises UsageError when there are none: nothing could have been signed with them."""
    if not key_file().exists():
        raise UsageError(
            f"there is no key in {str(key_file())!r}, so no store is yours to change: set PARSLISH_KEY_FILE"
        )
    return Keys.load()


def _stores(paths: tuple[str, ...]) -> list[Path]:
    found = [place.path for place in places(paths)]
    for path in found:
        if not path.is_dir():
            raise UsageError(f"{str(path)!r} is a segment: name its store, {str(path.parent)!r}")
    return found


def _may_go_on(yes: bool, as_json: bool) -> bool:
    """Ask, where there is somebody to ask. Raises UsageError where there is not."""
    if yes:
        return True
    if as_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "nothing was changed: add --yes to do it without being asked, or --dry-run to see the plan only"
        )
    return click.confirm("Go on?")


# -------------------------------------------------------------------------------- compact and prune


def _thin_out(plan: Plan, dry_run: bool, yes: bool, as_json: bool) -> int:
    if not as_json:
        _print(plan)
    goes_on = not (plan.is_empty or dry_run)
    if goes_on and not _may_go_on(yes, as_json):
        return NOT_SO
    if goes_on:
        carry_out(plan)
    if as_json:
        json_value({"done": goes_on, "stores": [_store_json(store) for store in plan.stores]})
    elif goes_on:
        line("done")
    return FINE


def _print(plan: Plan) -> None:
    table(_PLAN, [_row(store) for store in plan.stores if not store.is_empty])
    for store in plan.stores:
        for path, reason in list(store.left.items())[:_SHOWN_LEFT]:
            line(f"{path}: left alone: {reason}")
        if len(store.left) > _SHOWN_LEFT:
            line(f"{store.path}: {counted(len(store.left) - _SHOWN_LEFT, 'more segment')} left alone: --json has them")
        if store.held:
            line(f"{store.path}: {counted(store.held, 'record')} to go, held by what is left alone")
    if plan.is_empty:
        line("nothing to do")


def _row(store: StorePlan) -> tuple[str, ...]:
    return (
        store.path.absolute().parent.name if store.path.name == CHECKPOINT else str(store.path),
        f"{store.records:,}",
        f"{store.records - store.records_after:,}",
        f"{store.records_after:,}",
        size(store.size_bytes),
        size(store.size_bytes_after),
        f"{len(store.left):,}",
    )


def _store_json(store: StorePlan) -> dict[str, Any]:
    return {
        "path": str(store.path),
        "records": store.records,
        "records_after": store.records_after,
        "superseded": store.superseded,
        "invalidated": store.killed,
        "chosen": store.chosen,
        "held": store.held,
        "size_bytes": store.size_bytes,
        "size_bytes_after": store.size_bytes_after,
        "segments": [str(path) for path in store.old],
        "blobs": [str(path) for path in store.blobs],
        "left_alone": [{"path": str(path), "reason": reason} for path, reason in store.left.items()],
    }


# -------------------------------------------------------------------------------- export and import


def _copy(transfer: Transfer, target: str, copy: Callable[[], Copied], dry_run: bool, yes: bool, as_json: bool) -> int:
    for finding in transfer.findings:
        say(f"warning: {finding}")
    if not as_json:
        table(_APPS, [(app, f"{number:,}") for app, number in sorted(transfer.apps.items())])
        there = f"; {transfer.known:,} more are there already" if transfer.known else ""
        line(f"{counted(transfer.records, 'record')}, {size(transfer.size_bytes)}, to {target}{there}")
    goes_on = transfer.records > 0 and not dry_run
    if goes_on and not _may_go_on(yes, as_json):
        return NOT_SO
    copied = copy() if goes_on else None
    for sentence in copied.lost if copied else ():
        say(f"warning: not copied: {sentence}")
    if as_json:
        json_value(_transfer_json(transfer, copied))
    elif copied:
        line(f"{copied.path}: {counted(copied.records, 'record')}")
    if copied and copied.lost:
        return TROUBLE
    return FINE if transfer.records else NOT_SO


def _transfer_json(transfer: Transfer, copied: Copied | None) -> dict[str, Any]:
    return {
        "done": copied is not None,
        "sources": [str(path) for path in transfer.sources],
        "target": str(copied.path) if copied else None,
        "records": transfer.records,
        "size_bytes": transfer.size_bytes,
        "already_there": transfer.known,
        "apps": dict(transfer.apps),
        "copied": copied.records if copied else 0,
        "lost": list(copied.lost) if copied else [],
    }
