"""Tasks by expression: which tasks of a run are meant, and which of those that come in a re-execution.

Reading order: `expression` (what one is made of), `words` (values, patterns and times in it), `parser` (how it is
read), `places`, `filters` and `arguments` (what atoms mean), `meaning` (what it means in a run), `complaints` (where
that is nothing), `chosen` (the tasks), `live` (tasks as they come).
"""

from parslish.history.selection.chosen import Selection, select
from parslish.history.selection.expression import Expression
from parslish.history.selection.live import Candidate, LiveSelection
from parslish.history.selection.parser import parse

__all__ = ["Candidate", "Expression", "LiveSelection", "Selection", "parse", "select"]
