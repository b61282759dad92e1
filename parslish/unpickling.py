"""Owns opening pickles, also while other threads import what these need; leaves to its callers which may be opened.

A pickle names a class by its module, `numpy._core.numeric`, and opening it imports that. Should another thread be
importing `numpy` just then, each waits for a module that the other has begun, and Python breaks the deadlock by handing
out one that is half made. Whoever imports the package first waits for it whole.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import pickle
import sys
from collections.abc import Iterable
from typing import Any

# The one opcode by which protocol 4 and later do. As a number: to look for bytes in bytes, Python tries that first.
_NAMES_A_MODULE = pickle.STACK_GLOBAL[0]


def loads(content: Any, buffers: Iterable[Any] = ()) -> Any:
    """As `pickle.loads`, for protocol 4 and later.

    Args:
        content: the pickle: bytes, or other memory, which is not copied.
        buffers: the memory that lies beside it.
    """
    if isinstance(content, bytes) and _NAMES_A_MODULE not in content:
        return pickle.loads(content, buffers=buffers)
    file: Any = io.BytesIO(content) if isinstance(content, bytes) else _Memory(content)
    return _Unpickler(file, buffers=buffers).load()


def loads_dill(content: Any) -> Any:
    """As `dill.loads`."""
    import dill  # here, not above: 20 ms that most scripts never need

    class Unpickler(dill.Unpickler):  # type: ignore[misc]
        def find_class(self, module: str, name: str) -> Any:
            _import_package(module)
            return super().find_class(module, name)

    return Unpickler(io.BytesIO(content)).load()


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        _import_package(module)
        return super().find_class(module, name)


def _import_package(module: str) -> None:
    if module not in sys.modules:
        with contextlib.suppress(ImportError, ValueError):  # which the unpickler will say better
            importlib.import_module(module.partition(".")[0])


class _Memory:
    """Memory as a file."""

    def __init__(self, memory: Any) -> None:
        self._memory = memoryview(memory)

    def read(self, size: int) -> bytes:
        return bytes(self._take(size))

    def readinto(self, into: Any) -> int:
        piece = self._take(len(into))
        into[: len(piece)] = piece
        return len(piece)

    def readline(self) -> bytes:
        line = bytearray()
        while piece := self._take(1):
            line += piece
            if line.endswith(b"\n"):
                break
        return bytes(line)

    def _take(self, size: int) -> memoryview:
        piece, self._memory = self._memory[:size], self._memory[size:]
        return piece
