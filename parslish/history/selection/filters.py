"""Owns the table of filters such as `status:failed`: what words each takes, and which tasks of a run it means.

Those here go by what the record tells, which says nothing of a task that has just come; those by name and place, which
do, are in `places`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from parslish.errors import near
from parslish.history import columns as states
from parslish.history.record import STATUSES, AppRecord, RunRecord
from parslish.history.selection import places
from parslish.history.selection.expression import Filter
from parslish.history.selection.places import Ids, Matches
from parslish.history.selection.words import any_of, length_s, shown_time, time_s

if TYPE_CHECKING:
    from parslish.history.selection.meaning import Meaning

_KINDS: Final = ("python", "bash", "join")
CHANGED, SAME, NEW = _CODE = ("changed", "same", "new")
_ORDERS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_WITH_ERROR: Final = frozenset({states.FAILED, states.UPSTREAM_FAILED, states.RETRYING, STATUSES.index("lost")})


class FilterKind(NamedTuple):
    """What one filter takes and means.

    Args:
        example: how it is written.
        there: the words that would mean something in a run, or a sentence about it.
        matches: made of a filter: whether a task that comes is meant. None: the record tells.
        check: raises ValueError for a word that can mean nothing in any run.
        has_operator: whether < or the like stands before its word.
    """

    example: str
    ids: Callable[[Meaning, Filter], Ids]
    there: Callable[[Meaning], Iterable[str] | str]
    matches: Callable[[Filter], Matches] | None = None
    check: Callable[[str], object] = str
    has_operator: bool = False


def _with_id(meaning: Meaning, each: Filter) -> Ids:
    return [id for word in each.words if (id := meaning.task_at(word)) is not None]


def _ids(meaning: Meaning) -> str:
    return f"its tasks are 0 to {len(meaning.run) - 1}"


def _with_status(meaning: Meaning, each: Filter) -> Ids:
    found = meaning.run.columns
    wanted = {STATUSES.index(word) for word in each.words}
    return [id for id, status in enumerate(found.status) if status in wanted]


def _statuses(meaning: Meaning) -> Iterable[str]:
    found = meaning.run.columns.status
    return [STATUSES[status] for status in sorted({found[id] for id in meaning.all})]


def _on_worker(meaning: Meaning, each: Filter) -> Ids:
    """A worker is `host:pid` or `host:pid:thread`; the first parts of that will do."""
    is_worker = any_of(each.words)
    workers = meaning.run.workers
    wanted = {number for number, worker in workers.items() if any(map(is_worker, _hosts_and_workers(worker)))}
    return _with_workers(meaning, wanted)


def _on_host(meaning: Meaning, each: Filter) -> Ids:
    is_host = any_of(each.words)
    workers = meaning.run.workers
    return _with_workers(meaning, {number for number, worker in workers.items() if is_host(worker.partition(":")[0])})


def _hosts_and_workers(worker: str) -> Iterator[str]:
    while worker:
        yield worker
        worker = worker.rpartition(":")[0]


def _with_workers(meaning: Meaning, wanted: set[int]) -> Ids:
    found = meaning.run.columns
    return [id for id, worker in enumerate(found.worker) if worker in wanted]


def _hosts(meaning: Meaning) -> Iterable[str]:
    return {worker.partition(":")[0] for worker in meaning.run.workers.values()}


def _workers(meaning: Meaning) -> Iterable[str]:
    return meaning.run.workers.values()


def _with_error(meaning: Meaning, each: Filter) -> Ids:
    is_meant = any_of(each.words)
    return [id for id, error in _errors(meaning) if is_meant(error) or is_meant(error.rpartition(".")[2])]


def _errors(meaning: Meaning) -> Iterator[tuple[int, str]]:
    """The type of what each failed task raised last."""
    found = meaning.run.columns
    for id, failures in found.failures.items():
        if found.status[id] in _WITH_ERROR:
            yield id, str(failures[-1][5])


def _error_types(meaning: Meaning) -> Iterable[str]:
    return {error for _, error in _errors(meaning)}


def _lasting(meaning: Meaning, each: Filter) -> Ids:
    """Of those that ran and ended; what was reused took no time."""
    compare, limit_s = _ORDERS[each.operator], length_s(each.words[0])
    found = meaning.run.columns
    return [
        id
        for id, duration in enumerate(found.duration)
        if compare(duration, limit_s) and found.started[id] and found.ended[id] and found.status[id] != states.REUSED
    ]


def _durations(meaning: Meaning) -> str:
    longest = max(meaning.run.columns.duration, default=0.0)
    return f"the longest took {longest:.3g} s"


def _after(meaning: Meaning, each: Filter) -> Ids:
    """Submitted after a time, or after a task had ended."""
    found = meaning.run.columns
    times = _times(meaning, each, lambda id: found.ended[id] or float("inf"))
    first = min(times, default=float("inf"))
    return [id for id, time in enumerate(found.submitted) if time > first]


def _before(meaning: Meaning, each: Filter) -> Ids:
    """Submitted before a time, or before a task was."""
    found = meaning.run.columns
    last = max(_times(meaning, each, lambda id: found.submitted[id]), default=0.0)
    return [id for id, time in enumerate(found.submitted) if time < last]


def _times(meaning: Meaning, each: Filter, of_task: Callable[[int], float]) -> Iterator[float]:
    for word in each.words:
        if not word.startswith("-"):
            yield time_s(word)
        elif (id := meaning.task_at(word)) is not None:
            yield of_task(id)


def _submitted(meaning: Meaning) -> str:
    times = [meaning.run.columns.submitted[id] for id in meaning.all]
    return f"they were submitted from {shown_time(min(times))} to {shown_time(max(times))}"


def _with_code(meaning: Meaning, each: Filter) -> Ids:
    if meaning.parent is None:
        meaning.unknown.append(
            f"{each} has no other run to compare with: this one continues none; name one as `parent`"
        )
        return ()
    before = _codes(meaning.parent)
    return meaning.of_apps(lambda app: _compared(app, before) in each.words)


def _codes(run: RunRecord) -> Mapping[tuple[str, str], set[str]]:
    """What stands for the code of each app of a run."""
    codes: dict[tuple[str, str], set[str]] = {}
    for app in run.apps.values():
        codes.setdefault((app.module, app.name), set()).add(app.code)
    return codes


def _compared(app: AppRecord, before: Mapping[tuple[str, str], set[str]]) -> str:
    """What became of an app's code; "" where it is not known, as of one that is not cached."""
    codes = before.get((app.module, app.name))
    if codes is None:
        return NEW
    if not app.code or codes == {""}:
        return ""
    return SAME if app.code in codes else CHANGED


def _code_words(meaning: Meaning) -> str:
    assert meaning.parent is not None
    before = _codes(meaning.parent)
    found = {f"{app.name} ({_compared(app, before) or 'not known: not cached'})" for app in meaning.run.apps.values()}
    return f"compared with run {meaning.parent.id}, its apps are {', '.join(sorted(found))}"


# ------------------------------------------------------------------------------------- the table


def _one_of(what: str, known: tuple[str, ...]) -> Callable[[str], object]:
    def check(word: str) -> None:
        if word not in known:
            raise ValueError(f"{word!r} is no {what}{near(word, known)}; there are {', '.join(known)}")

    return check


def _time_or_task(word: str) -> object:
    return None if word.startswith(("-/", "-.")) else time_s(word)


def _is_id(word: str) -> None:
    if not (word.isascii() and word.isdecimal()):
        raise ValueError(f"{word!r} is no id of a task: takes a number, as id:17")


FILTERS: Final[Mapping[str, FilterKind]] = {
    "name": FilterKind('name:"relax_*"', places.named, places.apps, places.name_matches),
    "path": FilterKind("path:-/scan[2]/**", places.at_paths, places.paths, places.path_matches),
    "label": FilterKind("label:Si", places.labelled, places.labels, places.label_matches),
    "kind": FilterKind("kind:join", places.of_kind, places.kinds, places.kind_matches, _one_of("kind of app", _KINDS)),
    "scope": FilterKind("scope:scan", places.in_scope, places.names, places.scope_matches),
    "tag": FilterKind("tag:scan", places.tagged, places.names, places.tag_matches),
    "id": FilterKind("id:17", _with_id, _ids, check=_is_id),
    "status": FilterKind("status:failed", _with_status, _statuses, check=_one_of("status", STATUSES)),
    "host": FilterKind("host:node7", _on_host, _hosts),
    "worker": FilterKind("worker:node7:4242", _on_worker, _workers),
    "exc": FilterKind("exc:ValueError", _with_error, _error_types),
    "duration": FilterKind("duration:>10m", _lasting, _durations, check=length_s, has_operator=True),
    "after": FilterKind("after:2026-11-21T16:30", _after, _submitted, check=_time_or_task),
    "before": FilterKind("before:2026-11-21T16:30", _before, _submitted, check=_time_or_task),
    "code": FilterKind("code:changed", _with_code, _code_words, check=_one_of("state of code", _CODE)),
}
