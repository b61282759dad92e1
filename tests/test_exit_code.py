"""A script whose results could not all be stored ends with exit code 3 instead of 0, after all else that Python does at
its end."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import tarfile
import textwrap
import zipfile
from pathlib import Path

import pytest

from parslish.exit_code import LOST

BEFORE = """
    import atexit, gzip, io, os, resource, shutil, signal, sys, tarfile, threading, weakref, zipfile
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
        shutil.rmtree(kernel.run_dir + "/checkpoint")

    def empty_it():
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    kernel = parslish.load(Config(checkpoint_mode="task_exit"))
    cell(0).result()
"""
ENDS = {
    "full": (3, "fill_the_disk(); cell(1).result(); kernel.cleanup()"),
    "full, and the kernel left to the end": (3, "fill_the_disk(); cell(1).result()"),
    "full, and said to be well": (3, "fill_the_disk(); cell(1).result(); sys.exit(0)"),
    "full, and ended by sys.exit without a code": (3, "fill_the_disk(); cell(1).result(); sys.exit()"),
    "full, and ended by an error": (1, "fill_the_disk(); cell(1).result(); 1 / 0"),
    "full, and ended with a code": (5, "fill_the_disk(); cell(1).result(); sys.exit(5)"),
    "full, and ended with a code, well before": (6, "fill_the_disk(); cell(1).result(); kernel.cleanup(); sys.exit(6)"),
    "full, and ended with a text": (1, "fill_the_disk(); cell(1).result(); sys.exit('boo')"),
    "full, and ended by an exit of its own kind": (4, "fill_the_disk(); cell(1).result(); raise SystemExit(4)"),
    "full, and room again at the end": (0, "fill_the_disk(); cell(1).result(); empty_it()"),
    "never full": (0, "cell(1).result()"),
    "removed while it runs": (3, "remove_it(); cell(1).result(); kernel.checkpoint()"),
    "removed at the end": (3, "cell(1).result(); remove_it()"),
}
LOSING = "cell(1).result(); remove_it()\n"


def written(tmp_path: Path, lines: str) -> Path:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(BEFORE) + textwrap.dedent(lines) + "\n")
    return script


def ran(tmp_path: Path, *command: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
        input=stdin,
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
    )


@pytest.mark.parametrize("end", ENDS)
def test_the_exit_code_tells_whether_all_results_are_stored(end: str, tmp_path: Path) -> None:
    code, lines = ENDS[end]
    done = ran(tmp_path, written(tmp_path, lines))
    assert done.returncode == code, done.stderr
    assert done.stdout.splitlines() == ["registered after", "registered before"]
    assert (tmp_path / "left open").read_text() == "written"
    told = done.stderr.count("tasks go on")
    assert told == (0 if end in ("never full", "removed at the end") else 1)
    assert done.stderr.count("could not be stored (") == (code != 0)


FINALISED = """
    import concurrent.futures, ctypes
    class Noisy:
        def __init__(self, name): self.name = name
        def __del__(self): print("deleted", self.name)

    alone, circle = Noisy("alone"), Noisy("circle")
    circle.itself = circle
    weakref.finalize(alone, print, "finalised")
    zipped = gzip.open("out.gz", "wt"); zipped.write("line")
    folder = zipfile.ZipFile("out.zip", "w"); folder.writestr("member", "data")
    tarred = tarfile.open("out.tar", "w")
    tarred.addfile(tarfile.TarInfo("member"), io.BytesIO())
    atexit.register(tarred.close)
    def late(name): threading.main_thread().join(); print(name)
    threading.Thread(target=late, args=("thread",)).start()
    ending = threading.Event()
    concurrent.futures.ThreadPoolExecutor(1).submit(lambda: (ending.wait(), print("pool")))
    threading._register_atexit(ending.set)
    ctypes.CDLL(None).puts(b"from C")  # into a buffer of C's
"""


def test_all_that_python_finalises_is_finalised_once_and_in_its_order(tmp_path: Path) -> None:
    ends = {}
    for name, lines in {"well": "cell(1).result()", "lost": LOSING}.items():
        where = tmp_path / name
        where.mkdir()
        done = ran(where, written(where, FINALISED + "\n" + "    " + lines))
        ends[name] = done.stdout.splitlines()
        assert done.returncode == (LOST if name == "lost" else 0), done.stderr
        assert gzip.decompress((where / "out.gz").read_bytes()) == b"line"
        assert zipfile.ZipFile(where / "out.zip").namelist() == ["member"]
        with tarfile.open(where / "out.tar") as tarred:
            assert tarred.getnames() == ["member"]
    assert ends["well"] == ends["lost"]
    assert ends["lost"][:5] == ["pool", "thread", "finalised", "registered after", "registered before"]
    assert sorted(ends["lost"][5:]) == ["deleted alone", "deleted circle", "from C"]


@pytest.mark.parametrize(("number", "code"), [("SIGTERM", 128 + 15), ("SIGINT", -2), ("SIGKILL", -9)])
def test_a_signal_keeps_its_code(number: str, code: int, tmp_path: Path) -> None:
    ended = f"{LOSING}os.kill(os.getpid(), signal.{number})\nthreading.Event().wait()"
    assert ran(tmp_path, written(tmp_path, ended)).returncode == code


@pytest.mark.parametrize(("ended", "code"), [("", LOST), ("sys.exit(0)", LOST), ("sys.exit(5)", 5)])
def test_a_script_is_told_alike_in_every_way_of_starting_it(ended: str, code: int, tmp_path: Path) -> None:
    script = written(tmp_path, LOSING + ended)
    assert ran(tmp_path, "-m", "script").returncode == code
    assert ran(tmp_path, "-c", script.read_text()).returncode == code
    assert ran(tmp_path, "-m", "parslish", "run", script).returncode == code
    assert ran(tmp_path, "-", stdin=script.read_text()).returncode == code


@pytest.mark.parametrize(("typed", "code"), [("1 / 0\n", LOST), ("sys.exit(5)\n", 5)])
def test_a_prompt_ends_with_what_is_typed_last(typed: str, code: int, tmp_path: Path) -> None:
    assert ran(tmp_path, "-i", written(tmp_path, LOSING), stdin=typed).returncode == code


@pytest.mark.parametrize("how", ["fork", "spawn", "forkserver"])
def test_children_have_the_codes_of_their_own(how: str, tmp_path: Path) -> None:
    lines = """
    import multiprocessing

    def child(code): sys.exit(code)

    def main():
        fill_the_disk(); cell(1).result(); kernel.cleanup(); empty_it()
        for code in (0, 5):
            process = multiprocessing.get_context(sys.argv[1]).Process(target=child, args=(code,))
            process.start()
            process.join()
            assert process.exitcode == code, process.exitcode
        pid = os.fork()
        if pid:
            assert os.waitpid(pid, 0)[1] == 0

    if __name__ == "__main__": main()
    """
    script = written(tmp_path, "")
    before = script.read_text().partition("kernel = ")
    loaded = "if __name__ == '__main__':\n    kernel = parslish.load(Config(checkpoint_mode='task_exit'))\n"
    script.write_text(before[0] + loaded + textwrap.dedent(lines))
    done = ran(tmp_path, "-W", "ignore", script, how)
    assert done.returncode == LOST, done.stderr


def test_a_timeout_of_faulthandler_is_no_hindrance(tmp_path: Path) -> None:
    timeout = "import faulthandler\nfaulthandler.dump_traceback_later(1000)\n"
    assert ran(tmp_path, "-X", "dev", written(tmp_path, timeout + LOSING)).returncode == LOST


def test_a_process_of_mpi_is_not_copied_and_keeps_its_code(tmp_path: Path) -> None:
    assert ran(tmp_path, written(tmp_path, f"sys.modules['mpi4py'] = sys\n{LOSING}")).returncode == 0


def test_a_loss_of_a_process_that_cannot_be_copied_leaves_its_code(tmp_path: Path) -> None:
    no_fork = "import ctypes\nctypes.PyDLL.fork = lambda *_: -1\n"
    done = ran(tmp_path, written(tmp_path, LOSING + no_fork))
    assert (done.returncode, done.stderr.count("Error")) == (0, 0)
