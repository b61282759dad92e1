"""The way from arguments to an exit code, and what becomes of errors."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

import parslish
from parslish.cli import base
from parslish.cli.base import COMMANDS, RUN_COMMANDS, Entry
from parslish.errors import BadCheckpoint, InternalError, StoreFull, TaskError, UsageError
from parslish.store.frame import NewerFormat
from parslish.store.loading import NoSegment
from parslish.store.source import Refused
from tests.cli.conftest import Call

ROOT = Path(parslish.__file__).parents[1]
#: Words that call a command, and where it is.
EVERY_COMMAND = [
    *(((name,), entry) for name, entry in RUN_COMMANDS.items()),
    *(((group, name), entry) for group, each in COMMANDS.items() for name, entry in each.entries.items()),
]


def start(*arguments: str, **options: object) -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})}  # type: ignore[dict-item]
    command = [sys.executable, "-m", "parslish", *arguments]
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen(command, text=True, env=env, **given)  # type: ignore[call-overload,no-any-return]


def test_the_version_is_that_of_the_package(call: Call) -> None:
    assert call("--version") == (0, f"parslish {parslish.__version__}\n", "")


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_without_a_command_all_commands_and_groups_are_listed(call: Call, arguments: list[str]) -> None:
    done = call(*arguments)
    assert done.code == 0
    for name, each in [*RUN_COMMANDS.items(), *COMMANDS.items()]:
        assert f"  {name} " in done.out and each.help in done.out


@pytest.mark.parametrize("group", COMMANDS)
def test_a_group_lists_its_commands(call: Call, group: str) -> None:
    done = call(group)
    assert done == call(group, "--help")
    assert done.code == 0
    for name in COMMANDS[group].entries:
        assert f"  {name} " in done.out


@pytest.mark.parametrize(("words", "entry"), EVERY_COMMAND, ids=lambda each: str(each))
def test_every_command_has_help_that_begins_with_its_line(call: Call, words: tuple[str, ...], entry: Entry) -> None:
    done = call(*words, "--help")
    assert done.code == 0
    assert " ".join(done.out.split()).startswith(f"Usage: parslish {' '.join(words)} ")
    assert entry.help in " ".join(done.out.split())


@pytest.mark.parametrize(("words", "entry"), EVERY_COMMAND, ids=lambda each: str(each))
def test_every_command_can_print_json(words: tuple[str, ...], entry: Entry) -> None:
    found = base.root
    for word in words:
        found = found.get_command(click.Context(base.root), word)  # type: ignore[assignment]
    assert any("--json" in option.opts for option in found.params)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["chekpoint"], "there is no command 'chekpoint' (did you mean 'checkpoint'?); see  parslish --help"),
        (["xyz"], f"there is no command 'xyz', takes {', '.join([*RUN_COMMANDS, *COMMANDS])}; see  parslish --help"),
        (["rerunn"], "there is no command 'rerunn' (did you mean 'rerun'?); see  parslish --help"),
        (
            ["checkpoint", "verfy"],
            "there is no command 'verfy' (did you mean 'verify'?); see  parslish checkpoint --help",
        ),
        (["--versio"], "there is no option '--versio' (did you mean '--version'?); see  parslish --help"),
        (
            ["config", "check", "a", "--jsn"],
            "there is no option '--jsn' (did you mean '--json'?); see  parslish config check --help",
        ),
        (["config", "check"], "missing argument 'FILE'; see  parslish config check --help"),
    ],
)
def test_wrong_usage_is_one_sentence_with_the_next_step(call: Call, arguments: list[str], sentence: str) -> None:
    assert call(*arguments) == (2, "", f"parslish: {sentence}\n")


@pytest.mark.parametrize(
    ("raised", "code", "sentence"),
    [
        (UsageError("give less"), 2, "give less"),
        (BadCheckpoint("a", "gone"), 2, "cannot load checkpoint 'a': gone"),
        (TaskError("it failed"), 1, "it failed"),
        (StoreFull("no space"), 3, "no space"),
        (InternalError("report it"), 3, "report it"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "a"), 2, "'a': No such file or directory"),
        (PermissionError(errno.EACCES, "Permission denied", "a"), 3, "'a': Permission denied"),
        (OSError(errno.ENOSPC, "No space left on device", "a"), 3, "'a': No space left on device"),
        (OSError("as it is"), 3, "as it is"),
        (UsageError("two\nlines \x1b[31mred\x07"), 2, "two lines red"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (click.Abort(), 130, "interrupted"),
    ],
    ids=repr,
)
def test_an_error_is_one_sentence_and_its_exit_code_says_whose_it_is(
    call: Call, monkeypatch: pytest.MonkeyPatch, raised: BaseException, code: int, sentence: str
) -> None:
    def fail(self: object, ctx: object) -> None:
        raise raised

    monkeypatch.setattr(base._Root, "invoke", fail)
    assert call("config") == (code, "", f"parslish: {sentence}\n")


@pytest.mark.parametrize(
    ("cause", "code"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file"), 2),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory"), 2),
        (NoSegment("is not a segment"), 2),
        (PermissionError(errno.EACCES, "Permission denied"), 3),
        (Refused("belongs to another user"), 3),
        (NewerFormat(9), 3),
        (OSError(errno.EIO, "Input/output error"), 3),
    ],
    ids=repr,
)
def test_a_checkpoint_that_is_there_and_cannot_be_read_is_trouble(
    call: Call, monkeypatch: pytest.MonkeyPatch, cause: Exception, code: int
) -> None:
    def fail(self: object, ctx: object) -> None:
        raise BadCheckpoint("a", str(cause)) from cause

    monkeypatch.setattr(base._Root, "invoke", fail)
    assert call("config").code == code


def test_a_bug_of_ours_keeps_its_traceback(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: object, ctx: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(base._Root, "invoke", fail)
    with pytest.raises(ZeroDivisionError):
        call("config")


def test_an_interrupt_ends_it_with_130_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "config.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    with start("config", "check", "config.py") as process:
        assert process.communicate(timeout=60) == ("", "parslish: interrupted\n")
    assert process.returncode == 130


@pytest.mark.parametrize(
    "arguments", [["--help"], ["config", "check", "config.toml"], ["checkpoint", "verify", "--help"]]
)
def test_a_reader_that_has_gone_is_nothing_to_complain_about(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "config.toml").touch()
    reading, writing = os.pipe()
    os.close(reading)
    with start(*arguments, stdout=writing) as process:
        os.close(writing)
        assert process.communicate(timeout=60)[1] == ""
    assert process.returncode == 141


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full, which Linux has")
def test_output_that_cannot_be_written_is_told_once(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full, start("--help", stdout=full) as process:
        assert process.communicate(timeout=60)[1] == "parslish: No space left on device\n"
    assert process.returncode == 3


def test_an_encoding_without_the_letters_is_no_error(tmp_path: Path) -> None:
    name = "größe.toml"
    (tmp_path / name).touch()
    with start("config", "check", name, env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "1"}) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert out.startswith("gr\\xf6\\xdfe.toml is valid")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_complete(shell: str) -> None:
    with start(env={"_PARSLISH_COMPLETE": f"{shell}_source"}) as process:
        script = process.communicate(timeout=60)[0]
    assert process.returncode == 0
    assert "_PARSLISH_COMPLETE" in script


def test_completion_gives_commands_and_options() -> None:
    def complete(words: str, at: int) -> str:
        env = {"_PARSLISH_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(at)}
        with start(env=env) as process:
            return process.communicate(timeout=60)[0]

    assert complete("parslish che", 1) == "plain,checkpoint\n"
    assert complete("parslish inval", 1) == "plain,invalidate\nplain,invalidations\n"
    assert complete("parslish checkpoint ver", 2) == "plain,verify\n"
    assert complete("parslish checkpoint verify --js", 3) == "plain,--json\n"
