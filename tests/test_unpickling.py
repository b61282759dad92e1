"""Pickles are opened beside imports; memory that is large is not copied for it."""

from __future__ import annotations

import datetime
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import dill
import pytest

from parslish import unpickling

VALUES = [
    7,
    "text",
    b"\x93" * 10,
    datetime.date(2026, 11, 21),
    {"dates": [datetime.date(2026, 1, day) for day in range(1, 29)]},
    ["long text " * 20_000, datetime.date(2026, 1, 1), b"bytes" * 40_000],
]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_what_was_pickled_comes_back_from_any_memory(kind: Any, value: object) -> None:
    assert unpickling.loads(kind(pickle.dumps(value, 5))) == value
    assert unpickling.loads_dill(kind(dill.dumps(value, 5))) == value


def test_memory_that_lies_beside_is_taken_as_it_is() -> None:
    lent = bytearray(100)
    beside: list[pickle.PickleBuffer] = []
    content = pickle.dumps([pickle.PickleBuffer(lent), datetime.date(2026, 1, 1)], 5, buffer_callback=beside.append)
    opened, _ = unpickling.loads(content, [lent])
    assert opened is lent


@pytest.mark.parametrize("content", [b"", b"\x80", b"\x80\x05\x93.", b"\x80\x05\x8c\x00\x8c\x00\x93."])
@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_what_is_no_pickle_is_an_error_and_no_hang(kind: Any, content: bytes) -> None:
    with pytest.raises((pickle.UnpicklingError, EOFError, IndexError, TypeError, ValueError)):
        unpickling.loads(kind(content))


def test_a_package_that_another_thread_imports_is_waited_for(tmp_path: Path) -> None:
    """The two would meet in the middle: the package imports its module, and opening the value wants that module."""
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "__init__.py").write_text(
        "import time; started.set(); time.sleep(0.3); needed = 1\nfrom slow.inner import Value\n"
    )
    (tmp_path / "slow" / "inner.py").write_text("from slow import needed\n\nclass Value: pass\n")
    script = """
        import builtins, pickle, sys, threading
        from parslish import unpickling
        builtins.started = threading.Event()
        troubles = []
        def task():
            try:
                from slow import Value
            except ImportError as exc:
                troubles.append(exc)
        thread = threading.Thread(target=task)
        thread.start()
        started.wait(30)
        value = unpickling.loads(b"\\x80\\x05\\x8c\\x0aslow.inner\\x8c\\x05Value\\x93)\\x81.")
        thread.join(30)
        print(type(value).__name__, troubles)
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert ran.stdout == "Value []\n", ran.stderr
