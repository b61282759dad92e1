"""Owns what one writer has written: the numbers of its frames, its segments, what of it is durable.

The way of a frame: `write` → the segment, and `unsynced` → fsync → `forget_synced`. After an fsync that failed
nobody knows what of the file is durable, and asking again would get a false yes (I8): the segment is given
up, and its unsynced frames go through `backlog` into a new one, under their old numbers.

One thread at a time; the log sees to that, and decides when to do what.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from parslish.secret import Keys
from parslish.store import folder, frame
from parslish.store.disk import NO_ROOM, Disk
from parslish.store.frame import SegmentHeader, Type
from parslish.store.pending import UNNUMBERED, Entry, Group, Queue, Unsynced
from parslish.store.segment import SegmentWriter
from parslish.store.sync import RETAINED_BYTES

_PUT_OFF_BYTES: Final = 64 << 10  # what is larger, and does not fit, does not keep the rest
_DRAIN_BYTES: Final = 8 << 20  # what is written from the backlog at a stretch, while appends wait


class Writer:
    """A new writer, with nothing written yet."""

    def __init__(self, disk: Disk, where: Path, keys: Keys, run_number: int) -> None:
        self._disk, self._where, self._run_number = disk, where, run_number
        self._key_id, self._sign = keys.id, frame.signer(keys.signing)
        self._id = os.urandom(frame.WRITER_BYTES)
        self.next_ordinal = 0
        self._next_seq = 0
        self.synced = 0  # all frames below are durable
        self._given_up: list[SegmentWriter] = []
        self.segment: SegmentWriter | None = None
        self.unsynced = Unsynced()  # written to `segment`
        self.backlog = Queue()  # to be written, before anything newer

    def write(self, entries: Sequence[Entry]) -> None:
        """Append entries whose bodies are at hand to the segment, with one write: new ones, or one that has a number.

        Raises:
            OSError: none of them was written. The segment may have been given up.
        """
        fresh = entries if entries[0].seq == UNNUMBERED else ()
        for entry in fresh:
            entry.seq = self._next_seq
            self._next_seq += 1
        try:
            segment = self.segment or self._open_segment(entries[0].seq)
            place = segment.size
            group = Group(entries, self._append(segment, entries))
        except OSError:
            for entry in fresh:  # they may yet be dropped, and then leave no gap in the numbers
                entry.seq = UNNUMBERED
            self._next_seq -= len(fresh)
            raise
        self.unsynced.append(group)
        if self.unsynced.size_bytes > RETAINED_BYTES and not self.backlog:
            # A slow fsync must not fill the memory. What comes from the backlog was counted there.
            group.leave_to_file(segment.path, place)

    def _append(self, segment: SegmentWriter, entries: Sequence[Entry]) -> bytes | None:
        try:
            return segment.append(entries, self.synced)
        except OSError:
            if segment.sealed:
                self.give_up_segment()
            raise

    def write_from_backlog(self) -> list[Entry]:
        """Write entries from the backlog for a while; returns those that are lost, the file that had their
        bodies being unreadable. What is too large for the room that is left goes behind the rest.

        Raises OSError, as `write`: nothing of the backlog can be written now.
        """
        lost = []
        written_bytes = 0
        put_off: Entry | None = None
        while self.backlog and written_bytes < _DRAIN_BYTES:
            entry = self.backlog.first()
            entry.body = entry.read_back(self._disk)
            if entry.body is None:
                lost.append(entry)
            else:
                try:
                    self.write([entry])
                except OSError as exc:
                    # A number is given for good: what has one is written before what is newer.
                    is_large = exc.errno in NO_ROOM and entry.size_bytes > _PUT_OFF_BYTES and entry.seq == UNNUMBERED
                    if entry is put_off or not is_large:
                        raise
                    put_off = put_off or entry
                    self.backlog.put_off()
                    continue
                if entry.source is not None:
                    entry.body = None  # the file that had it so far goes on having it
                written_bytes += entry.size_bytes
            self.backlog.pop()
        return lost

    def probe(self) -> None:
        """See whether the disk takes a frame. Raises OSError, when it does not."""
        segment = self.segment or self._open_segment(self._next_seq)
        try:
            segment.append_control(Type.SYNCED, b"", self._next_seq, self.synced)
        except OSError:
            if segment.sealed:
                self.give_up_segment()
            raise

    def give_up_segment(self) -> None:
        """Never use the segment again; what of it is not known to be durable is to be written anew."""
        assert self.segment is not None
        # In this order, so that Ctrl-C in between has no descriptor closed twice.
        self.backlog.put_before([entry for group in self.unsynced for entry in group.entries()])
        self.unsynced.clear()
        segment, self.segment = self.segment, None
        self._given_up.append(segment)

    def forget_synced(self, groups: int) -> None:
        """An fsync has covered the first so many groups of what was unsynced: they are no longer held."""
        for _ in range(groups):
            # In this order, so that Ctrl-C in between has it synced once more, and no number forgotten.
            self.synced = self.unsynced.first().next_seq
            self.unsynced.pop()
        if not self.unsynced:
            self._mark_synced()

    def close_given_up(self, discard_from: int | None = None) -> None:
        """Give the descriptors of segments that were given up back; no fsync of them may be running.

        Files from the ordinal `discard_from` on are removed: what is in them is in the backlog too.
        """
        for segment in self._given_up:
            segment.close()
            if discard_from is not None and segment.ordinal >= discard_from:
                segment.discard()
        self._given_up.clear()

    def finish(self) -> None:
        """Close the segment, with an index; everything in it has been synced.

        Raises:
            FileNotFoundError: somebody has removed it.
        """
        try:
            if self.segment is not None:
                self.segment.finish(self.synced)
        except FileNotFoundError:
            raise
        except OSError:  # without an index the segment is as good, and opens more slowly
            pass
        finally:
            self.leave()

    def leave(self) -> None:
        """Give the descriptor back and no more."""
        if self.segment is not None:
            self.segment.close()
            self.segment = None
        self.close_given_up()

    def _open_segment(self, first: int) -> SegmentWriter:
        created_us = int(self._disk.time() * 1e6)
        header = SegmentHeader(self._run_number, self.next_ordinal, self._id, first, self._key_id, created_us)
        try:
            self.segment = SegmentWriter(self._disk, self._where, header, self._sign)
        except FileNotFoundError:  # somebody has removed the folder
            folder.make(self._disk, self._where)
            self.segment = SegmentWriter(self._disk, self._where, header, self._sign)
        self.next_ordinal += 1
        return self.segment

    def _mark_synced(self) -> None:
        """Tell readers what is durable: from then on its absence is damage, not the end of a torn segment."""
        assert self.segment is not None
        try:
            self.segment.append_control(Type.SYNCED, b"", self.synced, self.synced)
        except OSError:  # a hint less; the next frame carries it too
            if self.segment.sealed:
                self.give_up_segment()
