"""Writes a golden store as this version would: run once for each version of the format, and keep what it wrote.

python -m tests.data.make_store tests/data/store-<version>
"""

from __future__ import annotations

import sys
from pathlib import Path
from unittest import mock

from parslish.secret import Keys
from parslish.store import bodies
from parslish.store.frame import Type
from parslish.store.log import Log
from parslish.store.reader import Store
from tests.faults.disk import MemoryDisk

KEYS = Keys([bytes(range(32))])
ROOT = Path("/golden")


def _log(disk: MemoryDisk, name: str, run_number: int, results: range) -> Log:
    log = Log(ROOT / name, keys=KEYS, run_number=run_number, sync="manual", disk=disk)
    for n in results:
        log.append(Type.RESULT, b"run %d, result %d" % (run_number, n), bytes([n]) * 32)
    return log


def make() -> dict[str, bytes]:
    """The files of the store, by path."""
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
        files = make()
    for path, content in files.items():
        target = Path(sys.argv[1], Path(path).relative_to(ROOT))
        target.parent.mkdir(parents=True)
        target.write_bytes(content)
