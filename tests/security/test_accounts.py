"""Two accounts of one machine: what one may load of the other's results, and what one can do to the other's runs."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from parslish.secret import Keys
from parslish.store import frame
from parslish.store.frame import Type
from tests.security import forge
from tests.security.accounts import ADA, ROOT, Account, needs_root, two_accounts
from tests.security.forge import THEIRS, Canary

pytestmark = needs_root


@pytest.fixture
def accounts() -> Iterator[tuple[Account, Account]]:
    with two_accounts() as both:
        yield both


def opened(account: Account, run: str = "000") -> Path:
    """A run's checkpoint, made readable for all as its owner would do."""
    checkpoint = account.home / "runinfo" / run / "checkpoint"
    for path in (checkpoint, checkpoint.parent):
        path.chmod(0o755)
    for path in checkpoint.iterdir():
        path.chmod(0o644)
    return checkpoint


def state(folder: Path) -> list[tuple[str, int, int]]:
    return sorted((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*"))


def handed_over(ada: Account, bob: Account) -> Path:
    """Ada's keys in a file of Bob's."""
    assert ada.command("key", "export", "for-bob").code == 0
    return bob.own(Path(shutil.move(ada.home / "for-bob", bob.home / "from-ada")), 0o600)


# ------------------------------------------------------------------------------------- sharing


def test_with_the_key_another_accounts_results_are_loaded_and_left_as_they_are(
    accounts: tuple[Account, Account],
) -> None:
    ada, bob = accounts
    assert ada.squares().facts["runs"] == [0, 1, 2]
    checkpoint = opened(ada)
    before = state(ada.home / "runinfo")
    key = handed_over(ada, bob)
    config = {"checkpoint_files": [str(checkpoint)], "shared": True, "trusted_keys": [str(key)]}
    done = bob.squares(**config)
    assert done.facts["results"] == [0, 1, 4]
    assert done.facts["runs"] == []
    assert done.err == ""
    assert state(ada.home / "runinfo") == before
    assert Path(done.facts["run"]).is_relative_to(bob.home)
    # What Bob computes himself is signed with his own key.
    assert bob.squares(run_dir="other", trusted_keys=[str(key)]).facts["runs"] == [0, 1, 2]
    (segment,) = (bob.home / "other/000/checkpoint").iterdir()
    header = frame.parse_segment_header(segment.read_bytes())
    assert header is not None and header.key_id == Keys([bytes.fromhex(bob.key.read_text())]).id


def test_what_is_invalidated_later_counts_no_longer_for_those_it_is_shared_with(
    accounts: tuple[Account, Account],
) -> None:
    ada, bob = accounts
    ada.squares()
    config = {"checkpoint_files": [str(opened(ada))], "shared": True, "trusted_keys": [str(handed_over(ada, bob))]}
    assert ada.command("invalidate", "*", "--reason", "wrong").code == 0
    done = bob.squares(**config)
    assert done.facts["runs"] == [0, 1, 2]
    assert done.err == ""


def test_without_the_key_they_are_computed_again_with_one_warning_that_says_what_to_do(
    accounts: tuple[Account, Account],
) -> None:
    ada, bob = accounts
    ada.squares()
    done = bob.squares(checkpoint_files=[str(opened(ada))], shared=True)
    assert done.facts["results"] == [0, 1, 4]
    assert done.facts["runs"] == [0, 1, 2]
    (warning,) = done.err.splitlines()
    assert "not signed with a key of yours: 3 records" in warning
    assert "trusted_keys" in warning and str(bob.key) in warning


def test_without_shared_another_accounts_store_is_refused_with_the_way_out(accounts: tuple[Account, Account]) -> None:
    ada, bob = accounts
    ada.squares()
    done = bob.squares(checkpoint_files=[str(opened(ada))])
    assert done.code != 0
    assert done.err.splitlines()[-1].endswith(
        f"belongs to another user (uid {ADA}); load it with shared=True (commands: --shared) if you trust them"
    )


def test_a_store_that_is_not_opened_to_others_cannot_be_read_by_them(accounts: tuple[Account, Account]) -> None:
    ada, bob = accounts
    ada.squares()
    checkpoint = ada.home / "runinfo/000/checkpoint"
    for config in ({}, {"shared": True}):
        done = bob.squares(checkpoint_files=[str(checkpoint)], **config)
        assert done.code != 0
        assert "permission denied" in done.err.splitlines()[-1]
    assert bob.python(f"open({str(ada.key)!r})").err.splitlines()[-1].startswith("PermissionError")


def test_a_key_file_of_another_account_is_not_ours(accounts: tuple[Account, Account]) -> None:
    """Whoever owns the file could change the key under us, and then sign what we open."""
    ada, bob = accounts
    ada.squares()
    done = bob.squares(trusted_keys=[str(ada.own(Path(shutil.copy(ada.key, ada.home / "copy")), 0o644))])
    assert done.code != 0
    assert "belongs to another user; take a copy of your own" in done.err.splitlines()[-1]


# ------------------------------------------------------------------------------------- planting


def planted(ada: Account, bob: Account, checkpoint: Path) -> Canary:
    """Ada has opened her checkpoint for writing; Bob puts his canary there under each of her keys, in many ways."""
    checkpoint.chmod(0o777)
    canary = Canary(bob.home / "sang")
    bob.home.chmod(0o777)
    (genuine,) = checkpoint.glob("*.seg")
    content = genuine.read_bytes()
    heads = [one.header for one in forge.frames_of(content) if one.header.type == Type.RESULT]
    made = b"".join(forge.pack_frame(head._replace(run=99), canary.result(), THEIRS) for head in heads)
    forged = bob.own(checkpoint / "0.seg", 0o644) if (checkpoint / "0.seg").touch() else checkpoint / "0.seg"
    forged.write_bytes(content[: frame.SEGMENT_HEADER_BYTES] + made)
    bob.own(forged, 0o644)
    os.mkfifo(checkpoint / "1.seg")
    bob.own(checkpoint / "1.seg", 0o666)
    (checkpoint / "2.seg").symlink_to("/dev/zero")
    (checkpoint / "3.seg").symlink_to(forged)
    (checkpoint / "4.seg").mkdir()
    return canary


def test_a_folder_that_others_can_write_to_is_refused_with_the_command_that_mends_it(
    accounts: tuple[Account, Account],
) -> None:
    ada, bob = accounts
    ada.squares()
    checkpoint = ada.home / "runinfo/000/checkpoint"
    canary = planted(ada, bob, checkpoint)
    done = ada.squares(checkpoint_files=[str(checkpoint)])
    assert done.code != 0
    assert "can be written by others: run  chmod go-w" in done.err.splitlines()[-1]
    checkpoint.chmod(0o755)
    done = ada.squares(checkpoint_files=[str(checkpoint)])
    assert done.facts["runs"] == []
    assert not canary.sang


def test_what_others_plant_in_a_shared_folder_is_not_opened_and_does_not_hang(
    accounts: tuple[Account, Account],
) -> None:
    ada, bob = accounts
    ada.squares()
    checkpoint = ada.home / "runinfo/000/checkpoint"
    canary = planted(ada, bob, checkpoint)
    done = ada.squares(checkpoint_files=[str(checkpoint)], shared=True)
    assert done.facts["results"] == [0, 1, 4]
    assert done.facts["runs"] == []
    assert not canary.sang
    assert "not signed with a key of yours: 3 records" in done.err


def test_what_others_own_in_our_own_folder_is_not_read(accounts: tuple[Account, Account]) -> None:
    ada, bob = accounts
    ada.squares()
    checkpoint = ada.home / "runinfo/000/checkpoint"
    (segment,) = checkpoint.iterdir()
    bob.own(segment, 0o644)
    done = ada.squares()
    assert done.facts["runs"] == [0, 1, 2]
    (warning,) = done.err.splitlines()
    assert "belongs to another user" in warning


def test_somebody_elses_run_among_ours_is_refused(accounts: tuple[Account, Account]) -> None:
    """In a run folder that others can write to."""
    ada, bob = accounts
    ada.squares()
    bob.squares()
    theirs = ada.home / "runinfo" / "001"
    shutil.copytree(bob.home / "runinfo" / "000", theirs)
    for path in (theirs, *theirs.rglob("*")):
        bob.own(path, 0o755)
    done = ada.squares()
    assert "belongs to another user" in done.err


# ------------------------------------------------------------------------------------- modes


@pytest.mark.parametrize("umask", [0, 0o002, 0o022, 0o077], ids=oct)
def test_no_umask_opens_what_is_stored_to_others(accounts: tuple[Account, Account], umask: int) -> None:
    ada, _ = accounts
    ada.squares(umask=umask)
    run = ada.home / "runinfo/000"
    folders = [run, run / "checkpoint", run / "events", ada.key.parent]
    files = [*run.rglob("*.seg"), ada.key]
    assert len(files) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    files.append(run / "run.json")
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert {path.stat().st_uid for path in (*folders, *files)} == {ADA}
    assert ada.squares(umask=umask).facts["runs"] == []


def test_the_recipe_of_the_page_opens_the_results_and_nothing_else_of_the_run(
    accounts: tuple[Account, Account],
) -> None:
    ada, bob = accounts
    assert ada.squares().code == 0
    page = (ROOT / "SECURITY.md").read_text()
    lines = re.findall(r"^ada\$ (chmod [^#\n]*)", page, re.MULTILINE)
    assert len(lines) == 2
    for line in lines:
        subprocess.run(shlex.split(line), check=True, cwd=ada.home)
    key = handed_over(ada, bob)
    checkpoint = str(ada.home / "runinfo/000/checkpoint")
    done = bob.squares(checkpoint_files=[checkpoint], shared=True, trusted_keys=[str(key)])
    assert done.facts["runs"] == []
    others = [str(path) for path in (ada.home / "runinfo/000").rglob("*") if "checkpoint" not in path.parts]
    assert len(others) == 3  # the card, and the record with its segment
    look = f"import json, os; print(json.dumps({{'found': [each for each in {others!r} if os.access(each, os.R_OK)]}}))"
    assert bob.python(look).facts == {"found": []}
    assert bob.command("checkpoint", "ls", checkpoint).code == 0


def test_a_umask_that_takes_everything_away_is_told_at_the_start(accounts: tuple[Account, Account]) -> None:
    ada, _ = accounts
    done = ada.squares(umask=0o777)
    assert done.code != 0
    assert "PARSLISH_KEY_FILE" in done.err.splitlines()[-1]
    assert "Permission denied" in done.err.splitlines()[-1]


def no_folder(ada: Account) -> None:
    ada.home.chmod(0o555)


def folder_of_others(ada: Account) -> None:
    ada.key.parent.mkdir(parents=True)


def file_in_the_way(ada: Account) -> None:
    (ada.home / ".config").write_text("")


@pytest.mark.parametrize("cause", [no_folder, folder_of_others, file_in_the_way], ids=lambda each: each.__name__)
def test_where_no_key_can_be_made_the_start_fails_and_names_the_way_out(
    accounts: tuple[Account, Account], cause: Callable[[Account], None]
) -> None:
    ada, _ = accounts
    cause(ada)
    done = ada.squares(run_dir="/nowhere")
    assert done.code != 0
    assert "cannot be made" in done.err or "cannot be read" in done.err
    assert "set PARSLISH_KEY_FILE to a file in a folder that only you can write" in done.err.splitlines()[-1]
