"""What is printed, and that nothing printed is obeyed by a terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

import parslish
from parslish.cli import output
from parslish.cli.output import Column, clean
from tests.faults.stores import seeded

ROOT = Path(parslish.__file__).parents[1]

HOSTILE = [
    ("relax\x1b[31mred\x1b[0m", "relaxred"),
    ("a\x1b]0;title\x07b", "ab"),
    ("a\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\b", "alinkb"),
    ("a\x1bP1$r\x1b\\b", "ab"),
    ("a\x9b2Jb", "ab"),
    ("a\x1bcb", "ab"),
    ("a\x1b", "a"),
    ("a\x1b[", "a"),
    ("bell\x07 back\x08space\x00 \x7f", "bell backspace "),
    ("two\nlines\r\nand\ta tab\x85\u2028x", "two lines  and a tab  x"),
    ("\u202egnp.exe\u202c", "gnp.exe"),
    ("zero\u200bwidth\ufeff", "zerowidth"),
    ("tag\U000e0041", "tag"),
    ("half \udcff", "half \ufffd"),
    ("größe 名前 \U0001f600", "größe 名前 \U0001f600"),
    ("\u0646\u200c\u0645", "\u0646\u200c\u0645"),
]


@pytest.mark.parametrize(("text", "left"), HOSTILE, ids=ascii)
def test_what_a_terminal_obeys_is_taken_out(text: str, left: str) -> None:
    assert clean(text) == left


def test_no_text_at_all_leaves_anything_to_obey() -> None:
    rng = seeded("clean")
    letters = "\x1b\x9b[]PX^_\\;0189mJHhlc \x07\x08\n\r\x90\x9c\x9d\u202e\udc80aé"
    for _ in range(20_000):
        left = clean("".join(rng.choices(letters, k=rng.randrange(20))))
        assert not any(unicodedata.category(char) in ("Cc", "Cf", "Cs") for char in left), ascii(left)
        assert clean(left) == left


COLUMNS = (Column("name", narrow="cut"), Column("records", right=True), Column("what", narrow="fold"))
ROWS = [("a" * 30, "7", "whole"), ("b\x1b[2J", "1,234", "[red]markup[/red] :smile: " + "word " * 30)]


def test_where_there_is_no_terminal_columns_are_aligned_and_nothing_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(COLUMNS, ROWS)
    assert capsys.readouterr().out.splitlines() == [
        f"name{' ' * 26}  records  what",
        f"{'a' * 30}        7  whole",
        f"b{' ' * 29}    1,234  [red]markup[/red] :smile: {'word ' * 30}".rstrip(),
    ]


def test_a_table_without_rows_is_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(COLUMNS, [])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("columns", [80, 120])
def test_on_a_terminal_the_table_fits_and_takes_no_markup_from_cells(columns: int) -> None:
    code = f"from tests.cli.test_output import *\noutput.table(COLUMNS, {ROWS!r})"
    shown = on_terminal(code, columns)
    lines = shown.splitlines()
    assert all(len(line) <= columns for line in lines), shown
    assert "[red]markup[/red] :smile:" in " ".join(shown.split())
    assert "1,234" in shown


def on_terminal(code: str, columns: int) -> str:
    """What some code prints on a terminal of that width, without the styles."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": str(columns), "TERM": "xterm-256color"}
    with subprocess.Popen([sys.executable, "-c", code], stdout=theirs, env=env, cwd=ROOT) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                piece = os.read(ours, 1 << 16)
            except OSError:  # the other side is closed
                break
            shown += piece
    os.close(ours)
    assert process.returncode == 0
    styled = re.sub(r"\x1b\[[0-9;]*m", "", shown.decode())
    assert "\x1b" not in styled, "a cell reached the terminal with its escape sequence"
    return styled


def test_json_holds_text_as_it_is_and_escapes_it(capsys: pytest.CaptureFixture[str]) -> None:
    output.json_value({"name": HOSTILE[0][0], "half": "\udcff"})
    out = capsys.readouterr().out
    assert out.isascii() and "\x1b" not in out
    assert json.loads(out) == {"name": HOSTILE[0][0], "half": "\udcff"}


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_list_is_one_json_array_one_item_a_line(capsys: pytest.CaptureFixture[str], count: int) -> None:
    items = [{"n": n} for n in range(count)]
    output.json_list(iter(items))
    out = capsys.readouterr().out
    assert json.loads(out) == items
    assert out.endswith("]\n")
    assert len(out.splitlines()) == (1 if count == 0 else count + 2)


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1234, "1.2 kB"), (99_949, "99.9 kB"), (99_960, "100 kB"),
     (999_499, "999 kB"), (999_500, "1.0 MB"), (5 * 10**9, "5.0 GB"), (10**22, "10000 EB")],
)  # fmt: skip
def test_sizes_are_decimal(size_bytes: int, text: str) -> None:
    assert output.size(size_bytes) == text


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [(0, "0 us"), (35e-5, "350 us"), (0.012, "12 ms"), (3.44, "3.4 s"), (59.96, "1:00"), (61, "1:01"),
     (7509, "2:05:09"), (float("nan"), "?"), (-1.0, "?"), (float("inf"), "?")],
)  # fmt: skip
def test_durations_are_short(duration_s: float, text: str) -> None:
    assert output.seconds(duration_s) == text


def test_a_time_is_local_and_one_that_no_clock_gives_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert re.fullmatch(r"2023-11-1[45] \d\d:\d\d:20", output.when(1_700_000_000.0))
    assert [output.when(each) for each in (None, 1e300, float("nan"), -1e300)] == ["?"] * 4
