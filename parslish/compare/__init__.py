"""By how much two values differ.

Reading order: `difference` (values of Python), `arrays` (those of numpy and pandas), `stored` (stored results, which it
unpickles, so that nothing that only reads imports this package).
"""

from parslish.compare.difference import DIFFERENT, EQUAL, UNKNOWN, Difference, difference
from parslish.compare.stored import ValueDifference

__all__ = ["DIFFERENT", "EQUAL", "UNKNOWN", "Difference", "ValueDifference", "difference"]
