"""The command line: `parslish COMMAND` for runs, `parslish GROUP COMMAND` for what they leave.

Reading order: `base` (the commands, and what becomes of their errors), `output` and `sheet` (how things are shown),
`which` (which run and which task is meant), then a file for each command or group.
"""

from parslish.cli.base import main

__all__ = ["main"]
