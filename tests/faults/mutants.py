"""Owns planted mistakes in the store: what each breaks, and the smallest fault test that must notice it."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from parslish.store import bodies, folder, frame, gaps
from parslish.store.log import Log
from parslish.store.report import Kind
from parslish.store.segment import SegmentWriter
from parslish.store.writer import Writer
from tests.faults import test_bitflips, test_fsync, test_garbage, test_golden, test_power, test_truncation, test_writes
from tests.faults.stores import sample, seeded

Patch = pytest.MonkeyPatch


# -------------------------------------------------------------------------------------- the mistakes


def fsync_skipped(patch: Patch) -> None:
    """What is said to be durable is in memory only."""
    patch.setattr(SegmentWriter, "fsync", lambda self: None)


def name_not_synced(patch: Patch) -> None:
    """The file is durable, the folder that names it is not."""
    patch.setattr(folder, "sync", lambda disk, where: None)


def watermark_too_high(patch: Patch) -> None:
    """Frames say of those before them that they are durable, and they are not yet."""
    append = Writer._append

    def too_early(self: Writer, *args: Any) -> bytes | None:
        self.synced = self._next_seq
        return append(self, *args)

    patch.setattr(Writer, "_append", too_early)


def checksum_not_checked(patch: Patch) -> None:
    """A body counts if it has the right length."""
    patch.setattr(frame, "is_whole", lambda header, body: len(body) == header.length)


def signature_not_checked(patch: Patch) -> None:
    """Everybody's frames are believed."""
    patch.setattr(frame, "is_signed", lambda header, block, sign, at=0: True)


def short_write_ignored(patch: Patch) -> None:
    """What the system did not take is not written again, nor missed when the file is looked at."""
    patch.setattr(SegmentWriter, "_write_rest", lambda self, pieces, size, written: None)
    patch.setattr(SegmentWriter, "_look_for_it", lambda self, size: None)


def failed_descriptor_used_again(patch: Patch) -> None:
    """After a failed fsync the same descriptor is asked again, and says yes (I8)."""
    fsync = SegmentWriter.fsync

    def again(self: SegmentWriter) -> None:
        with contextlib.suppress(OSError):
            return fsync(self)
        self.sealed = False
        return fsync(self)

    patch.setattr(SegmentWriter, "fsync", again)


def acknowledged_before_written(patch: Patch) -> None:
    """A result is seen before its record is with the system (I3)."""
    post = Log.post

    def at_once(
        self: Log, type: int, body: bytes, key: bytes = b"", when_written: Any = None, when_synced: Any = None
    ) -> None:
        if when_written is not None:
            when_written[0](*when_written[1:])
        post(self, type, body, key, None, when_synced)

    patch.setattr(Log, "post", at_once)


def tombstone_ignored(patch: Patch) -> None:
    """What was deleted comes back."""
    patch.setattr(bodies, "kills", lambda body: [])


def torn_told_as_corrupt(patch: Patch) -> None:
    """An ordinary kill is reported as damage."""
    judge = gaps.judge

    def harsh(summary: Any, lost: Any) -> Any:
        judgement = judge(summary, lost)
        return replace(judgement, kind=Kind.CORRUPT) if judgement.kind is Kind.TORN else judgement

    patch.setattr(gaps, "judge", harsh)


def corrupt_told_as_torn(patch: Patch) -> None:
    """Damage to what was durable is passed over in silence."""
    judge = gaps.judge

    def mild(summary: Any, lost: Any) -> Any:
        judgement = judge(summary, lost)
        return replace(judgement, kind=Kind.TORN) if judgement.kind is Kind.CORRUPT else judgement

    patch.setattr(gaps, "judge", mild)


def not_cut_back(patch: Patch) -> None:
    """Half a frame is left before the next one."""
    patch.setattr(SegmentWriter, "_cut_back", lambda self: None)


# -------------------------------------------------------------------------------------- the tests


def power_cuts(patch: Patch) -> None:
    patch.setattr(test_power, "CUTS", 4)
    test_power.test_a_power_cut_at_any_moment_takes_nothing_that_was_promised(10**9)


def failed_fsyncs(patch: Patch) -> None:
    test_fsync.test_what_a_failed_fsync_lost_is_written_again(1)


def bit_flips(patch: Patch) -> None:
    one = sample(seeded("mutants"), 1, closed=False, sizes=(40,))
    test_bitflips.test_a_flipped_bit_is_noticed_and_costs_one_record_at_most(one)


def cuts(patch: Patch) -> None:
    one = sample(seeded("mutants"), 2, closed=False)
    test_truncation.test_a_cut_at_any_byte_costs_what_is_behind_it_and_no_more(one)


def missing_records(patch: Patch) -> None:
    test_truncation.test_a_synced_record_that_is_missing_before_a_later_one_is_reported()


def made_up_frames(patch: Patch) -> None:
    test_garbage.test_a_frame_whose_checksums_are_right_is_not_believed_without_a_signature()


def short_writes(patch: Patch) -> None:
    test_writes.test_an_error_at_any_call_fails_nothing_and_loses_nothing_that_was_promised(None, 1)


def half_frames(patch: Patch) -> None:
    test_writes.test_half_a_frame_is_not_left_before_the_next_one(True)


def kills(patch: Patch) -> None:
    test_writes.test_a_kill_at_any_call_takes_nothing_that_was_told_as_written()


def golden_stores(patch: Patch) -> None:
    with tempfile.TemporaryDirectory() as folder:
        golden = test_golden.copy_of(test_golden.VERSIONS[0], Path(folder))
        test_golden.test_a_golden_store_gives_what_was_stored_in_it(golden)


#: mistake → the test that notices it
MUTANTS: dict[Callable[[Patch], None], Callable[[Patch], None]] = {
    fsync_skipped: power_cuts,
    name_not_synced: power_cuts,
    watermark_too_high: power_cuts,
    checksum_not_checked: bit_flips,
    signature_not_checked: made_up_frames,
    short_write_ignored: short_writes,
    failed_descriptor_used_again: failed_fsyncs,
    acknowledged_before_written: kills,
    tombstone_ignored: golden_stores,
    torn_told_as_corrupt: cuts,
    corrupt_told_as_torn: missing_records,
    not_cut_back: half_frames,
}
