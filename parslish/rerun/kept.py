"""Owns which tasks of a run that was killed had stored their results, though its record tells of no end: events are
written a moment later than results."""

from __future__ import annotations

import contextlib
from typing import Final

from parslish.history.folder import CHECKPOINT
from parslish.history.record import STATUSES, RunRecord
from parslish.result import VALUE, StoredResult
from parslish.secret import Keys
from parslish.store.frame import Type
from parslish.store.reader import read_frames

_LOST: Final = STATUSES.index("lost")


def ids(record: RunRecord, keys: Keys) -> set[int]:
    """The ids of the lost tasks whose results are in the run's own store."""
    lost = {id for id in record.ids() if record.columns.status[id] == _LOST}
    found = set[int]()
    if lost and (record.path / CHECKPOINT).is_dir():
        for frame in read_frames(record.path / CHECKPOINT, keys, types={Type.RESULT}):
            with contextlib.suppress(ValueError):
                result = StoredResult.unpack(frame.body)
                if result.kind == VALUE and frame.run_number == record.number:
                    found.add(result.task_id)
    return lost & found
