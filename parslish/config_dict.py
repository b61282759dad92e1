"""Owns the two dict dialects of a configuration and the tables of executors; leaves the fields to `config`.

* plain: the keyword names of `Config`, with executors as tables: `{"retries": 2, "executors": [{"kind":
  "threads", "max_threads": 4}]}`. TOML files hold the same.
* sites: that of Parsl up to 0.5: `{"sites": [{"site": "Local_Threads", "execution": {"executor": "threads",
  "maxThreads": 4}}], "globals": {"lazyErrors": True, "checkpointMode": "dfk_exit"}}`.

Both become the same list of `Given`s, which `Config` checks. Nobody's dict is changed.
"""

from __future__ import annotations

import concurrent.futures
import importlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from parslish.config_check import (
    Check,
    any_text,
    count,
    folder,
    one_of,
    refuse,
    text,
    unknown,
)
from parslish.errors import ConfigurationError

if TYPE_CHECKING:
    from parslish.executors.base import Executor

logger = logging.getLogger(__name__)


class Given(NamedTuple):
    """One field as the user gave it: `place` is the user's spelling, `name` the field's."""

    place: str
    name: str
    value: Any


class Kind(NamedTuple):
    """An executor that a table can ask for: where its class is, and what its arguments take."""

    module: str
    cls: str
    arguments: Mapping[str, Check]


# Imported when asked for: a thread pool must not pay for the start of loky.
KINDS: Mapping[str, Kind] = {
    "threads": Kind(
        "parslish.executors.threads",
        "ThreadPoolExecutor",
        {
            "label": text,
            "max_threads": count(1),
            "thread_name_prefix": any_text,
            "working_dir": folder,
        },
    ),
    "processes": Kind(
        "parslish.executors.processes",
        "ProcessPoolExecutor",
        {"label": text, "max_workers": count(1)},
    ),
}

# The sites dialect: its executors, and the argument that each of its two words for the size becomes.
_SITE_KINDS = {"threads": "threads", "processes": "processes", "ipp": "processes"}
_SIZE = {"threads": "max_threads", "processes": "max_workers"}
_SITE_FIELDS = ("site", "auth", "execution")
_EXECUTION_FIELDS = ("executor", "maxThreads", "maxWorkers", "provider", "block", "channel", "launcher")
_SITES_DIALECT = ("sites", "globals", "controller")


def given(config: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[Given]:
    """The fields that a dict of either dialect sets.

    Args:
        config: the user's dict.
        names: each accepted spelling of a field → the field.

    Raises:
        ConfigurationError: a field is unknown, given twice, or not of the dialect's shape.
    """
    if any(key in config for key in _SITES_DIALECT):
        return _from_sites(config, names)
    return renamed("", config, names)


def renamed(place: str, fields: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[Given]:
    """Fields under any spelling → under the field's own."""
    seen: dict[str, str] = {}
    for spelling, value in fields.items():
        name = names.get(spelling) if isinstance(spelling, str) else None
        if name is None:
            # Told in the words of the dialect, though any spelling is taken.
            unknown(place, spelling, [each for each in names if "_" not in each] if place else names.values())
        where = f"{place}.{spelling}" if place else spelling
        if name in seen:
            raise ConfigurationError(f"{where}: means the same as {seen[name]}; give one of them")
        seen[name] = where
        yield Given(where, name, value)


def executors(place: str, value: Any) -> list[Executor]:
    """Check: takes a list of executors, or of tables that describe them; makes the latter."""
    from parslish.executors.base import Executor

    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        refuse(place, value, "a list of executors")
    made: list[Executor] = []
    for i, item in enumerate(value):
        if isinstance(item, concurrent.futures.Executor):
            item = _of_pool(item)
        made.append(item if isinstance(item, Executor) else executor(f"{place}[{i}]", item))
    if not made:
        raise ConfigurationError(f"{place}: the list is empty, takes at least one executor")
    _unique_labels(place, made)
    return made


def _of_pool(pool: concurrent.futures.Executor) -> Executor:
    """The oldest Parsl scripts name the standard library's pools."""
    from parslish.executors.pool import PoolExecutor

    return PoolExecutor(pool, label=f"{type(pool).__name__}-{id(pool):x}")


def _unique_labels(place: str, made: Iterable[Executor]) -> None:
    """Refuse two executors with one label: apps pick executors by it."""
    seen = set()
    for each in made:
        if each.label in seen:
            raise ConfigurationError(f"{place}: two executors have the label {each.label!r}; give each its own")
        seen.add(each.label)


def executor(place: str, table: Any) -> Executor:
    """The executor that a table describes, such as `{"kind": "threads", "label": "io", "max_threads": 4}`."""
    if not isinstance(table, Mapping):
        refuse(place, table, "an executor, or a table with its kind")
    if "kind" not in table:
        raise ConfigurationError(f"{place}: the field kind is missing, takes one of {', '.join(KINDS)}")
    name: str = one_of(*KINDS)(f"{place}.kind", table["kind"])
    kind = KINDS[name]
    arguments = {}
    for field, value in table.items():
        if field not in kind.arguments and field != "kind":
            unknown(place, field, ["kind", *kind.arguments])
        if field != "kind" and value is not None:  # None: as the executor's own default
            arguments[field] = kind.arguments[field](f"{place}.{field}", value)
    made: Executor = getattr(importlib.import_module(kind.module), kind.cls)(**arguments)
    return made


def _from_sites(config: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[Given]:
    for key in config:
        if key not in _SITES_DIALECT:
            unknown("", key, _SITES_DIALECT)
    if "sites" in config:
        sites = config["sites"]
        if not isinstance(sites, list | tuple):
            refuse("sites", sites, "a list of sites")
        tables = [_site(f"sites[{i}]", site) for i, site in enumerate(sites)]
        yield Given("sites", "executors", tables)
    yield from renamed("globals", _table("globals", config.get("globals", {})), names)


def _site(place: str, site: Any) -> dict[str, Any]:
    """A site as the table of its executor."""
    _only(place, _table(place, site), _SITE_FIELDS)
    inside = f"{place}.execution"
    execution = _table(inside, site.get("execution"))
    _only(inside, execution, _EXECUTION_FIELDS)
    spelled = one_of(*_SITE_KINDS)(f"{inside}.executor", execution.get("executor"))
    kind = _SITE_KINDS[spelled]
    if spelled != kind:
        logger.info("%s: executor %r is run by parslish's own %s executor", place, spelled, kind)
    _local(f"{inside}.provider", execution.get("provider"))
    table = {"kind": kind}
    if "site" in site:
        table["label"] = text(f"{place}.site", site["site"])
    for spelling in ("maxThreads", "maxWorkers"):
        if execution.get(spelling) is not None:
            table[_SIZE[kind]] = count(1)(f"{inside}.{spelling}", execution[spelling])
    return table


def _local(place: str, provider: Any) -> None:
    # Taken in silence, a cluster's configuration would run its whole load on the login node.
    if provider not in (None, "local"):
        refuse(place, provider, "None or 'local': a site of this dialect runs on this machine")


def _table(place: str, value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else refuse(place, value, "a table (a dict)")


def _only(place: str, table: Mapping[str, Any], known: Iterable[str]) -> None:
    for field in table:
        if field not in known:
            unknown(place, field, known)
