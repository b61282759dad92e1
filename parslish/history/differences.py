"""Owns what differs between two tasks of two runs, part by part of what goes into a key. What differs in code is
`code_diff`'s to say, what a task was given `given`'s, what kinds of reasons there are `reason`'s."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from parslish.history import code_diff, columns, given, parameters
from parslish.history.given import Given
from parslish.history.reason import Reason
from parslish.history.record import RunRecord, TaskRecord


class Differences:
    """What differs between tasks of two runs, which may be the same.

    Args:
        old, new: their records.
    """

    def __init__(self, old: RunRecord, new: RunRecord) -> None:
        self.old, self.new = old, new
        self._code: dict[tuple[int, int], list[Reason]] = {}

    def between(self, old: TaskRecord, new: TaskRecord) -> list[Reason]:
        """The parts that differ between a task of the old run and one of the new; none when their keys are equal.

        Where keys differ and nothing that is recorded does, that is the one reason given.
        """
        return self._between(old, new, with_cause=True)

    def code(self, old: int, new: int) -> list[Reason]:
        """What differs between two apps, by their numbers in the two runs."""
        found = self._code.get((old, new))
        if found is None:
            found = self._code[old, new] = list(self._of_apps(old, new))
        return found

    def _between(self, old: TaskRecord, new: TaskRecord, *, with_cause: bool) -> list[Reason]:
        if old.key is not None and old.key == new.key:
            return []
        unknown: list[str] = []
        others = [
            *self.code(old.run.columns.app[old.id], new.run.columns.app[new.id]),
            *_of_outputs(old, new),
            *_of_place(old, new),
        ]
        if others and _is_same_call(old, new):  # of many that changed, most have this in common
            return others
        found = [*self._of_arguments(old, new, unknown, with_cause=with_cause), *others]
        if not found and old.key is not None and new.key is not None:
            found.append(_nothing_recorded(old, new, unknown))
        return found

    # ---------------------------------------------------------------------------------- arguments

    def _of_arguments(
        self, old: TaskRecord, new: TaskRecord, unknown: list[str], *, with_cause: bool
    ) -> Iterator[Reason]:
        if not (given.is_told(old) and given.is_told(new)):
            unknown.append("the arguments (no previews were kept)")
            return
        before, now = given.arguments(old), given.arguments(new)
        for name in dict.fromkeys([*now, *before]):
            was, is_ = before.get(name), now.get(name)
            equal = _equal(was, is_)
            if equal is None:
                unknown.append(f"argument {name}")
            elif not equal:
                cause = self._cause(old, new, name) if with_cause else None
                yield _of_argument(name, was, is_, cause, is_default=_is_default(old, new, name))

    def _cause(self, old: TaskRecord, new: TaskRecord, name: str) -> tuple[str, str] | None:
        """The path of the task whose result an argument is, and what became of that; None where it is of no task, or
        that task is what it was."""
        for source, before in _sources(old, new, name):
            then = None if before is None else self.old.task(before)
            said = self._what_became(then, self.new.task(source))
            if said is not None:
                return self.new.path_of(source), said
        return None

    def _what_became(self, old: TaskRecord | None, new: TaskRecord) -> str | None:
        if old is None:
            return "gives it now"
        what = "ran again" if new.run.columns.status[new.id] == columns.DONE else "is not what it was"
        found = self._between(old, new, with_cause=False)
        if found:
            return f"{what}: {found[0].sentence}"
        if Given(old.result).equals(Given(new.result)) is not False:
            return None
        forced = "" if new.forced is None else f" ({new.forced})"
        return f"ran again{forced} and gave another result, though no part of it differs"

    # ---------------------------------------------------------------------------------- apps

    def _of_apps(self, number: int, new_number: int) -> Iterator[Reason]:
        old, new = self.old.apps[number], self.new.apps[new_number]
        for what, was, is_ in (("name", old.name, new.name), ("kind", old.kind, new.kind)):
            if was != is_:
                yield Reason("app_changed", f"the app's {what} was {was} and is {is_}", {"old": was, "new": is_})
        if old.version != new.version:
            facts = {"app": new.name, "old": old.version, "new": new.version}
            yield Reason("version_changed", _version_sentence(old.version, new.version), facts)
            return
        if old.code and new.code and old.code != new.code and new.version is None:
            before, now = f"run {self.old.id}", f"run {self.new.id}"
            found = code_diff.changes(old.parts, new.parts, before=before, now=now)
            for each in found:
                yield Reason("code_changed", each.sentence, {"app": new.name, **each.to_json()})
            if not found:
                hint = "its code changed, in a way that its recorded parts do not show"
                yield Reason("code_changed", hint, {"app": new.name})


def _is_same_call(old: TaskRecord, new: TaskRecord) -> bool:
    """Whether two tasks were surely given the same, defaults included."""
    same_defaults = parameters.of(old.app) == parameters.of(new.app)
    return same_defaults and given.is_told(old) and given.is_same_call(old.run, old.id, new.run, new.id)


def _equal(was: Given | None, is_: Given | None) -> bool | None:
    if was is not None and is_ is not None:
        return was.equals(is_)
    there = was or is_
    assert there is not None
    # Parameters that take what is left are None when nothing is, and a plain call does not tell of them.
    return True if there.preview is None else (False if there.is_told else None)


def _is_default(old: TaskRecord, new: TaskRecord, name: str) -> bool:
    """Whether a parameter was left to its default both times."""
    written = parameters.of(new.app)
    return written is not None and name in written.defaults and name not in old.given and name not in new.given


def _of_argument(
    name: str, was: Given | None, is_: Given | None, cause: tuple[str, str] | None, *, is_default: bool
) -> Reason:
    facts: dict[str, Any] = {"argument": name, "old": was and was.text, "new": is_ and is_.text, "default": is_default}
    text = f"the default of argument {name}" if is_default else f"argument {name}"
    if was is None or is_ is None:
        text += f" is new: {facts['new']}" if was is None else f" is no longer given; it was {facts['old']}"
    elif was.text == is_.text:
        text += f" changed, though it shows as {is_.text} both times"
    else:
        text += f" was {was.text} and is {is_.text}"
    if cause is not None:
        facts["task"], facts["because"] = cause
        text += f", because {cause[0]} {cause[1]}"
    return Reason("argument_changed", text, facts)


def _sources(old: TaskRecord, new: TaskRecord, name: str) -> Iterator[tuple[int, int | None]]:
    """The tasks whose results an argument is made of, each with the one that stood in its place before."""
    then, now = old.given, new.given
    direct = _task_in(now.get(name))
    if direct is not None:
        yield direct, _task_in(then.get(name))
        return
    if name in now and isinstance(now[name], Mapping):  # futures inside a list or dict: which, is not told
        before, after = (_inside(task, each) for task, each in ((old, then), (new, now)))
        if len(before) == len(after):
            yield from zip(after, before, strict=True)


def _task_in(preview: Any) -> int | None:
    task = preview.get("task") if isinstance(preview, Mapping) else None
    return task if isinstance(task, int) else None


def _inside(task: TaskRecord, shown: Mapping[str, Any]) -> Sequence[int]:
    direct = {_task_in(each) for each in shown.values()}
    return [id for id in task.dependencies if id not in direct]


def _version_sentence(old: str | None, new: str | None) -> str:
    if old is None:
        return f"version {new!r} stands for its code now"
    if new is None:
        return f"its code counts again, and no longer its version {old!r}"
    return f"its version was {old!r} and is {new!r}"


def _of_outputs(old: TaskRecord, new: TaskRecord) -> Iterator[Reason]:
    was, is_ = _places(old), _places(new)
    if was != is_:
        text = f"it writes {', '.join(is_) or 'no files'}, and wrote {', '.join(was) or 'none'}"
        yield Reason("outputs_changed", text, {"old": was, "new": is_})


def _places(task: TaskRecord) -> list[str]:
    cwd = str(task.run.facts.get("cwd", ""))
    return [each if "://" in each else os.path.normpath(os.path.join(cwd, each)) for each in task.outputs]


def _of_place(old: TaskRecord, new: TaskRecord) -> Iterator[Reason]:
    if new.app.draws and old.app.draws and (old.path != new.path or _seed(old.run) != _seed(new.run)):
        text = f"it draws random numbers, and {old.path} of run {old.run.id} drew others"
        yield Reason("other_place", text, {"old": old.path, "new": new.path})
    if new.app.cache != "replay" or old.app.cache != "replay":
        return
    if old.run.root != new.run.root:
        text = f'with cache="replay" a result counts only in its chain of runs, and run {new.run.id} began another'
        yield Reason("other_lineage", text, {"old": old.run.id, "new": new.run.id})
    elif old.path != new.path:
        text = f'with cache="replay" a result counts only at its place, which was {old.path}'
        yield Reason("other_place", text, {"old": old.path, "new": new.path})


def _nothing_recorded(old: TaskRecord, new: TaskRecord, unknown: Sequence[str]) -> Reason:
    text = "the parts that are recorded are equal"
    if unknown:
        text += f"; whether {' and '.join(unknown)} changed cannot be known"
    else:
        text += "; what differs is not recorded, such as a default value that is computed"
    return Reason("not_recorded", text, {"unknown": list(unknown), "old": old.path, "new": new.path})


def _seed(run: RunRecord) -> tuple[Any, str]:
    seed = run.facts.get("seed")
    return seed, run.root if seed is None else ""
