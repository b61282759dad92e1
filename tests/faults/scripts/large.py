"""A script that is always pickling something large when a signal comes.

    large.py EXECUTOR MODE BYTES

Lines: `seen N` for each result, `large` as a large one is made; `done`.
"""

import sys
from typing import Any

import parslish
from parslish import Config, ProcessPoolExecutor, ThreadPoolExecutor, python_app

COUNT = 8  # small results, which are seen
LARGE_FIRST, LARGE_COUNT = 1_000, 50
EXECUTORS = {
    "threads": lambda: ThreadPoolExecutor(max_threads=1),
    "processes": lambda: ProcessPoolExecutor(max_workers=1),
}
PICKLED_BYTES = 9  # of a float in a list


@python_app(cache=True, version="1")
def small(number: int) -> tuple[int, int]:
    return number, number * number


@python_app(cache=True, version="1")
def large(number: int, size: int) -> tuple[int, Any]:
    print("large", flush=True)
    return number, [float(number)] * (size // PICKLED_BYTES)


def main(executor: str, mode: Any, size: int) -> None:
    with parslish.load(Config([EXECUTORS[executor]()], checkpoint_mode=mode)):
        for number in range(COUNT):
            assert small(number).result() == (number, number * number)
            print("seen", number)
        for number in range(LARGE_FIRST, LARGE_FIRST + LARGE_COUNT):
            assert large(number, size).result()[0] == number
            print("seen", number)
    print("done")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
