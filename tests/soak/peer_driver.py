"""A script that does the same on parslish and on Parsl: memoized tasks, each result stored as its task ends.

    peer_driver.py LIBRARY COUNT SIZE

All earlier checkpoints are loaded. Lines: `loaded`, `seen N` for each result, `wrong N` for one that is not what its
task gives, `failed N` for one that came as an error; `done`. Each execution is a line of the file `executed`.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import as_completed
from typing import Any

LIBRARY = sys.argv[1]


def load_parsl() -> Any:
    import parsl
    from parsl.config import Config
    from parsl.dataflow.memoization import BasicMemoizer
    from parsl.executors import ThreadPoolExecutor
    from parsl.utils import get_all_checkpoints

    memoizer = BasicMemoizer(checkpoint_mode="task_exit", checkpoint_files=get_all_checkpoints())
    return parsl.load(Config(executors=[ThreadPoolExecutor(max_threads=2)], memoizer=memoizer))


def load_parslish() -> Any:
    import parslish
    from parslish import Config, ThreadPoolExecutor

    return parslish.load(Config([ThreadPoolExecutor(max_threads=2)], checkpoint_mode="task_exit"))


def content(number: int, size: int) -> bytes:
    return number.to_bytes(4, "big") * (size // 4)


def body(number: int, size: int) -> bytes:
    import time

    time.sleep(0.002)
    fd = os.open("executed", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, f"{number}\n".encode())
    os.close(fd)
    return number.to_bytes(4, "big") * (size // 4)


def main(count: int, size: int) -> None:
    app = __import__(LIBRARY).python_app(cache=True)(body)
    with {"parsl": load_parsl, "parslish": load_parslish}[LIBRARY]():
        print("loaded", flush=True)
        numbers = {app(number, size): number for number in range(count)}
        for future in as_completed(numbers):
            number = numbers[future]
            if future.exception() is not None:
                print("failed", number, flush=True)
            else:
                print("seen" if future.result() == content(number, size) else "wrong", number, flush=True)
    print("done", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[2]), int(sys.argv[3]))
