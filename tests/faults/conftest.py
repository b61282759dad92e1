"""Counts the cases of the plan of faults, and says at the end how many there were."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults import plan


@pytest.fixture(autouse=True)
def counted(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test is one case, unless it has counted its own."""
    before = plan.ran.total()
    yield
    for fault in plan.faults_of(request.path.name)[:1]:
        if plan.ran.total() == before:
            plan.count(fault)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name == "test_plan.py")  # which looks at the others


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" and report.passed:
        plan.passed.add(report.nodeid)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if plan.ran:
        cases = ", ".join(f"{fault} {plan.ran[fault]:,}" for fault in plan.PLAN if plan.ran[fault])
        terminalreporter.write_line(f"cases of faults: {cases}")
