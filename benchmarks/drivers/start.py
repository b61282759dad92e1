"""Starting, W8: fresh processes of an environment, watched from outside; the scripts are in `benchmarks/first`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from statistics import median

from benchmarks.measure import Figures, timed

FIRST = Path(__file__).resolve().parent.parent / "first"


def importing(repeats: int, statement: str) -> Figures:
    """Milliseconds that an import takes, beyond a Python that does nothing."""
    _run("-c", statement)  # once for the bytecode files
    taken = [timed(lambda: _run("-c", statement)) - timed(lambda: _run("-c", "pass")) for _ in range(repeats)]
    return {"import": median(taken) * 1e3}


def first(repeats: int, script: str) -> Figures:
    """Milliseconds from starting Python until the first result is printed, the import included."""
    _first_result(script)
    return {"first": median(_first_result(script) for _ in range(repeats)) * 1e3}


def _run(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True)


def _first_result(script: str) -> float:
    process: list[subprocess.Popen[str]] = []

    def until_result() -> None:
        command = [sys.executable, str(FIRST / f"{script}.py")]
        process.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        assert process[0].stdout is not None
        for line in process[0].stdout:
            if line.strip() == "result 1":
                return
        raise RuntimeError(f"first/{script}.py ended without a result")

    taken = timed(until_result)
    process[0].communicate()
    return taken
