"""A try that is taken back from one worker and given to another starts twice, and ends once."""

from __future__ import annotations

from typing import Any

import parslish
from parslish import Config, Executor, python_app
from parslish.executors.base import Reply


class Recalling(Executor):
    """Gives each try to one worker, takes it back, and gives it to another."""

    label = "recalling"

    def submit(self, func: Any, resource_specification: Any, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("launch is what the kernel calls")

    def launch(self, attempt: Any, sink: Any) -> None:
        assert sink.started(attempt, "host:1")
        assert sink.started(attempt, "host:2")
        sink.deliver(Reply(attempt, attempt.func(*attempt.args), worker="host:2"))


def test_it_ends_once() -> None:
    with parslish.load(Config(executors=[Recalling()])):
        assert python_app(abs)(-3).result(timeout=30) == 3
