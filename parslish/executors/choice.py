"""Owns the executors of a kernel by their labels, and which of them an app runs on."""

from __future__ import annotations

import inspect
import itertools
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from parslish.errors import ConfigurationError, UsageError, near
from parslish.executors.base import Executor
from parslish.executors.threads import ThreadPoolExecutor

if TYPE_CHECKING:
    from parslish.apps import AppBase

#: The executor of join apps' bodies: threads of this process, whatever else is configured.
INTERNAL = "_parslish_internal"


class Executors(dict[str, Executor]):
    """label → started executor.

    Args:
        executors: those of the configuration.
        internal_threads: how many threads run bodies of join apps; they start with the first such body.
    """

    def __init__(self, executors: Iterable[Executor], internal_threads: int) -> None:
        super().__init__()
        self._internal_threads = internal_threads
        self._turns: dict[str | tuple[str, ...], Iterator[str]] = {}
        self._lock = threading.Lock()  # guards the start of the internal executor
        try:
            self.add(executors)
        except BaseException:
            self.shutdown(block=True)
            raise

    def add(self, executors: Iterable[Executor]) -> None:
        """Start more executors."""
        for executor in executors:
            if executor.label in self:
                raise ConfigurationError(f"two executors have the label {executor.label!r}: rename one")
            executor.start()
            self[executor.label] = executor
        self._turns.clear()

    def label_for(self, app: AppBase) -> str:
        """The executor for the next task of an app; where it may run on several, they take turns.

        Raises:
            UsageError: the app names a label that is not here.
        """
        if app.kind == "join":
            if INTERNAL not in self:
                self._start_internal()
            return INTERNAL
        wanted = app.executors if isinstance(app.executors, str) else tuple(app.executors)
        turn = self._turns.get(wanted)
        if turn is None:
            turn = self._turns[wanted] = itertools.cycle(self._known(app, wanted))
        return next(turn)

    def shutdown(self, *, block: bool = True) -> None:
        """Shut all executors down; with `block`, wait for what cannot be stopped."""
        for executor in self.values():
            # A user's own, in the manner of Parsl, may not know of `block`.
            if block or "block" not in inspect.signature(executor.shutdown).parameters:
                executor.shutdown()
            else:
                executor.shutdown(block=False)

    def _known(self, app: AppBase, wanted: str | tuple[str, ...]) -> list[str]:
        known = [label for label in self if label != INTERNAL]
        if wanted == "all":
            return known
        labels = [wanted] if isinstance(wanted, str) else list(wanted)
        for label in labels:
            if label not in known:
                raise UsageError(
                    f"app {app.name!r} asks for executor {label!r}{near(label, known)}; "
                    f"this kernel has {', '.join(map(repr, known))}"
                )
        return labels

    def _start_internal(self) -> None:
        with self._lock:
            if INTERNAL not in self:
                self.add([ThreadPoolExecutor(INTERNAL, self._internal_threads)])
