"""A failure that is to be remembered but cannot be stored must still reach its caller."""

from __future__ import annotations

import threading

import parslish
from parslish import Config, python_app


class Unstorable(Exception):
    def __init__(self) -> None:
        super().__init__("holds a generator")
        self.generator = (i for i in range(3))
        self.thread = threading.current_thread()


def test_it_resolves_its_future() -> None:
    @python_app(cache=True, remember=[Exception])
    def fail(x: int) -> None:
        raise Unstorable

    with parslish.load(Config(checkpoint_mode="task_exit")):
        assert isinstance(fail(1).exception(timeout=30), Unstorable)
        assert isinstance(fail(1).exception(timeout=30), Unstorable)
