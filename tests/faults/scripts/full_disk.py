"""A script whose disk is full for a while: the system refuses files to grow beyond a limit.

    full_disk.py END

Lines: `seen N` for each result; `degraded` when the kernel says so. With END `room` there is room again later; with
`full` there never is; with `wait` the script waits for a signal.
"""

import resource
import sys
import time

import parslish
from parslish import Config, python_app

COUNT = 40
SIZE = 4_000  # bytes of a result
LIMIT = 10 * SIZE  # bytes a file may have while the disk is full
PATIENCE_S = 30.0


@python_app(cache=True)
def cell(number: int) -> tuple[int, bytes]:
    return number, bytes([number]) * SIZE


def see_all() -> None:
    for number in range(COUNT):
        assert cell(number).result(PATIENCE_S) == (number, bytes([number]) * SIZE)
        print("seen", number)


def await_room(kernel: parslish.DataFlowKernel) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while kernel.degraded and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not kernel.degraded


def main(end: str) -> None:
    from parslish.store.log import Log

    assert Log.__init__.__kwdefaults__ is not None
    Log.__init__.__kwdefaults__["retry_s"] = 0.1
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, limits[1]))
    with parslish.load(Config(checkpoint_mode="task_exit")) as kernel:
        see_all()
        if kernel.degraded:
            print("degraded")
        if end == "room":
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            await_room(kernel)
        elif end == "wait":
            print("ready")
            time.sleep(PATIENCE_S)
    print("done")


if __name__ == "__main__":
    main(sys.argv[1])
