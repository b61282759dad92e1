"""Owns workflows: functions that call apps, and whose inputs are recorded, so that they can be run again.

`dispatch` begins a run of one, with a kernel of its own; what becomes of it is `dispatched`'s, how one asks for what it
came to `outcomes`'.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import logging
import os
import threading
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, overload

from parslish import codec, graph, stopping
from parslish.config import Config
from parslish.dispatching import dispatched, programs
from parslish.dispatching.dispatched import Dispatch
from parslish.errors import SerializationError, UsageError
from parslish.executors.base import Executor
from parslish.history import entry, previews
from parslish.history.folder import CHECKPOINT
from parslish.history.record import RunRecord
from parslish.identity.binding import binding
from parslish.kernel import DataFlowKernel
from parslish.memo import Known
from parslish.result import StoredResult
from parslish.secret import Keys
from parslish.store.reader import Store

logger = logging.getLogger("parslish")

LARGE_BYTES: Final = 1 << 18  # inputs from this size on are stored beside the results, not in the record

Inputs = tuple[tuple[Any, ...], dict[str, Any]]
Source = Config | Mapping[str, Any] | str | os.PathLike[str]


class Workflow:
    """A function that calls apps. Called directly it is the plain function, under the current kernel.

    Args:
        func: the function. It gives a value, a future, or a container with futures in it.
        name: how its runs call it; None: as the function is called.
        config: of the kernel of a run that is dispatched, as `DataFlowKernel` takes it; None: threads, and results are
            stored as each task ends.
    """

    def __init__(self, func: Callable[..., Any], *, name: str | None = None, config: Source | None = None) -> None:
        if not callable(func) or inspect.iscoroutinefunction(func):
            raise TypeError(f"a workflow is made of a plain function, not of {func!r}; write @workflow above a def")
        self.func = func
        self.name = name or str(getattr(func, "__name__", type(func).__name__))
        self.config = config
        self._binding = binding(func, frozenset())
        functools.update_wrapper(self, func, updated=())
        _known[self.module, self.qualname] = self

    @property
    def module(self) -> str:
        return str(getattr(self.func, "__module__", "") or "")

    @property
    def qualname(self) -> str:
        return str(getattr(self.func, "__qualname__", self.name))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.func(*args, **kwargs)

    def __get__(self, instance: Any, owner: type) -> Any:
        """A method may be a workflow, to be called: the object is its first argument."""
        return self if instance is None else partial(self, instance)

    def __repr__(self) -> str:
        return f"<workflow {self.name}>"

    def bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The inputs by parameter, with defaults filled in. Raises TypeError, in Python's words, if they do not fit."""
        return dict(zip(self._binding.names, self._binding.bind(*args, **kwargs), strict=True))

    def entry(self) -> dict[str, Any]:
        """What the record of a run says of it."""
        code = getattr(inspect.unwrap(self.func), "__code__", None)
        file = os.path.abspath(code.co_filename) if code and os.path.exists(code.co_filename) else ""
        return {
            "kind": entry.WORKFLOW, "module": self.module, "name": self.name, "qualname": self.qualname, "file": file,
        }  # fmt: skip


#: (module, qualified name) → the workflow that was made last.
_known: weakref.WeakValueDictionary[tuple[str, str], Workflow] = weakref.WeakValueDictionary()


@overload
def workflow(function: Callable[..., Any], *, name: str | None = None, config: Source | None = None) -> Workflow: ...
@overload
def workflow(
    function: None = None, *, name: str | None = None, config: Source | None = None
) -> Callable[[Callable[..., Any]], Workflow]: ...
def workflow(
    function: Callable[..., Any] | None = None, *, name: str | None = None, config: Source | None = None
) -> Workflow | Callable[[Callable[..., Any]], Workflow]:
    """`@workflow`, `@workflow(name=…, config=…)`: make a function a workflow, for `dispatch`. Options: `Workflow`."""
    make = partial(Workflow, name=name, config=config)
    return make if function is None else make(function)


# -------------------------------------------------------------------------------------- dispatching


def dispatch(
    workflow: Workflow, config: Source | None = None, run_dir: str | os.PathLike[str] | None = None
) -> Callable[..., str]:
    """Prepare to run a workflow beside this program; call what it gives with the workflow's inputs.

    Args:
        config: of its kernel, as `DataFlowKernel` takes it; None: the workflow's own. An executor that another kernel
            is using is not shared but made once more.
        run_dir: the folder of runs; None: as configured.

    Returns:
        A function that takes the inputs, begins a run and returns its id: for `get_result`, `cancel` and `redispatch`.
        The end of the program waits for it.

    Raises:
        UsageError: it is no workflow.
        TypeError: from what is returned, when the inputs do not fit the function.
    """
    if not isinstance(workflow, Workflow):
        raise UsageError(f"dispatch({workflow!r}): a function with @workflow is needed; write that above its def")

    def begin(*args: Any, **kwargs: Any) -> str:
        return start(workflow, args, kwargs, config=config, run_dir=run_dir).run_id

    return begin


def start(
    workflow: Workflow,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    config: Source | None = None,
    run_dir: str | os.PathLike[str] | None = None,
    instead: Callable[[DataFlowKernel], Any] | None = None,
) -> Dispatch:
    """Begin a run of a workflow; `instead` is called with its kernel in the place of its function.

    Raises as `dispatch`, and as `DataFlowKernel`.
    """
    programs.check_dispatch(workflow.name)
    bound = workflow.bound(args, kwargs)
    chosen = _config(config if config is not None else workflow.config, run_dir)
    facts, kept = {**workflow.entry(), "inputs": None, "shown": {}}, None
    if chosen.previews:
        facts["shown"] = {name: previews.of(value) for name, value in bound.items()}
        kept = facts["inputs"] = _encoded(workflow, args, kwargs)
        if kept is not None and len(kept) >= LARGE_BYTES:
            facts["inputs"], facts["inputs_key"] = None, os.urandom(32)
    with _starting, entry.given(facts):
        kernel = DataFlowKernel(_with_free_executors(chosen))
    if "inputs_key" in facts:
        kernel.put(facts["inputs_key"], Known(None, task_id=-1, app=workflow.name), kept)
    call = partial(workflow.func, *args, **kwargs) if instead is None else partial(instead, kernel)
    return dispatched.begin(kernel, workflow.name, call)


#: Held while a kernel is made: that an executor is free holds until it is used.
_starting = threading.Lock()


def _config(source: Source | None, run_dir: str | os.PathLike[str] | None) -> Config:
    config = Config.of(source)
    if source is None and config.checkpoint_mode is None and config.app_cache:
        config = Config.of(config, checkpoint_mode="task_exit")
    return config if run_dir is None else Config.of(config, run_dir=os.fspath(run_dir))


def _with_free_executors(config: Config) -> Config:
    """The configuration with copies of those executors that another kernel is using."""
    kernels = stopping.live_kernels()
    if config.memoizer is not None and any(kernel.memoizer is config.memoizer for kernel in kernels):
        raise UsageError(
            "config.memoizer serves another kernel that is still going: give this one a memoizer of its own"
        )
    used = {id(executor) for kernel in kernels for executor in kernel.executors.values()}
    if not any(id(executor) in used for executor in config.executors):
        return config
    free: list[Executor] = [each.copy() if id(each) in used else each for each in config.executors]
    return dataclasses.replace(config, executors=free)


def _encoded(workflow: Workflow, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes | None:
    """The inputs as they are kept; at once, before anybody changes them."""
    try:
        if graph.futures_in(args, kwargs):
            raise SerializationError("there are futures among them")
        return codec.encode((args, kwargs))
    except SerializationError as exc:
        logger.warning(
            "the inputs of workflow %s cannot be kept (%s): to run it again, new ones will be needed",
            workflow.name,
            exc,
        )
        return None


# -------------------------------------------------------------------------------------- once more


def find(facts: Mapping[str, Any]) -> Workflow:
    """The workflow that a run was of, by the entry in its record: imported, or as it is in this process.

    Raises:
        UsageError: it is not to be found.
    """
    module, file = str(facts.get("module", "")), str(facts.get("file", ""))
    qualname = str(facts.get("qualname") or facts.get("name", ""))
    there = programs.find(module, qualname, file)
    found = there if isinstance(there, Workflow) else _known.get((module, qualname))
    if found is None:
        raise UsageError(
            f"workflow {qualname!r} of module {module!r} is not there{f' in {file}' if file else ''}: it is found "
            f"again when it stands at the top of a module or script; if it was renamed, dispatch it anew"
        )
    return found


def inputs_of(record: RunRecord) -> Inputs:
    """The inputs that a workflow was dispatched with, unpickled from what we signed (I6).

    Raises:
        UsageError: it is a run of no workflow, or they were not kept.
    """
    facts = record.facts.get("entry")
    if not isinstance(facts, dict) or facts.get("kind") != entry.WORKFLOW:
        raise UsageError(f"run {record.id} is of no workflow, and has no inputs")
    kept, key = facts.get("inputs"), facts.get("inputs_key")
    found: Any = None
    if isinstance(kept, bytes):
        found = codec.decode(kept)
    elif isinstance(key, bytes):
        found = _stored(record, key)
    if found is None:
        raise UsageError(
            f"the inputs of run {record.id} were not kept: they could not be stored, or previews=False; give new ones"
        )
    args, kwargs = found
    return args, kwargs


def _stored(record: RunRecord, key: bytes) -> Any:
    store = Store.open([record.path / CHECKPOINT], Keys.load())
    try:
        found = next(store.find(key), None)
        return None if found is None else codec.decode(StoredResult.unpack(found.body).encoded, found.folder)
    finally:
        store.close()
