"""Run folders with stores in them, made without a kernel: their values can be read by nobody."""

from __future__ import annotations

from pathlib import Path

from parslish.history.folder import CHECKPOINT, create
from parslish.result import VALUE, StoredResult
from parslish.secret import Keys
from parslish.store.frame import Type
from parslish.store.log import Log


def result(app: str = "relax", encoded: bytes = b"\x80not a pickle.") -> bytes:
    """The body of a result that `ls` and `verify` can read and nothing can open."""
    return bytes(StoredResult(VALUE, app, 7, 1_700_000_000.0, 0.012, (), encoded).pack())


def make_run(bodies: dict[bytes, bytes], *, close: bool = True, root: str = "runinfo") -> Path:
    """A run with these results by key, signed with our key; returns its segment."""
    number, run = create(root)
    log = Log(run / CHECKPOINT, keys=Keys.load(), run_number=number)
    for key, body in bodies.items():
        log.append(Type.RESULT, body, key)
    assert (log.close if close else log.sync)()
    (segment,) = (run / CHECKPOINT).glob("*.seg")
    return segment


def key(n: int) -> bytes:
    return bytes([n]) * 32


def three() -> dict[bytes, bytes]:
    return {key(n): result(f"app{n}") for n in range(3)}


def spoil(segment: Path, old: bytes = b"app1", new: bytes = b"appX") -> None:
    segment.write_bytes(segment.read_bytes().replace(old, new))
