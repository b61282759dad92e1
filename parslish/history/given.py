"""Owns what a task was given, in a form in which two calls can be compared: by parameter, with defaults filled in and
results in the place of futures, as far as the record tells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from parslish.history import columns, parameters, previews
from parslish.history.previews import Preview
from parslish.history.record import RunRecord, TaskRecord

#: Parameters that speak to parslish: where a task runs and writes, not what it computes.
NOT_COUNTED: Final = frozenset({"outputs", "stdout", "stderr", "walltime", "parsl_resource_specification", "label"})
_NOT_TOLD: Final = "…"
_HAVE_RESULTS: Final = (columns.DONE, columns.REUSED)


class Given(NamedTuple):
    """One argument: its preview, and what stands for it where that is no plain number or text."""

    preview: Preview
    digest: bytes = b""

    @property
    def text(self) -> str:
        """As people read it."""
        preview = self.preview
        return (
            str(preview["source"]) if isinstance(preview, Mapping) and "source" in preview else previews.text(preview)
        )

    @property
    def is_told(self) -> bool:
        """Whether the preview says something of the value itself."""
        preview = self.preview
        if not isinstance(preview, Mapping):
            return True
        return "file" in preview or preview.get("repr", _NOT_TOLD) != _NOT_TOLD

    def equals(self, other: Given) -> bool | None:
        """Whether both are the same value; None where that cannot be known."""
        if previews.is_exact(self.preview) and previews.is_exact(other.preview):
            return same_atom(self.preview, other.preview)
        if self.digest and other.digest:
            return self.digest == other.digest
        if not (self.is_told and other.is_told):
            return None
        if self.text == other.text and type(self.preview) is type(other.preview):
            return None
        # What a dict or set shows first is no matter of its value.
        is_ordered = "{" not in self.text + other.text
        return False if is_ordered or previews.is_exact(self.preview) != previews.is_exact(other.preview) else None


def same_atom(one: Any, other: Any) -> bool:
    """Whether two exact previews are the same value for a key: 1, 1.0 and True are not, nan is itself."""
    return type(one) is type(other) and (one is other or repr(one) == repr(other))


def arguments(task: TaskRecord) -> dict[str, Given]:
    """The arguments that count, by parameter; empty where the record tells of none."""
    bound = task.run.columns.bound.get(task.id)
    if bound is not None:
        _, _, names, digests, shown = bound
        found = {name: Given(*each) for name, *each in zip(names, shown, digests, strict=True)}
    else:
        found = _called_with(task)
    return {name: each for name, each in found.items() if name not in NOT_COUNTED and name not in task.app.ignored}


def is_told(task: TaskRecord) -> bool:
    """Whether the record tells of arguments at all: of all runs it does, unless previews were off."""
    found = task.run.columns
    return found.arguments[task.id] is not None or task.id in found.bound


def in_short(run: RunRecord, id: int) -> Sequence[Any]:
    """What a task was given, as one value that equals that of another call with equal arguments of the same form."""
    found = run.columns
    bound = found.bound.get(id)
    if bound is not None:
        return bound[3] if any(bound[3]) else bound[4]  # type: ignore[no-any-return]
    arguments = found.arguments[id] or ()
    return (*arguments, *found.keywords[id].items()) if id in found.keywords else arguments


def is_same_call(old: RunRecord, id: int, new: RunRecord, other: int) -> bool:
    """Whether two calls were surely given the same; False where a longer look has to tell."""
    was, is_ = in_short(old, id), in_short(new, other)
    if was != is_ or not all(map(_is_plain_or_bound, (old, new), (id, other))):
        return False
    kinds = list(map(type, was))
    return dict not in kinds and kinds == list(map(type, is_))


def _is_plain_or_bound(run: RunRecord, id: int) -> bool:
    """Whether no future is among the arguments of a call as it is recorded."""
    return id in run.columns.bound or id not in run.columns.dependencies


def _called_with(task: TaskRecord) -> dict[str, Given]:
    found, written = task.run.columns, parameters.of(task.app)
    values = list(found.arguments[task.id] or ())
    if written is None:
        named = dict(zip(_names(task.app.parameters, len(values)), values, strict=True))
    else:
        named = dict(zip(written.positional, values, strict=False))
        rest = values[len(written.positional) :]
        if rest and written.star is not None:
            named[written.star] = {"repr": previews.shown(tuple(rest))}
        # The same as a call that is bound has for its defaults.
        if is_told(task):
            named = {**written.defaults, **named}
    named |= found.keywords.get(task.id, {})
    return {name: Given(_result(task.run, value)) for name, value in named.items()}


def _names(parameters: Iterable[str], count: int) -> list[str]:
    known = list(parameters)[:count]
    return known + [f"*{number}" for number in range(len(known), count)]


def _result(run: RunRecord, preview: Preview) -> Preview:
    """What a future gave, where that is known; anything else as it is."""
    if not isinstance(preview, Mapping) or "task" not in preview or "of" in preview:
        return preview
    source = preview["task"]
    known = 0 <= source < run.columns.count and run.columns.status[source] in _HAVE_RESULTS
    result: Preview = run.columns.result[source] if known else preview
    return result
