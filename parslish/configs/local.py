"""For one machine, a laptop or a workstation, in the dict dialect: threads or processes.

Change `maxThreads` or `maxWorkers` to the number of tasks that shall run at once, and set what the run needs,
for example `config["globals"]["checkpointMode"] = "task_exit"`. Threads suit tasks that wait (files, network,
bash commands) or compute inside libraries that free the interpreter; processes suit tasks of pure Python.
"""

localThreads = {
    "sites": [{"site": "Local_Threads", "execution": {"executor": "threads", "maxThreads": 4}}],
    "globals": {"lazyErrors": True},
}

localProcesses = {
    # No maxWorkers: one worker a core.
    "sites": [{"site": "Local_Processes", "execution": {"executor": "processes"}}],
    "globals": {"lazyErrors": True},
}
