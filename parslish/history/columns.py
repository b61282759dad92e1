"""Owns how the events of a run are folded: one column a field, one row a task, in the order of task ids.

Columns of numbers are arrays, and what few tasks have is in dicts by task id: a million tasks take seconds, and some
hundred bytes each.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Final

from parslish.history import previews
from parslish.history.collecting import no_collection
from parslish.history.event import Event, Kind, fits
from parslish.history.previews import ATOMS, Preview

NEVER: Final = 0.0  # in columns of times
UNKNOWN: Final = -1  # in columns of numbers

#: Where a task stands, as far as the record tells.
WAITING, RUNNING, DONE, REUSED, FAILED, UPSTREAM_FAILED, CANCELLED, RETRYING = range(8)
_FAILED_AS: Final = {
    "fail_retryable": RETRYING, "failed": FAILED, "dep_fail": UPSTREAM_FAILED, "cancelled": CANCELLED,
}  # fmt: skip
#: Of two such events the one further on in this order counts: a task may be cancelled as its result comes.
_ENDED: Final = frozenset({DONE, REUSED, FAILED, UPSTREAM_FAILED, CANCELLED})
_GROWTH: Final = 4096
_FEW: Final = 1 << 16
_NONE: Final = type(None)
_BYTES: Final = frozenset({bytes})
_NO_DIGESTS: Final = (b"",)


class Columns:
    """What the events of a run come to."""

    def __init__(self) -> None:
        self._most = 0
        self._names: dict[tuple[str, ...], tuple[str, ...]] = {}
        self.count = 0  #: rows; ids of which nothing is known have app -1
        self.app = array("i")
        self.status = bytearray()
        self.submitted, self.ended = array("d"), array("d")
        self.started, self.duration, self.cpu = array("d"), array("d"), array("d")
        self.peak_memory = array("q")
        self.parent, self.position, self.occurrence = array("i"), array("i"), array("i")
        self.scope, self.worker, self.tries = array("i"), array("i"), array("i")
        self.key: list[bytes | None] = []
        self.arguments: list[Any] = []
        self.result: list[Any] = []
        # By task id, of those that have any.
        self.label: dict[int, str] = {}
        self.dependencies: dict[int, tuple[int, ...]] = {}
        self.keywords: dict[int, dict[str, Any]] = {}
        self.bound: dict[int, Event] = {}
        self.inputs: dict[int, tuple[str, ...]] = {}
        self.outputs: dict[int, tuple[str, ...]] = {}
        self.call: dict[int, bytes] = {}
        self.origin: dict[int, tuple[int | None, int]] = {}
        self.failures: dict[int, list[Event]] = {}
        self.missed: dict[int, tuple[str, str]] = {}
        self.forced: dict[int, str] = {}
        # Of the run.
        self.starts: list[Event] = []
        self.ends: list[Event] = []
        self.apps: dict[int, Event] = {}
        self.workers: dict[int, str] = {}
        self.scopes: dict[int, Event] = {}
        self.troubles: list[Event] = []
        self.marks: list[Event] = []

    def fold(self, groups: Iterable[Iterable[Event]], most: int = _FEW) -> None:
        """Take in groups of events, in any order. One that does not look like its kind is passed over.

        Args:
            most: how many tasks there may be at most: a lie about a task's id must not take memory.
        """
        self._most = most
        takes: dict[int, Callable[[Event], None]] = {
            Kind.SUBMIT: self._submit, Kind.START: self._start, Kind.END: self._end, Kind.REUSE: self._reuse,
            Kind.ARGUMENTS: self._arguments,
            **dict.fromkeys(self._rare, self._take_rare),
        }  # fmt: skip
        nothing: Callable[[Event], None] = lambda event: None  # noqa: E731 — of a kind that is not known
        with no_collection():
            for group in groups:
                for event in group:
                    try:
                        takes.get(event[0], nothing)(event)
                    except (LookupError, TypeError, ValueError, OverflowError):
                        continue
        self._trim()

    # ---------------------------------------------------------------------------------- events

    def _submit(self, event: Event) -> None:
        _, task, time, app, parent, position, occurrence, label, dependencies, *rest = event
        if not 0 <= task < self.count:
            self._row(task)
        if app < 0 or not UNKNOWN <= parent < task:  # so that nobody is an ancestor of himself
            raise ValueError
        if label is not None and type(label) is not str:
            raise TypeError
        self.submitted[task] = time
        self.parent[task], self.position[task], self.occurrence[task] = parent, position, occurrence
        if label is not None:
            self.label[task] = label
        if dependencies and (known := _ids(dependencies, task)):
            self.dependencies[task] = known
        if rest:
            arguments, keywords, scope, *more = rest
            if scope < UNKNOWN:
                raise ValueError
            self.scope[task] = scope
            if arguments is not None:
                self.arguments[task] = _previews(arguments)
            if keywords or more:
                self._describe(task, keywords, *more)
        self.app[task] = app  # the last: who has one is told of

    def _describe(
        self, task: int, keywords: Any, inputs: Any = (), outputs: Any = (), call: Any = None, *more: Any
    ) -> None:
        """What there is of a call that is not plain."""
        if type(keywords) is dict:
            self.keywords[task] = dict(zip(_texts(tuple(keywords)), _previews(tuple(keywords.values())), strict=True))
        if inputs:
            self.inputs[task] = _texts(inputs)
        if outputs:
            self.outputs[task] = _texts(outputs)
        if type(call) is bytes:
            self.call[task] = call

    def _start(self, event: Event) -> None:
        _, task, time, number, worker, *_ = event
        if not 0 <= task < self.count:
            self._row(task)
        if self.status[task]:
            self._start_again(task, time, number, worker)
            return
        self.started[task], self.tries[task], self.worker[task] = time, number, worker
        self.status[task] = RUNNING

    def _start_again(self, task: int, time: float, number: int, worker: int) -> None:
        status, tries = self.status[task], self.tries[task]
        if number > tries or (status == RUNNING and number == tries):
            self.tries[task], self.worker[task] = number, worker
            if status in (RUNNING, RETRYING):
                self.started[task], self.status[task] = time, RUNNING
        if not self.started[task]:
            self.started[task] = time

    def _end(self, event: Event) -> None:
        _, task, time, key, worker, started, duration, cpu, peak_memory, *result = event
        if not 0 <= task < self.count:
            self._row(task)
        if type(key) is not bytes and key is not None:
            raise TypeError
        self.ended[task], self.started[task], self.duration[task] = time, started, duration
        self.cpu[task], self.peak_memory[task], self.key[task] = cpu, peak_memory, key
        if worker is not None:
            self.worker[task] = worker
        if result:
            self.result[task] = result[0] if type(result[0]) in ATOMS else previews.read(result[0])
        if self.status[task] not in _ENDED:
            self.status[task] = DONE

    def _reuse(self, event: Event) -> None:
        _, task, time, key, run, origin, *result = event
        if not 0 <= task < self.count:
            self._row(task)
        if type(origin) is not int or type(run) not in (int, _NONE) or type(key) not in (bytes, _NONE):
            raise TypeError
        self.ended[task] = self.started[task] = time
        self.key[task], self.origin[task] = key, (run, origin)
        if result:
            self.result[task] = result[0] if type(result[0]) in ATOMS else previews.read(result[0])
        if self.status[task] not in _ENDED:
            self.status[task] = REUSED

    def _arguments(self, event: Event) -> None:
        kind, task, names, digests, arguments, *_ = event
        if type(task) is not int or not len(names) == len(digests) == len(arguments):
            raise ValueError
        known = self._names.get(names)  # the same for all calls of an app
        if known is None:
            known = self._names[names] = _texts(names)
        if any(digests) and not _BYTES.issuperset(map(type, digests)):
            raise TypeError
        shown = tuple(digests) if any(digests) else _NO_DIGESTS * len(names)
        self.bound[task] = (kind, task, known, shown, _previews(arguments))

    # ---------------------------------------------------------------------------------- events of which there are few

    def _take_rare(self, event: Event) -> None:
        if fits(event):
            self._rare[event[0]](self, event)

    def _fail(self, event: Event) -> None:
        _, task, time, number, state, *_ = event
        if not 0 <= task < self.count:
            self._row(task)
        status, before, tries = _FAILED_AS.get(state, FAILED), self.status[task], self.tries[task]
        self.tries[task], self.key[task] = max(number, tries), event[8]
        self.failures.setdefault(task, []).append(event)
        if status != RETRYING:
            self.ended[task] = time
            self.status[task] = max(status, before) if before in _ENDED else status
            if self.started[task] and not self.duration[task]:
                self.duration[task] = time - self.started[task]
        elif before not in _ENDED and number >= tries:
            self.status[task] = RETRYING

    def _miss(self, event: Event) -> None:
        self.missed[event[1]] = event[2], event[3]

    def _force(self, event: Event) -> None:
        self.forced[event[1]] = event[2]

    _rare: ClassVar[Mapping[int, Callable[[Columns, Event], None]]] = {
        Kind.FAIL: _fail, Kind.MISS: _miss, Kind.FORCE: _force,
        Kind.APP: lambda self, event: self.apps.__setitem__(event[1], event),
        Kind.WORKER: lambda self, event: self.workers.__setitem__(event[1], event[2]),
        Kind.SCOPE: lambda self, event: self.scopes.__setitem__(event[1], event),
        Kind.RUN_START: lambda self, event: self.starts.append(event),
        Kind.RUN_END: lambda self, event: self.ends.append(event),
        Kind.TROUBLE: lambda self, event: self.troubles.append(event),
        Kind.MARK: lambda self, event: self.marks.append(event),
    }  # fmt: skip

    # ---------------------------------------------------------------------------------- rows

    def _row(self, task: int) -> None:
        if type(task) is not int or not 0 <= task < self._most:
            raise ValueError
        if task >= len(self.status):
            self._make_room(task)
        self.count = task + 1

    def reach(self, task: int) -> None:
        """Have a row for a task that has none."""
        if task >= len(self.status):
            self._make_room(task)
        self.count = task + 1

    def _make_room(self, task: int) -> None:
        """Rows come many at a time."""
        room = len(self.status)
        more = max(_GROWTH, task + 1 - room, room // 2)
        for name, empty in _EMPTY.items():
            getattr(self, name).extend(empty * more)

    def _trim(self) -> None:
        for name in _EMPTY:
            del getattr(self, name)[self.count :]


#: The columns that have a row for each task, each with an empty row.
_EMPTY: Final[Mapping[str, Any]] = {
    "status": bytes(1),
    **dict.fromkeys(("app", "parent", "scope", "worker"), array("i", [UNKNOWN])),
    **dict.fromkeys(("position", "occurrence", "tries"), array("i", [0])),
    **dict.fromkeys(("submitted", "started", "ended", "duration", "cpu"), array("d", [NEVER])),
    "peak_memory": array("q", [0]),
    **{name: [None] for name in ("key", "arguments", "result")},
}


def _ids(found: Any, task: int) -> tuple[int, ...]:
    """The ids of earlier tasks among these: a future of another kernel's may be there too."""
    if len(found) == 1 and type(found[0]) is int and 0 <= found[0] < task:
        return tuple(found)
    return tuple([each for each in array("q", found) if 0 <= each < task])


def _texts(found: Any) -> tuple[str, ...]:
    if type(found) is not tuple or not {str}.issuperset(map(type, found)):
        raise TypeError
    return found


def _previews(found: Any) -> tuple[Preview, ...]:
    if type(found) is not tuple:
        raise TypeError
    return found if ATOMS.issuperset(map(type, found)) else tuple(map(previews.read, found))
