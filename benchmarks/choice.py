"""Owns the command line's words: which workloads, which peers, and what is said of a wrong one."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence

from benchmarks.peers import OURS, PEERS
from benchmarks.rows import ROWS, WORKLOADS, Row


class WrongName(Exception):
    """A word is neither a workload nor a peer, or no row goes with the words."""


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """What was asked for; exits with a sentence if it is not understood."""
    parser = argparse.ArgumentParser(
        prog="./scripts/bench", description="The same workloads on parslish and its peers."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(WORKLOADS)}; {', '.join(PEERS)}")
    parser.add_argument("--rounds", type=_positive, help="how often each row is measured (3)")
    parser.add_argument("--n", type=_positive, help="how many tasks; slow peers have a limit of their own")
    parser.add_argument("--smoke", action="store_true", help="once, with few tasks, where parslish is installed")
    parser.add_argument("--no-write", action="store_true", help="print the tables, leave the files alone")
    given = parser.parse_args(words)
    try:
        given.rows = rows(given.names)
    except WrongName as wrong:
        parser.error(str(wrong))
    return given


def rows(names: Sequence[str]) -> list[Row]:
    """The rows of the named workloads and peers, ours always among them; nothing named means all.

    Raises:
        WrongName: with a near match, if there is one.
    """
    known = {name.lower(): name for name in (*WORKLOADS, *PEERS)}
    for name in names:
        if name.lower() not in known:
            raise WrongName(_unknown(name, known))
    meant = {known[name.lower()] for name in names}
    workloads = meant & WORKLOADS.keys() or WORKLOADS.keys()
    peers = meant & PEERS.keys()
    if peers - {OURS}:  # only what these are compared in
        workloads = {row.workload for row in ROWS if row.peer in peers - {OURS}} & workloads
        _require(workloads, meant)
    return [row for row in ROWS if row.workload in workloads and (not peers or row.peer in peers | {OURS})]


def distinct(rows: Sequence[Row]) -> list[Row]:
    """Without rows that differ in their N only: a smoke run has one N for all."""
    kept: dict[tuple[str, tuple[str, ...]], Row] = {}
    for row in rows:
        kept.setdefault((row.call, row.arguments), row)
    return list(kept.values())


def _require(workloads: set[str], meant: set[str]) -> None:
    if not workloads:
        peers = sorted(meant & PEERS.keys())
        have = sorted({row.workload for row in ROWS if row.peer in peers})
        raise WrongName(f"{', '.join(peers)} runs {', '.join(have)}, and not {', '.join(sorted(meant - {*peers}))}")


def _unknown(name: str, known: dict[str, str]) -> str:
    near = difflib.get_close_matches(name.lower(), known, n=1)
    hint = f"; did you mean {known[near[0]]}?" if near else ""
    return f"{name!r} is neither a workload ({', '.join(WORKLOADS)}) nor a peer ({', '.join(PEERS)}){hint}"


def _positive(word: str) -> int:
    digits = word.replace(",", "").replace("_", "")
    if not digits.isdecimal() or int(digits) < 1:
        raise argparse.ArgumentTypeError(f"{word!r} is not a whole number above 0")
    return int(digits)
