"""Counts as the tests of faults do, whose conftest tells the sums."""

from tests.faults.conftest import counted

__all__ = ["counted"]
