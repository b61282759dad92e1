"""Owns what a call says to parslish beyond its arguments: `stdout=`, `outputs=`, `walltime=`, `label=`, …

That includes the `File`s among them, which have to be brought to the worker and back. Most calls say nothing, and
then nothing here runs.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any

from parslish.bash import AUTO_LOGNAME, auto_logname
from parslish.files import File
from parslish.future import DataFuture
from parslish.graph import ATOMS
from parslish.identity.key import ArgumentPart
from parslish.random_numbers import Drawing, origin_of
from parslish.task import Options, Task, Try
from parslish.utils import get_std_fname_mode

if TYPE_CHECKING:
    from parslish.apps import AppBase
    from parslish.joins import Parents
    from parslish.kernel import DataFlowKernel

#: Keywords that reach the function only when it has a parameter of that name.
OURS = frozenset({"outputs", "stdout", "stderr", "walltime", "parsl_resource_specification", "label"})


def is_plain(app: AppBase, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a call is nothing but atoms by position: then it holds no futures, no files and no keywords."""
    return not kwargs and not app.defaults and ATOMS.issuperset(map(type, args))


def prepare(task: Task, kernel: DataFlowKernel) -> None:
    """Move what a call says to parslish from `task.kwargs` to `task.options`, and see to its files.

    Raises:
        TypeError: a value that its keyword does not take (`BadStdStreamFile` is one).
        ConfigurationError: no staging provider can bring one of its files.
    """
    if task.app.defaults or not OURS.isdisjoint(task.kwargs):
        _take_options(task, kernel)
    if any(isinstance(each, (File, DataFuture)) for each in _top_level(task)):
        _stage_in(task, kernel)
    if task.options is not None:
        _stage_out(task, task.options, kernel)


def _take_options(task: Task, kernel: DataFlowKernel) -> None:
    app = task.app
    said = {**app.defaults, **task.kwargs}
    task.options = options = Options()
    task.label = None if said.get("label") is None else str(said["label"])
    options.walltime = _walltime(said.get("walltime"))
    options.resources = _resources(said.get("parsl_resource_specification"))
    options.outputs = list(said.get("outputs") or ())
    for kind in ("stdout", "stderr"):
        setattr(options, kind, _stream(task, kind, said.get(kind), kernel))
    task.kwargs = {name: value for name, value in said.items() if name not in OURS}
    task.kwargs.update({name: _seen(name, said[name], options) for name in OURS & said.keys() & app.accepts})


def _top_level(task: Task) -> list[Any]:
    inputs = task.kwargs.get("inputs")
    return [*task.args, *task.kwargs.values(), *(inputs if isinstance(inputs, (list, tuple)) else ())]


def _stage_in(task: Task, kernel: DataFlowKernel) -> None:
    """Each `File` becomes the task's own copy, or the future of one that a transfer brings; a `DataFuture`,
    which waits for the task that writes the file, the future of such a copy."""

    def staged(value: Any) -> Any:
        file = value.file_obj if isinstance(value, DataFuture) else value
        if not isinstance(file, File):
            return value
        runs = task.runs
        copy, needed = kernel.staging.stage_in(task.exec_label, file, runs)
        if needed is not runs:
            task.options = task.options or Options()
            task.options.runs = needed
        return DataFuture(value, copy, value.tid) if file is not value and isinstance(copy, File) else copy

    task.args = tuple(map(staged, task.args))
    task.kwargs = {name: staged(value) for name, value in task.kwargs.items()}
    if isinstance(task.kwargs.get("inputs"), (list, tuple)):
        task.kwargs["inputs"] = [staged(value) for value in task.kwargs["inputs"]]


def _stage_out(task: Task, options: Options, kernel: DataFlowKernel) -> None:
    """Each output gets a future, which is done when the file is in its place. The task writes to a copy of its
    `File`; the future gives the caller's own. A path as text stays what the caller and the function know."""
    for number, output in enumerate(options.outputs):
        arrives: Future[Any] | None = None
        if isinstance(output, File):
            options.outputs[number], options.runs, arrives = kernel.staging.stage_out(
                task.exec_label, output, task.runs, task.future
            )
        file = output if isinstance(output, File) else File(output)
        options.output_futures.append(DataFuture(arrives or task.future, file, task.id))


def first_try(
    task: Task, args: tuple[Any, ...], kwargs: dict[str, Any], parents: Parents, seed: bytes, encodes: bool
) -> Try:
    """The first attempt at a task: what a worker is to run, and what goes with it.

    Args:
        args, kwargs: with the results of futures in their places.
        parents: runs the bodies of joins; `seed`: of the run's random numbers.
        encodes: whether the result's stored form is wanted too.
    """
    app, options = task.app, task.options
    func, walltime = (app.runs if options is None else task.runs), None
    if app.draws:
        func = app.drawing if func is app.runs else Drawing(func)
        args = (origin_of(seed, task.path), *args)
    if app.kind == "join":
        func = partial(parents.run, task, func)
    elif app.kind == "bash":
        kwargs = {**kwargs, **command_keywords(options)}
    elif options is not None:
        walltime = options.walltime
    return Try(task, 1, func, args, kwargs, None if options is None else options.resources, walltime, encodes)


def bound(app: AppBase, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[ArgumentPart]:
    """What a call gives to which parameter of an app. Raises TypeError when it does not fit."""
    arguments = inspect.signature(app.func).bind(*args, **kwargs).arguments
    return [ArgumentPart(name, value, b"") for name, value in arguments.items()]


def command_keywords(options: Options | None) -> dict[str, Any]:
    """What the runner of a bash app must know of the call."""
    if options is None:
        return {}
    said = {
        "stdout": options.stdout,
        "stderr": options.stderr,
        "walltime": options.walltime,
        "outputs": options.outputs,
    }
    return {name: value for name, value in said.items() if value is not None and value != []}


def _seen(name: str, value: Any, options: Options) -> Any:
    """What the function gets for one of our keywords: paths and files rather than what stands for them."""
    return getattr(options, name) if name in ("outputs", "stdout", "stderr") else value


def _walltime(seconds: Any) -> float | None:
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds > 0:
        raise TypeError(f"walltime={seconds!r}: a positive number of seconds is needed")
    return float(seconds)


def _resources(resources: Any) -> Mapping[str, Any] | None:
    if resources is not None and not isinstance(resources, Mapping):
        raise TypeError(f"parsl_resource_specification={resources!r}: a dict such as {{'cores': 1}} is needed")
    return resources or None


def _stream(task: Task, kind: str, spec: Any, kernel: DataFlowKernel) -> Any:
    if spec is None:
        return None
    if spec is AUTO_LOGNAME:
        autopath = kernel.config.std_autopath
        if autopath is None:
            return auto_logname(kernel.run_dir, task.id, task.app.name, task.label, kind)
        spec = autopath(task, kind)
    get_std_fname_mode(kind, spec)  # raises for what is no such thing, here at the call
    return os.fspath(spec) if isinstance(spec, os.PathLike) and not isinstance(spec, File) else spec
