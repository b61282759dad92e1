"""Owns how far `parslish checkpoint ls` looks into stores: at each record, and at the names and sizes of large values.

To read every byte is left to `store.check`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from parslish.care.frames import Reading
from parslish.care.items import Item, results
from parslish.cli.places import Place
from parslish.secret import Keys
from parslish.store.blobs import Reference
from parslish.store.check import CLEAN, CORRUPT, UNREAD, Verdict, blob_trouble, glance, unlisted, worst
from parslish.store.disk import OS_DISK
from parslish.store.report import Kind, Report


class StoreLook:
    """Stores that are read together, each as it says of itself, and by its records where there are keys.

    Raises:
        BadCheckpoint: a path is not there any more.
    """

    def __init__(self, found: Sequence[Place], keys: Keys | None) -> None:
        self.report = Report()
        self.verdicts = [_verdict(place) for place in found]
        self._blob_states: set[str] = set()
        read = [place for place, verdict in zip(found, self.verdicts, strict=True) if self._is_to_be_read(verdict)]
        self._reading = Reading([place.path for place in read], keys, report=self.report, shared=True) if keys else None

    def items(self) -> Iterator[Item]:
        """The records; without keys none. The state is known when all were asked for."""
        if self._reading is None:
            return
        for _, item in results(self._reading):
            if item.blob is not None:
                self._look_at_blob(item, item.blob)
            yield item

    def _look_at_blob(self, item: Item, blob: Reference) -> None:
        kind = blob_trouble(OS_DISK, item.segment.parent, blob)
        if kind is not None:
            what = "is not there as it was stored" if kind is Kind.MISSING else "cannot be read"
            self.report.add(kind, item.segment, f"the large value of the record at byte {item.offset} {what}")
            self._blob_states.add(CORRUPT if kind is Kind.MISSING else UNREAD)

    @property
    def state(self) -> str:
        """The worst that is known."""
        damaged = self.report.of(Kind.CORRUPT) or self._forged()
        return worst([CORRUPT if damaged else CLEAN, *self._blob_states, *(one.state for one in self.verdicts)])

    def _is_to_be_read(self, verdict: Verdict) -> bool:
        """Whether a store has anything to be read; else what is the matter with it is told."""
        if any(not one.faults for one in verdict.segments) or not verdict.segments:
            return True
        for fault in verdict.faults:
            self.report.add(fault.kind, fault.path, fault.sentence)
        return False

    def _forged(self) -> bool:
        """Whether a record is not signed as its segment says."""
        ours = {one.path for one in self._reading.segments if one.summary.header} if self._reading else set()
        return any(finding.path in ours for finding in self.report.of(Kind.UNTRUSTED))


def _verdict(place: Place) -> Verdict:
    return unlisted(place.path, place.trouble) if place.trouble else glance(place.path)
