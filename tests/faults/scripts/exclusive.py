"""One of several kernels on one run folder: an exclusive task for each number, and a line for each result that it saw.

    exclusive.py COUNT GATE FAILS

Lines: `loaded RUN`, then `seen N`, or `failed N`; `done` at the end. Each execution is noted in the file `executed`,
then the task waits until there is a file GATE; with FAILS it raises then.
"""

import os
import sys
import time

import parslish
from parslish import Config, ThreadPoolExecutor, python_app


@python_app(cache=True, exclusive=True)
def cell(number: int, gate: str, fails: bool = False) -> tuple[int, int]:
    fd = os.open("executed", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, f"{number}\n".encode())
    os.close(fd)
    while not os.path.exists(gate):
        time.sleep(0.005)
    if fails:
        raise ValueError(f"{number} is refused")
    return number, os.getpid()


def main(count: int, gate: str, fails: bool) -> None:
    with parslish.load(Config([ThreadPoolExecutor(max_threads=4)], checkpoint_mode="task_exit")) as kernel:
        print("loaded", kernel.run_id)
        for number, future in enumerate([cell(number, gate, fails) for number in range(count)]):
            if future.exception() is None:
                assert future.result()[0] == number
            print("failed" if future.exception() else "seen", number)
    print("done")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3] == "True")
