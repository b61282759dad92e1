"""Owns where log lines go. At default settings no line is made for a task: the run's record has what happened."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Callable

NAME = "parslish"
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def set_stream_logger(
    name: str = NAME, level: int = logging.DEBUG, format_string: str | None = None
) -> Callable[[], None]:
    """Send log lines to stderr; returns a function that ends it."""
    return _attach(logging.StreamHandler(), name, level, format_string or "parslish: %(message)s")


def set_file_logger(
    filename: str | os.PathLike[str],
    name: str = NAME,
    level: int = logging.DEBUG,
    format_string: str | None = None,
) -> Callable[[], None]:
    """Append log lines to a file; returns a function that ends it."""
    return _attach(_File(filename, delay=True), name, level, format_string or FORMAT)


def log_run(run: os.PathLike[str]) -> Callable[[], None]:
    """Log a run to `parslish.log` in its folder, and warnings to stderr where nobody has set up logging."""
    logger = logging.getLogger(NAME)
    was_configured = logger.hasHandlers()
    ends = [set_file_logger(os.path.join(run, "parslish.log"), level=logging.INFO)]
    if not was_configured:
        ends.append(set_stream_logger(level=logging.WARNING))

    def end_all() -> None:
        for end in ends:
            end()

    return end_all


class _File(logging.FileHandler):
    """A file whose disk may refuse: the line that warns of that must not fail the task that it comes from."""

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError):  # of the opening, which `logging` does outside of what it catches
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


def _attach(handler: logging.Handler, name: str, level: int, format_string: str) -> Callable[[], None]:
    logger = logging.getLogger(name)
    handler.setLevel(level)
    handler.setFormatter(logging.Formatter(format_string))
    before = logger.level
    logger.addHandler(handler)
    if logger.getEffectiveLevel() > level:
        logger.setLevel(level)

    def detach() -> None:
        logger.removeHandler(handler)
        with contextlib.suppress(OSError):  # what a full disk has not taken is tried once more here
            handler.close()
        logger.setLevel(before)

    return detach
