"""The plan of faults: `README.md` shows it, its files exist, and as many cases ran as it says."""

from __future__ import annotations

import pytest

from tests.faults import plan
from tests.faults.plan import HERE, PLAN, Fault
from tests.faults.stores import SOAK


def row(name: str, fault: Fault) -> str:
    """The fault's line in the table."""
    files = ", ".join(
        f"[`{path.name}`]({path.name if path.parent == HERE else f'../soak/{path.name}'})" for path in fault.paths
    )
    return f"| {name} | {fault.what} | {files} | {fault.here:,} | {fault.soak:,} |"


def test_the_readme_shows_the_plan() -> None:
    shown = [line for line in (HERE / "README.md").read_text().splitlines() if line.startswith("| T")]
    assert shown == [row(name, fault) for name, fault in PLAN.items()]


def test_every_fault_of_the_plan_has_its_tests() -> None:
    assert [*PLAN] == [f"T{number}" for number in range(1, 20) if number != 18]
    assert not [path for fault in PLAN.values() for path in fault.paths if not path.exists()]


def test_every_test_of_faults_is_in_the_plan() -> None:
    about_the_plan = {"test_plan.py", "test_mutants.py"}
    assert {path.name for path in HERE.glob("test_*.py")} - about_the_plan <= {
        file for fault in PLAN.values() for file in fault.files
    }


@pytest.mark.skipif(SOAK > 1, reason="the soak looks at its own counts")
def test_as_many_cases_ran_as_the_plan_says(request: pytest.FixtureRequest) -> None:
    """Of the faults all of whose tests have run before this one, and passed."""
    short = {}
    for name, fault in PLAN.items():
        files = {path for path in fault.paths if path.parent == HERE}
        tests = [item for item in request.session.items if item.path in files]
        has_run = {item.path for item in tests} == files and all(item.nodeid in plan.passed for item in tests)
        if has_run and plan.ran[name] < fault.here:
            short[name] = f"{plan.ran[name]:,} of {fault.here:,}"
    assert not short
