"""Owns reading stores from outside a run: all their frames, each with its place, none before checksum and signature
hold (I6). What a result says is left to `items`.
"""

from __future__ import annotations

import os
import stat
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

from parslish.errors import BadCheckpoint
from parslish.secret import Keys
from parslish.store import bodies, folder, frame, scan, summary, view
from parslish.store.bodies import Name
from parslish.store.disk import OS_DISK, Disk
from parslish.store.frame import CONTROL, HEADER_BYTES, Header, NewerFormat, Signer, Type
from parslish.store.gaps import judge_all
from parslish.store.loading import NoSegment, Summarise, load
from parslish.store.report import Kind, Report
from parslish.store.scan import Stretch
from parslish.store.source import Refused, Source, Sources, is_gone
from parslish.store.summary import Summary
from parslish.store.view import View

_LISTINGS: Final = 5  # of a folder that others change while it is read
_HIDING: Final = frozenset({Kind.NEWER, Kind.REFUSED, Kind.UNREADABLE})  # who knows which tombstones are in there
_NEWER: Final = "holds frames of a newer parslish: upgrade to read them"


class Frame(NamedTuple):
    """A frame that is what its writer wrote, and where it is."""

    header: Header
    segment: Path
    offset: int
    body: bytes

    @property
    def name(self) -> Name:
        """What a tombstone calls it."""
        return self.header.writer, self.header.seq


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment that was found; `signers` is empty where anybody's signature is taken."""

    number: int
    summary: Summary
    signers: tuple[Signer, ...]

    @property
    def path(self) -> Path:
        return self.summary.path

    @property
    def run(self) -> int:
        """The run that its frames are of."""
        header, last = self.summary.header, self.summary.last
        if header is None:
            return 0 if last is None or last.header is None else last.header.run
        return header.run


def every_header(segment: scan.Segment) -> Summary:
    """Summarise a segment from the headers of its frames."""
    return summary.from_scan(segment, segment.stretches())


def dead(tombstones: Iterable[Frame]) -> AbstractSet[Name]:
    """The frames that count no longer, as far as these tombstones say."""
    killers = defaultdict(set)
    for tombstone in tombstones:
        for name in bodies.kills(tombstone.body):
            killers[name].add(tombstone.name)
    return view.dead(killers)


class Reading:
    """Stores that are read together, as they were when this was made.

    Args:
        paths: folders or segments.
        keys: whose signatures count; None: records count whoever signed them.
        report: takes what is wrong.
        shared: accept what other users own or can write to.
        bases: read the folders too that these build upon.
        summarise: how a segment is looked through; by its index will do for who wants its tombstones only.

    Raises:
        BadCheckpoint: a path that was named is not there, not readable, not to be trusted, no segment,
            or written by a later version.
    """

    def __init__(
        self,
        paths: Iterable[str | os.PathLike[str]],
        keys: Keys | None,
        *,
        report: Report | None = None,
        shared: bool = False,
        bases: bool = False,
        summarise: Summarise = every_header,
        disk: Disk = OS_DISK,
    ) -> None:
        self.segments: list[Segment] = []
        self.untrusted: list[Segment] = []  #: those that are not signed with our keys; what is in them is not read
        self.tombstones: list[Frame] = []
        self.strangers: dict[tuple[Path, int], Frame] = {}  #: tombstones that are not signed with our keys, by place
        self.wrong: dict[Path, dict[Kind, str]] = {}  #: of segments, but for their torn ends
        self.unread: dict[Path, str] = {}  #: segments that may hold tombstones which cannot be read, and why
        self._keys, self._report = keys, report or Report()
        self._shared, self._bases, self._summarise, self._disk = shared, bases, summarise, disk
        self._folders: set[str] = set()
        self._seen: set[str] = set()
        self._sources = Sources(lambda number: Source(disk, self.segments[number].path, shared=shared))
        self._winners: dict[bytes, Name | None] = {}
        for path in paths:
            self._add(Path(path))
        for segment in self.segments:  # which grow, by their bases
            self._read_specials(segment)
        self._judge()

    @cached_property
    def _view(self) -> View:
        new = [(one.number, one.summary) for one in self.segments]
        return View(view.with_new((), new, frozenset()), dead(self.tombstones))

    @cached_property
    def split_writers(self) -> AbstractSet[bytes | None]:
        """The writers of several segments: after a failed fsync two of them have the same frames."""
        count = Counter(segment.summary.writer for segment in self.segments)
        return {writer for writer, segments in count.items() if segments > 1}

    def in_order(self) -> list[Segment]:
        """The segments as their frames follow each other: by run, writer, and what the writer wrote first."""
        return sorted(self.segments, key=_order)

    def frames(self, segment: Segment) -> Iterator[Frame]:
        """The numbered frames of a segment that verify; what does not is told."""
        known = segment.summary
        try:
            source = self._sources.get(segment.number)
            for start, _, header in _stretches(source, known):
                if header is not None and not header.flags & CONTROL:
                    found = self._open(segment, source, start, header)
                    if found is not None:
                        yield found
        except OSError as exc:
            self.tell(Kind.UNREADABLE, segment.path, f"cannot be read: {exc.strerror or exc}")

    def is_live(self, found: Frame) -> bool:
        """Whether a result is the one that counts for its key: the most recent that verifies and is not killed."""
        if found.name in self._view.dead:
            return False
        key = found.header.key
        places = self._view.places(key)
        if len(places) > 1:
            if key not in self._winners:
                self._winners[key] = self._winner(key, places)
            return self._winners[key] == found.name
        return True

    def is_repeated(self, key: bytes) -> bool:
        """Whether several results seem to be filed under a key."""
        return len(self._view.places(key)) > 1

    def close(self) -> None:
        """Give the descriptors back; they are opened again should anything be read later."""
        self._sources.clear()

    def tell(self, kind: Kind, path: Path, sentence: str, records: int = 0, *, short: str = "") -> None:
        """Note that something is wrong with a segment; `short` is said in `wrong` instead of the sentence."""
        self._report.add(kind, path, sentence, records)
        if kind is not Kind.TORN:
            self.wrong.setdefault(path, {}).setdefault(kind, short or sentence)
        if kind in _HIDING:
            self.unread.setdefault(path, sentence)

    # ---------------------------------------------------------------- records

    def _open(self, segment: Segment, source: Source, offset: int, header: Header) -> Frame | None:
        """The frame whose header was found there, if it verifies. Raises OSError."""
        block = source.read(offset, HEADER_BYTES + header.length)
        body = block[HEADER_BYTES:]
        if not frame.is_whole(header, body):
            # What was never synced may be incomplete after a power cut: nothing was promised about it.
            kind = Kind.TORN if header.seq >= segment.summary.watermark else Kind.CORRUPT
            sentence = f"the record at byte {offset} is damaged: passed over"
            self.tell(kind, segment.path, sentence, 1, short=f"record {header.seq} is damaged")
            return None
        found = Frame(header, segment.path, offset, body)
        if self._keys is not None and not any(frame.is_signed(header, block, signer) for signer in segment.signers):
            sentence = f"the record at byte {offset} has a signature that is not ours: passed over"
            self.tell(Kind.UNTRUSTED, segment.path, sentence, 1)
            self._note_stranger(found)
            return None
        return found

    def _at(self, segment: Segment, offset: int) -> Frame | None:
        try:
            source = self._sources.get(segment.number)
            header = frame.parse(source.read(offset, HEADER_BYTES))
            return None if header is None else self._open(segment, source, offset, header)
        except OSError as exc:
            self.tell(Kind.UNREADABLE, segment.path, f"cannot be read: {exc.strerror or exc}")
            return None

    def _winner(self, key: bytes, places: list[tuple[int, int]]) -> Name | None:
        found = [one for number, offset in places if (one := self._at(self.segments[number], offset))]
        ranked = sorted(found, key=lambda one: (one.header.run, *one.name), reverse=True)
        return next((one.name for one in ranked if one.header.key == key and one.name not in self._view.dead), None)

    def _read_specials(self, segment: Segment) -> None:
        for offset in segment.summary.specials:
            found = self._at(segment, offset)
            if found is None:
                continue
            if found.header.type == Type.TOMBSTONE:
                self.tombstones.append(found)
            elif found.header.type == Type.BASES and self._bases:
                for base in bodies.base_paths(found.body, segment.path.parent):
                    self._add_base(base)

    def _note_strangers(self, source: Source, found: Summary) -> None:
        """Note the tombstones of a segment that somebody else has signed: they count once we have the key. Raises
        OSError."""
        for offset in found.specials:
            header = frame.parse(source.read(offset, HEADER_BYTES))
            if header is not None:
                body = source.read(offset + HEADER_BYTES, header.length)
                if frame.is_whole(header, body):
                    self._note_stranger(Frame(header, found.path, offset, body))
        if found.unknown_types:
            self.unread.setdefault(found.path, _NEWER)

    def _note_stranger(self, found: Frame) -> None:
        if found.header.type == Type.TOMBSTONE:
            self.strangers[found.segment, found.offset] = found

    # ---------------------------------------------------------------- segments

    def _add(self, path: Path) -> None:
        try:
            if stat.S_ISDIR(self._disk.stat(path).st_mode):
                self._add_folder(path)
            else:
                self._add_segment(path)
        except (NoSegment, NewerFormat, Refused) as exc:
            raise BadCheckpoint(path, str(exc)) from exc
        except OSError as exc:
            raise BadCheckpoint(path, (exc.strerror or str(exc)).lower()) from exc

    def _add_folder(self, path: Path) -> None:
        refused = folder.refusal(self._disk.stat(path), self._shared)
        if refused:
            raise Refused(refused)
        real = os.path.realpath(path)
        if real in self._folders:  # named, and built upon as well
            return
        self._folders.add(real)
        # Listed again until nothing is new: who replaces segments makes the new one before the old one goes.
        for _ in range(_LISTINGS):
            gone = [each for each in folder.segments(self._disk, path) if not self._try_segment(each)]
            if not gone:
                return
        for each in gone:
            self.tell(Kind.UNREADABLE, each, "is listed, and cannot be found")

    def _try_segment(self, path: Path) -> bool:
        """Add a segment that a folder lists; False when it is gone."""
        try:
            self._add_segment(path)
        except NewerFormat as exc:
            self.tell(Kind.NEWER, path, str(exc))
        except NoSegment as exc:
            self.tell(Kind.CORRUPT, path, str(exc))
        except Refused as exc:
            self.tell(Kind.REFUSED, path, str(exc))
        except OSError as exc:
            if is_gone(exc):
                return False
            self.tell(Kind.UNREADABLE, path, f"cannot be read: {exc.strerror or exc}")
        return True

    def _add_segment(self, path: Path) -> None:
        real = os.path.realpath(path)
        if real in self._seen:
            return
        source = Source(self._disk, path, shared=self._shared)
        self._seen.add(real)
        found = load(source, self._summarise)
        signers = self._signers_of(found)
        if self._keys is not None and not signers:
            self.tell(Kind.UNTRUSTED, path, "signed with a key that is not ours: not read", found.frames)
            self.untrusted.append(Segment(-1, found, ()))
            self._note_strangers(source, found)
            return
        number = len(self.segments)
        self.segments.append(Segment(number, found, signers))
        self._sources.put(number, source)

    def _signers_of(self, found: Summary) -> tuple[Signer, ...]:
        if self._keys is None:
            return ()
        if found.header is None:
            return tuple(map(frame.signer, self._keys.all()))
        key = self._keys.find(found.header.key_id)
        return () if key is None else (frame.signer(key),)

    def _add_base(self, base: tuple[Path, Path]) -> None:
        for path in base:
            try:
                return self._add_folder(path)
            except FileNotFoundError:
                continue
            except OSError as exc:
                return self.tell(Kind.MISSING, path, f"a base of this store: {exc.strerror or exc}")
        return self.tell(Kind.MISSING, base[1], "a base of this store is not there")

    def _judge(self) -> None:
        for one in judge_all(segment.summary for segment in self.segments):
            if one.kind is not None:
                self.tell(one.kind, one.summary.path, one.sentence, one.lost)
            if one.summary.unknown_types:
                self.tell(Kind.NEWER, one.summary.path, _NEWER)


def _order(segment: Segment) -> tuple[int, bytes, int]:
    return segment.run, segment.summary.writer or b"", segment.summary.first


def _stretches(source: Source, known: Summary) -> Iterator[Stretch]:
    """The stretches of a segment, as far as it was when it was looked through."""
    return scan.Segment(known.path, known.header, known.writer, source.read, known.size).stretches()
