"""The command line: `parslish GROUP COMMAND`.

Reading order: `base` (the commands, and what becomes of their errors), `output`, then one file for each group.
"""

from parslish.cli.base import main

__all__ = ["main"]
