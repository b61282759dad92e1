"""Owns where log lines go. At default settings no line is made for a task: the run's record has what happened."""

from __future__ import annotations

import logging
import os
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
    return _attach(logging.FileHandler(filename, delay=True), name, level, format_string or FORMAT)


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
        handler.close()
        logger.setLevel(before)

    return detach
