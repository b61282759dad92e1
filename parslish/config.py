"""Owns `Config`: every option of a kernel, its default and what it takes; leaves what they do to the kernel.

Three spellings, one validation: keyword arguments, a dict of either dialect (`config_dict`), a TOML file. A
field is declared once, below, with its type, default and check; everything else is derived from that table.
"""

# `_option` is dataclasses.field with a check, which the linter cannot know:
# ruff: noqa: RUF009

from __future__ import annotations

import dataclasses
import functools
import os
import re
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from parslish import config_check as takes
from parslish import config_dict
from parslish.config_check import Check
from parslish.errors import ConfigurationError

if TYPE_CHECKING:
    from parslish.executors.base import Executor

FILE_VARIABLE = "PARSLISH_CONFIG"  # names the TOML file of programs that give no configuration
MODES = ("task_exit", "periodic", "dfk_exit", "manual")
_MEMOIZER = takes.having(["check_memo"], "a BasicMemoizer, or None")


def _option(default: Any, check: Check, *aliases: str, none: Any = dataclasses.MISSING) -> Any:
    """A field: its check, its names in the dict dialects beside the obvious two, and what None stands for."""
    factory = {"default_factory": default} if callable(default) else {"default": default}
    return field(**factory, metadata={"check": check, "aliases": aliases, "none": none})


def _default_executors() -> list[Executor]:
    return [config_dict.executor("executors[0]", {"kind": "threads"})]


def _unsupported(place: str, value: Any) -> Any:
    if value is not None:
        # 6: the line that made the Config, seen through both __init__s and __setattr__
        warnings.warn(f"{place}: parslish records runs by itself; the option is ignored", stacklevel=6)
    return value


def _naming_unknown(cls: type[Config]) -> type[Config]:
    """Let the dataclass's `__init__` say which option a misspelled one was meant to be.

    It is wrapped, not written by hand: editors and `help` keep its signature.
    """
    init = cls.__init__

    @functools.wraps(init)
    def checked(self: Config, *args: Any, **options: Any) -> None:
        for name in options:
            if name not in _OPTIONS:
                takes.unknown("", name, _OPTIONS)
        init(self, *args, **options)

    cls.__init__ = checked  # type: ignore[method-assign]
    return cls


@_naming_unknown
@dataclass(eq=False, repr=False)
class Config:
    """The options of a kernel. Fields may be assigned later; an assignment is checked like an argument.

    Raises:
        ConfigurationError: naming the field, what it got, what it takes, and a near match for a typo. For an
            unknown field or a value not taken it is a `ConfigurationTypeError`, so a TypeError too.
    """

    # What runs tasks; apps pick by label. Default: one `ThreadPoolExecutor()`.
    executors: Sequence[Executor] = _option(_default_executors, config_dict.executors, none=_default_executors)
    _: KW_ONLY

    # -- reuse and checkpoints
    # Reuse results at all. Off, no app is memoized, and no checkpoint can be made.
    app_cache: bool = _option(True, takes.flag, "memoize")
    # When results are written to RUN_DIR/RUN/checkpoint: as each task ends, every period, at exit, on demand.
    checkpoint_mode: Literal["task_exit", "periodic", "dfk_exit", "manual"] | None = _option(
        None, takes.optional(takes.one_of(*MODES))
    )
    # Folders to load results from. None: with a mode, those of all earlier runs in `run_dir`; []: none.
    checkpoint_files: list[str] | None = _option(None, takes.optional(takes.folders))
    # Load checkpoints too that other accounts own, or can write to. Signatures decide what is opened in any case.
    shared: bool = _option(False, takes.flag)
    # Files that `parslish key export` made in other accounts: their results are opened too, which may run their code.
    trusted_keys: Sequence[str] = _option((), takes.files, none=())
    # "HH:MM:SS" or seconds between two checkpoints of the mode `periodic`.
    checkpoint_period: str | float = _option("00:30:00", takes.period, none="00:30:00")
    # How results are looked up; None: by a `BasicMemoizer` of the options above.
    memoizer: Any = _option(None, takes.optional(_MEMOIZER))
    # `task_exit`: fsync in groups, within 200 ms ("batch"), or before the future resolves ("always").
    sync: Literal["batch", "always"] = _option("batch", takes.one_of("batch", "always"))
    # When results cannot be stored: go on and say so ("degrade"), or stop launching ("raise").
    on_store_error: Literal["degrade", "raise"] = _option("degrade", takes.one_of("degrade", "raise"))
    # An argument without identity: run the task uncached with a warning (False), or refuse the call (True).
    strict_keys: bool = _option(False, takes.flag)
    # A hit within a run hands out the object itself (False), or a copy (True).
    copy_results: bool = _option(False, takes.flag)
    # A key that another kernel on the same `run_dir` is computing: wait for its result. Takes the mode `task_exit`.
    exclusive: bool = _option(False, takes.flag)
    # Results kept in memory for reuse within the run; what was dropped is computed again, unless it was loaded.
    memo_entries: int = _option(100_000, takes.count(0))

    # -- failures
    # Tries after the first, of a task whose app raised.
    retries: int = _option(0, takes.count(0))
    # (exception, task record) -> cost of the failed try, against `retries`; None: each costs 1.
    retry_handler: Callable[..., float] | None = _option(None, takes.optional(takes.hook))
    # Tries after the first, of a task whose worker died: a budget of its own.
    worker_retries: int = _option(2, takes.count(0))
    # False: stop launching at the first failure, and raise it at the next call.
    lazy_errors: bool = _option(True, takes.flag, "lazyFail")
    # Leaving `with load(...)`: wait for tasks and clean up, clean up at once, or touch nothing.
    exit_mode: Literal["cleanup", "skip", "wait"] = _option("cleanup", takes.one_of("cleanup", "skip", "wait"))

    # -- the run
    # The folder that runs are kept in, one numbered folder each.
    run_dir: str = _option("runinfo", takes.folder, "rundir")
    # What random numbers of tasks (`parslish.rng()`) follow from; None: from the id of the run's lineage.
    seed: int | None = _option(None, takes.optional(takes.count(0)))
    # Write the run's record: what `runs`, `show`, `why` and re-execution read.
    record: bool = _option(True, takes.flag)
    # Let the record tell short previews of arguments and results, and keep small arguments for re-execution.
    previews: bool = _option(True, takes.flag)
    # Write the run's log file.
    initialize_logging: bool = _option(True, takes.flag)
    # Forget finished tasks (`dfk.tasks`) before their futures resolve.
    garbage_collect: bool = _option(True, takes.flag)
    # (task record, "stdout" or "stderr") -> path or (path, mode), where an app was given AUTO_LOGNAME.
    std_autopath: Callable[..., Any] | None = _option(None, takes.optional(takes.hook))
    # Where futures are looked for among arguments; None: as arguments, and in lists, tuples, sets and dicts.
    dependency_resolver: Any = _option(None, takes.anything)
    # Threads for bodies of join apps.
    internal_tasks_max_threads: int = _option(10, takes.count(1))
    # Calls that may be open at once; the next call waits. None: no bound.
    max_pending: int | None = _option(None, takes.optional(takes.count(1)))

    # -- options of Parsl that mean nothing here: taken, so that its scripts run, and ignored
    strategy: Any = _option(None, takes.anything)
    strategy_period: Any = _option(None, takes.anything)
    max_idletime: Any = _option(None, takes.anything)
    usage_tracking: Any = _option(None, takes.anything)
    project_name: Any = _option(None, takes.anything)
    monitoring: Any = _option(None, _unsupported)

    def __post_init__(self) -> None:
        self.check()

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _OPTIONS:
            takes.unknown("", name, _OPTIONS)
        object.__setattr__(self, name, _checked(name, name, value))

    def __repr__(self) -> str:
        shown = (f"{name}={getattr(self, name)!r}" for name, f in _OPTIONS.items() if self._differs(f))
        return f"Config({', '.join(shown)})"

    def _differs(self, option: dataclasses.Field[Any]) -> bool:
        value = getattr(self, option.name)
        return option.default is dataclasses.MISSING or (value is not option.default and value != option.default)

    @property
    def period_s(self) -> float:
        """`checkpoint_period` in seconds."""
        return takes.period_s(self.checkpoint_period)

    def check(self) -> None:
        """Check what no field can see alone; not at each assignment, as two fields are changed one by one.

        Raises:
            ConfigurationError: two fields contradict each other, or two executors have one label.
        """
        config_dict.executors("executors", self.executors)
        if self.checkpoint_mode and not self.app_cache:
            raise ConfigurationError(
                f"checkpointing needs memoization: checkpoint_mode is {self.checkpoint_mode!r} and app_cache "
                f"(in a dict: memoize) is False; leave out one of the two"
            )
        if self.exclusive and self.memoizer is None:  # else that one says which mode it is
            self.check_exclusive()

    def check_exclusive(self) -> None:
        """Check that what is exclusive can be: other kernels must see a result as soon as it is there.

        Raises:
            ConfigurationError: results are written later than that.
        """
        if self.checkpoint_mode != "task_exit":
            raise ConfigurationError(
                f"exclusive=True: checkpoint_mode is {self.checkpoint_mode!r}, takes 'task_exit': other kernels wait "
                f"for results that are stored as each task ends; set that mode, or leave out exclusive"
            )

    @classmethod
    def of(cls, source: Config | Mapping[str, Any] | str | os.PathLike[str] | None = None, /, **fields: Any) -> Config:
        """The configuration that `source` means: a Config (itself), a dict, the path of a TOML file, or None, which is
        the file that $PARSLISH_CONFIG names, else the defaults.

        Args:
            source: as above; it is not changed.
            fields: set on top, in a copy; under any spelling that the dict dialects know.

        Raises:
            ConfigurationError: as `Config`.
        """
        config = cls._read(source)
        if fields:
            return dataclasses.replace(config, **_keywords(config_dict.renamed("", fields, _SPELLINGS)))
        config.check()
        return config

    @classmethod
    def _read(cls, source: Any) -> Config:
        if source is None:
            file = os.environ.get(FILE_VARIABLE)
            return cls.from_toml(file) if file else cls()
        if isinstance(source, Config):
            return source
        if isinstance(source, Mapping):
            return cls.from_dict(source)
        if isinstance(source, str | os.PathLike):
            return cls.from_toml(source)
        return takes.refuse("config", source, "a Config, a dict, the path of a TOML file, or None")

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> Config:
        """A configuration from a dict of either dialect (`config_dict`), which is not changed.

        Raises:
            ConfigurationError: as `Config`, with the field's place, such as `globals.checkpointMode`.
        """
        return cls(**_keywords(config_dict.given(config, _SPELLINGS)))

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str]) -> Config:
        """A configuration from a TOML file that holds what `from_dict` takes.

        Raises:
            ConfigurationError: as `from_dict`; or there is no such file, or it is not TOML (with the line).
        """
        table = _toml(Path(path))
        try:
            return cls.from_dict(table)
        except ConfigurationError as exc:
            raise type(exc)(f"{os.fspath(path)}: {exc}") from None


_OPTIONS: dict[str, dataclasses.Field[Any]] = {each.name: each for each in fields(Config)}


def _spellings() -> dict[str, str]:
    """Each name that a dict may use for a field → the field: its own, in camelCase, and its aliases."""
    names: dict[str, str] = {}
    for name, option in _OPTIONS.items():
        camel = re.sub(r"_(\w)", lambda letter: letter[1].upper(), name)
        names |= dict.fromkeys((name, camel, *option.metadata["aliases"]), name)
    return names


_SPELLINGS = _spellings()


def _checked(name: str, place: str, value: Any) -> Any:
    meant = _OPTIONS[name].metadata
    if value is None and meant["none"] is not dataclasses.MISSING:
        return meant["none"]() if callable(meant["none"]) else meant["none"]
    return meant["check"](place, value)


def _keywords(given: Any) -> dict[str, Any]:
    """Keyword arguments, checked here so that an error names the place as the user spelled it."""
    return {each.name: _checked(each.name, each.place, each.value) for each in given}


def _toml(path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigurationError(f"configuration file {str(path)!r}: {exc.strerror}") from exc
    except ValueError as exc:  # not TOML, or not UTF-8
        raise ConfigurationError(f"configuration file {str(path)!r} is not TOML: {exc}") from exc
