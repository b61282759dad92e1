"""A script whose results could not all be stored ends with exit code 3, after all else that Python does at its end."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

BEFORE = """
    import atexit, os, resource, shutil, sys
    atexit.register(lambda: print("registered before", flush=True))
    import parslish
    from parslish import Config, python_app
    atexit.register(lambda: print("registered after"))
    left_open = open("left open", "w")
    left_open.write("written")

    @python_app(cache=True)
    def cell(number):
        return bytes(100_000)

    def fill_the_disk():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))

    def remove_it():
        kernel.checkpoint()
        shutil.rmtree("runinfo/000/checkpoint")

    def empty_it():
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    kernel = parslish.load(Config(checkpoint_mode="task_exit"))
    cell(0).result()
"""
ENDS = {
    "full": (3, "fill_the_disk(); cell(1).result(); kernel.cleanup()"),
    "full, and the kernel left to the end": (3, "fill_the_disk(); cell(1).result()"),
    "full, and said to be well": (3, "fill_the_disk(); cell(1).result(); sys.exit(0)"),
    "full, and ended by an error": (1, "fill_the_disk(); cell(1).result(); 1 / 0"),
    "full, and room again at the end": (0, "fill_the_disk(); cell(1).result(); empty_it()"),
    "never full": (0, "cell(1).result()"),
    "removed while it runs": (3, "remove_it(); cell(1).result(); kernel.checkpoint()"),
    "removed at the end": (3, "cell(1).result(); remove_it()"),
}


@pytest.mark.parametrize("end", ENDS)
def test_the_exit_code_tells_whether_all_results_are_stored(end: str, tmp_path: Path) -> None:
    code, lines = ENDS[end]
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(BEFORE) + lines + "\n")
    ran = subprocess.run([sys.executable, script], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert ran.returncode == code, ran.stderr
    assert ran.stdout.splitlines() == ["registered after", "registered before"]
    assert (tmp_path / "left open").read_text() == "written"
    told = ran.stderr.count("tasks go on")
    assert told == (0 if end in ("never full", "removed at the end") else 1)
    assert ran.stderr.count("could not be stored (") == (code != 0)
