"""Owns which key a task has: its app's key makers, fed with what is known of values that came from tasks."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from blake3 import blake3

from parslish.files import File
from parslish.future import AppFuture
from parslish.graph import ATOMS
from parslish.identity.key import KeyMaker
from parslish.task import Task


def key_of(
    task: Task,
    maker: KeyMaker,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    dependencies: Sequence[Future[Any]],
    root: str,
) -> bytes:
    """The key under which a task's result is filed, by one of its app's `key_makers`.

    With `cache="replay"` the place of the call and the `root` of the run are part of it. So are the places of
    the output files: not their contents, but who asks for another file must not be told that it is there.

    Raises:
        TypeError: the arguments do not fit the signature.
        Unidentifiable: an argument has no identity.
    """
    key = maker.key(args, kwargs, _encodings(dependencies) if dependencies else None)
    if task.app.cache == "replay":
        key = blake3(b"replay\0" + key + f"{root}\0{task.path}".encode()).digest()
    if task.options is not None and task.options.outputs:
        places = "\0".join(map(_place, task.options.outputs))
        key = blake3(b"outputs\0" + key + places.encode(errors="surrogateescape")).digest()
    return key


def _place(output: Any) -> str:
    file = output if isinstance(output, File) else File(output)
    return os.path.abspath(file.path) if file.scheme == "file" else file.url


def _encodings(dependencies: Sequence[Future[Any]]) -> Mapping[int, bytes] | None:
    """id → encoding of each result among the arguments that is worth knowing: it is made once, however many
    tasks take it."""
    known = {}
    for future in dependencies:
        if isinstance(future, AppFuture) and type(future.result()) not in ATOMS:
            encoding = future.encoding()
            if encoding is not None:
                known[id(future.result())] = encoding
    return known or None
