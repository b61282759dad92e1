"""A script that makes processes of itself while a kernel is at work.

    forks.py SCENE EXECUTOR COUNT

Lines: `seen N` for each result of the script's own; `child N` with what a child ended with: 0 when all was as it is to
be. A child's own results have numbers from 1,000 on.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

import parslish
from parslish import Config, DataFlowKernel, KernelClosed, ProcessPoolExecutor, ThreadPoolExecutor, python_app
from parslish.errors import NoDataFlowKernelError

EXECUTORS: dict[str, Callable[[], Any]] = {
    "threads": lambda: ThreadPoolExecutor(max_threads=2),
    "processes": lambda: ProcessPoolExecutor(max_workers=1),
}
PATIENCE_S = 30.0
CHILDS_FIRST = 1_000


@python_app(cache=True, version="1")
def cell(number: int) -> tuple[int, int]:
    return number, -number


def see(first: int, count: int) -> None:
    for future in [cell(number) for number in range(first, first + count)]:
        number, value = future.result(PATIENCE_S)
        assert value == -number


def config(executor: str) -> Config:
    return Config([EXECUTORS[executor]()], checkpoint_mode="task_exit")


def forked(body: Callable[[], None]) -> int:
    """Run `body` in a fork of this process; returns the exit code."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            body()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def busy_beside(body: Callable[[int], int], executor: str, count: int) -> None:
    """Have `body` make children while a thread submits tasks and others run them."""
    with parslish.load(config(executor)):
        enough = threading.Event()
        submitted = 0

        def submit() -> None:
            nonlocal submitted
            while not enough.is_set():
                see(submitted, 20)
                submitted += 20

        thread = threading.Thread(target=submit)
        thread.start()
        for number in range(count):
            print("child", body(number))
        enough.set()
        thread.join()
        for number in range(submitted):
            print("seen", number)


# -------------------------------------------------------------------------------------- scenes


def fork(executor: str, count: int) -> None:
    """Each child loads a kernel of its own, in the same run folder."""

    def body(number: int) -> int:
        def child() -> None:
            with parslish.load(config("threads")):
                see(CHILDS_FIRST + 10 * number, 10)

        return forked(child)

    busy_beside(body, executor, count)


def use_after_fork(executor: str, count: int) -> None:
    """Each child uses what it has of its parent's kernel: done futures give their results, new calls are refused."""

    def body(number: int) -> int:
        kernel, done = parslish.dfk(), cell(number)
        done.result(PATIENCE_S)

        def child() -> None:
            assert done.result(0) == (number, -number)
            for use in (lambda: cell(CHILDS_FIRST), kernel.checkpoint):
                try:
                    use()
                except (KernelClosed, NoDataFlowKernelError):
                    continue
                raise AssertionError("the parent's kernel was used")
            kernel.cleanup()

        return forked(child)

    busy_beside(body, executor, count)


def spawn(executor: str, count: int) -> None:
    """Each child is a new interpreter, and loads a kernel of its own in the same run folder; two at a time."""
    context = multiprocessing.get_context("spawn")
    with parslish.load(config(executor)):
        for numbers in itertools.zip_longest(*[iter(range(count))] * 2):
            children = [context.Process(target=spawned, args=(number,)) for number in numbers if number is not None]
            for child in children:
                child.start()
            see(0, 20)
            for child in children:
                child.join(PATIENCE_S)
                print("child", child.exitcode)
        for number in range(20):
            print("seen", number)


def spawned(number: int) -> None:
    with parslish.load(config("threads")):
        see(CHILDS_FIRST + 10 * number, 10)


@python_app
def nest(number: int) -> tuple[str, int]:
    """A task that has a kernel of its own."""
    with DataFlowKernel(config("threads")) as kernel:
        value = python_app(lambda x: x + 1, data_flow_kernel=kernel)(number).result(PATIENCE_S)
    return kernel.run_id, value


def nested(executor: str, count: int) -> None:
    """Kernels within the tasks of a kernel, in the same run folder."""
    with parslish.load(config(executor)):
        found = [future.result(PATIENCE_S) for future in [nest(number) for number in range(count)]]
        see(0, 20)
    assert len({run for run, _ in found}) == count, "each has a folder of its own"
    for number, (_, value) in enumerate(found):
        print("child", value - number - 1)
    for number in range(20):
        print("seen", number)


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
