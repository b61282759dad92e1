"""Owns by how much values of numpy and pandas differ. Only such values lead here, so both are imported by then."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from parslish.compare.difference import short

if TYPE_CHECKING:
    import numpy as np

    from parslish.compare.difference import Comparison

_BLOCK: Final = 1 << 20  # elements that are compared at once: a copy of all of them may not fit
_NUMBERS: Final = frozenset("biufc")


def compare_numpy(walk: Comparison, a: Any, b: Any, where: str) -> None:
    """Compare two values of one type of numpy."""
    import numpy as np

    if not isinstance(a, (np.ndarray, np.generic)):
        walk.by_own_rule(a, b, where)
        return
    if a.dtype != b.dtype:
        walk.differ(where, f"dtype {a.dtype} became {b.dtype}")
    if a.shape != b.shape:
        walk.differ(where, f"shape {a.shape} became {b.shape}")
    elif isinstance(a, np.ma.MaskedArray):
        walk.push(a.filled(0), b.filled(0), where)
        walk.push(np.ma.getmaskarray(a), np.ma.getmaskarray(b), f"{where}.mask")
    elif a.dtype.names and a.dtype.names == b.dtype.names:
        one, two = np.asarray(a), np.asarray(b)
        for name in reversed(a.dtype.names):
            walk.push(one[name], two[name], f"{where}[{name!r}]")
    elif a.dtype.hasobject or b.dtype.hasobject:
        walk.push(a.tolist(), b.tolist(), where)
    else:
        _elements(walk, np.asarray(a), np.asarray(b), where)


def compare_pandas(walk: Comparison, a: Any, b: Any, where: str) -> None:
    """Compare two values of one type of pandas."""
    import pandas as pd

    if isinstance(a, pd.DataFrame):
        _labels(walk, a.columns, b.columns, f"{where}.columns")
        _labels(walk, a.index, b.index, f"{where}.index")
        if a.shape != b.shape:
            walk.differ(where, f"shape {a.shape} became {b.shape}")
        elif a.columns.equals(b.columns):
            for place in reversed(range(a.shape[1])):
                _column(walk, a.iloc[:, place], b.iloc[:, place], f"{where}[{short(a.columns[place])}]")
    elif isinstance(a, pd.Series):
        _labels(walk, a.index, b.index, f"{where}.index")
        _column(walk, a, b, where)
    elif isinstance(a, pd.Index):
        _labels(walk, a, b, where)
    elif isinstance(a, pd.api.extensions.ExtensionArray):
        _column(walk, pd.Series(a), pd.Series(b), where)
    else:
        walk.by_own_rule(a, b, where)


def _elements(walk: Comparison, a: np.ndarray[Any, Any], b: np.ndarray[Any, Any], where: str) -> None:
    kinds = {a.dtype.kind, b.dtype.kind}
    are_numbers = kinds <= _NUMBERS
    if not are_numbers and len(kinds) > 1:
        return  # the difference of their types was said
    one, two = a.reshape(-1), b.reshape(-1)
    differing = 0
    for start in range(0, one.size, _BLOCK):
        mine, theirs = one[start : start + _BLOCK], two[start : start + _BLOCK]
        unequal = (mine != theirs) & ~((mine != mine) & (theirs != theirs))
        count = int(unequal.sum())
        differing += count
        if count and are_numbers:
            at, absolute, relative = _largest(mine, theirs, unequal)
            walk.differ_by(absolute, relative, where + _place(start + at, a.shape))
    if differing and (a.shape or not are_numbers):
        walk.differ(where, f"{differing:,} of {one.size:,} elements differ")


def _largest(a: Any, b: Any, unequal: Any) -> tuple[int, float, float]:
    """Where the largest absolute difference is, it, and the largest relative one."""
    import numpy as np

    # As wide as there is: differences of 64-bit integers need it, and unsigned ones must not wrap around.
    wide = np.clongdouble if a.dtype.kind == "c" or b.dtype.kind == "c" else np.longdouble
    mine, theirs = a[unequal].astype(wide), b[unequal].astype(wide)
    with np.errstate(all="ignore"):
        absolute = np.abs(mine - theirs)
        relative = absolute / np.maximum(np.abs(mine), np.abs(theirs))
        absolute[np.isnan(absolute)] = relative[np.isnan(relative)] = math.inf
        at = int(absolute.argmax())
        return int(np.flatnonzero(unequal)[at]), float(absolute[at]), float(relative.max())


def _place(number: int, shape: tuple[int, ...]) -> str:
    import numpy as np

    return f"[{', '.join(str(int(each)) for each in np.unravel_index(number, shape))}]" if shape else ""


def _column(walk: Comparison, a: Any, b: Any, where: str) -> None:
    if a.dtype != b.dtype:
        walk.differ(where, f"dtype {a.dtype} became {b.dtype}")
    if len(a) != len(b):
        walk.differ(where, f"length {len(a):,} became {len(b):,}")
    elif not a.array.equals(b.array):
        mine, theirs = a.to_numpy(), b.to_numpy()
        if mine.dtype.hasobject or theirs.dtype.hasobject:
            walk.push([*a], [*b], where)
        else:
            _elements(walk, mine, theirs, where)


def _labels(walk: Comparison, a: Any, b: Any, where: str) -> None:
    if not a.equals(b):
        walk.differ(where, "labels differ")
    elif list(a.names) != list(b.names):
        walk.differ(where, f"names {list(a.names)} became {list(b.names)}")
