"""Every test has a home, a key and a working folder of its own, and leaves no kernel behind."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

# What ran the tests may have had these ignored, as a shell has for `nohup … &`: the scripts under test inherit that.
for _number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL)


@pytest.fixture(autouse=True)
def own_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    import parslish
    from parslish import exit_code, stopping
    from parslish.dispatching import dispatched

    monkeypatch.setattr(dispatched, "_dispatched", {})  # what another test has dispatched is not ours
    monkeypatch.setattr(exit_code, "_lost", False)  # of a test's kernel, not of the tests' own process
    monkeypatch.setenv("PARSLISH_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.chdir(tmp_path)
    yield
    for kernel in list(stopping.live_kernels()):
        with contextlib.suppress(Exception):
            kernel.cleanup()
    parslish.clear()
