"""The stored form of values: what goes in comes out, or a sentence says why not."""

from __future__ import annotations

import pickle
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parslish import codec
from parslish.errors import SerializationError
from parslish.store.blobs import Blobs


@dataclass
class Point:
    x: int
    y: list[int]


class Refuses:
    def __reduce__(self) -> str:
        raise RuntimeError("not today")


@pytest.mark.parametrize("value", [None, 1, "é", b"\x00", (1, [2, {3: {4}}]), Point(1, [2]), float("inf")])
def test_a_value_comes_back_equal_and_of_the_same_type(value: object) -> None:
    back = codec.decode(codec.encode(value))
    assert back == value
    assert type(back) is type(value)


def test_a_plain_pickle_is_its_own_stored_form() -> None:
    assert codec.encode((1, 2)) == pickle.dumps((1, 2), 5)
    assert codec.encode((1, 2))[0] == codec.PICKLE


def test_an_array_comes_back_writable_with_its_layout() -> None:
    array = np.asfortranarray(np.arange(12.0).reshape(3, 4))
    back = codec.decode(memoryview(codec.encode(array)))
    assert np.array_equal(back, array)
    assert back.flags.f_contiguous
    assert back.flags.writeable


LARGE = np.arange(300_000.0)
LENDING = [
    LARGE, LARGE[::2].copy(), np.asfortranarray(LARGE.reshape(300, 1000)), {"a": [LARGE, LARGE], "b": (LARGE.view(),)},
    [LARGE, "x" * 3_000_000, b"y" * 3_000_000, bytearray(3_000_000), LARGE[:10], LARGE[::2]],
]  # fmt: skip


def through_a_blob(value: object, folder: Path) -> object:
    """The value as it comes back from a blob."""
    sections = codec.encode_apart(value)
    assert isinstance(sections, list)
    return codec.decode(Blobs(folder).put(sections).pack(), folder)


@pytest.mark.parametrize("value", LENDING)
def test_a_large_value_comes_back_from_a_blob(value: Any, tmp_path: Path) -> None:
    back = through_a_blob(value, tmp_path)
    assert codec.encode(back) == codec.encode(codec.copy(value))


def test_an_array_from_a_blob_is_writable_and_in_memory_of_its_own(tmp_path: Path) -> None:
    frozen = LARGE.copy()
    frozen.flags.writeable = False
    back: Any = through_a_blob([LARGE, LARGE, frozen], tmp_path)
    assert back[0] is back[1]
    assert back[0].flags.writeable
    assert not back[2].flags.writeable
    back[0][0] = 42
    assert LARGE[0] == 0


@pytest.mark.parametrize("value", [None, (1, 2), LARGE[:1000]])
def test_what_is_small_is_no_blob(value: object) -> None:
    assert codec.encode_apart(value) == codec.encode(value)


@pytest.mark.parametrize("value", ["x" * 3_000_000, b"x" * 3_000_000, LARGE[::2], list(range(1_000_000))])
def test_what_is_large_and_lends_no_memory_is_one_section(value: object, tmp_path: Path) -> None:
    sections = codec.encode_apart(value)
    assert isinstance(sections, list)
    assert len(sections) == 1
    assert codec.encode(through_a_blob(value, tmp_path)) == codec.encode(codec.copy(value))


def test_large_memory_is_not_copied_on_its_way_to_a_blob() -> None:
    array = LARGE.copy()
    _, (memory,) = codec.encode_apart({"array": array})
    assert np.shares_memory(np.frombuffer(memory), array)


def test_text_that_is_gone_before_it_is_written_is_written_all_the_same(tmp_path: Path) -> None:
    class Text:
        def __reduce__(self) -> tuple[object, ...]:
            return str, ("".join(["x"] * 3_000_000),)

    back: Any = through_a_blob([LARGE, Text()], tmp_path)
    assert back[1] == "x" * 3_000_000


def test_a_large_value_that_pickle_cannot_store_goes_through_dill_too(tmp_path: Path) -> None:
    back: Any = through_a_blob((LARGE, lambda x: x + 1), tmp_path)
    assert back[1](1) == 2
    with pytest.raises(SerializationError, match="generator"):
        codec.encode_apart([LARGE, (x for x in ())])


def test_what_pickle_cannot_store_goes_through_dill() -> None:
    offset = 3
    stored = codec.encode(lambda x: x + offset)
    assert stored[0] == codec.DILL
    assert codec.decode(stored)(4) == 7
    assert codec.decode(memoryview(stored))(4) == 7


def test_what_neither_can_store_is_refused_by_type_and_reason() -> None:
    with pytest.raises(SerializationError, match=r"list cannot be stored.*generator"):
        codec.encode([(x for x in ())])
    with pytest.raises(SerializationError, match=r"test_codec\.Refuses.*not today"):
        codec.encode(Refuses())


def test_a_missing_module_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("vanishing")
    exec("class Thing: pass", module.__dict__)
    monkeypatch.setitem(sys.modules, "vanishing", module)
    stored = codec.encode(module.Thing())
    del module.Thing
    with pytest.raises(SerializationError, match=r"Thing"):
        codec.decode(stored)
    monkeypatch.delitem(sys.modules, "vanishing")
    with pytest.raises(SerializationError, match=r"module 'vanishing' cannot be imported"):
        codec.decode(stored)


@pytest.mark.parametrize("damaged", [b"", b"\x00abc", b"\x80\x05", b"D", b"\x80\x05\x95"])
def test_bytes_that_are_no_stored_form_are_refused(damaged: bytes) -> None:
    with pytest.raises(SerializationError):
        codec.decode(damaged)


def test_a_copy_shares_nothing_mutable() -> None:
    value = Point(1, [2])
    copied = codec.copy(value)
    copied.y.append(3)
    assert value == Point(1, [2])


class TooLarge:
    """Whoever pickles it runs out of memory."""

    def __reduce__(self) -> tuple[object, ...]:
        raise MemoryError


@pytest.mark.parametrize("encode", [codec.encode, codec.encode_apart])
def test_a_value_for_which_memory_is_short_says_so(encode: Callable[[object], object]) -> None:
    with pytest.raises(SerializationError, match=r"TooLarge cannot be stored: memory is short$"):
        encode(TooLarge())
