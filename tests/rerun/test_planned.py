"""A re-execution that is only planned runs nothing, and says what the plan says."""

from __future__ import annotations

from pathlib import Path

import parslish
from tests.rerun.program import first

APPS = """
@python_app(cache=True)
def double(x):
    return 2 * x
"""


def test_a_rerun_that_is_only_planned_makes_no_run_and_says_what_the_plan_says() -> None:
    run = first(APPS, "double(double(1)).result()")
    planned = run.rerun(from_="double[0]", plan=True)
    assert planned.to_json() == run.plan(from_="double[0]").to_json()
    assert len(planned.run) == 2
    assert [each.id for each in parslish.runs()] == ["000"]
    assert sorted(each.name for each in Path("runinfo").iterdir() if each.name.isdecimal()) == ["000"]
