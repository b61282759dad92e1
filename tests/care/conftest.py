"""What the tests of care start from."""

from __future__ import annotations

from pathlib import Path

import pytest

from parslish.store.disk import OS_DISK
from tests.care.stores import DAY, Writer, body, key, large, name_of


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A store with three results that count, one of them large, one that does not, and one that is killed."""
    where = tmp_path / "theirs" / "003" / "checkpoint"
    value = large(where, OS_DISK, b"x" * 100, age_s=DAY)
    contents = {key(1): body("relax", b"old"), key(2): value, key(3): body("energy", age_s=DAY)}
    Writer(OS_DISK, where, run=3).add({**contents, key(4): body("wrong")}).close()
    newer = Writer(OS_DISK, where, run=5).add({key(1): body("relax", b"new")})
    newer.kill([name_of(OS_DISK, key(4), where)])
    newer.close()
    return where
