"""Writes a golden store as this version would: run once for each version of the format, and keep what it wrote.

python -m tests.data.make_store tests/data/store-<version>

Parts that are there already stay as they are.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any, Final
from unittest import mock

from parslish import codec
from parslish.history import event
from parslish.history.event import Kind
from parslish.result import EXCEPTION, VALUE, pack
from parslish.secret import Keys
from parslish.store import bodies
from parslish.store.blobs import Blobs
from parslish.store.frame import Type
from parslish.store.log import Log
from parslish.store.reader import Store
from tests.faults.disk import MemoryDisk

KEYS = Keys([bytes(range(32))])
ROOT = Path("/golden")

# ------------------------------------------------------------------------------- a run, as scripts leave it

SMALL: Final = {"name": "Si", "energies": (1.5, None, True, b"raw", 1 << 70)}
LARGE: Final = {"left": bytearray(b"left " * 500), "right": bytearray(b"right" * 400), "beside": "them"}
DILLED: Final = {"by": "dill"}
FAILURE: Final = ValueError("told so", 3)
COMPLETED: Final = 1_700_000_000.25
OUTPUTS: Final = (("/out/relaxed.xyz", 1234, 1_700_000_000_123_456_789),)
TOMBSTONE: Final = {
    "id": "aae926e3",
    "reason": "wrong basis",
    "user": "ada",
    "time": 1_700_000_001.5,
    "paths": ["-/scf"],
}
CALL: Final = b"M\x92\x01\xa2Si"

#: One event of each kind, by its fields in their order.
EVENTS: Final[list[dict[str, Any]]] = [
    {"kind": Kind.RUN_START, "time": 1.5, "facts": {"run": 4, "argv": ("s.py", "\udcff"), "host": "host", "pid": 1}},
    {
        "kind": Kind.APP, "app": 0, "name": "relax", "module": "jobs", "code": "c0de", "app_kind": "python",
        "cache": "True", "version": "", "file": "jobs.py", "line": 7, "parameters": (("x", None),),
        "parts": (("code", "relax", b"8bytes!!", ""),), "ignored": ("walltime",), "draws": False,
    },
    {"kind": Kind.WORKER, "worker": 1, "name": "host-threads-0"},
    {"kind": Kind.SCOPE, "number": 0, "parent": -1, "scope": -1, "name": "scan", "label": "2"},
    {
        "kind": Kind.SUBMIT, "task": 0, "time": 2.5, "app": 0, "parent": -1, "position": 0, "occurrence": 0,
        "label": "Si", "dependencies": (), "arguments": (1, "Si"), "keywords": None, "scope": 0,
    },
    {
        "kind": Kind.SUBMIT, "task": 1, "time": 2.75, "app": 0, "parent": 0, "position": 1, "occurrence": 1,
        "label": None, "dependencies": (0,), "arguments": ({"task": 0, "of": "[0]"}, {"file": "/in.xyz"}),
        "keywords": {"cutoff": 4.5}, "scope": -1, "inputs": ("/in.xyz",), "outputs": ("/out.xyz",), "call": CALL,
    },
    {"kind": Kind.ARGUMENTS, "task": 1, "names": ("x",), "digests": (b"8bytes!!",), "arguments": ({"repr": "[1, 2]"},)},
    {"kind": Kind.START, "task": 0, "time": 3.0, "try": 1, "worker": 1},
    {"kind": Kind.MISS, "task": 0, "reason": "expired", "detail": "it is 5 s old, and good for 1 s"},
    {"kind": Kind.FORCE, "task": 0, "reason": "restarted"},
    {
        "kind": Kind.END, "task": 0, "time": 4.0, "key": bytes([1]) * 32, "worker": 1, "started": 3.0, "duration": 1.0,
        "cpu": 0.5, "peak_memory": 1 << 20, "result": {"repr": "{'name': 'Si'}"},
    },
    {
        "kind": Kind.FAIL, "task": 1, "time": 5.0, "try": 1, "state": "failed", "type": "ValueError",
        "message": "told so", "traceback": "Traceback…", "key": bytes([2]) * 32, "worker": 1, "call": None,
    },
    {
        "kind": Kind.SUBMIT, "task": 2, "time": 5.5, "app": 0, "parent": -1, "position": 2, "occurrence": 2,
        "label": None, "dependencies": (), "arguments": None, "keywords": None, "scope": -1,
    },
    {
        "kind": Kind.REUSE, "task": 2, "time": 6.0, "key": bytes([3]) * 32, "origin_run": 2,
        "origin_task": 5, "result": 1.5,
    },
    {"kind": Kind.TROUBLE, "time": 6.5, "what": "store", "message": "no space left"},
    {"kind": Kind.MARK, "time": 7.0, "what": "restart", "facts": {"paths": ("-/scan[2]/relax[Si]",), "number": 0}},
    {"kind": Kind.RUN_END, "time": 8.0, "reason": "completed", "counts": {"exec_done": 1, "failed": 1, "memo_done": 1}},
]  # fmt: skip


def rows() -> list[tuple[Any, ...]]:
    """The events as a run's record takes them."""
    return [(int(each["kind"]), *list(each.values())[1:]) for each in EVENTS]


def make_run() -> dict[str, bytes]:
    """The files of a run whose values are what apps return and raise."""
    disk = MemoryDisk()
    where = ROOT / "run" / "checkpoint"
    log = Log(where, keys=KEYS, run_number=4, sync="manual", disk=disk)
    with mock.patch("parslish.codec.LARGE_BYTES", 1000):
        sections = codec.encode_apart(
            {name: pickle.PickleBuffer(each) if isinstance(each, bytearray) else each for name, each in LARGE.items()}
        )
    assert isinstance(sections, list) and len(sections) == 3
    reference = Blobs(where, disk).put(sections)
    for n, (kind, app, encoded, outputs) in enumerate(
        [
            (VALUE, "relax", codec.encode(SMALL), OUTPUTS),
            (EXCEPTION, "scf", codec.encode(FAILURE), ()),
            (VALUE, "relax", reference.pack(), ()),
            (VALUE, "scf", bytes((codec.DILL,)) + pickle.dumps(DILLED, 5), ()),
            (VALUE, "scf", codec.encode("wrong"), ()),
        ]
    ):
        log.append(Type.RESULT, pack(kind, app, n, COMPLETED, 0.5, outputs, encoded), bytes([n]) * 32)
    assert log.sync()
    wrong = next(Store.open([where], KEYS, disk=disk).find(bytes([4]) * 32))
    log.append(Type.TOMBSTONE, bodies.tombstone([wrong.name], TOMBSTONE))
    assert log.close()
    log = Log(ROOT / "run" / "events", keys=KEYS, run_number=4, sync="manual", disk=disk)
    log.append(Type.EVENT, event.pack(rows()))
    assert log.close()
    return disk.contents()


# ------------------------------------------------------------------------------- stores of any bodies


def _log(disk: MemoryDisk, name: str, run_number: int, results: range) -> Log:
    log = Log(ROOT / name, keys=KEYS, run_number=run_number, sync="manual", disk=disk)
    for n in results:
        log.append(Type.RESULT, b"run %d, result %d" % (run_number, n), bytes([n]) * 32)
    return log


def make() -> dict[str, bytes]:
    """The files of the stores, by path."""
    disk = MemoryDisk()
    assert _log(disk, "base", 1, range(5)).close()

    closed = _log(disk, "closed", 2, range(3, 8))
    closed.add_base(ROOT / "base")
    closed.append(Type.EVENT, b"event of run 2")
    closed.append(200, b"a type that readers may pass over")
    spoilt = next(Store.open([ROOT / "closed"], KEYS, disk=disk).find(bytes([4]) * 32))
    closed.append(Type.TOMBSTONE, bodies.tombstone([spoilt.name], {"reason": "wrong basis"}))
    assert closed.close()

    torn = _log(disk, "torn", 3, range(8, 11))
    assert torn.sync()
    torn.append(Type.RESULT, b"run 3, result 11", bytes([11]) * 32)
    contents = disk.contents()
    assert torn.close()
    return {path: body[:-3] if "/torn/" in path else body for path, body in contents.items()}


if __name__ == "__main__":
    with mock.patch("socket.gethostname", return_value="host"), mock.patch("os.getpid", return_value=1):
        files = make() | make_run()
    there = {path.relative_to(sys.argv[1]).parts[0] for path in Path(sys.argv[1]).glob("*/*")}
    for path, content in files.items():
        part = Path(path).relative_to(ROOT)
        if part.parts[0] not in there:
            target = Path(sys.argv[1], part)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
