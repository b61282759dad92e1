"""A script that ends before its tasks: all of them end, and what is large is stored as what is small is."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

SCRIPT = """
    import os, sys
    import parslish
    from parslish import Config, ProcessPoolExecutor, ThreadPoolExecutor, python_app

    @python_app(cache=True)
    def large(number):
        import os, time
        os.write(1, f"runs {number}\\n".encode())
        time.sleep(0.1)
        return bytes([number]) * 2_000_000

    def tell(future):
        os.write(1, f"ends {future.exception()}\\n".encode())

    if __name__ == "__main__":
        mode, kind = sys.argv[1:]
        executor = {"threads": ThreadPoolExecutor, "processes": ProcessPoolExecutor}[kind](max_workers=2)
        parslish.load(Config(executors=[executor], checkpoint_mode=mode))
        for number in range(6):
            large(number).add_done_callback(tell)
"""


@pytest.mark.parametrize("kind", ["threads", "processes"])
@pytest.mark.parametrize("mode", ["task_exit", "periodic", "dfk_exit"])
def test_large_results_of_tasks_that_outlive_the_script_are_stored(mode: str, kind: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    for runs in (6, 0):
        command = [sys.executable, script, mode, kind]
        ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=100)
        assert ran.returncode == 0 and ran.stderr == ""
        assert ran.stdout.count("ends None") == ran.stdout.count("ends") == 6
        assert ran.stdout.count("runs") == runs
