"""One of many writers to one store, in several segments one after the other.

    writer.py FOLDER WRITER COUNT PARTS

A part is a segment; its writing begins when there is a file `part-N`. Lines: `part N` when that is closed; `done`.
"""

import os
import sys
import time

from blake3 import blake3

from parslish.result import VALUE, pack
from parslish.secret import Keys
from parslish.store.frame import Type
from parslish.store.log import Log


def entry(writer: int, number: int) -> tuple[bytes, bytes]:
    """A key, and what is stored under it."""
    key = blake3(f"{writer} {number}".encode()).digest()
    value = blake3(key).digest(length=1 + number % 300)
    return key, pack(VALUE, "app", number, 0.0, 0.0, (), value)


def main(folder: str, writer: int, count: int, parts: int) -> None:
    keys, parent = Keys.load(), os.getppid()
    for part in range(parts):
        while not os.path.exists(f"part-{part}"):
            if os.getppid() != parent:
                sys.exit("the test has gone")
            time.sleep(0.002)
        log = Log(folder, keys=keys, run_number=writer)
        for number in range(part, count, parts):
            key, body = entry(writer, number)
            log.append(Type.RESULT, body, key)
        assert log.close()
        print("part", part)
    print("done")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
