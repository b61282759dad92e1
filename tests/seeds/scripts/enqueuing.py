"""Tap's workflow `a -- b --:q c -- d`: the join behind b puts c, and what follows it, at the end of the app's queue."""

from collections import deque

import parslish
from parslish import Config, python_app


def note(task):
    with open("executed", "a") as file:
        file.write(f"{task}\n")


@python_app(cache=True)
def a():
    note("a")
    return 1


@python_app(cache=True)
def b(x):
    note("b")
    return x + 1


@python_app(cache=True)
def c(x):
    note("c")
    return x - 3


@python_app(cache=True)
def d(x):
    note(f"d {x}")
    if x < 0:
        raise ValueError(f"no root of {x}")
    return x**0.5


@python_app(cache=True)
def report(x):
    note(f"report {x}")
    return f"the root is {x}"


queue = deque()


def enqueue(task, *inputs):
    """The modifier q of a join."""
    queue.append((task, inputs))


def b_joined(x):
    enqueue(c_joined, b(x).result())


def c_joined(x):
    print(report(d(c(x))).result())


if __name__ == "__main__":
    with parslish.load(Config(checkpoint_mode="task_exit")):
        enqueue(b_joined, a().result())
        while queue:
            task, inputs = queue.popleft()
            task(*inputs)
