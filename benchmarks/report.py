"""Owns the words of a result: tables in Markdown, for `RESULTS.md` and for the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks import targets
from benchmarks.peers import OURS, PEERS
from benchmarks.record import Record, Results
from benchmarks.rows import FIGURES, ROWS, WORKLOADS, Figure

HEAD = """\
# Results

Written by `./scripts/bench`; do not edit. How it is measured and what is not: [README.md](README.md).
Medians, with minimum and maximum, of as many rounds as the column says.

![Medians of all workloads](results.svg)
"""


def page(results: Results) -> str:
    """The whole of `RESULTS.md`."""
    parts = [HEAD, _setting(results), _summary(results), tables(results)]
    return "\n".join(part for part in parts if part)


def tables(results: Results) -> str:
    """A section for each workload that was measured."""
    measured = {record.workload for record in results.records}
    return "\n".join(_section(results, name) for name in WORKLOADS if name in measured)


def _setting(results: Results) -> str:
    machine = [f"- {name}: {value}" for name, value in results.machine.items()]
    dates = sorted({record.date for record in results.records})
    commits = sorted({record.commit for record in results.records if record.peer == OURS and record.commit})
    measured = [f"- measured: {', '.join(dates)}", f"- parslish at {', '.join(commits) or 'an unknown commit'}"]
    return "\n".join(["## Machine and versions", "", *machine, *measured, "", *_versions(results.records), ""])


def _versions(records: list[Record]) -> list[str]:
    lines = ["| peer | what it is | installed |", "|---|---|---|"]
    for name, peer in PEERS.items():
        found: dict[str, str] = {}
        for record in records:
            if record.peer == name:
                found |= record.versions
        if found:
            lines.append(f"| {name} | {peer.title} | {', '.join(f'{k} {v}' for k, v in found.items())} |")
    return lines


def _summary(results: Results) -> str:
    verdicts = [(target, target.met(results)) for target in targets.TARGETS]
    count = [met for _, met in verdicts if met is not None]
    lines = ["## Targets", "", f"{sum(count)} of {len(count)} that were measured are met."]
    missed = [target for target, met in verdicts if met is False]
    lines += ["Missed:", ""] if missed else []
    lines += [
        f"- {t.workload} {t.label}, {FIGURES[t.workload, t.figure].title}: {t} ({_reached(t, results)})" for t in missed
    ]
    return "\n".join([*lines, ""])


def _section(results: Results, workload: str) -> str:
    lines = [f"## {workload}: {WORKLOADS[workload].title}", ""]
    for (owner, name), figure in FIGURES.items():
        records = results.of(owner, name) if owner == workload else {}
        if records:
            lines += [*_table(results, figure, in_order(workload, records.values())), ""]
    troubles = {f"- {r.label}: {r.trouble}": None for r in results.records if r.workload == workload and r.trouble}
    lines += [*troubles, ""] if troubles else []
    return "\n".join(lines)


def in_order(workload: str, records: Iterable[Record]) -> list[Record]:
    """As the rows stand in their table."""
    order = [row.label for row in ROWS if row.workload == workload]
    return sorted(records, key=lambda record: order.index(record.label) if record.label in order else len(order))


def _table(results: Results, figure: Figure, records: list[Record]) -> list[str]:
    dated = len({record.date for record in results.records}) > 1
    reference = next((record for record in records if record.label == figure.reference), None)
    titles = ["", "N", "rounds", f"{figure.title}, {figure.unit}"]
    titles += [f"× {figure.reference}"] if reference else []
    titles += ["target"] + (["date"] if dated else [])
    lines = [f"| {' | '.join(titles)} |", f"|---{'|---:' * (len(titles) - 2 - dated)}|---{'|---' * dated}|"]
    for record in records:
        cells = [_label(record), f"{record.n:,}", str(len(record.values)), _spread(record)]
        cells += [number(record.median / reference.median)] if reference else []
        cells += [_verdicts(results, record)] + ([record.date] if dated else [])
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _label(record: Record) -> str:
    return f"**{record.label}**" if record.peer == OURS else record.label


def _spread(record: Record) -> str:
    return f"{number(record.median)} ({number(min(record.values))}–{number(max(record.values))})"


def _verdicts(results: Results, record: Record) -> str:
    ours = targets.of(record.workload, record.figure, record.label)
    return "; ".join(f"{target}: {_verdict(target, results)}" for target in ours)


def _verdict(target: targets.Target, results: Results) -> str:
    words = {True: "met", False: "**not met**", None: "N too small to say"}
    reached = target.reached(results)
    if reached is None:
        return "not measured"
    return words[target.met(results)] + (f" ({number(reached)})" if target.times else "")


def _reached(target: targets.Target, results: Results) -> str:
    reached = target.reached(results)
    return "not measured" if reached is None else number(reached)


def number(value: float) -> str:
    """Three digits, or whole thousands."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
