"""A job whose tasks are known only when it runs: Dagster's dynamic outputs, as in its issues 8411 and 5689."""

from pathlib import Path

import parslish
from parslish import Config, join_app, python_app


def note(op):
    with open("executed", "a") as file:
        file.write(f"{op}\n")


@python_app(cache=True)
def generate_subtasks():
    note("generate_subtasks")
    return [int(each) for each in Path("numbers").read_text().split()]


@python_app(cache=True)
def subtask(input_number):
    note(f"subtask {input_number}")
    if Path(f"no-{input_number}").exists():
        raise Exception(f"no {input_number}")
    return input_number * 10


@python_app(cache=True)
def echo(number):
    note(f"echo {number}")
    return number


@join_app(cache=True)
def mapped(numbers):
    note("mapped")
    return [echo(subtask(number, label=f"n{number}"), label=f"n{number}") for number in numbers]


@python_app(cache=True)
def adder(numbers):
    note("adder")
    return sum(numbers)


if __name__ == "__main__":
    with parslish.load(Config(checkpoint_mode="task_exit")):
        print(adder(mapped(generate_subtasks())).result())
