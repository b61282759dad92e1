"""The stored form of values: what goes in comes out, or a sentence says why not."""

from __future__ import annotations

import pickle
import sys
import types
from dataclasses import dataclass

import numpy as np
import pytest

from parslish import codec
from parslish.errors import SerializationError


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
