"""The kernel of most of these tests; a file takes it by `pytestmark = pytest.mark.usefixtures("loaded")`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import parslish
from parslish import Config, DataFlowKernel, ThreadPoolExecutor


@pytest.fixture
def loaded() -> Iterator[DataFlowKernel]:
    """A kernel with more threads than a test has tasks that wait at a gate."""
    with parslish.load(Config(executors=[ThreadPoolExecutor(max_threads=4)])) as kernel:
        yield kernel
