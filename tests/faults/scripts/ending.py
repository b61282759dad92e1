"""A script that does a few tasks and then ends, in one of many ways.

    ending.py END MODE EXECUTOR [PERIOD_S]

Lines: `seen N` for each result that it waited for; what else a scene says. Each execution is noted in `executed`.
"""

import asyncio
import concurrent.futures
import hashlib
import os
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import Any

import parslish
from parslish import Config, DataFlowKernel, PoolExecutor, ProcessPoolExecutor, ThreadPoolExecutor, python_app

COUNT = 12  # tasks that are done and seen
LONG_S = 60.0  # a task that nobody will wait for
EXECUTORS: dict[str, Callable[[], Any]] = {
    "threads": lambda: ThreadPoolExecutor(max_threads=2),
    "processes": lambda: ProcessPoolExecutor(max_workers=2),
    "pool": lambda: PoolExecutor(concurrent.futures.ThreadPoolExecutor(2)),
}


@python_app(cache=True)
def work(number: int, note: str, seconds: float = 0.0, after: Any = None) -> tuple[int, int]:
    time.sleep(seconds)
    fd = os.open(note, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, f"{number}\n".encode())
    os.close(fd)
    return number, number * number


@python_app
def block(seconds: float, after: Any = None) -> None:
    time.sleep(seconds)


@python_app(cache=True)
def large(number: int, size: int) -> tuple[int, list[int]]:
    print("large", flush=True)
    return number, list(range(size))


def see(first: int, count: int) -> None:
    for future in [work(number, os.path.abspath("executed")) for number in range(first, first + count)]:
        number, square = future.result()
        assert square == number * number
        print("seen", number)


def do_half_and_half(kernel: DataFlowKernel) -> None:
    """The mode `manual` keeps the first half, every other mode all."""
    see(0, COUNT // 2)
    if kernel.config.checkpoint_mode == "manual":
        kernel.checkpoint()
    see(COUNT // 2, COUNT // 2)


# -------------------------------------------------------------------------------------- ends without a signal


def leave_block(kernel: DataFlowKernel) -> None:
    with kernel:
        do_half_and_half(kernel)


def raise_in_block(kernel: DataFlowKernel) -> None:
    with kernel:
        do_half_and_half(kernel)
        raise RuntimeError("the script's own")


def fall_off(kernel: DataFlowKernel) -> None:
    do_half_and_half(kernel)


def fall_off_unawaited(kernel: DataFlowKernel) -> None:
    """A chain, so that there is something to submit until the end."""
    last: Any = None
    for number in range(COUNT):
        last = work(number, os.path.abspath("executed"), 0.02, last)


def sys_exit(kernel: DataFlowKernel) -> None:
    do_half_and_half(kernel)
    sys.exit(3)


def raise_outside(kernel: DataFlowKernel) -> None:
    do_half_and_half(kernel)
    raise RuntimeError("the script's own")


# -------------------------------------------------------------------------------------- ends by signals


def wait_for_signal(kernel: DataFlowKernel) -> None:
    """Two tasks run, twenty wait behind them, and one waits for one of those."""
    do_half_and_half(kernel)
    blocked = [block(LONG_S) for _ in range(2)]
    queued = [work(number, os.path.abspath("executed")) for number in range(100, 120)]
    print("ready")
    block(0.0, [blocked[0], *queued]).result()
    print("wrong: went on")


def wait_in_block(kernel: DataFlowKernel) -> None:
    try:
        with kernel:
            wait_for_signal(kernel)
    finally:
        print("finally")


def submit_for_ever(kernel: DataFlowKernel) -> None:
    do_half_and_half(kernel)
    submit_only(kernel)


def submit_only(kernel: DataFlowKernel) -> None:
    print("ready")
    while True:
        block(0.0)


def in_library(kernel: DataFlowKernel) -> None:
    """The main thread runs no Python for minutes, so no handler in Python is called."""
    do_half_and_half(kernel)
    print("ready")
    hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 2_000_000_000)


def in_event_loop(kernel: DataFlowKernel) -> None:
    """An event loop that hears a signal of its own takes what wakes our thread for itself."""
    do_half_and_half(kernel)

    async def wait() -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, lambda: None)
        print("ready")
        await block(LONG_S)

    asyncio.run(wait())


def slow_disk(kernel: DataFlowKernel) -> None:
    """Every record takes its time, so that a second signal comes while the first is seen to."""
    from parslish.store.disk import OS_DISK

    def slowly(write: Callable[..., int]) -> Callable[..., int]:
        def wait(fd: int, *args: Any) -> int:
            if "/checkpoint/" in os.readlink(f"/proc/self/fd/{fd}"):
                print("writing")
                time.sleep(0.1)
            return write(fd, *args)

        return wait

    for call in ("write", "writev"):
        setattr(OS_DISK, call, slowly(getattr(OS_DISK, call)))
    try:
        wait_for_signal(kernel)
    except KeyboardInterrupt:
        print("caught")
        raise


def return_large(kernel: DataFlowKernel) -> None:
    do_half_and_half(kernel)
    large(1_000, 3_000_000).result()
    large(1_001, 3_000_000).result()
    large(1_002, 3_000_000).result()


def survive_interrupt(kernel: DataFlowKernel) -> None:
    """What a script may do after an interrupt that it catches: ask for results, and load a kernel anew."""
    do_half_and_half(kernel)
    pending = [block(LONG_S) for _ in range(4)]
    try:
        print("ready")
        pending[-1].result()
    except KeyboardInterrupt:
        print("caught")
    for future in pending[-2:]:
        try:
            future.result()
        except CancelledError:
            print("cancelled")
    try:
        work(0, "")
    except parslish.KernelClosed as exc:
        print("refused", exc)
    kernel.cleanup()
    wait_for_signal(parslish.load(config("task_exit", "threads")))


def fork_a_child(kernel: DataFlowKernel) -> None:
    """A child forked by the script ends by SIGTERM like any process."""
    do_half_and_half(kernel)
    child = os.fork()
    if child == 0:
        time.sleep(LONG_S)
        os._exit(0)
    os.kill(child, signal.SIGTERM)
    print("child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def hang_after_interrupt(kernel: DataFlowKernel) -> None:
    try:
        wait_for_signal(kernel)
    finally:
        print("finally")
        time.sleep(LONG_S)


def config(mode: str, executor: str, period_s: str = "3600") -> Config:
    return Config([EXECUTORS[executor]()], checkpoint_mode=mode, checkpoint_period=float(period_s))  # type: ignore[arg-type]


if __name__ == "__main__":
    globals()[sys.argv[1]](parslish.load(config(*sys.argv[2:])))
