"""Owns the picture of a result: bars on logarithmic scales, as SVG that reads well on light and dark pages."""

from __future__ import annotations

import math
from xml.sax.saxutils import escape

from benchmarks.peers import OURS
from benchmarks.record import Record, Results
from benchmarks.report import number
from benchmarks.rows import FIGURES, Figure

WIDTH, LEFT, RIGHT = 500, 215, 55  # of a panel; of its space for labels; of that for values
BAR, GAP, HEAD, FOOT = 13, 4, 42, 30

STYLE = """\
text { font: 11px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 13px }
.note, .tick { fill: #59636e; font-size: 10px }
.ours { fill: #0969da } .peer { fill: #afb8c1 } .name.ours { fill: #0969da; font-weight: 600 }
line { stroke: #d1d9e0 }
rect.page { fill: #ffffff }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc } .note, .tick { fill: #9198a1 }
  .ours, .name.ours { fill: #4493f8 } .peer { fill: #656c76 } line { stroke: #3d444d } rect.page { fill: #0d1117 }
}"""


def picture(results: Results) -> str:
    """The figures that are `pictured`, one panel each, best first, in two columns."""
    panels: list[str] = []
    ends = [10, 10]
    for (workload, name), figure in FIGURES.items():
        records = list(results.of(workload, name).values()) if figure.pictured else []
        if records:
            column = ends.index(min(ends))
            panel = _panel(ends[column], workload, figure, records)
            panels.append(f'<g transform="translate({column * WIDTH} 0)">\n{panel}\n</g>')
            ends[column] += _height(records)
    size = f'width="{2 * WIDTH}" height="{max(ends)}" viewBox="0 0 {2 * WIDTH} {max(ends)}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="parslish and its peers">'
    page = f'<rect class="page" width="{2 * WIDTH}" height="{max(ends)}"/>'
    return "\n".join([head, f"<style>{STYLE}</style>", page, *panels, "</svg>", ""])


def _height(records: list[Record]) -> int:
    return HEAD + len(records) * (BAR + GAP) + FOOT


def _panel(top: int, workload: str, figure: Figure, records: list[Record]) -> str:
    """Title, grid, and a bar a row."""
    records = sorted(records, key=lambda record: record.median, reverse=figure.more_is_better)
    low, high = decades([record.median for record in records])
    better = "more is better" if figure.more_is_better else "less is better"
    lines = [
        _text(10, top + 16, "title", f"{workload}  {figure.heading}"),
        _text(10, top + 31, "note", f"{figure.unit}, {better}; logarithmic scale"),
        *_grid(top + HEAD, len(records), low, high),
    ]
    for place, record in enumerate(records):
        lines.append(_bar(top + HEAD + place * (BAR + GAP), record, low, high))
    return "\n".join(lines)


def decades(values: list[float]) -> tuple[int, int]:
    """The powers of ten that all values lie between; the lowest has a bar that can be seen."""
    positive = [value for value in values if value > 0] or [1.0]
    low = math.floor(math.log10(min(positive)) - 0.05)
    return low, max(math.ceil(math.log10(max(positive))), low + 1)


def _x(value: float, low: int, high: int) -> float:
    share = (math.log10(value) - low) / (high - low) if value > 0 else 0.0
    return LEFT + max(share, 0.0) * (WIDTH - LEFT - RIGHT)


def _grid(top: int, bars: int, low: int, high: int) -> list[str]:
    lines = []
    shown = 1 if high - low <= 4 else 2
    bottom = top + bars * (BAR + GAP)
    for power in range(low, high + 1):
        x = _x(10.0**power, low, high)
        lines.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top - 2}" y2="{bottom}"/>')
        if (power - low) % shown == 0:
            lines.append(_text(x, bottom + 12, "tick", f"{10**power:,}", anchor="middle"))
    return lines


def _bar(y: int, record: Record, low: int, high: int) -> str:
    kind = "ours" if record.peer == OURS else "peer"
    end = _x(record.median, low, high)
    bar = f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{max(end - LEFT, 2):.1f}" height="{BAR}" rx="2"/>'
    name = _text(LEFT - 8, y + BAR - 3, f"name {kind}" if kind == "ours" else "name", record.label, anchor="end")
    return "\n".join([bar, name, _text(end + 6, y + BAR - 3, "value", number(record.median))])


def _text(x: float, y: int, kind: str, words: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y}" text-anchor="{anchor}">{escape(words)}</text>'
