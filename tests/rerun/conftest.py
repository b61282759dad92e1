"""Programs under test find this parslish, started by a test or, again, by parslish itself."""

from __future__ import annotations

import pytest

from tests.parsl.helpers import ROOT


@pytest.fixture(autouse=True)
def this_parslish(own_world: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # a module that a test edits is not read from a cache
