"""Owns which key a task has, and whether a result is known for it or being computed: its app's key makers, fed with
what is known of values that came from tasks, and the memo, or the user's own rule, that is asked then.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from parslish.errors import Unidentifiable
from parslish.files import File
from parslish.future import AppFuture
from parslish.graph import ATOMS
from parslish.identity.key import ArgumentPart, KeyMaker
from parslish.memo import Known, Memo
from parslish.memoizer import BasicMemoizer
from parslish.random_numbers import origin_of
from parslish.task import Task

if TYPE_CHECKING:
    from parslish.apps import AppBase
    from parslish.guide import Guide
    from parslish.history.accepted import Accepted
    from parslish.history.journal import Journal

logger = logging.getLogger("parslish")


class Reuse:
    """Keys of tasks, and what is known under them.

    Args:
        memo: what the run knows.
        memoizer: asked instead, when its class has a `check_memo` of its own.
        journal: is told what a task was called with, and why a known result is not used.
        root: the id of the first run of the lineage.
        seed: what the run's random numbers follow from.
        strict: whether an argument without identity is an error.
        accepted: which earlier code of an app is as good as its present one; None: none is.
    """

    def __init__(
        self,
        memo: Memo,
        memoizer: BasicMemoizer,
        journal: Journal,
        root: str,
        seed: bytes,
        *,
        strict: bool,
        accepted: Accepted | None = None,
    ) -> None:
        self._memo, self._memoizer, self._root, self._strict = memo, memoizer, root, strict
        self._journal, self._seed = journal, seed
        self._accepted = accepted
        self._makers: dict[tuple[AppBase, bytes], Sequence[KeyMaker]] = {}
        # Users' own rules cost a future per task, so they are asked only where there are any.
        self._asks_memoizer = type(memoizer).check_memo is not BasicMemoizer.check_memo
        self._warned: set[tuple[AppBase, str]] = set()

    def look_up(
        self,
        task: Task,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        dependencies: Sequence[Future[Any]],
        plain: bool,
        guide: Guide | None,
    ) -> tuple[Known | None, Task | None]:
        """Give a task its key, and find what is known under it, or else the task that is computing that.

        Where there is neither, the task is to run, and its key is claimed for it.

        Raises:
            TypeError: the arguments do not fit the app's signature.
            Unidentifiable: an argument has no identity, and that is an error.
        """
        makers = self.makers(task.app)
        # What a plain call gives to which parameter is told by its arguments.
        parts: list[ArgumentPart] | None = None if plain or not self._journal.previews else []
        key = task.key = self.key_of(task, makers[0], args, kwargs, dependencies, parts)
        if parts:
            self._journal.bound(task, parts)
        if key is None:
            return None, None
        if guide is not None and (own := guide.own_key(task, key)) != key:
            key = task.key = own
            makers = makers[:1]
        owner = self._memo.claim(key, task)
        reason = None if guide is None else guide.why_forced(task, dependencies)
        if owner is not task:
            return None, owner
        if reason is not None:
            self._journal.forced(task, reason)
            return None, None
        known = self.known(task, key)
        if known is None and len(makers) > 1:
            known = self.known_earlier(task, makers[1:], args, kwargs, dependencies)
        if known is None or (guide is not None and guide.is_outdated(key, known)):
            if self._memo.refused:
                self._note_refused(task, key)
            return None, None
        self._memo.release(key, task)
        return known, None

    def _note_refused(self, task: Task, key: bytes) -> None:
        reason = self._memo.refused.pop(key, None)
        if reason is not None:
            self._journal.missed(task, *reason)

    def key_of(
        self,
        task: Task,
        maker: KeyMaker,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        dependencies: Sequence[Future[Any]],
        parts: list[ArgumentPart] | None = None,
    ) -> bytes | None:
        """The key under which a task's result is filed, by one of its app's `key_makers`; None: under none.

        With `cache="replay"` the place of the call and the root of the run are part of it; of an app that draws random
        numbers what they follow from: the same call at another place draws others. So are the places of the output
        files: not their contents, but who asks for another file must not be told that it is there.
        `parts` as in `KeyMaker.key`.

        Raises:
            TypeError: the arguments do not fit the signature.
            Unidentifiable: an argument has no identity, and that is an error.
        """
        try:
            key = maker.key(args, kwargs, _encodings(dependencies) if dependencies else None, parts)
        except Unidentifiable as exc:
            if self._strict:
                raise
            self.warn_once(task.app, exc.argument, f"{task.app.name} runs unmemoized: {exc}")
            return None
        if task.app.cache == "replay":
            key = blake3(b"replay\0" + key + f"{self._root}\0{task.path}".encode()).digest()
        if task.app.draws:
            key = blake3(b"draws\0" + key + origin_of(self._seed, task.path)).digest()
        if task.options is not None and task.options.outputs:
            places = "\0".join(map(_place, task.options.outputs))
            key = blake3(b"outputs\0" + key + places.encode(errors="surrogateescape")).digest()
        return key

    def makers(self, app: AppBase) -> Sequence[KeyMaker]:
        """What makes the keys of an app's calls: as it is now first, then what it was that is still good."""
        own = app.key_makers
        if self._accepted is None or app.version is not None:
            return own
        code = own[0].code_digest
        found = self._makers.get((app, code))
        if found is None:
            earlier = self._accepted.codes(app.name, code.hex())
            found = self._makers[app, code] = [*own, *(own[0].other_code(bytes.fromhex(each)) for each in earlier)]
        return found

    def known(self, task: Task, key: bytes) -> Known | None:
        """The result that is known for a task, whose key is this."""
        if not self._asks_memoizer:
            return self._memo.find(key, task.app.expires_s)
        found = self._memoizer.check_memo(task)
        if found is None:
            return None
        exc = found.exception()
        return Known(None if exc else found.result(), exc)

    def known_earlier(
        self,
        task: Task,
        makers: Sequence[KeyMaker],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        dependencies: Sequence[Future[Any]],
    ) -> Known | None:
        """The result that is known for a task under an earlier name of its app."""
        for maker in () if self._asks_memoizer else makers:
            key = self.key_of(task, maker, args, kwargs, dependencies)
            known = None if key is None else self._memo.find(key, task.app.expires_s)
            if known is not None:
                return known
        return None

    def warn_once(self, app: AppBase, about: str, message: str) -> None:
        """Warn of something about an app, unless that was done."""
        if (app, about) not in self._warned:
            self._warned.add((app, about))
            logger.warning("%s", message)


def _place(output: Any) -> str:
    file = output if isinstance(output, File) else File(output)
    return os.path.abspath(file.path) if file.scheme == "file" else file.url


def _encodings(dependencies: Sequence[Future[Any]]) -> Mapping[int, bytes] | None:
    """id → encoding of each result among the arguments that is worth knowing: it is made once, however many
    tasks take it."""
    known = {}
    for future in dependencies:
        if isinstance(future, AppFuture) and type(future.result()) not in ATOMS:
            encoding = future.encoding()
            if encoding is not None:
                known[id(future.result())] = encoding
    return known or None
