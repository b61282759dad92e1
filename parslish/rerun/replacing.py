"""Owns replacements: that there are such apps, that the new functions can be called as they were, and that a chain of
re-executions keeps them."""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from parslish.errors import UsageError, near
from parslish.guide import replacement
from parslish.history.app_record import AppRecord
from parslish.history.entry import WORKFLOW
from parslish.history.given import NOT_COUNTED
from parslish.history.record import RunRecord
from parslish.orders import Orders, place_of
from parslish.secret import Keys

Replacements = Mapping[str, str | Callable[..., Any]]


def orders_of(record: RunRecord, keys: Keys) -> Orders | None:
    """The orders that a run had; None when it had none, or the run that it executed again is gone."""
    told = record.facts.get("orders")
    if not isinstance(told, dict) or record.parent is None or not record.parent.is_dir():
        return None
    return Orders.read(record.parent, str(told.get("id")), keys)


def chosen(record: RunRecord, given: Replacements | None, before: Orders | None) -> dict[str, str | Callable[..., Any]]:
    """What replaces which app: what is given, else what did in the run that is executed again.

    Raises:
        UsageError: there is no such app or function, or it cannot be called as the app was.
    """
    replace = dict(given) if given is not None else dict(before.replace) if before is not None else {}
    lost = sorted(name for name, each in replace.items() if each == "")
    if lost:
        raise UsageError(
            f"in run {record.id} {', '.join(lost)} was replaced by a function that cannot be found again: it is in a "
            f"script or in another function; give replace= once more"
        )
    if given is not None:
        check(record, replace)
    return replace


def check(record: RunRecord, replace: Replacements) -> None:
    """Raises UsageError, as `chosen`."""
    apps = {app.name: app for app in record.apps.values()}
    is_workflow = record.facts.get("entry", {}).get("kind") == WORKFLOW
    by_name = _given_by_name(record)
    for name, given in replace.items():
        if name not in apps:
            raise UsageError(
                f"run {record.id} has no app {name!r} to replace{near(name, apps)}; it has {', '.join(sorted(apps))}"
            )
        _check_signature(apps[name], replacement(name, given), by_name[name])
        if not (is_workflow or place_of(given)):
            raise UsageError(
                f"{name} cannot be replaced by {given!r}: the script of run {record.id} could not find it; name a "
                f"function in a module, as module:function"
            )


def _given_by_name(record: RunRecord) -> Mapping[str, set[str]]:
    """App's name → the parameters that calls of it named."""
    found: dict[str, set[str]] = defaultdict(set)
    for id, keywords in record.columns.keywords.items():
        found[record.apps[record.columns.app[id]].name].update(keywords.keys() - NOT_COUNTED)
    return found


def _check_signature(app: AppRecord, function: Callable[..., Any], by_name: Iterable[str]) -> None:
    if not callable(function):
        raise UsageError(f"{app.name} cannot be replaced by {function!r}: it takes a function, app or 'module:name'")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of a function that is not of Python
        return
    try:
        signature.bind_partial(**dict.fromkeys(by_name))
        signature.bind(*app.parameters)
    except TypeError as exc:
        try:
            signature.bind(**dict.fromkeys(app.parameters))
        except TypeError:
            taken = ", ".join(app.parameters)
            raise UsageError(
                f"{app.name}({taken}) cannot be replaced by a function that takes {signature}: {exc}"
            ) from exc
