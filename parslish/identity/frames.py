"""Owns the encodings of pandas' tables, columns and indexes: labels, element types and elements.

Only values of pandas lead here, so pandas is imported by then. Its scalars reduce like any object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from parslish.identity.atoms import composite, text
from parslish.identity.containers import Handler

if TYPE_CHECKING:
    from parslish.identity.value import Encoder


def handler_of(cls: type) -> Handler | None:
    """How values of a type of pandas, or derived from one, are encoded; None where nothing special is needed."""
    return next((handler for base, handler in _FAMILIES.items() if issubclass(cls, base)), None)


def _frame(walk: Encoder, value: pd.DataFrame) -> bytes:
    columns = [_elements(walk, column.array) for _, column in value.items()]
    labels = [walk.encode(value.index), walk.encode(value.columns)]
    return composite(b"frame", walk.class_of(value), *labels, _extras(walk, value), *columns)


def _series(walk: Encoder, value: pd.Series[Any]) -> bytes:
    labels = [walk.encode(value.index), walk.encode(value.name)]
    return composite(b"series", walk.class_of(value), *labels, _extras(walk, value), _elements(walk, value.array))


def _extras(walk: Encoder, value: pd.DataFrame | pd.Series[Any]) -> bytes:
    """What users and derived classes attach."""
    attached = {name: getattr(value, name, None) for name in value._metadata if name != "name"}
    return walk.encode((value.attrs, attached, value.flags.allows_duplicate_labels))


def _index(walk: Encoder, value: pd.Index[Any]) -> bytes:
    freq = text(str(getattr(value, "freq", None)))
    return composite(b"index", walk.class_of(value), walk.encode(list(value.names)), freq, _elements(walk, value.array))


def _multi_index(walk: Encoder, value: pd.MultiIndex) -> bytes:
    levels = [walk.encode(value.get_level_values(number)) for number in range(value.nlevels)]
    return composite(b"multi-index", walk.class_of(value), *levels)


def _extension_array(walk: Encoder, value: Any) -> bytes:
    return composite(b"extension array", _elements(walk, value))


def _elements(walk: Encoder, array: Any) -> bytes:
    """The element type, and the elements as numpy has them; as Python objects where it has none."""
    parts = [text(f"{type(array).__qualname__} {array.dtype!r}")]
    if isinstance(array, pd.Categorical):
        parts += [walk.encode(array.codes), walk.encode(array.categories)]
    elif hasattr(array, "asi8"):
        parts.append(walk.encode(array.asi8))
    elif isinstance(array.dtype, pd.api.extensions.ExtensionDtype):
        parts.append(walk.encode(array.to_numpy(dtype=object)))
    else:
        parts.append(walk.encode(array.to_numpy()))
    return composite(b"column", *parts)


_FAMILIES: dict[type, Handler] = {
    pd.DataFrame: _frame,
    pd.Series: _series,
    pd.MultiIndex: _multi_index,
    pd.Index: _index,
    pd.api.extensions.ExtensionArray: _extension_array,
}
