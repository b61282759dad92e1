"""Tap's tasks a -- b -- c, with a join before c that has lost its state when the program was left: a counter."""

from pathlib import Path

import parslish
from parslish import Config, python_app


def note(task):
    with open("executed", "a") as file:
        file.write(f"{task}\n")


class Join:
    """Hands each result on with its number."""

    def __init__(self):
        self.count = 0

    def __call__(self, result):
        self.count += 1
        return self.count, result


@python_app(cache=True)
def a(x):
    note(f"a {x}")
    return x + 1


@python_app(cache=True)
def b(x):
    note(f"b {x}")
    return x * 10


@python_app(cache=True)
def c(number, x):
    note(f"c {number} {x}")
    if Path("full").exists() and number == 3:
        raise OSError("no space left")
    return f"{number}: {x}"


if __name__ == "__main__":
    with parslish.load(Config(checkpoint_mode="task_exit")):
        join = Join()
        for x in range(4):
            print(c(*join(b(a(x)).result())).result())
