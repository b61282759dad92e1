"""Owns the encodings of numpy's types. Only values of numpy lead here, so numpy is imported by then.

Content counts: element type, shape and elements in C order, not how they lie in memory. All `nan`s are one.
"""

from __future__ import annotations

import marshal
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from parslish.identity.atoms import MARSHAL_VERSION, composite, hasher, text
from parslish.identity.containers import Handler, sequence

if TYPE_CHECKING:
    from parslish.identity.value import Encoder

# What is digested at once. blake3 works on pieces that begin at multiples of their size, so after each seam it starts
# again with single kilobytes: seams at every megabyte halve its speed. Larger spans gain nothing, and a memory map
# that is checked for nan and then digested should be read from the disk once.
_SPAN_BYTES = 1 << 26
# What is copied at once, where a copy is needed: it is still in the cache when it is digested.
_BLOCK_BYTES = 1 << 20
_PROBED = 1 << 14  # elements
_X87_BYTES = 10  # of the 12 or 16 that an 80-bit float takes up; the others are undefined


def handler_of(cls: type) -> Handler | None:
    """How values of a type of numpy, or derived from one, are encoded; None where nothing special is needed."""
    if cls is np.ndarray:
        return _array
    if issubclass(cls, np.ndarray):
        return _derived(cls)
    for base, handler in _FAMILIES.items():
        if issubclass(cls, base) and cls.__module__.partition(".")[0] == "numpy":
            return handler
    return None


def _derived(cls: type[np.ndarray[Any, Any]]) -> Handler | None:
    if cls is type(np.ma.masked):
        return None
    if issubclass(cls, np.ma.MaskedArray):
        return _masked
    has_own_way = cls.__reduce__ is not np.ndarray.__reduce__
    return None if has_own_way else _array_subclass


def _array(walk: Encoder, value: np.ndarray[Any, Any]) -> bytes:
    dtype = value.dtype
    shape = marshal.dumps(value.shape, MARSHAL_VERSION)
    if dtype.names is not None:
        # Field by field: what lies between fields is undefined.
        fields = [text(name) + _array(walk, value[name]) for name in dtype.names]
        return composite(b"fields", shape, *fields)
    if dtype.hasobject:
        elements = sequence(b"elements", walk, value.ravel().tolist())
        return composite(b"objects", text(str(dtype)), shape, elements)
    state = hasher(value.nbytes)
    state.update(b"array\0" + text(dtype.str) + shape)
    for piece in _pieces(value):
        state.update(piece)
    return b"#" + state.digest()


def _pieces(value: np.ndarray[Any, Any]) -> Iterable[Any]:
    """The bytes to digest: the elements in C order."""
    if value.nbytes <= _BLOCK_BYTES:
        return (_canonical(value),)
    return _large_pieces(value)


def _large_pieces(value: np.ndarray[Any, Any]) -> Iterator[Any]:
    for span in _cut(value, _SPAN_BYTES):
        if _is_canonical(span):
            yield span.reshape(-1).view(np.uint8)
        else:
            yield from map(_canonical, _cut(span, _BLOCK_BYTES))


def _cut(value: np.ndarray[Any, Any], size_bytes: int) -> Iterator[np.ndarray[Any, Any]]:
    """The elements in C order, in pieces of bounded size (one row, where it is larger)."""
    if value.nbytes <= size_bytes:
        yield value
        return
    rows = value.reshape(-1) if value.flags.c_contiguous else value
    step = max(1, size_bytes * len(rows) // value.nbytes)
    for start in range(0, len(rows), step):
        yield rows[start : start + step]


def _is_canonical(span: np.ndarray[Any, Any]) -> bool:
    """Whether its memory is what is digested of it."""
    if not span.flags.c_contiguous or span.dtype.char in "gG":
        return False
    flat = _reals(span.reshape(-1))
    # In two steps: an array with nans mostly has one early on, and need not be looked through twice.
    return not _has_nan(flat[:_PROBED]) and not _has_nan(flat[_PROBED:])


def _canonical(block: np.ndarray[Any, Any]) -> Any:
    """The bytes of a block, with one pattern for nan."""
    block = _reals(np.ascontiguousarray(block).reshape(-1))
    if _has_nan(block):
        block = block.copy()
        block[np.isnan(block)] = np.nan
    as_bytes = block.view(np.uint8)
    if block.dtype.char == "g" and np.finfo(np.longdouble).nmant == 63:
        as_bytes = np.ascontiguousarray(as_bytes.reshape(block.size, block.itemsize)[:, :_X87_BYTES]).reshape(-1)
    return as_bytes


def _reals(block: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return block.view(block.real.dtype) if block.dtype.kind == "c" else block


def _has_nan(block: np.ndarray[Any, Any]) -> bool:
    return block.dtype.kind == "f" and block.size > 0 and bool(np.isnan(np.min(block)))


def _array_subclass(walk: Encoder, value: np.ndarray[Any, Any]) -> bytes:
    # A memory map's attributes say where it came from, not what it holds.
    state = None if isinstance(value, np.memmap) else getattr(value, "__dict__", None)
    content = _array(walk, value.view(np.ndarray))
    return composite(b"array subclass", walk.class_of(value), content, walk.encode(state))


def _masked(walk: Encoder, value: np.ma.MaskedArray[Any, Any]) -> bytes:
    """Without what lies under the mask."""
    if value.dtype.names is not None:
        fields = [text(name) + _masked(walk, value[name]) for name in value.dtype.names]
        return composite(b"masked fields", walk.class_of(value), *fields)
    mask = np.ma.getmaskarray(value)
    seen = np.where(mask, np.zeros((), value.dtype), np.ma.getdata(value))
    fill = np.asarray(value.fill_value)
    return composite(b"masked", walk.class_of(value), *[_array(walk, each) for each in (seen, mask, fill)])


def _scalar(walk: Encoder, value: np.generic) -> bytes:
    dtype = value.dtype
    if dtype.kind in "biu" or (dtype.char in "efd" and value == value):
        return b"$" + marshal.dumps((dtype.str, value.tobytes()), MARSHAL_VERSION)
    return composite(b"numpy scalar", _array(walk, np.asarray(value)))


def _dtype(_: Encoder, value: np.dtype[Any]) -> bytes:
    return composite(b"dtype", text(repr(value)))


def _generator(walk: Encoder, value: np.random.Generator) -> bytes:
    return composite(b"generator", walk.class_of(value), walk.encode(value.bit_generator))


def _bit_generator(walk: Encoder, value: np.random.BitGenerator) -> bytes:
    # The seed sequence counts too: it decides what `spawn` gives.
    seeds: Any = getattr(value, "seed_seq", None) or getattr(value, "_seed_seq", None)  # numpy before 1.25
    seed_state = getattr(seeds, "state", None)
    return composite(b"bit generator", walk.class_of(value), walk.encode(value.state), walk.encode(seed_state))


def _random_state(walk: Encoder, value: np.random.RandomState) -> bytes:
    return composite(b"random state", walk.class_of(value), walk.encode(value.get_state(legacy=False)))


_FAMILIES: dict[type, Handler] = {
    np.generic: _scalar,
    np.dtype: _dtype,
    np.random.Generator: _generator,
    np.random.BitGenerator: _bit_generator,
    np.random.RandomState: _random_state,
}
