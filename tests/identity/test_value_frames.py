"""The rules of `parslish.identity.frames`: labels, element types and elements count."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from parslish.identity.value import encode


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", None], **columns})


def with_attrs(**attrs: Any) -> pd.DataFrame:
    made = frame()
    made.attrs.update(attrs)
    return made


class Derived(pd.DataFrame):
    _metadata = ["note"]  # noqa: RUF012 — the name and kind that pandas prescribes

    @property
    def _constructor(self) -> Any:
        return Derived


def derived(note: str) -> Derived:
    made = Derived({"a": [1, 2, 3]})
    object.__setattr__(made, "note", note)
    return made


STAMPS = pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-03"])
PAIRS = pd.MultiIndex.from_tuples([(1, "a"), (2, "b")], names=["n", "s"])

DIFFERENT: list[Any] = [
    frame(), frame(a=[1, 2, 4]), frame(a=[1.0, 2.0, 3.0]), frame(b=["x", "y", "z"]), frame(c=1), frame()[["b", "a"]],
    frame().rename(columns={"a": "z"}), frame().set_index(pd.Index([5, 6, 7])), frame().iloc[::-1], frame().iloc[:2],
    frame().rename_axis("i"), with_attrs(source="x"), frame().a, frame().a.rename("z"), frame().b, frame().a.to_list(),
    frame().a.to_numpy(), pd.Series([1, 2, 3]), pd.Series([1, 2, 3], dtype="i4"), pd.Series([1, 2, 3], dtype="Int64"),
    pd.Series([1, 2, None], dtype="Int64"), pd.Series([1, 2, None]), pd.Series([1, 2, 3], dtype="object"),
    pd.Series(["x", "y"], dtype="category"), pd.Series(["x", "y"], dtype="object"),
    pd.Series(pd.Categorical(["x", "y"], categories=["y", "x"])),
    pd.Series(pd.Categorical(["x", "y"], ordered=True)), pd.Series(STAMPS), pd.Series(STAMPS).dt.tz_localize("UTC"),
    pd.Series(STAMPS).dt.tz_localize("Asia/Tokyo"), STAMPS, STAMPS.to_period("D"), STAMPS.to_period("M"),
    STAMPS - STAMPS[0], pd.Index([1, 2]), pd.Index([1, 2], name="n"), pd.Index(["a", "b"]), pd.RangeIndex(2), PAIRS,
    PAIRS.rename(["n", "t"]), PAIRS[::-1], pd.DataFrame({"v": [1, 2]}, index=PAIRS), pd.interval_range(0, 3),
    pd.interval_range(0, 3, closed="both"), pd.date_range("2020-01-01", periods=3, freq="D"), pd.DataFrame(),
    pd.Series([], dtype="f8"), pd.Timestamp("2020-01-01"), pd.Timestamp("2020-01-01", tz="UTC"), pd.Timedelta(1),
    pd.Period("2020-01"), pd.Interval(0, 1), pd.NA, pd.NaT, pd.Categorical(["x"]), pd.array([1, 2]),
    pd.array([1, None]), pd.arrays.SparseArray([0, 0, 1]), derived("a"), derived("b"), pd.DataFrame({"a": [1, 2, 3]}),
    pd.DataFrame([[1, 2]], columns=["a", "a"]), pd.DataFrame([[2, 1]], columns=["a", "a"]),
]  # fmt: skip


def test_tables_that_differ_in_labels_types_or_content_have_different_encodings() -> None:
    encodings: dict[bytes, Any] = {}
    for value in DIFFERENT:
        made = encode(value)
        assert made not in encodings, f"{value!r} and {encodings[made]!r} are encoded alike"
        assert made == encode(value)
        encodings[made] = value


def _block_by_block() -> pd.DataFrame:
    made = pd.DataFrame(index=range(3))
    made["a"] = np.array([1, 2, 3])
    made["b"] = ["x", "y", None]
    return made.set_index(pd.RangeIndex(3))


@pytest.mark.parametrize(
    "other",
    [
        frame().copy(), frame().iloc[::-1].copy().iloc[::-1].reset_index(drop=True), _block_by_block(),
        pd.concat([frame()[["a"]], frame()[["b"]]], axis=1), frame(c=1).drop(columns="c"),
    ],
)  # fmt: skip
def test_how_a_table_was_made_does_not_count(other: pd.DataFrame) -> None:
    assert other.equals(frame())
    assert encode(other) == encode(frame())


def test_levels_that_no_entry_uses_do_not_count() -> None:
    assert encode(PAIRS[:1]) == encode(PAIRS[:1].remove_unused_levels())
