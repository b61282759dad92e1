"""The rules of `parslish.identity.arrays`: content counts, memory layout does not."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parslish.errors import Unidentifiable
from parslish.identity import arrays
from parslish.identity.value import encode

BASE = np.arange(24.0).reshape(2, 3, 4)
STRUCTURE = [("a", "i4"), ("b", "f8", (2,)), ("c", "U3")]


class Tagged(np.ndarray):  # type: ignore[type-arg]
    tag: Any

    def __array_finalize__(self, obj: Any) -> None:
        self.tag = getattr(obj, "tag", None)


def tagged(tag: Any) -> Tagged:
    array = np.arange(3.0).view(Tagged)
    array.tag = tag
    return array


def of_objects(*values: Any) -> Any:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


DIFFERENT: list[Any] = [
    BASE, BASE.reshape(6, 4), BASE.reshape(-1), BASE.astype("f4"), BASE.astype("i8"), BASE.astype(">f8"), BASE + 1,
    BASE.astype(complex), BASE.astype(np.longdouble), BASE.astype("f2"), BASE.tolist(), BASE.tobytes(),
    np.array(1.0), np.array([1.0]), np.array([[1.0]]), np.array([0.0]), np.array([-0.0]), np.array([np.nan]),
    np.array([np.inf]), np.array([1j]), np.array([complex(1, np.nan)]), np.longdouble(1) / 3,
    np.array([], "f8"), np.array([], "f4"), np.empty((0, 2)), np.empty((2, 0)), np.float64(1), np.float32(1),
    np.float16(1), np.longdouble(1), np.complex128(1), np.int64(1), np.int32(1), np.uint8(1), np.bool_(True), 1.0, 1,
    True, np.str_("a"), np.bytes_(b"a"), np.array("a"), np.array(["a"]), np.array(["a", "b"]), np.array([b"a"]),
    np.float64(np.nan), np.float64(0.0), np.float64(-0.0),
    np.datetime64("2020-01-01"), np.datetime64("2020-01-01T00"), np.timedelta64(1, "s"), np.datetime64("NaT", "s"),
    np.array(["2020-01-01"], "M8[D]"), np.array(["2020-01-01"], "M8[s]"), np.array([True]), np.array([1], "u1"),
    np.zeros(2, STRUCTURE), np.zeros(3, STRUCTURE), np.zeros(2, [("a", "i4"), ("z", "f8", (2,)), ("c", "U3")]),
    np.zeros((), STRUCTURE)[()], np.array([b"12345678"], "V8"),
    of_objects(1, "a"), of_objects(1, "b"), of_objects(1.0, "a"), of_objects([1], None), of_objects([[1]], None),
    tagged(1), tagged(2), np.arange(3.0), np.arange(3.0).view(np.recarray),
    np.ma.array([1, 2, 3], mask=[0, 1, 0]), np.ma.array([1, 2, 3], mask=[0, 0, 1]), np.ma.array([1, 2, 3]),
    np.ma.array([1, 2, 3], mask=[0, 1, 0], fill_value=7), np.ma.masked,
    np.dtype("f8"), np.dtype("f4"), np.dtype(">f8"), np.dtype(STRUCTURE), np.float64, np.sin, np.cos, np.linalg.norm,
    np.random.default_rng(1), np.random.default_rng(2), np.random.Generator(np.random.MT19937(1)),
    np.random.RandomState(1), np.random.RandomState(2), np.random.PCG64(1), np.random.SeedSequence(1),
    np.random.SeedSequence(2), np.poly1d([1, 2]), np.poly1d([1, 3]),
]  # fmt: skip


def test_values_that_differ_in_type_shape_or_content_have_different_encodings() -> None:
    encodings: dict[bytes, Any] = {}
    for value in DIFFERENT:
        made = encode(value)
        assert made not in encodings, f"{value!r} and {encodings[made]!r} are encoded alike"
        assert made == encode(value)
        encodings[made] = value


def _strided(array: Any) -> Any:
    wide = np.full((*array.shape[:-1], array.shape[-1] * 2), 99.0)
    wide[..., ::2] = array
    return wide[..., ::2]


def _unaligned(array: Any) -> Any:
    raw = np.zeros(array.nbytes + 1, "u1")
    raw[1:] = np.frombuffer(array.tobytes(), "u1")
    return raw[1:].view("f8").reshape(array.shape)


def _read_only(array: Any) -> Any:
    copy = array.copy()
    copy.flags.writeable = False
    return copy


LAYOUTS: list[Callable[[Any], Any]] = [
    np.asfortranarray, lambda a: a.copy(), lambda a: a[::-1].copy()[::-1], _strided, _unaligned, _read_only,
    lambda a: a.T.copy().T, lambda a: np.ascontiguousarray(a)[...], lambda a: a[:, :, ::-1].copy()[:, :, ::-1],
]  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_memory_layout_does_not_count(layout: Callable[[Any], Any]) -> None:
    laid_out = layout(BASE)
    assert np.array_equal(laid_out, BASE)
    assert encode(laid_out) == encode(BASE)


@pytest.mark.parametrize("seed", range(5))
def test_arrays_larger_than_a_block_are_encoded_alike_in_any_layout(seed: int) -> None:
    print(f"seed {seed}")
    rng = random.Random(seed)
    shape = rng.choice([(700, 900), (1, 400_001), (400_001, 1), (3, 5, 30_011), (1, 1, 300_000), (2, 100_000, 2)])
    array = np.random.default_rng(seed).random(shape)
    array[tuple(rng.randrange(n) for n in shape)] = np.nan
    assert encode(np.asfortranarray(array)) == encode(array) == encode(np.repeat(array, 2, axis=0)[::2])
    changed = array.copy()
    changed[tuple(rng.randrange(n) for n in shape)] += 1e-9
    changed[(-1,) * len(shape)] = 7
    assert encode(changed) != encode(array)


@pytest.mark.parametrize("dtype", ["f4", "f8", ">f8", "c16", "g", "G", "i4", "S3", "M8[s]"])
@pytest.mark.parametrize("where", [None, 0, 30_000, -1])
def test_how_an_array_is_cut_up_does_not_count(dtype: str, where: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    array = np.arange(60_000).astype("M8[s]" if dtype == "M8[s]" else "i8").astype(dtype).reshape(3, -1)
    if where is not None and array.dtype.kind in "fc":
        array.reshape(-1)[where] = np.nan
    at_once = encode(array)
    monkeypatch.setattr(arrays, "_SPAN_BYTES", 50_000)
    monkeypatch.setattr(arrays, "_BLOCK_BYTES", 3_000)
    monkeypatch.setattr(arrays, "_PROBED", 100)
    assert encode(array) == encode(np.asfortranarray(array)) == at_once


@pytest.mark.parametrize("shape", [(0,), (0, 3)])
@pytest.mark.parametrize("dtype", ["f8", "c16", "g", "G"])
def test_an_empty_array_has_an_encoding(shape: tuple[int, ...], dtype: str) -> None:
    assert encode(np.zeros(shape, dtype)) == encode(np.ones(shape, dtype)) != encode(np.zeros((1,), dtype))


def test_a_broadcast_array_is_what_it_shows() -> None:
    assert encode(np.broadcast_to(np.array([1.0, 2.0]), (3, 2))) == encode(np.array([[1.0, 2.0]] * 3))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f8", np.longdouble, "c8", "c16"])
def test_all_nans_are_one(dtype: Any) -> None:
    with np.errstate(invalid="ignore"):
        made = np.array([0.0, 1.0], dtype) / np.array([0.0, 1.0], dtype)
    if np.dtype(dtype).kind == "f":
        odd = np.array([-np.nan, 1.0]).astype(dtype)
        assert encode(odd) == encode(np.array([np.nan, 1.0]).astype(dtype)) == encode(made.astype(dtype))
    assert encode(made) == encode(made.copy())
    assert np.isnan(made[0])


def test_the_nan_of_a_division_is_the_nan_of_a_literal() -> None:
    with np.errstate(invalid="ignore"):
        made = np.zeros(1) / np.zeros(1)
    assert encode(made) == encode(np.array([np.nan]))
    assert encode(made[0]) == encode(np.float64(np.nan))


def test_undefined_bytes_between_fields_do_not_count() -> None:
    layout = np.dtype({"names": ["a", "b"], "formats": ["u1", "f8"], "offsets": [0, 8], "itemsize": 24})
    dirty = np.frombuffer(bytes(range(48)), layout).copy()
    clean = np.zeros(2, layout)
    clean["a"], clean["b"] = dirty["a"], dirty["b"]
    assert dirty.tobytes() != clean.tobytes()
    assert encode(dirty) == encode(clean)


def test_undefined_bytes_of_long_doubles_do_not_count() -> None:
    clean, dirty = np.zeros(3, np.longdouble), np.frombuffer(b"\xff" * 48, "u1").copy().view(np.longdouble)
    dirty[:] = 0
    for array in (clean, dirty):
        array += np.arange(3)
    assert encode(clean) == encode(dirty)


def test_what_lies_under_a_mask_does_not_count() -> None:
    assert encode(np.ma.array([1, 2, 3], mask=[0, 1, 0])) == encode(np.ma.array([1, 9, 3], mask=[0, 1, 0]))
    one, other = (np.ma.array([(1, x)], mask=[(0, 1)], dtype=[("a", "i4"), ("b", "f8")]) for x in (2, 3))
    assert encode(one) == encode(other)


def test_a_memory_map_is_known_by_its_content(tmp_path: Path) -> None:
    maps = []
    for name in ("one", "two"):
        np.arange(10.0).tofile(tmp_path / name)
        maps.append(np.memmap(tmp_path / name, dtype="f8", mode="r"))
    assert encode(maps[0]) == encode(maps[1])


def test_elements_that_are_objects_are_encoded_one_by_one() -> None:
    assert encode(of_objects({"a": 1, "b": 2}, 1)) == encode(of_objects({"b": 2, "a": 1}, 1))
    with pytest.raises(Unidentifiable):
        encode(of_objects(object()))


def test_a_generator_is_known_by_its_state() -> None:
    one, other = np.random.default_rng(1), np.random.default_rng(1)
    assert encode(one) == encode(other)
    one.random()
    assert encode(one) != encode(other)
    other.random()
    assert encode(one) == encode(other)
    one.spawn(1)
    assert encode(one) != encode(other)


def test_a_legacy_generator_is_known_by_its_state() -> None:
    assert encode(np.random.RandomState(5)) == encode(np.random.RandomState(5))


def test_a_function_without_a_place_in_its_library_has_no_identity() -> None:
    with pytest.raises(Unidentifiable):
        encode(np.frompyfunc(lambda x: x, 1, 1))
