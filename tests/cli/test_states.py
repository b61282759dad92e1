"""What state `ls` and `verify` say that a store is in: the same, with the same exit code, as far as `ls` looks."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from parslish.history.folder import CHECKPOINT, create
from parslish.secret import Keys
from parslish.store import frame
from parslish.store.blobs import Blobs, path_of
from parslish.store.frame import HEADER_BYTES, SEGMENT_HEADER_BYTES, Type
from parslish.store.log import Log
from tests.cli.conftest import Call
from tests.cli.stores import key, make_run, result, spoil, three
from tests.security.accounts import Account, needs_root, two_accounts

_CRC_AT = SEGMENT_HEADER_BYTES - 4


def with_blob() -> tuple[Path, Path]:
    """A run with a result whose value is in a blob; its segment and the blob."""
    _, run = create("runinfo")
    (run / CHECKPOINT).mkdir(mode=0o700)
    reference = Blobs(run / CHECKPOINT).put([[b"large" * 1000]])
    log = Log(run / CHECKPOINT, keys=Keys.load(), run_number=0)
    log.append(Type.RESULT, result(encoded=reference.pack()), key(1))
    assert log.close()
    (segment,) = (run / CHECKPOINT).glob("*.seg")
    return segment, path_of(run / CHECKPOINT, reference.digest)


def newer(segment: Path, blob: Path) -> None:
    head = bytearray(segment.read_bytes())
    struct.pack_into("<H", head, 8, frame.VERSION + 1)
    struct.pack_into("<I", head, _CRC_AT, zlib.crc32(bytes(head[:_CRC_AT])))
    segment.write_bytes(head)


def link(segment: Path, blob: Path) -> None:
    segment.rename(segment.with_suffix(".real"))
    segment.symlink_to(segment.with_suffix(".real"))


def pipe(segment: Path, blob: Path) -> None:
    os.mkfifo(segment.with_name("x.seg"))


def folder(segment: Path, blob: Path) -> None:
    segment.with_name("y.seg").mkdir()


def linked_blob(segment: Path, blob: Path) -> None:
    blob.rename(blob.with_suffix(".real"))
    blob.symlink_to(blob.with_suffix(".real"))


def no_blob(segment: Path, blob: Path) -> None:
    blob.unlink()


def cut_blob(segment: Path, blob: Path) -> None:
    blob.write_bytes(blob.read_bytes()[:-1])


def other_text(segment: Path, blob: Path) -> None:
    segment.with_name("z.seg").write_text("hello")


def forged(segment: Path, blob: Path) -> None:
    """Its record as somebody without the key would have to write it."""
    content = bytearray(segment.read_bytes())
    at = SEGMENT_HEADER_BYTES
    content[at + 92] ^= 1  # in the signature
    struct.pack_into("<I", content, at + 108, zlib.crc32(bytes(content[at : at + 108])))
    segment.write_bytes(content)


def damaged(segment: Path, blob: Path) -> None:
    spoil(segment, b"relax", b"relay")


def damaged_index(segment: Path, blob: Path) -> None:
    content = bytearray(segment.read_bytes())
    at = content.index(struct.pack("<4sHH", frame.SYNC, Type.INDEX, frame.CONTROL))
    content[at + HEADER_BYTES] ^= 1
    segment.write_bytes(content)


def nothing(segment: Path, blob: Path) -> None:
    pass


def torn(segment: Path, blob: Path) -> None:
    segment.write_bytes(segment.read_bytes()[:-1])


STATES: list[tuple[Callable[[Path, Path], None], str, int]] = [
    (nothing, "clean", 0),
    (torn, "torn", 0),
    (damaged_index, "torn", 0),
    (newer, "unread", 3),
    (link, "unread", 3),
    (pipe, "unread", 3),
    (folder, "unread", 3),
    (linked_blob, "unread", 3),
    (no_blob, "corrupt", 3),
    (cut_blob, "corrupt", 3),
    (other_text, "corrupt", 3),
    (forged, "corrupt", 3),
    (damaged, "corrupt", 3),
]


@pytest.mark.parametrize(("harm", "state", "code"), STATES, ids=lambda each: getattr(each, "__name__", ""))
def test_ls_of_a_run_folder_ls_of_a_store_and_verify_agree(
    call: Call, harm: Callable[[Path, Path], None], state: str, code: int
) -> None:
    segment, blob = with_blob()
    harm(segment, blob)
    done = call("checkpoint", "ls", "--json")
    assert (done.json[0]["state"], done.code) == (state, code)
    done = call("checkpoint", "verify", "--json")
    assert (done.json["state"], done.json["stores"][0]["state"], done.code) == (state, state, code)
    for options in ([], ["--limit", "0"], ["--json", "--limit", "1"]):
        assert call("checkpoint", "ls", segment.parent, *options).code == code
    shown = call("checkpoint", "ls").out.splitlines()[1]
    assert shown.split()[1] == state


def test_a_large_value_of_other_content_is_found_by_verify_alone_as_the_page_says(call: Call) -> None:
    _, blob = with_blob()
    blob.write_bytes(bytes(blob.stat().st_size))
    assert call("checkpoint", "ls", "--json").json[0]["state"] == "clean"
    assert call("checkpoint", "verify", "--json").json["state"] == "corrupt"


@pytest.mark.parametrize("harm", [newer, link])
def test_a_segment_that_is_named_and_unread_has_no_records_and_a_warning(
    call: Call, harm: Callable[[Path, Path], None]
) -> None:
    segment, blob = with_blob()
    harm(segment, blob)
    done = call("checkpoint", "ls", segment)
    assert (done.code, done.out) == (3, "0 records\n")
    assert done.err.startswith(f"parslish: warning: {segment}: ")


def test_a_file_that_is_none_of_ours_is_unread_and_what_is_named_as_a_segment_is_corrupt(
    call: Call, tmp_path: Path
) -> None:
    Keys.load()
    for name, state in (("passwd", "unread"), ("text.seg", "corrupt")):
        (tmp_path / name).write_text("root:x:0:0\n")
        done = call("checkpoint", "verify", name, "--json")
        assert (done.json["state"], done.code) == (state, 3)
        assert call("checkpoint", "ls", name).code == 3


def test_unread_is_said_with_its_reason_and_what_else_is_there_is_listed(call: Call) -> None:
    make_run(three())
    segment = make_run(three())
    newer(segment, segment)
    done = call("checkpoint", "ls")
    assert [line.split()[1:3] for line in done.out.splitlines()[1:3]] == [["clean", "3"], ["unread", "0"]]
    assert "written by a newer parslish (format 2; this one reads up to 1): upgrade" in done.err
    done = call("checkpoint", "verify")
    assert "\n  unread: written by a newer parslish" in done.out
    assert done.out.splitlines()[-1].startswith("unread: 2 stores")
    (fault,) = call("checkpoint", "verify", "--json").json["stores"][1]["segments"][0]["faults"]
    assert (fault["kind"], fault["offset"]) == ("newer", None)


def test_what_is_wrong_with_a_store_that_others_build_upon_is_told_once(call: Call) -> None:
    segment = make_run(three())
    newer(segment, segment)
    _, run = create("runinfo")
    log = Log(run / CHECKPOINT, keys=Keys.load(), run_number=1)
    log.append(Type.RESULT, result(), key(9))
    log.add_base(segment.parent)
    assert log.close()
    done = call("checkpoint", "export", "runinfo", "target", "--yes")
    (warning,) = done.err.splitlines()
    assert f"runinfo/000/checkpoint/{segment.name}: written by a newer parslish" in warning
    assert str(segment.parents[2]) not in warning, "by the path that was named"


# ---------------------------------------------------------------- what this account may not read


@pytest.fixture
def accounts() -> Iterator[tuple[Account, Account]]:
    with two_accounts() as both:
        yield both


@needs_root
def test_a_run_that_may_not_be_read_costs_only_itself(accounts: tuple[Account, Account]) -> None:
    ada, bob = accounts
    for _ in range(2):
        assert ada.squares().code == 0
    folder = ada.home / "runinfo"
    for path in (ada.home, folder, folder / "000", folder / "000" / CHECKPOINT):
        path.chmod(0o755)
    for path in (folder / "000" / CHECKPOINT).iterdir():
        path.chmod(0o644)
    done = bob.command("checkpoint", "ls", str(folder))
    assert done.code == 3
    assert [line.split()[:3] for line in done.out.splitlines()[1:3]] == [["000", "clean", "3"], ["001", "unread", "0"]]
    assert "001/checkpoint: cannot be listed: permission denied" in done.err
    done = bob.command("checkpoint", "verify", str(folder))
    assert done.code == 3
    assert "  unread: cannot be listed: permission denied" in done.out
    for path in (folder / "000" / CHECKPOINT).iterdir():
        path.chmod(0o600)
    done = bob.command("checkpoint", "verify", str(folder / "000"))
    assert done.code == 3
    assert "  unread: cannot be read: Permission denied" in done.out


@needs_root
def test_a_key_that_may_not_be_read_is_told_and_not_needed(accounts: tuple[Account, Account]) -> None:
    ada, bob = accounts
    for account in accounts:
        assert account.squares().code == 0
    for command in ("ls", "verify"):
        code = (
            f"import os, sys; os.environ['PARSLISH_KEY_FILE'] = {str(ada.key)!r}; "
            f"from parslish.cli import main; sys.exit(main(['checkpoint', {command!r}]))"
        )
        done = bob.python(code)
        assert (done.code, " clean " in done.out) == (0, True), done.err
        assert f"parslish: warning: the key file {str(ada.key)!r} cannot be read (Permission denied)" in done.err
