"""Tierkreis' graph `typed_eval`: each node is a call, so each has the loc that it has there."""

from pathlib import Path

import parslish
from parslish import Config, join_app, python_app


def note(node):
    with open("executed", "a") as file:
        file.write(f"{node}\n")


@python_app(cache=True)
def const(value):
    note(f"const {value}")
    return value


@python_app(cache=True)
def input_(port, value):
    note(f"input {port}")
    return value


@python_app(cache=True)
def itimes(a, b):
    note("itimes")
    if Path("down").exists():
        raise ConnectionError("the worker is not there")
    return a * b + (100 if Path("wrong").exists() else 0)


@python_app(cache=True)
def iadd(a, b):
    note("iadd")
    return a + b


@python_app(cache=True)
def output(port, value):
    note(f"output {port}")
    return value


@join_app(cache=True)
def evaluate(graph, x, intercept):
    x, intercept = input_("x", x), input_("intercept", intercept)
    two = const(2)
    mul = itimes(a=x, b=two)
    out = iadd(a=mul, b=intercept)
    return output("value", out)


def typed_eval():
    six = const(6)
    zero = const(0)
    doubler_plus = const("typed_doubler_plus")
    e = evaluate(doubler_plus, six, zero)
    return output("typed_eval_output", e)


if __name__ == "__main__":
    with parslish.load(Config(checkpoint_mode="task_exit")):
        print(typed_eval().result())
