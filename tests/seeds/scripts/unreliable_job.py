"""Dagster's job of three ops, one of which fails half of the time."""

from pathlib import Path

import parslish
from parslish import Config, python_app


def note(op):
    with open("executed", "a") as file:
        file.write(f"{op}\n")


def some_random_result():
    """The next number of a file; the last one again and again."""
    first, *others = Path("luck").read_text().split()
    Path("luck").write_text(" ".join(others or [first]))
    return float(first)


@python_app(cache=True)
def start():
    note("start")
    return 1


@python_app(cache=True)
def unreliable(num):
    note("unreliable")
    failure_rate = 0.5
    if some_random_result() < failure_rate:
        raise Exception("blah")
    return num


@python_app(cache=True)
def end(_num):
    note("end")


def unreliable_job():
    return end(unreliable(start()))


if __name__ == "__main__":
    with parslish.load(Config(checkpoint_mode="task_exit")):
        unreliable_job().result()
