"""Patterns, lengths and points of time in expressions."""

from __future__ import annotations

import datetime

import pytest

from parslish.history.selection import words


@pytest.mark.parametrize(
    ("pattern", "path", "is_meant"),
    [
        ("-/relax[*]", "-/relax[Si]", True),
        ("-/relax[*]", "-/scan[0]/relax[Si]", False),
        ("**/relax[*]", "-/relax[Si]", True),
        ("**/relax[*]", "-/scan[0]/relax[Si]", True),
        ("**/relax[*]", "-/unrelax[Si]", False),
        ("-/**/relax[0]", "-/relax[0]", True),
        ("-/**/relax[0]", "-/a[0]/b[1]/relax[0]", True),
        ("-/scan[2]/**", "-/scan[2]/a[0]/b[0]", True),
        ("-/scan[2]/**", "-/scan[2]", False),
        ("-/scan[2]/**", "-/scan[20]/a[0]", False),
        ("-/scan[?]/a[0]", "-/scan[2]/a[0]", True),
        ("-/scan[?]/a[0]", "-/scan[20]/a[0]", False),
        ("-/a[(.+)]*", "-/a[(.+)]", True),
        ("-/a[(.+)]*", "-/a[xx]", False),
    ],
)
def test_a_pattern_of_paths_keeps_to_parts_unless_it_has_two_stars(pattern: str, path: str, is_meant: bool) -> None:
    assert bool(words.path_pattern(pattern).fullmatch(path)) is is_meant


def test_a_word_is_meant_as_it_is_and_a_pattern_as_a_pattern() -> None:
    is_meant = words.any_of(["Si", "C*", "N?"])
    assert [each for each in ("Si", "Six", "C", "Cu", "N", "Na", "xSi", "C\n") if is_meant(each)] == [
        "Si", "C", "Cu", "Na", "C\n",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "seconds"), [("10m", 600), ("1h30m", 5400), ("250ms", 0.25), ("1.5h", 5400), ("2d", 172_800), (".5s", 0.5)]
)
def test_lengths_of_time_have_units(text: str, seconds: float) -> None:
    assert words.length_s(text) == seconds


@pytest.mark.parametrize("text", ["10", "m", "", "10 m", "10min", "-1m", "1h30", "1H"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no length of time: takes numbers with ms, s, m, h or d"):
        words.length_s(text)


def test_times_are_local_unless_they_name_a_zone() -> None:
    assert words.time_s("2026-11-21T10:00:00Z") == words.time_s("2026-11-21T11:00+01:00") == 1795255200
    assert words.time_s("2026-11-21") == datetime.datetime(2026, 11, 21).timestamp()
    assert words.time_s("2026-11-21 16:30") == datetime.datetime(2026, 11, 21, 16, 30).timestamp()


@pytest.mark.parametrize("text", ["yesterday", "", "16:30", "2026-13-01", "9999999-01-01"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no time: takes 2026-11-21T16:30"):
        words.time_s(text)
