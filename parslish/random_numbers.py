"""Owns the random numbers of tasks: `rng()`, and how a task knows on any worker which numbers are its own.

They follow from the seed of the run and the task's path: the same in each re-execution, by any executor and at each
try, and others for each task. The run's seed is what `Config(seed=…)` says, or follows from the root of its lineage.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from parslish.errors import UsageError

if TYPE_CHECKING:
    import numpy

_CONTEXT: Final = "parslish 2026 seed of a run"


def rng(stream: str = "") -> numpy.random.Generator:
    """The random numbers of the task that calls it, or of whose code it is called.

    Args:
        stream: a name; of each the task has one generator, which goes on from call to call.

    Raises:
        UsageError: no task is running that is known to draw random numbers, or numpy is not installed.
    """
    streams = _streams.get()
    if streams is None:
        raise UsageError(
            "parslish.rng() was called where no task runs that is known to draw random numbers: call it in an app's "
            "function, on the task's own thread; where that cannot be seen in its code, say so with @app(rng=True)"
        )
    if not isinstance(stream, str):
        raise UsageError(f"rng({stream!r}): the name of a stream is a text, not {type(stream).__name__}")
    return streams.get(stream)


class _Streams:
    """The generators of one try of a task."""

    def __init__(self, origin: bytes) -> None:
        self._origin = origin
        self._made: dict[str, numpy.random.Generator] = {}

    def get(self, stream: str) -> numpy.random.Generator:
        found = self._made.get(stream)
        if found is None:
            found = self._made[stream] = _generator(self._origin, stream)
        return found


_streams: contextvars.ContextVar[_Streams | None] = contextvars.ContextVar("parslish-rng", default=None)


def _generator(origin: bytes, stream: str) -> numpy.random.Generator:
    try:
        from numpy.random import PCG64, Generator, SeedSequence
    except ImportError:
        raise UsageError(
            "parslish.rng() gives a generator of numpy, which is not installed: pip install numpy"
        ) from None
    from blake3 import blake3  # here: few workers need it

    digest = blake3(stream.encode(errors="surrogatepass"), key=origin).digest()
    # Named, not `default_rng`, which may be another one in a later numpy.
    return Generator(PCG64(SeedSequence(int.from_bytes(digest, "little"))))


class Drawing:
    """A function whose calls draw random numbers: before its own arguments it takes what they follow from.

    An app has one, so that it crosses to each worker once.
    """

    def __init__(self, func: Callable[..., Any]) -> None:
        self.func = func
        self.__name__: str = getattr(func, "__name__", type(func).__name__)

    def __call__(self, origin: bytes, /, *args: Any, **kwargs: Any) -> Any:
        token = _streams.set(_Streams(origin))
        try:
            return self.func(*args, **kwargs)
        finally:
            _streams.reset(token)


def seed_of_run(seed: int | None, root: str) -> bytes:
    """What all random numbers of a run follow from: 32 bytes.

    Args:
        seed: as configured; None: it follows from `root`, the id of the lineage.
    """
    from blake3 import blake3  # here: a worker needs no seeds

    said = f"root {root}" if seed is None else f"seed {seed}"
    return blake3(said.encode(), derive_key_context=_CONTEXT).digest()


def origin_of(seed: bytes, path: str) -> bytes:
    """What the random numbers of a task follow from: 32 bytes, by the seed of its run and its path."""
    from blake3 import blake3

    return blake3(path.encode(errors="surrogatepass"), key=seed).digest()
