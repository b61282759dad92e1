"""A script to be killed: one memoized task for each number, and a line for each result that it saw.

    grid.py EXECUTOR SYNC COUNT SIZE

EXECUTOR is a name, or the address of a Dask scheduler.

Lines: `loaded`, then `seen N` for each result, in the order they come; `done` at the end. Each execution is noted
in the file `executed`, by the worker, before it returns.
"""

import os
import sys
from concurrent.futures import as_completed

from blake3 import blake3

import parslish
from parslish import Config, DaskExecutor, ProcessPoolExecutor, ThreadPoolExecutor, python_app

EXECUTORS = {
    "threads": lambda: ThreadPoolExecutor(max_threads=2),
    "processes": lambda: ProcessPoolExecutor(max_workers=2),
}


def content(number: int, size: int) -> bytes:
    return blake3(str(number).encode()).digest(length=size)


@python_app(cache=True)
def cell(number: int, size: int, note: str) -> tuple[int, bytes]:
    fd = os.open(note, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, f"{number}\n".encode())
    os.close(fd)
    return number, content(number, size)


def main(executor: str, sync: str, count: int, size: int) -> None:
    make = EXECUTORS.get(executor, lambda: DaskExecutor(address=executor))
    config = Config(executors=[make()], checkpoint_mode="task_exit", sync=sync)
    with parslish.load(config):
        print("loaded")
        for future in as_completed([cell(number, size, os.path.abspath("executed")) for number in range(count)]):
            number, value = future.result()
            assert value == content(number, size), f"a wrong value for {number}"
            print("seen", number)
    print("done")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
