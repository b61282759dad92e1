"""Owns deciding which results are copied from store to store. Nothing is changed here; `moving` copies them.

What cannot be read is told, and the rest is copied. What is signed by nobody we know is copied only for who says so:
from then on it is ours, and will be opened.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from parslish.care import parsl
from parslish.care.frames import Reading
from parslish.care.here import Here
from parslish.care.items import Item, items
from parslish.care.prune import run_dir_of
from parslish.care.reach import Reached
from parslish.care.selection import Choice, Filter, both, most_recent
from parslish.errors import BadCheckpoint, Untrusted, UsageError
from parslish.secret import Keys, key_file
from parslish.store.disk import OS_DISK, Disk
from parslish.store.frame import NewerFormat
from parslish.store.loading import NoSegment, quickly
from parslish.store.report import Finding, Kind, Report
from parslish.store.source import Refused

#: What to do about results that no key of ours has signed.
_NAME_KEY: Final = "name the key file that their account has exported (--key FILE)"
_OR_TRUST: Final = "; or take them with --trust, if you trust whoever could write there as you trust yourself"


@dataclass(frozen=True, slots=True)
class Transfer:
    """Results that are to be copied, and what the stores are read with.

    Args:
        sources: folders or segments that can be read.
        keys: whose signatures count; None: records count whoever signed them.
        takes: whether a result is among them.
        apps: how many there are of each app; size_bytes: of all of them.
        known: results that were chosen too, but are where they would go.
        invalidated: results that were chosen too, but were invalidated where they would go.
        findings: what cannot be read, and is not copied.
        advice: what to do about those findings that are about signatures.
    """

    sources: tuple[Path, ...]
    keys: Keys | None
    takes: Choice
    apps: Mapping[str, int]
    size_bytes: int
    known: int
    invalidated: int
    findings: tuple[Finding, ...]
    advice: str
    shared: bool
    disk: Disk

    @property
    def records(self) -> int:
        """How many results."""
        return sum(self.apps.values())


def plan_export(
    sources: Sequence[Path],
    chosen: Filter,
    keys: Keys | None,
    *,
    force: bool = False,
    shared: bool = False,
    disk: Disk = OS_DISK,
) -> Transfer:
    """Plan to copy the results that count in stores which are read together, and the stores that they build upon.

    Args:
        sources: folders or segments.
        chosen: which results.
        keys: whose signatures count; None: records count whoever signed them.
        force: go by what can be read of damaged records of runs.
        shared: accept what other users own or can write to.

    Raises:
        Untrusted: there are but records that are signed with other keys.
        BadCheckpoint: no source can be read, or one is no store.
        StoreError, UsageError: as for `prune.plan`.
    """
    advice = f"import them first (parslish checkpoint import --key FILE), or put your old key back into {key_file()}"
    plan = _Draft(sources, chosen, keys, advice, force=force, shared=shared, disk=disk)
    return plan.finish(lambda item: False, lambda item: False)


def plan_import(
    sources: Sequence[Path],
    run_dir: Path,
    chosen: Filter,
    keys: Keys,
    source_keys: Keys | None,
    *,
    invalidated: bool = False,
    force: bool = False,
    shared: bool = False,
    disk: Disk = OS_DISK,
) -> Transfer:
    """Plan to copy results into a run folder; those that it has already stay as they are.

    Args:
        run_dir: the run folder.
        keys: those that its results are signed with.
        source_keys: whose signatures count in the sources; None: records count whoever signed them.
        invalidated: take also what was invalidated in the run folder.

    Raises:
        UsageError: a source is a checkpoint of Parsl's, besides what `plan_export` says.
    """
    for source in sources:
        with contextlib.suppress(OSError):  # told when it is read
            parsl.refuse(source)
    here = Here(run_dir, keys, shared=shared, disk=disk)
    plan = _Draft(sources, chosen, source_keys, _NAME_KEY, _OR_TRUST, force=force, shared=shared, disk=disk)
    return plan.finish(here.has, (lambda item: False) if invalidated else here.has_invalidated)


class _Draft:
    """A plan while it is made."""

    def __init__(
        self,
        sources: Sequence[Path],
        chosen: Filter,
        keys: Keys | None,
        advice: str,
        last_resort: str = "",
        *,
        force: bool,
        shared: bool,
        disk: Disk,
    ) -> None:
        self._keys, self._advice, self._shared, self._disk = keys, advice, shared, disk
        self._last_resort = last_resort
        self._report = Report()
        self._seen = False
        self._sources = self._readable(sources)
        takes = both(lambda item: item.live, chosen.choice(disk.time()))
        if chosen.reachable_from:
            if keys is None:
                raise UsageError(
                    "--reachable-from goes by the records of runs, which a key must vouch for: leave out --trust"
                )
            run_dir = run_dir_of(sources)
            reached = Reached(run_dir, chosen.reachable_from, keys, force=force, shared=shared, disk=disk)
            takes = both(takes, reached.__contains__)
        if chosen.max_bytes is not None:
            takes = both(takes, most_recent(filter(takes, self._candidates()), chosen.max_bytes))
        self._takes = takes

    def finish(self, is_known: Choice, is_invalidated: Choice) -> Transfer:
        """The plan, without results that are where they would go, or were invalidated there.

        Raises:
            Untrusted: there are but records that are signed with other keys.
        """
        apps: Counter[str] = Counter()
        size_bytes = known = invalidated = 0
        for item in filter(self._takes, self._candidates()):
            if is_known(item):
                known += 1
            elif is_invalidated(item):
                invalidated += 1
            else:
                apps[item.app] += 1
                size_bytes += item.size_bytes
        if not self._seen:
            self._refuse_untrusted()
        return Transfer(
            sources=self._sources,
            keys=self._keys,
            takes=both(self._takes, lambda item: not (is_known(item) or is_invalidated(item))),
            apps=apps,
            size_bytes=size_bytes,
            known=known,
            invalidated=invalidated,
            findings=tuple(self._report.warnings),
            advice=self._advice,
            shared=self._shared,
            disk=self._disk,
        )

    def _readable(self, sources: Sequence[Path]) -> tuple[Path, ...]:
        """The sources without those that cannot be read, which are told. Raises BadCheckpoint: none can be read, or one
        is no store."""
        if len(sources) == 1:  # an error when it is read
            return tuple(sources)
        found = []
        wrong = None
        for source in sources:
            try:
                Reading([source], self._keys, shared=self._shared, summarise=quickly, disk=self._disk).close()
                found.append(source)
            except BadCheckpoint as exc:
                if isinstance(exc.__cause__, NoSegment):
                    raise
                wrong = wrong or exc
                self._report.add(_kind(exc.__cause__), source, exc.reason)
        if wrong and not found:
            raise wrong
        return tuple(found)

    def _candidates(self) -> Iterator[Item]:
        # What nobody signed may name any folder as one to build upon.
        bases = self._keys is not None
        for item in items(
            self._sources, self._keys, report=self._report, shared=self._shared, bases=bases, disk=self._disk
        ):
            self._seen = True
            yield item

    def _refuse_untrusted(self) -> None:
        stores = list(dict.fromkeys(finding.path.parent for finding in self._report.of(Kind.UNTRUSTED)))
        if stores:
            many = f"{len(stores):,} stores hold" if len(stores) > 1 else "1 store holds"
            more = f" and {len(stores) - 1:,} more" if len(stores) > 1 else ""
            raise Untrusted(
                f"{many} records that no key of yours has signed ({stores[0]}{more}): {self._advice}{self._last_resort}"
            )


def _kind(cause: BaseException | None) -> Kind:
    if isinstance(cause, NewerFormat):
        return Kind.NEWER
    return Kind.REFUSED if isinstance(cause, Refused) else Kind.UNREADABLE
