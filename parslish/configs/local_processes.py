"""For one machine: one worker process a core.

Give the table a `max_workers` to take fewer cores, as on a login node, or where a task computes on several.
"""

from parslish.config import Config

config = Config.from_dict({"executors": [{"kind": "processes", "label": "processes"}]})
