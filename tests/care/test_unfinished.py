"""What a killed export leaves is removed by the next one, and nothing else is."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from parslish.care import unfinished
from tests.care.moves import Hooked, exported


def test_a_killed_export_leaves_no_target_and_the_next_one_clears_up(source: Path, tmp_path: Path) -> None:
    pid = os.fork()
    if not pid:

        def die(call: str) -> None:
            if call == "rename" and list(tmp_path.glob(".out.*/*.seg")):
                os.kill(os.getpid(), signal.SIGKILL)

        exported(source, tmp_path / "out", disk=Hooked(die))
        os._exit(1)
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL
    (left,) = tmp_path.glob(".out.*")
    assert list(left.glob("*.seg")) and not (tmp_path / "out").exists()
    exported(source, tmp_path / "another")
    assert not left.exists()


@pytest.mark.parametrize("whose", ["alive", "of another machine", "not only ours", "of an open folder", "a link"])
def test_what_may_be_anything_else_than_left_over_is_not_cleared_up(source: Path, tmp_path: Path, whose: str) -> None:
    gone = os.fork()
    if not gone:
        os._exit(0)
    os.waitpid(gone, 0)
    name = unfinished.path_for(tmp_path / "out").name
    if whose != "alive":
        name = name.replace(f"-{os.getpid()}-", f"-{gone}-")
    if whose == "of another machine":
        machine = name.split(".")[2][:16]
        name = name.replace(machine, machine[::-1])
    shutil.copytree(source, tmp_path / "kept")
    left = tmp_path / name
    if whose == "a link":
        left.symlink_to(tmp_path / "kept")
    else:
        os.rename(tmp_path / "kept", left)
    if whose == "of an open folder":
        tmp_path.chmod(0o777)
    if whose == "not only ours":
        (left / "notes.txt").touch()
    exported(source, tmp_path / "out")
    assert (left / "notes.txt").exists() if whose == "not only ours" else list(left.glob("*.seg"))
