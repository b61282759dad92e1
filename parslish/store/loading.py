"""Owns the way from paths to segments that may be read: which folders belong to a store, and whom to trust.

What it meets on the way goes into the report; only a path that the user named can be an error.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from parslish.errors import BadCheckpoint
from parslish.secret import Keys
from parslish.store import bodies, folder, frame, scan, summary
from parslish.store.disk import Disk
from parslish.store.frame import MAGIC, NewerFormat, Signer, Type
from parslish.store.gaps import judge_all
from parslish.store.records import Opener, Part
from parslish.store.report import Kind, Report
from parslish.store.scan import Segment
from parslish.store.source import Refused, Source
from parslish.store.summary import Summary

_LOOK_BYTES: Final = 1 << 20
Summarise = Callable[[Segment], Summary]


class NoSegment(ValueError):
    """The file is something else."""


def quickly(segment: Segment) -> Summary:
    """Summarise a segment from its index, or else from its headers."""
    return summary.from_index(segment) or summary.from_scan(segment, segment.stretches())


def load(source: Source, summarise: Summarise) -> Summary:
    """Summarise one segment.

    Raises:
        NoSegment: the file is something else.
        NewerFormat: it is of a later version.
        OSError: it cannot be read.
    """
    head = source.read(0, frame.SEGMENT_HEADER_BYTES)
    header = frame.parse_segment_header(head)
    if header is not None:
        return summarise(Segment(source.path, header, header.writer, source.read, source.size))
    if not _may_be_segment(source, head):
        raise NoSegment("is not a segment of a parslish store")
    writer = scan.main_writer(source.read, source.size)
    return summarise(Segment(source.path, None, writer, source.read, source.size))


def _may_be_segment(source: Source, head: bytes) -> bool:
    """Whether a file with a damaged header is worth looking through."""
    # A power cut may leave any part of the header, and zeros for the rest.
    torn = MAGIC.startswith(head[: len(MAGIC)].rstrip(b"\0"))
    # Under its proper name it is looked through to the end; of anything else, however large, the start will do.
    size = source.size if source.path.suffix == folder.SUFFIX else min(source.size, _LOOK_BYTES)
    return torn or scan.holds_frame(source.read, size)


class Loader:
    """Gathers the segments of a store in `parts`, and opens their records.

    Args:
        keys: whose signatures count.
        report: takes what is met on the way.
        summarise: how a segment is looked through.
    """

    def __init__(self, keys: Keys, report: Report, summarise: Summarise, *, shared: bool, disk: Disk) -> None:
        self.parts: list[Part] = []
        self.opener = Opener(self.parts, report, shared=shared, disk=disk)
        self._keys, self._report, self._summarise = keys, report, summarise
        self._shared, self._disk = shared, disk
        self._signers = {key: frame.signer(key) for key in keys.all()}
        self._seen: set[str] = set()
        self._judged = 0

    def add(self, path: Path) -> None:
        """Load the folder or segment that a user named.

        Raises:
            BadCheckpoint: it is not there, not readable, not to be trusted, no segment, or of a later version.
        """
        try:
            if stat.S_ISDIR(self._disk.stat(path).st_mode):
                self._add_folder(path)
            else:
                self._add_segment(path)
        except (NoSegment, NewerFormat, Refused) as exc:
            raise BadCheckpoint(path, str(exc)) from exc
        except OSError as exc:
            raise BadCheckpoint(path, (exc.strerror or str(exc)).lower()) from exc

    def add_bases(self) -> None:
        """Load the folders that the ones loaded so far build upon, and theirs, and so on."""
        waiting = deque(range(len(self.parts)))
        while waiting:
            known = len(self.parts)
            for base in self._bases(waiting.popleft()):
                self._add_base(base)
            waiting.extend(range(known, len(self.parts)))

    def judge(self) -> None:
        """Report the state of every segment, now that all of them are known."""
        for judgement in judge_all(part.summary for part in self.parts):
            path = judgement.summary.path
            if judgement.kind is not None:
                self._report.add(judgement.kind, path, judgement.sentence, judgement.lost)
            if judgement.summary.unknown_types:
                self._report.add(Kind.NEWER, path, "holds frames of a newer parslish: upgrade to read them")

    def _add_folder(self, path: Path) -> None:
        found = self._disk.stat(path)
        if not self._is_new(path):
            return
        refused = folder.refusal(found, self._shared)
        if refused:
            raise Refused(refused)
        for segment in folder.segments(self._disk, path):
            self._try_segment(segment)

    def _try_segment(self, path: Path) -> None:
        """Load a segment that a folder lists; whatever is wrong with it costs only itself (P2)."""
        try:
            self._add_segment(path)
        except NewerFormat as exc:
            self._report.add(Kind.NEWER, path, str(exc))
        except NoSegment as exc:
            self._report.add(Kind.CORRUPT, path, str(exc))
        except Refused as exc:
            self._report.add(Kind.REFUSED, path, str(exc))
        except OSError as exc:
            self._report.add(Kind.UNREADABLE, path, f"cannot be read: {exc.strerror or exc}")

    def _add_segment(self, path: Path) -> None:
        if not self._is_new(path):
            return
        source = Source(self._disk, path, shared=self._shared)
        found = load(source, self._summarise)
        signers = self._signers_of(found)
        if not signers:
            self._report.add(Kind.UNTRUSTED, path, "signed with a key that is not ours: not read", found.frames)
            return
        self.opener.sources.put(len(self.parts), source)
        self.parts.append(Part(found, path.parent, signers))

    def _signers_of(self, found: Summary) -> tuple[Signer, ...]:
        if found.header is None:
            return tuple(self._signers.values())
        key = self._keys.find(found.header.key_id)
        return () if key is None else (self._signers[key],)

    def _bases(self, number: int) -> Iterable[tuple[Path, Path]]:
        where = self.parts[number].summary
        for offset in where.specials:
            head = self.opener.head(number, offset)
            if head is None or head.type != Type.BASES:
                continue
            record = self.opener.open(number, offset)
            if record is not None:
                yield from bodies.base_paths(record.body, where.path.parent)

    def _add_base(self, base: tuple[Path, Path]) -> None:
        for path in base:
            try:
                return self._add_folder(path)
            except FileNotFoundError:
                continue
            except OSError as exc:
                return self._report.add(Kind.MISSING, path, f"a base of this store: {exc.strerror or exc}")
        return self._report.add(Kind.MISSING, base[1], "a base of this store is not there")

    def _is_new(self, path: Path) -> bool:
        real = os.path.realpath(path)
        if real in self._seen:
            return False
        self._seen.add(real)
        return True
