"""Owns apps: the decorators, and what a call says beyond its arguments. Running them is the kernel's.

`python_app`, `bash_app`, `join_app`, `app` and `App` are five spellings of the one class `AppBase`.
"""

from __future__ import annotations

import functools
import inspect
import re
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from parslish.bash import BashRunner
from parslish.errors import ConfigurationError, UsageError, near
from parslish.future import AppFuture
from parslish.identity.draws import draws as code_draws
from parslish.identity.key import KeyMaker
from parslish.loader import current_kernel
from parslish.random_numbers import Drawing

if TYPE_CHECKING:
    from parslish.kernel import DataFlowKernel

#: Keywords of a call that speak to parslish; the function gets them only when it names them as parameters.
CALL_KEYWORDS = frozenset(
    {"inputs", "outputs", "stdout", "stderr", "walltime", "parsl_resource_specification", "label"}
)

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class AppBase:
    """A decorated function: calling it makes a task and returns its future.

    Args:
        func: the function.
        kind: "python", "bash" (the function returns a command line) or "join" (it returns futures).
        data_flow_kernel: the kernel that runs its tasks; None for the loaded one.
        executors: labels of the executors that may run it, or "all".
        cache: True: a pure function, results are shared by key; "replay": impure, a result is used again only
            for the same call at the same place of the same, continued run; False: always runs.
        ignore_for_cache: names of parameters that are not part of the key.
        version: stands for the code in the key: results last until it changes.
        aka: earlier names of the app, whose results are still good.
        expires: "30d", "12h", "90m", "45s", "2w" or seconds: older results are not used.
        remember: exception types that are results too: such a failure is stored and raised again.
        copy_results: a reuse within the run hands out a copy, not the same object; None: as configured.
        exclusive: a call that another kernel on the same run folder is computing waits for that one's result; None:
            as configured.
        rng: whether the function draws random numbers by `parslish.rng()`, so that each call has its own; None: as far
            as its code tells.
    """

    __parslish_app__ = True

    def __init__(
        self,
        func: Callable[..., Any],
        *,
        kind: str = "python",
        data_flow_kernel: DataFlowKernel | None = None,
        executors: str | Sequence[str] = "all",
        cache: bool | str = False,
        ignore_for_cache: Sequence[str] | None = None,
        version: str | None = None,
        aka: Sequence[str] = (),
        expires: str | float | None = None,
        remember: Iterable[type[BaseException]] = (),
        copy_results: bool | None = None,
        exclusive: bool | None = None,
        rng: bool | None = None,
    ) -> None:
        if not callable(func):
            raise TypeError(f"an app is made of a function, not of {func!r}; write @{kind}_app above a def")
        if cache not in (True, False, "replay"):
            raise ConfigurationError(f"cache={cache!r}: True, False or 'replay' is needed")
        if exclusive and not cache:
            raise ConfigurationError("exclusive=True: cache is False, so no result is shared; set cache=True")
        if rng not in (True, False, None):
            raise ConfigurationError(f"rng={rng!r}: True, False or None (as the code tells) is needed")
        self.kind = kind
        self.name: str = getattr(func, "__name__", type(func).__name__)
        self.data_flow_kernel = data_flow_kernel
        self.executors = executors
        self.cache = cache
        self.version = version
        self.expires_s = _seconds(expires)
        self.remember = tuple(remember)
        self.copy_results = copy_results
        self.exclusive = exclusive
        self.rng = rng
        self.ignored = tuple(ignore_for_cache or ())
        self._aka = tuple(aka)
        self._take(func)
        _known[self.module, self.name] = self
        # A wrong name in ignore_for_cache is told at the decorator, not at the first call.
        if self.ignored:
            _ = self.key_makers

    def _take(self, func: Callable[..., Any]) -> None:
        self.func = func
        self.module: str = getattr(func, "__module__", "") or ""
        self.defaults = _call_defaults(func)
        self.parameters = _parameters(func)
        self.accepts = frozenset(self.parameters)
        #: What a worker runs.
        self.runs: Callable[..., Any] = BashRunner(func, self.name) if self.kind == "bash" else func
        functools.update_wrapper(self, func, updated=())

    @functools.cached_property
    def key_makers(self) -> list[KeyMaker]:
        """What makes the keys of its calls: under its name first, then under its earlier ones."""
        maker = KeyMaker(self.func, self.name, ignore=self.ignored, version=self.version, kind=self.kind)
        return [maker, *(maker.other_name(name) for name in self._aka)]

    @functools.cached_property
    def draws(self) -> bool:
        """Whether its tasks draw random numbers: as it was said, or as the code told at the first call."""
        return code_draws(self.func) if self.rng is None else self.rng

    @functools.cached_property
    def drawing(self) -> Drawing:
        """What a worker runs instead of `runs`, when they do."""
        return Drawing(self.runs)

    def with_function(self, func: Callable[..., Any]) -> AppBase:
        """The same app, by name and options, made of another function."""
        other = object.__new__(type(self))  # not copy.copy, which asks __reduce__
        derived = {name for name, each in vars(type(self)).items() if isinstance(each, functools.cached_property)}
        vars(other).update({name: value for name, value in vars(self).items() if name not in derived})
        other._take(func)
        return other

    def __call__(self, *args: Any, **kwargs: Any) -> AppFuture:
        kernel = self.data_flow_kernel or current_kernel()
        return kernel.submit(self, args, kwargs)

    def __get__(self, instance: Any, owner: type) -> Any:
        """An app may be a method: the object is its first argument."""
        return self if instance is None else functools.partial(self, instance)

    def __reduce__(self) -> Any:
        # In a worker an app is only a name that its caller's globals hold; see the message of `_in_worker`.
        return _in_worker, (self.name,)

    def __repr__(self) -> str:
        return f"<{self.kind} app {self.name}>"


#: (module, name) → the app that was made last.
_known: weakref.WeakValueDictionary[tuple[str, str], AppBase] = weakref.WeakValueDictionary()


def known_apps() -> dict[tuple[str, str], AppBase]:
    """The apps of this process, by module and name."""
    return dict(_known)


def _in_worker(name: str) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        raise UsageError(
            f"app {name!r} was called inside a worker process, where there is no kernel; call it in the script "
            f"and pass the future, or make the caller a join_app, whose body runs in the script"
        )

    return call


def _seconds(expires: str | float | None) -> float | None:
    if expires is None or isinstance(expires, (int, float)):
        return expires
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhdw])\s*", expires)
    if match is None:
        raise ConfigurationError(f"expires={expires!r}: a time such as '30d', '12h', '90m' or '45s' is needed")
    return float(match[1]) * _UNITS_S[match[2]]


def _parameters(func: Callable[..., Any]) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(func).parameters)
    except (TypeError, ValueError):
        return ()


def _call_defaults(func: Callable[..., Any]) -> Mapping[str, Any]:
    """The call keywords that the function's own signature gives a default."""
    try:
        parameters = inspect.signature(func).parameters.values()
    except (TypeError, ValueError):
        return {}
    return {
        p.name: p.default
        for p in parameters
        if p.name in CALL_KEYWORDS and p.default is not p.empty and p.default is not None
    }


# -------------------------------------------------------------------------------------- decorators


#: What `@python_app(…)` with parentheses gives.
Decorator = Callable[[Callable[..., Any]], AppBase]


class AppDecorator:
    """A decorator that makes functions apps of one kind, with and without parentheses. Options: see `AppBase`."""

    def __init__(self, kind: str, doc: str) -> None:
        self.kind = kind
        self.__name__ = self.__qualname__ = f"{kind}_app"
        self.__doc__ = f"{doc} Options: see `AppBase`."
        # A join's body runs in this process: it has no executors to choose from.
        ours = {"func", "kind", "executors"} if kind == "join" else {"func", "kind"}
        options = [p for p in inspect.signature(AppBase).parameters.values() if p.name not in ours]
        function = inspect.Parameter("function", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None)
        self.__signature__ = inspect.Signature([function, *options])
        self._known = {p.name for p in options}

    @overload
    def __call__(self, function: Callable[..., Any], **options: Any) -> AppBase: ...
    @overload
    def __call__(
        self, function: None = None, data_flow_kernel: DataFlowKernel | None = None, **options: Any
    ) -> Decorator: ...
    def __call__(
        self,
        function: Callable[..., Any] | None = None,
        data_flow_kernel: DataFlowKernel | None = None,
        cache: bool | str = False,
        **options: Any,
    ) -> AppBase | Decorator:
        for name in options.keys() - self._known:
            raise TypeError(
                f"{self.__name__} takes no keyword {name!r}{near(name, self._known)}; "
                f"it takes {', '.join(sorted(self._known))}"
            )
        options |= {"kind": self.kind, "data_flow_kernel": data_flow_kernel, "cache": cache}
        return functools.partial(AppBase, **options) if function is None else AppBase(function, **options)


python_app = AppDecorator("python", "Make a function an app: each call is a task, and returns its future.")
bash_app = AppDecorator(
    "bash", "Make a function that returns a command line an app that runs it; the result is the exit code, 0."
)
join_app = AppDecorator(
    "join",
    "Make a function that calls apps an app: it returns a future or a list of futures, whose result or results become "
    "its own. Its body runs in this process, whatever the executors are.",
)

_KINDS = {"python": python_app, "bash": bash_app, "join": join_app}


@overload
def app(function: Callable[..., Any], **options: Any) -> AppBase: ...
@overload
def app(function: str | None = None, **options: Any) -> Decorator: ...
def app(function: Callable[..., Any] | str | None = None, **options: Any) -> AppBase | Decorator:
    """`@app`, `@app(cache=True)` or `@app("bash", cache=True)`."""
    if isinstance(function, str):
        return App(function, **options)
    return python_app(**options) if function is None else python_app(function, **options)


def App(
    apptype: str,
    data_flow_kernel: DataFlowKernel | None = None,
    walltime: float | None = None,
    cache: bool | str = False,
    executors: str | Sequence[str] = "all",
    **options: Any,
) -> Decorator:
    """The oldest spelling: `@App('python', dfk, cache=True)`.

    `walltime` is accepted and, as in Parsl, has no effect; give `walltime=` in the call.
    """
    if apptype not in _KINDS:
        raise ConfigurationError(f"App({apptype!r}): 'python', 'bash' or 'join' is needed{near(apptype, _KINDS)}")
    if apptype != "join":
        options["executors"] = executors
    return _KINDS[apptype](None, data_flow_kernel, cache=cache, **options)
