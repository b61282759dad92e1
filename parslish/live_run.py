"""Owns one run: its folder, and all that is opened in it for a kernel's life and closed at the end of it."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parslish import exit_code, logs, orders
from parslish.checkpoint import Checkpointer
from parslish.config import Config
from parslish.errors import SerializationError, StoreError
from parslish.history import entry, folder, lineage
from parslish.history.card import Card
from parslish.history.folder import MARKS
from parslish.history.journal import Journal, run_facts
from parslish.history.lineage import VERIFY, Lineage
from parslish.history.recorder import Recorder
from parslish.leases import Leases
from parslish.memo import Known, Memo
from parslish.orders import Orders
from parslish.random_numbers import seed_of_run
from parslish.secret import Keys
from parslish.store.reader import Store
from parslish.store.report import told
from parslish.trouble import RECORD, RESULTS, Trouble
from parslish.utils import get_all_checkpoints

if TYPE_CHECKING:
    from parslish.history.accepted import Accepted

logger = logging.getLogger("parslish")

#: How many findings about damage are warned of, at the start of a run and at its end.
FINDINGS_TOLD = 20
OUTCOME = "outcome"  # the mark that tells what a workflow came to
_NO_MODE = "; set checkpoint_mode to keep them"


class LiveRun:
    """One life of a kernel, and the folder it leaves.

    Args:
        config: the kernel's configuration.
        on_trouble: called when results can no longer be stored.

    Raises:
        ConfigurationError: the run folder cannot be written.
        BadCheckpoint: a named checkpoint cannot be loaded.
    """

    def __init__(self, config: Config, on_trouble: Callable[[StoreError], None]) -> None:
        self._config = config
        self.keys = keys = Keys.load(config.trusted_keys)
        kernel = orders.count_kernel(config.run_dir)
        self.orders = orders.take(keys, config.run_dir, kernel)
        checkpoints = _checkpoints(config, self.orders)
        self._store = self._load(checkpoints) if checkpoints else None
        self.number, self.path = folder.create(config.run_dir)
        self._end_log = logs.log_run(self.path) if config.initialize_logging else None
        self._findings_told = self._lost_results = 0
        self._tell_findings()
        facts: dict[str, Any] = {"entry": entry.take()}
        self._is_workflow = facts["entry"]["kind"] == entry.WORKFLOW
        self.lineage = _lineage(config, checkpoints, self.orders, facts["entry"])
        self.seed = seed_of_run(config.seed, self.lineage.root)  #: what its random numbers follow from
        self.trouble = Trouble(on_trouble, self._note_trouble)
        self.memo = Memo(self._store, config.memo_entries)
        self.accepted = _accepted(Path(config.run_dir), keys)
        self.leases = self.memo.leases = Leases(config.run_dir, self.path.name)
        self._following = threading.Lock()  # guards the beginning of it
        self._follows = False
        self.checkpointer = Checkpointer(
            self.path / folder.CHECKPOINT,
            keys=keys,
            run_number=self.number,
            mode=None if self.orders is not None and self.orders.style == VERIFY else config.checkpoint_mode,
            sync=config.sync,
            period_s=config.period_s,
            memo=self.memo,
            on_trouble=partial(self.trouble.begin, RESULTS),
            on_recovery=partial(self.trouble.end, RESULTS),
        )
        self.memo.on_foreign_hit = self.checkpointer.add_base
        recorder = None
        if config.record:
            recorder = Recorder(
                self.path / folder.EVENTS,
                keys=keys,
                run_number=self.number,
                on_trouble=partial(self.trouble.begin, RECORD),
                on_recovery=partial(self.trouble.end, RECORD),
            )
        self.journal = Journal(recorder, previews=config.previews)
        self._closing = threading.Lock()  # guards the end of the run, which a signal and the script may both bring
        self._ended = False
        facts |= run_facts(self.number, self.lineage.root, self.lineage.parent)
        facts |= {"run_dir": os.path.realpath(config.run_dir), "kernel": kernel}
        facts["seed"] = None if config.seed is None else str(config.seed)
        if self.orders is not None:
            facts["orders"] = {"id": self.orders.id, "style": self.orders.style}
        shown = {**facts, "entry": entry.for_card(facts["entry"])}
        self._card = Card(self.path, {**shown, "started": time.time(), "ended": None})
        self.journal.run_started(facts)

    def _load(self, checkpoints: list[str]) -> Store:
        if self._config.checkpoint_files is not None:
            return Store.open(checkpoints, self.keys, shared=self._config.shared)
        # Found, not named: one that is removed meanwhile is no error.
        found = [Path(each) for each in checkpoints]
        return Store.open((), self.keys, found=lambda: found, shared=self._config.shared)

    def follow(self) -> Store:
        """What is loaded; from the first call on, a `refresh` of it takes in what other runs have stored meanwhile.

        Raises:
            ConfigurationError: results of this run are not stored at once, so that others could not follow it.
        """
        with self._following:
            if not self._follows:
                self._config.check_exclusive()
                if self._store is None:
                    self._store = self.memo.store = self._load([])
                self._store.follow(self._others)
                self._follows = True
            assert self._store is not None
            return self._store

    def _others(self) -> Iterator[Path]:
        """The checkpoints of the other runs in the run folder. Where it was named what to load, those of runs that go
        on beside this one: that began later, or held what was asked for."""
        named = self._config.checkpoint_files is not None
        for number, path in folder.numbered(self._config.run_dir):
            if number != self.number and (not named or number > self.number or path.name in self.leases.met):
                yield path / folder.CHECKPOINT

    def note_outcome(self, status: str, known: Known, error: Mapping[str, str]) -> bool | None:
        """Store and note what the workflow that this is a run of has come to, whatever the checkpoint mode.

        Args:
            status: as `dispatched.Status` has it.
            known: the result, or what was raised.
            error: type, message and traceback of that.

        Returns:
            Whether it is stored; None when the run has ended before.
        """
        with self._closing:
            if self._ended:
                return None
            key, is_stored = os.urandom(32), True
            try:
                self.checkpointer.put(key, known)
            except SerializationError as exc:
                logger.warning("what %s came to is not stored: %s", known.app, exc)
                is_stored = False
            self.journal.marked(OUTCOME, {"status": status, "key": key if is_stored else None, **error})
            return is_stored and self.checkpointer.trouble is None

    def close(self, reason: str, counts: Mapping[str, int]) -> None:
        """Store what the mode says, close all files, and note how the run ended. A second call does nothing, but
        returns only when the first has."""
        with self._closing:
            if not self._ended:
                self._ended = True
                self._close(reason, counts)

    def _close(self, reason: str, counts: Mapping[str, int]) -> None:
        self.trouble.run_ends()
        time_ended = time.time()
        lost = self._lost_results = self.checkpointer.close()
        if lost:
            exit_code.results_are_lost()
        self.leases.close()
        unrecorded = self.journal.run_ended(reason, counts, lost)
        if unrecorded is not None:
            logger.warning(
                "the end of this run's record could not be stored (%s): tasks that ended may be shown as lost",
                unrecorded,
            )
        self._tell_findings()
        if self._store is not None:
            self._store.close()
        ended = {"ended": reason, "time_ended": time_ended, "counts": dict(counts)}
        self._card.note(**ended, lost_results=lost, degraded=False)
        if self._end_log is not None:
            self._end_log()

    def _note_trouble(self, what: str, sentence: str) -> None:
        self.journal.trouble(what, sentence)
        self._card.note(degraded=bool(self.trouble))

    def _tell_findings(self) -> None:
        """Warn of what was found damaged in the loaded checkpoints, each thing once; torn ends are ordinary (P2)."""
        if self._store is None:
            return
        findings = self._store.report.warnings[self._findings_told :]
        self._findings_told += len(findings)
        sentences = [*self._store.report.unopened, *told(findings)]
        for sentence in sentences[:FINDINGS_TOLD]:
            logger.warning("%s", sentence)
        if len(sentences) > FINDINGS_TOLD:
            logger.warning("and %d findings more like these", len(sentences) - FINDINGS_TOLD)

    def how_to_resume(self) -> str:
        """One line that says what of this run is kept, and how to go on."""
        written, lost = self.checkpointer.written, self._lost_results
        if not written:
            why = f": {lost} could not be stored" if lost else "" if self._config.checkpoint_mode else _NO_MODE
            return f"run {self.path} kept no results{why}"
        kept = "1 result is" if written == 1 else f"{written} results are"
        but = f", {lost} could not be stored" if lost else ""
        again = f"use  parslish resume {self.path} " if self._is_workflow else "run the same script again"
        return f"run {self.path}: {kept} in its checkpoint{but}; {again} to go on from there"


def _accepted(run_dir: Path, keys: Keys) -> Accepted | None:
    """Which earlier code is as good as the present one, where anybody has said so."""
    if not (run_dir / MARKS).is_dir():
        return None
    from parslish.history.accepted import Accepted  # here: few run folders have it

    return Accepted(run_dir, keys) or None


def _lineage(config: Config, checkpoints: list[str], told: Orders | None, of: Mapping[str, Any]) -> Lineage:
    if told is not None:
        return Lineage(told.root, str(told.parent))
    named = bool(config.checkpoint_files)
    # A script that is started again goes on; a workflow that is dispatched begins, whatever else goes on beside it.
    return lineage.of(checkpoints if named or of["kind"] != entry.WORKFLOW else [], named=named)


def _checkpoints(config: Config, told: Orders | None) -> list[str]:
    """The checkpoints to load: those that are named, or with a mode and no names, those of all earlier runs. A run that
    executes another again loads that one's too, or none."""
    if told is None:
        return _configured(config)
    if not told.reuse:
        return []
    chain = [str(run / folder.CHECKPOINT) for run in lineage.chain(told.parent)]
    return list(dict.fromkeys([*_configured(config), *filter(os.path.isdir, chain)]))


def _configured(config: Config) -> list[str]:
    if config.checkpoint_files:
        from parslish.history.named import stores  # here: as a rule they are found

        return stores(config.checkpoint_files)
    if config.checkpoint_files is not None:
        return []
    return get_all_checkpoints(config.run_dir) if config.checkpoint_mode else []
