"""Owns how a run's program is started again: a script as it was called, in a process of its own; a workflow here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parslish import orders
from parslish.config import FILE_VARIABLE
from parslish.errors import UsageError
from parslish.history import card
from parslish.history.entry import SCRIPT, WORKFLOW
from parslish.history.folder import numbered
from parslish.history.lineage import COMPLETED
from parslish.history.record import RunRecord
from parslish.orders import Orders
from parslish.rerun import by_record
from parslish.secret import Keys

if TYPE_CHECKING:
    from parslish.dispatching.dispatched import Dispatch


def check(record: RunRecord) -> str:
    """What kind of program a run had.

    Raises:
        UsageError: it cannot be started again.
    """
    kind = _entry(record).get("kind")
    if kind == WORKFLOW:
        return WORKFLOW
    if kind == SCRIPT:
        return SCRIPT
    raise UsageError(
        f"run {record.id} cannot be executed again: it was made in an interactive session, whose program was not "
        f"recorded; put it into a script, or into a function with @workflow"
    )


def start(record: RunRecord, told: Orders, keys: Keys, *, inputs: Any = None, config: Any = None) -> tuple[Path, int]:
    """Start a run's program again, with orders, and wait for it.

    Args:
        inputs: (positional, keyword) arguments of a workflow in the place of those that it had.
        config: of the kernel of a workflow; None: its own.

    Returns:
        The folder of the new run, and the exit code (of a workflow 0, or 1 when it failed).

    Raises:
        UsageError: the program cannot be started, takes no inputs, or made no kernel.
    """
    if check(record) == WORKFLOW:
        dispatched = start_workflow(record, told, keys, inputs, config)
        dispatched.wait()
        path = Path(dispatched.path)
        return path, int(card.read(path).get("ended") != COMPLETED)
    if inputs is not None:
        raise UsageError(f"run {record.id} is of a script, which takes no inputs; those are for @workflow functions")
    return _start_script(record, told, keys)


def start_workflow(record: RunRecord, told: Orders, keys: Keys, inputs: Any, config: Any) -> Dispatch:
    """Start a run's workflow again, with orders, in this process; `inputs` None: those that it had."""
    from parslish.dispatching import workflows  # here: with what starts kernels

    found = workflows.find(_entry(record))
    args, kwargs = workflows.inputs_of(record) if inputs is None else inputs
    told.write(keys)
    with orders.given(told):
        return workflows.start(
            found,
            args,
            kwargs,
            config=config,
            run_dir=record.path.parent,
            instead=by_record.make_again if told.is_by_record else None,
        )


def _start_script(record: RunRecord, told: Orders, keys: Keys) -> tuple[Path, int]:
    told.write(keys)
    entry = _entry(record)
    command, cwd = [str(each) for each in entry.get("command", ())], _working_folder(record)
    if command == sys.orig_argv:
        raise UsageError(
            f"run {record.id} is of this very program, which would start itself again and again; ask for that from "
            f"outside, with  parslish rerun {record.id}  or another script"
        )
    executable = str(record.facts.get("executable") or sys.executable)
    environment = {**os.environ, orders.VARIABLE: told.address}
    if entry.get("config"):
        environment.setdefault(FILE_VARIABLE, str(entry["config"]))
    sys.stdout.flush()
    try:
        process = subprocess.Popen([executable, *command[1:]], cwd=cwd, env=environment)
    except OSError as exc:
        raise UsageError(
            f"run {record.id} cannot be executed again: {exc.filename!r}: {exc.strerror}; "
            f"it was  {' '.join(command)}  in {cwd}"
        ) from exc
    code = _wait(process)
    return _made_by(record, told, code), code


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Wait for a program; Ctrl-C is for it too, and it is given the time to end in order."""
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.wait()
        raise


def _working_folder(record: RunRecord) -> str:
    """Where a program was started; where that is gone, the place that is to the run folder as it was."""
    was = str(_entry(record).get("cwd", "."))
    run_dir = record.facts.get("run_dir")
    if not os.path.isdir(was) and isinstance(run_dir, str):
        now = os.path.normpath(record.path.parent / os.path.relpath(was, run_dir))
        return now if os.path.isdir(now) else was
    return was


def _made_by(record: RunRecord, told: Orders, code: int) -> Path:
    for _, path in reversed(list(numbered(record.path.parent))):
        facts = card.read(path).get("orders")
        if isinstance(facts, dict) and facts.get("id") == told.id:
            return path
    raise UsageError(
        f"the program of run {record.id},  {' '.join(map(str, _entry(record).get('command', ())))},  ended with exit "
        f"code {code} and made no run in {record.path.parent}: it is gone, loaded no kernel, or has another run_dir now"
    )


def _entry(record: RunRecord) -> dict[str, Any]:
    entry = record.facts.get("entry")
    return entry if isinstance(entry, dict) else {}
