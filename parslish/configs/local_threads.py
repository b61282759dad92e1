"""For one machine: four threads in this process.

Change `max_threads` to the number of tasks that shall run at once. Take `local_processes` for tasks of pure
Python, which threads can only run one at a time.
"""

from parslish.config import Config

config = Config.from_dict({"executors": [{"kind": "threads", "label": "threads", "max_threads": 4}]})
