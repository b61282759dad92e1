"""Owns the way from paths to segments that may be read: which folders belong to a store, and whom to trust.

What it meets on the way goes into the report; only a path that the user named can be an error. Others may write to the
store meanwhile, and put new segments in the place of old ones: `look_again` follows them.
"""

from __future__ import annotations

import os
import stat
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

from parslish.errors import BadCheckpoint
from parslish.secret import Keys
from parslish.store import bodies, folder, frame, scan, summary
from parslish.store.bodies import Name
from parslish.store.disk import Disk
from parslish.store.frame import MAGIC, NewerFormat, Signer, Type
from parslish.store.gaps import judge_all
from parslish.store.listing import Listing
from parslish.store.records import Opener, Part, Record, Vanished, is_continued
from parslish.store.report import Kind, Report
from parslish.store.scan import Segment
from parslish.store.source import Refused, Source, is_gone
from parslish.store.summary import Summary

_LOOK_BYTES: Final = 1 << 20
_LISTINGS: Final = 5  # of a folder at a time; more often than that it will not change under us
Summarise = Callable[[Segment], Summary]
T = TypeVar("T")


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
    """Gathers the segments of a store in `parts`, where None stands for one that is gone, and opens their records.

    Args:
        keys: whose signatures count.
        report: takes what is met on the way.
        summarise: how a segment is looked through.
    """

    def __init__(self, keys: Keys, report: Report, summarise: Summarise, *, shared: bool, disk: Disk) -> None:
        self.parts: list[Part | None] = []
        self.opener = Opener(self.parts, report, shared=shared, disk=disk)
        self.killers: defaultdict[Name, set[Name]] = defaultdict(set)  #: frame → tombstones that name it
        self._keys, self._report, self._summarise = keys, report, summarise
        self._shared, self._disk = shared, disk
        self._signers = {key: frame.signer(key) for key in keys.all()}
        self._listings: dict[str, Listing] = {}  # of each folder, by its real path
        self._numbers: defaultdict[str, dict[str, int]] = defaultdict(dict)  # folder → segment → place in `parts`
        self._passed_over: set[str] = set()  # segments that are not to be read
        self._lone: list[Path] = []  # segments that were named
        self._found: set[Path] = set()
        self._alone: set[Path] = set()
        self._bases: set[tuple[Path, Path]] = set()
        self._new: list[tuple[int, Summary]] = []
        self._specials: deque[tuple[int, int]] = deque()  # places that are still to be read
        self._told: set[tuple[Kind, Path]] = set()

    def add(self, path: Path) -> None:
        """Load the folder or segment that a user named.

        Raises:
            BadCheckpoint: it is not there, not readable, not to be trusted, no segment, or of a later version.
        """
        try:
            if stat.S_ISDIR(self._disk.stat(path).st_mode):
                self._add_folder(path)
            else:
                self._add_segment(path, *os.path.split(os.path.realpath(path)))
                self._lone.append(path)
        except (NoSegment, NewerFormat, Refused) as exc:
            raise BadCheckpoint(path, str(exc)) from exc
        except OSError as exc:
            raise BadCheckpoint(path, (exc.strerror or str(exc)).lower()) from exc

    def add_found(self, path: Path, *, alone: bool) -> None:
        """Load a folder that was found in a listing: it may be gone again, or not be there yet.

        `alone`: without those that it builds upon.
        """
        if path in self._found:
            return
        try:
            self._add_folder(path)
            self._found.add(path)
            if alone:
                self._alone.add(path)
        except Refused as exc:
            self._report.add(Kind.REFUSED, path, str(exc))
        except OSError as exc:
            if not is_gone(exc):
                self._report.add(Kind.UNREADABLE, path, f"cannot be read: {exc.strerror or exc}")

    def add_bases(self) -> None:
        """Load the folders that the ones loaded so far build upon, and theirs, and so on; note who was killed."""
        while self._specials:
            number, offset = self._specials.popleft()
            try:
                record = self.opener.open(number, offset)
            except Vanished:
                self._list_again()
                continue
            if record is None:
                continue
            if record.type == Type.BASES and record.folder not in self._alone:
                for base in self._understood(record, bodies.base_paths(record.body, record.folder)):
                    self._add_base(base)
            elif record.type == Type.TOMBSTONE:
                for name in self._understood(record, bodies.kills(record.body)):
                    self.killers[name].add(record.name)

    def look_again(self) -> None:
        """Load what has been stored since, and let go of segments that are gone.

        In this order: whoever puts a new segment in the place of old ones removes those last.
        """
        for number, part in enumerate(self.parts):
            if part is not None and not part.summary.closed:
                self._follow(number, part)
        for path in self._lone:
            self._try_segment(path, *os.path.split(os.path.realpath(path)))
        self._list_again()

    def take_new(self) -> list[tuple[int, Summary]]:
        """The segments that were loaded or have grown since this was last asked, each with what is new in it."""
        new, self._new = self._new, []
        return new

    def judge(self, *, later: bool = False) -> None:
        """Report the state of every segment, now that all of them are known; the same of each segment once.

        `later`: of a store that is followed. That a segment is not closed then means that its writer is alive.
        """
        for judgement in judge_all(part.summary for part in self.parts if part is not None):
            kind, path = judgement.kind, judgement.summary.path
            if kind is not None and (kind, path) not in self._told and not (later and kind is Kind.TORN):
                self._told.add((kind, path))
                self._report.add(kind, path, judgement.sentence, judgement.lost)
            if judgement.summary.unknown_types:
                self._report.add(Kind.NEWER, path, "holds frames of a newer parslish: upgrade to read them")

    # ---------------------------------------------------------------- folders

    def _add_folder(self, path: Path) -> None:
        found = self._disk.stat(path)
        real = os.path.realpath(path)
        if real in self._listings:
            return
        refused = folder.refusal(found, self._shared)
        if refused:
            raise Refused(refused)
        listing = self._listings[real] = Listing(self._disk, path)
        listing.is_old(found)
        self._load_listed(real, listing)

    def _list_again(self) -> None:
        for real, listing in list(self._listings.items()):
            if any(self.parts[number] is None for number in self._numbers[real].values()):
                listing.forget()
            try:
                if listing.is_old(self._disk.stat(listing.path)):
                    self._load_listed(real, listing)
            except OSError as exc:
                if is_gone(exc):
                    self._let_go(real, frozenset())

    def _load_listed(self, real: str, listing: Listing) -> None:
        """Load the segments of a folder that are new. Raises OSError."""
        for _ in range(_LISTINGS):
            names = listing.names()
            errors = {name: exc for name in names if (exc := self._try_segment(listing.path / name, real, name))}
            if errors:
                listing.forget()
            # Gone: the listing was old, or another process is at work, and there is a new segment for it.
            if not any(map(is_gone, errors.values())):
                break
        for name, exc in errors.items():
            if not is_gone(exc):
                self._report.add(Kind.UNREADABLE, listing.path / name, f"cannot be read: {exc.strerror or exc}")
        self._let_go(real, frozenset(names))

    def _let_go(self, real: str, names: frozenset[str]) -> None:
        """Let go of the segments of a folder that are not among its names, if they are really gone."""
        numbers = self._numbers[real]
        for name in numbers.keys() - names:
            if not self._is_there(f"{real}/{name}"):
                number = numbers.pop(name)
                self.parts[number] = None
                self.opener.sources.forget(number)

    def _is_there(self, path: str) -> bool:
        try:
            self._disk.stat(path, follow_symlinks=False)
        except OSError as exc:
            return not is_gone(exc)
        return True

    # ---------------------------------------------------------------- segments

    def _try_segment(self, path: Path, where: str, name: str) -> OSError | None:
        """Load a segment that a folder lists, unless it is known; whatever is wrong with it costs only itself (P2).

        Returns the error of one that may be there the next time.
        """
        try:
            self._add_segment(path, where, name)
            return None
        except NewerFormat as exc:
            self._report.add(Kind.NEWER, path, str(exc))
        except NoSegment as exc:
            self._report.add(Kind.CORRUPT, path, str(exc))
        except Refused as exc:
            self._report.add(Kind.REFUSED, path, str(exc))
        except OSError as exc:
            return exc.with_traceback(None)  # which holds what was opened
        self._passed_over.add(f"{where}/{name}")
        return None

    def _add_segment(self, path: Path, where: str, name: str) -> None:
        """Load a segment, unless it is known; `where` is the real path of its folder."""
        number = self._numbers[where].get(name)
        if (number is not None and self.parts[number] is not None) or f"{where}/{name}" in self._passed_over:
            return
        source = Source(self._disk, path, shared=self._shared)
        found = load(source, self._summarise)
        signers = self._signers_of(found)
        if not signers:
            self._passed_over.add(f"{where}/{name}")
            self._report.add(Kind.UNTRUSTED, path, "signed with a key that is not ours: not read", found.frames)
            return
        number = self._numbers[where][name] = len(self.parts)
        self.parts.append(Part(found, path.parent, signers))
        self.opener.sources.put(number, source)
        self._note(number, found, found.specials)

    def _follow(self, number: int, part: Part) -> None:
        """Take in what has been appended to an open segment."""
        known = part.summary
        try:
            # Opened, and not asked by its name: on a network file system that shows what others have written.
            source = Source(self._disk, known.path, shared=self._shared)
            if source.size == known.size and not known.in_doubt:
                return
            if known.header is None or source.size < known.read_to or not is_continued(part, source):
                self._load_anew(number, known.path)
                return
            found = summary.grown(known, Segment(known.path, known.header, known.writer, source.read, source.size))
        except OSError as exc:
            if is_gone(exc):
                self.parts[number] = None
            return  # else it is as it was, until it can be read again
        self.parts[number] = replace(part, summary=found)
        self.opener.renew(number, source)
        self._note(number, found, found.specials[len(known.specials) :])

    def _load_anew(self, number: int, path: Path) -> None:
        """Its header was torn when it was read, or it was cut back since: what is known of it counts no longer."""
        self.parts[number] = None
        self._try_segment(path, *os.path.split(os.path.realpath(path)))

    def _note(self, number: int, found: Summary, specials: Iterable[int]) -> None:
        self._new.append((number, found))
        self._specials.extend((number, offset) for offset in specials)

    def _signers_of(self, found: Summary) -> tuple[Signer, ...]:
        if found.header is None:
            return tuple(self._signers.values())
        key = self._keys.find(found.header.key_id)
        return () if key is None else (self._signers[key],)

    # ---------------------------------------------------------------- bases

    def _understood(self, record: Record, said: list[T]) -> list[T]:
        if not said:
            self._report.add(Kind.CORRUPT, record.folder, f"its record {record.seq} says nothing that can be read")
        return said

    def _add_base(self, base: tuple[Path, Path]) -> None:
        if base in self._bases:
            return
        self._bases.add(base)
        for path in base:
            try:
                self._add_folder(path)
                return
            except FileNotFoundError:
                continue
            except OSError as exc:
                self._report.add(Kind.MISSING, path, f"a base of this store: {exc.strerror or exc}")
                return
        self._report.add(Kind.MISSING, base[1], "a base of this store is not there")
