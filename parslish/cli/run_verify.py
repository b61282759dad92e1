"""Owns `parslish verify`: some of the stored results are computed once more, and compared."""

from __future__ import annotations

from typing import Final

import click

from parslish.cli.output import FINE, NOT_SO, Column, counted, json_option, json_value, line, say, table
from parslish.cli.run_script import output_aside
from parslish.cli.which import RunCommand, recorded_run, run_argument, run_dir_option

_COLUMNS: Final = (Column("not as stored", narrow="fold"), Column("difference", narrow="fold"))


def part_of(ctx: click.Context, param: click.Parameter, value: str) -> float:
    """The part that `5%` or `0.05` means."""
    text = value.strip()
    try:
        part = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        part = 0.0
    if not 0 < part <= 1:
        raise click.BadParameter(f"{value!r} is no part: takes 5% or 0.05, up to 100%", ctx, param)
    return part


@click.command(cls=RunCommand)
@run_argument
@click.option("--sample", default="5%", show_default=True, callback=part_of, metavar="PART", help="How many of them.")
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Of the choice.")
@run_dir_option
@json_option
def verify(run: str, sample: float, seed: int, run_dir: str, as_json: bool) -> int:
    """Compute a sample of the stored results again and compare.

    The tasks are drawn from those of RUN (the default is the last run) that are cached and ended well. They run in a
    new run, and nothing that is stored is touched. What they print goes to standard error. A result that differs comes
    from a task that is not pure, or from another machine or library.

    Exit codes: 0 all are equal, 1 a result differs or cannot be made again, 2 wrong usage, or there is nothing to
    verify.
    """
    found = recorded_run(run, run_dir)
    with output_aside(True):
        results = found.verify(sample=sample, seed=seed)
    others = [each for each in results if not each.equal]
    if as_json:
        listed = [each.to_json() for each in results]
        json_value({"run": found.id, "equal": len(results) - len(others), "results": listed})
    else:
        if others:
            table(_COLUMNS, [(each.path, each.difference) for each in others])
        line(f"{counted(len(results), 'result')} computed again, {len(others):,} not as stored")
    if others:
        say(f"{counted(len(others), 'result')} not as stored: see  parslish why TASK {found.id}")
    return NOT_SO if others else FINE
