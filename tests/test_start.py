"""What a script does not load for its first result. A worker's side of it is in `executors/test_worker_start.py`.

By names, never by the clock: each of these costs every script that has no use for it, the lot more than all else.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

NOT_FOR_THREADS = {
    "asyncio", "cloudpickle", "concurrent.futures.process", "concurrent.futures.thread", "ctypes", "difflib", "dill",
    "distributed", "email", "fsspec", "ftplib", "loky", "multiprocessing", "numpy", "pandas",
    "parslish.executors.dispatch", "parslish.executors.facade", "parslish.executors.processes",
    "parslish.staging.plug", "platform", "shutil", "subprocess", "tempfile", "uuid", "zipfile",
}  # fmt: skip

#: The start of a process is loky's, which needs most of these itself.
NOT_FOR_PROCESSES = {"distributed", "fsspec", "numpy", "pandas", "parslish.executors.facade", "parslish.staging.plug"}


def loaded_by(tmp_path: Path, executor: str) -> set[str]:
    """The modules of a script that has had one result, beyond what this Python loads for itself."""
    code = (
        "import sys\n"
        "before = set(sys.modules)\n"
        "import parslish\n"
        "double = parslish.python_app(lambda x: 2 * x, cache=True)\n"
        f"with parslish.load(parslish.Config(executors=[parslish.{executor}])):\n"
        "    assert double(21).result() == 42\n"
        "print(*set(sys.modules) - before)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60
    )
    assert "parslish.kernel" in done.stdout, done.stderr
    return set(done.stdout.split())


def test_a_first_result_of_threads_loads_nothing_for_others(tmp_path: Path) -> None:
    assert not NOT_FOR_THREADS & loaded_by(tmp_path, "ThreadPoolExecutor()")


def test_a_first_result_of_processes_loads_nothing_for_others(tmp_path: Path) -> None:
    assert not NOT_FOR_PROCESSES & loaded_by(tmp_path, "ProcessPoolExecutor(max_workers=1)")
