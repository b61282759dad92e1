"""Which pickler carries what."""

from __future__ import annotations

import copyreg
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from parslish import codec
from parslish.errors import SerializationError
from parslish.executors import parcel
from tests.executors import jobs


def test_plain_values_go_by_plain_pickle() -> None:
    packed = parcel.pack(((1, "a"), {"b": 2.0}))
    assert packed.form == parcel.PLAIN
    assert parcel.unpack(*packed) == ((1, "a"), {"b": 2.0})


def test_a_whole_parcel_is_the_stored_form() -> None:
    value = [np.arange(10_000), "x"]
    packed = parcel.pack(value, beside_from=None)
    assert packed.buffers == []
    assert packed.body == codec.encode(value)


def test_large_memory_travels_beside_the_body_uncopied() -> None:
    array = np.arange(100_000)
    packed = parcel.pack(array)
    assert len(packed.body) < 1000
    assert np.shares_memory(np.frombuffer(packed.buffers[0], dtype=array.dtype), array)
    assert np.array_equal(parcel.unpack(*packed), array)


def test_small_arrays_stay_inside() -> None:
    assert parcel.pack(np.arange(4)).buffers == []


def test_what_pickle_cannot_carry_goes_by_cloudpickle() -> None:
    offset = 2
    packed = parcel.pack(lambda x: x + offset)
    assert packed.form == parcel.CLOUD
    assert parcel.unpack(*packed)(1) == 3


def test_what_names_main_goes_by_value() -> None:
    assert parcel.pack("__main__").form == parcel.CLOUD
    assert parcel.pack("__main__", shun=()).form == parcel.PLAIN


def test_what_nothing_can_carry_is_refused_by_type_and_reasons() -> None:
    with pytest.raises(SerializationError, match=r"generator.*pickle:.*cloudpickle:.*dill:"):
        parcel.pack(i for i in ())


def test_an_exception_is_packed_only_if_it_opens_again(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (jobs.TwoArguments, jobs.NoText):  # distributed changes how all exceptions pickle that it finds
        monkeypatch.delitem(copyreg.dispatch_table, kind, raising=False)
    assert parcel.pack_exception(ValueError("v"), "text") is not None
    assert parcel.pack_exception(jobs.TwoArguments("a", "b"), "text") is None
    assert parcel.pack_exception(jobs.NoText(), "text") is None


def test_a_remote_traceback_is_its_text_and_pickles() -> None:
    cause = parcel.RemoteTraceback("line 1\nline 2")
    assert "line 2" in str(cause)
    assert str(pickle.loads(pickle.dumps(cause))) == str(cause)


def test_carrying_plain_values_needs_neither_cloudpickle_nor_dill() -> None:
    code = "import sys; from parslish.executors import parcel; parcel.pack(1); print([m for m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_env())
    assert "'dill'" not in run.stdout
    assert "'cloudpickle'" not in run.stdout


def _env() -> dict[str, Any]:
    import os
    from pathlib import Path

    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
