"""Owns `redispatch`: a dispatched workflow once more, with other tasks, other inputs, or what was computed before."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from parslish.errors import UsageError
from parslish.history.entry import WORKFLOW
from parslish.rerun import entry, making, replacing
from parslish.rerun.finding import run
from parslish.rerun.handle import RecordedRun
from parslish.rerun.replacing import Replacements
from parslish.secret import Keys


def redispatch(
    run_id: str | RecordedRun,
    replace: Replacements | None = None,
    reuse_previous_results: bool = False,
    *,
    run_dir: str | os.PathLike[str] = "runinfo",
    config: Any = None,
) -> Callable[..., str]:
    """Prepare to dispatch a workflow again; call what it gives with the inputs.

    Args:
        run_id: which run, as `dispatch` gave it; or the run itself.
        replace: name of an app → function (or "module:function") that runs in its place.
        reuse_previous_results: whether what was computed before is used where a task's code and arguments are the same.
        run_dir: the folder of runs.
        config: of the kernel; None: the workflow's own.

    Returns:
        A function that takes the new inputs, or none for those of before, positional and by keyword, and returns the id
        of the new run.

    Raises:
        UsageError: there is no such run, it is of no workflow, or there is no such app to replace.
    """
    before = run_id if isinstance(run_id, RecordedRun) else run(run_id, run_dir)
    if entry.check(before.record) != WORKFLOW:
        raise UsageError(f"run {before.id} is of a script, not of a workflow; use  parslish rerun {before.id}")
    replacing.check(before.record, replace or {})

    def dispatch(*args: Any, **kwargs: Any) -> str:
        keys = Keys.load()
        told = making.make(before.record, keys, replace=replace, reuse=reuse_previous_results)
        inputs = (args, kwargs) if args or kwargs else None
        return entry.start_workflow(before.record, told, keys, inputs, config).run_id

    return dispatch
