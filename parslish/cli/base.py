"""Owns the table of commands and the way from arguments to an exit code; leaves each command to its file.

A command is a click command that returns its exit code (0 when it returns nothing). What it raises, `main` puts
into one sentence. Its file is imported when it is called or asked for help, so that `parslish --help` loads none.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import click

from parslish.cli.output import FINE, INTERRUPTED, NOT_SO, PIPE_CLOSED, TROUBLE, WRONG_USAGE, clean, say
from parslish.errors import BadCheckpoint, ParslishError, TaskError, UsageError, near
from parslish.version import VERSION


class Entry(NamedTuple):
    """Where a command is, and the line that the help of its group has for it (that of its docstring)."""

    module: str
    name: str
    help: str


class Section(NamedTuple):
    """A group of commands, and the line that `parslish --help` has for it."""

    help: str
    entries: Mapping[str, Entry]


#: The commands about runs, which stand by themselves.
RUN_COMMANDS: Final[Mapping[str, Entry]] = {
    "run": Entry("run_script", "run", "Run a script under a configuration, without touching it."),
    "runs": Entry("runs", "runs", "List the runs of a run folder."),
    "show": Entry("run_show", "show", "Show a run, or one task of it."),
    "select": Entry("run_select", "select", "List the tasks that an expression means."),
    "why": Entry("run_why", "why", "Say why a task ran, or was reused, part by part."),
    "diff": Entry("run_diff", "diff", "Compare two runs."),
    "plan": Entry("run_again", "plan", "Say what a rerun would run and what it would reuse."),
    "rerun": Entry("run_again", "rerun", "Run a run again: all of it, a part, or from where it failed."),
    "resume": Entry("run_again", "resume", "Finish what is open in a run."),
    "restart": Entry("run_change", "restart", "Have a task and its dependents run again."),
    "invalidate": Entry("run_forget", "invalidate", "Let stored results no longer count."),
    "undo": Entry("run_forget", "undo", "Take an invalidation back."),
    "invalidations": Entry("run_forget", "invalidations", "List what was invalidated, by whom and why."),
    "edit": Entry("run_change", "edit", "Give a task other arguments, or its result."),
    "accept": Entry("run_change", "accept", "Let results count after a harmless change of code."),
    "verify": Entry("run_verify", "verify", "Compute a sample of the stored results again and compare."),
    "logs": Entry("run_logs", "logs", "Print the log of a run, or what a task has written."),
}

COMMANDS: Final[Mapping[str, Section]] = {
    "checkpoint": Section(
        "Look at stored results, and look after them.",
        {
            "ls": Entry("checkpoint_ls", "ls", "List the stores of run folders, or the records of a store."),
            "verify": Entry(
                "checkpoint_verify", "verify", "Read every byte of stores: clean, torn, unread or corrupt."
            ),
            "compact": Entry("checkpoint_care", "compact", "Drop what does not count, and put the rest together."),
            "prune": Entry("checkpoint_care", "prune", "Let results go: by app, run, age, size or reachability."),
            "export": Entry("checkpoint_move", "export_", "Copy results into a new store."),
            "import": Entry("checkpoint_move", "import_into", "Copy results of other stores into a run folder."),
        },
    ),
    "config": Section(
        "Look at configurations.",
        {
            "check": Entry("config", "check", "Check a configuration file and print what it comes to."),
        },
    ),
    "key": Section(
        "Look after the keys that sign stored results.",
        {
            "path": Entry("key", "path", "Print where your keys are."),
            "ls": Entry("key", "ls", "List your keys by their ids, which tell nothing about them."),
            "rotate": Entry("key", "rotate", "Make a new key that signs from now on."),
            "export": Entry("key", "export", "Write your keys to a new file, for another account."),
        },
    ),
}

_POINTED: Final = re.compile(r"\n *\^\Z")  # how the error of a parser ends
_COMPLETE: Final = "_PARSLISH_COMPLETE"
#: An OSError of one of these is a path that was given wrongly.
_WRONG_PATH: Final = (FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError)
#: The exit code of each kind of error; the first that fits.
_CODES: Final[Sequence[tuple[type[Exception] | tuple[type[Exception], ...], int]]] = (
    ((UsageError, click.ClickException, *_WRONG_PATH), WRONG_USAGE),
    (TaskError, NOT_SO),
    ((ParslishError, OSError), TROUBLE),
)


class _Named(click.Group):
    """A group that knows the names of its commands before they are imported, and names the nearest to a typo."""

    def __init__(self, name: str, lines: Mapping[str, str], **options: Any) -> None:
        super().__init__(name, no_args_is_help=False, **options)
        self._lines = lines

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, args or ["--help"])

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._lines)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(self._lines.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in self._lines and not name.startswith("-"):
            hint = near(name, self._lines) or f", takes {', '.join(self._lines)}"
            raise click.UsageError(f"there is no command {name!r}{hint}", ctx)
        return super().resolve_command(ctx, args)


class _Group(_Named):
    """The commands of one section."""

    def __init__(self, name: str, section: Section) -> None:
        self._entries = section.entries
        lines = {each: entry.help for each, entry in section.entries.items()}
        super().__init__(name, lines, help=section.help)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = self._entries.get(cmd_name)
        return None if entry is None else _command(entry)


class _Root(_Named):
    """`parslish` itself."""

    def __init__(self) -> None:
        super().__init__(
            "parslish",
            {name: each.help for found in (RUN_COMMANDS, COMMANDS) for name, each in found.items()},
            help="Python functions as tasks that run in parallel, are remembered, and survive a kill.",
            epilog="Exit codes: 0 fine, 1 what was asked is not so, 2 wrong usage, 3 damage or trouble with a store.",
        )
        click.version_option(VERSION, prog_name="parslish", message="%(prog)s %(version)s")(self)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in RUN_COMMANDS:
            return _command(RUN_COMMANDS[cmd_name])
        section = COMMANDS.get(cmd_name)
        return None if section is None else _Group(cmd_name, section)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, found in (("Runs", RUN_COMMANDS), ("Groups of commands", COMMANDS)):
            with formatter.section(title):
                formatter.write_dl([(name, self._lines[name]) for name in found])


def _command(entry: Entry) -> click.Command:
    command: click.Command = getattr(importlib.import_module(f"parslish.cli.{entry.module}"), entry.name)
    return command


root: Final = _Root()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; no error leaves it but a bug of ours.

    Args:
        arguments: those behind the program's name; None: those of this process.
    """
    for stream in (sys.stdout, sys.stderr):
        # A name in a script that the terminal's encoding does not have is no reason to fail.
        with contextlib.suppress(AttributeError, OSError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warnings()
            warnings.simplefilter("always", UserWarning)
            code = _run(sys.argv[1:] if arguments is None else list(arguments))
            sys.stdout.flush()
        return code
    except click.exceptions.Exit as exc:
        return exc.exit_code
    except (KeyboardInterrupt, click.Abort):
        return _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:
        # Who read the output has gone (`parslish … | head`): leave as quietly as a program that SIGPIPE kills.
        _give_up_output()
        return PIPE_CLOSED
    except (ParslishError, OSError, click.ClickException) as exc:
        _give_up_output()
        return _fail(_sentence(exc), _code(exc))


def _run(arguments: list[str]) -> int:
    instruction = os.environ.get(_COMPLETE)
    if instruction:
        from click.shell_completion import shell_complete  # here: only a shell asks for it

        return shell_complete(root, {}, "parslish", _COMPLETE, instruction)
    with root.make_context("parslish", arguments) as ctx:
        return root.invoke(ctx) or FINE


def _code(exc: Exception) -> int:
    if isinstance(exc, BadCheckpoint):
        from parslish.store.frame import NewerFormat  # here: most errors are others

        # The path is right, but may not be read, or cannot.
        if isinstance(exc.__cause__, OSError | NewerFormat) and not isinstance(exc.__cause__, _WRONG_PATH):
            return TROUBLE
    return next(code for kinds, code in _CODES if isinstance(exc, kinds))


def _sentence(exc: Exception) -> str:
    if isinstance(exc, click.ClickException):
        context = getattr(exc, "ctx", None)
        path = context.command_path if context else "parslish"
        message = exc.format_message().rstrip(".")
        if isinstance(exc, click.NoSuchOption):
            known = [each for option in context.command.params for each in option.opts] if context else []
            message = f"there is no option {exc.option_name!r}{near(exc.option_name, known)}"
        return f"{message[:1].lower()}{message[1:]}; see  {path} --help"
    if isinstance(exc, OSError) and exc.strerror:
        return f"{os.fsdecode(exc.filename)!r}: {exc.strerror}" if exc.filename is not None else exc.strerror
    return str(exc)


def _show_warnings() -> Callable[..., None]:
    """What shows a warning for people, each sentence once."""
    told: set[str] = set()

    def show(message: Warning | str, *where: Any, **rest: Any) -> None:
        if str(message) not in told:
            told.add(str(message))
            say(f"warning: {message}")

    return show


def _fail(sentence: str, code: int) -> int:
    """Say what went wrong; an expression with a pointer to the place in it keeps its lines."""
    said, *shown = sentence.split("\n") if _POINTED.search(sentence) else [sentence]
    say(said)
    for each in shown:
        print(clean(each), file=sys.stderr)
    return code


def _give_up_output() -> None:
    """Let what could not be printed go: the interpreter flushes once more when it ends, and would complain."""
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
