"""How the tests of commands call them: in this process, as `parslish ARGUMENTS` would be."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from parslish.cli import main


class Done(NamedTuple):
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Call = Callable[..., Done]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Call a command with its arguments."""

    def run(*arguments: object) -> Done:
        code = main([str(each) for each in arguments])
        return Done(code, *capsys.readouterr())

    return run
