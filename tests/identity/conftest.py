"""Scripts of users, for tests of what their code is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.identity.scripts import Load, Scripts


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    scripts = Scripts(tmp_path)
    yield scripts.load
    scripts.close()
