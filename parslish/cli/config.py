"""Owns `parslish config`: what a configuration file comes to. What is valid is decided by `parslish.config`."""

from __future__ import annotations

import dataclasses
import runpy
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from parslish.cli.output import Column, json_option, json_value, line, table
from parslish.config import Config
from parslish.errors import ConfigurationError, near
from parslish.executors.base import Executor

_COLUMNS = (Column("option"), Column("value", narrow="fold"), Column("from"))


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="The name of the configuration in a Python file, where it holds several.")
@json_option
def check(file: Path, name: str | None, as_json: bool) -> None:
    """Check a configuration file and print what it comes to.

    FILE is TOML, or Python (*.py). A Python file is run, as an import would do; the configuration is a Config or
    a dict, named config or whatever --name says. Nothing is started.

    Exit codes: 0 it is valid, 2 it is not, or cannot be read.
    """
    config, name = _of_python(file, name) if file.suffix == ".py" else (Config.from_toml(file), name)
    config.check()
    options = [(each, getattr(config, each.name)) for each in dataclasses.fields(config)]
    if as_json:
        json_value(
            {
                "file": str(file),
                "name": name,
                "valid": True,
                "options": {each.name: _plain(value) for each, value in options},
                "set": [each.name for each, value in options if _differs(each, value)],
            }
        )
        return
    line(f"{file} is valid" + (f" ({name})" if name else ""))
    rows = [(each.name, _shown(value), "file" if _differs(each, value) else "default") for each, value in options]
    table(_COLUMNS, rows)


def _of_python(file: Path, name: str | None) -> tuple[Config, str]:
    found = {each: value for each, value in _run(file).items() if _may_be_config(each, value)}
    if name is None:
        name = "config" if "config" in found else next(iter(found)) if len(found) == 1 else None
    if name is None and found:
        raise ConfigurationError(f"{file}: holds {', '.join(found)}: say which with --name")
    if name is None or name not in found:
        known = near(name, found) if name else ""
        raise ConfigurationError(f"{file}: holds no Config or dict named {name or 'config'!r}{known}")
    try:
        return Config.of(found[name]), name
    except ConfigurationError as exc:
        raise type(exc)(f"{file}: {name}: {exc}") from None


def _may_be_config(name: str, value: Any) -> bool:
    return not name.startswith("_") and isinstance(value, Config | dict)


def _run(file: Path) -> Mapping[str, Any]:
    try:
        file.open("rb").close()
    except OSError as exc:
        raise ConfigurationError(f"configuration file {str(file)!r}: {exc.strerror or exc}") from exc
    try:
        return runpy.run_path(str(file), run_name="parslish_config")
    except ConfigurationError as exc:
        raise type(exc)(f"{file}{_place(exc, file)}: {exc}") from None
    except (Exception, SystemExit) as exc:  # user code
        raise ConfigurationError(f"{file}{_place(exc, file)}: {type(exc).__name__}: {exc}") from exc


def _place(exc: BaseException, file: Path) -> str:
    """Where in the file it was raised, as far as that is known."""
    lines = [frame.lineno for frame in traceback.extract_tb(exc.__traceback__) if frame.filename == str(file)]
    return f", line {lines[-1]}" if lines else ""


def _differs(option: dataclasses.Field[Any], value: Any) -> bool:
    if option.default is dataclasses.MISSING:
        assert option.default_factory is not dataclasses.MISSING
        return bool(_plain(value) != _plain(option.default_factory()))
    return value is not option.default and bool(value != option.default)


def _plain(value: Any) -> Any:
    """A value of an option in JSON's types: of an executor its kind and public arguments, of a hook its name."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Executor):
        public = {name: each for name, each in vars(value).items() if not name.startswith("_")}
        simple = {
            name: each for name, each in public.items() if isinstance(each, bool | int | float | str) and each != ""
        }
        return {"kind": type(value).__name__, **simple}
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}.{named.__qualname__}"


def _shown(value: Any) -> str:
    plain = _plain(value)
    if isinstance(plain, list):
        return ", ".join(map(_shown, value)) or "none"
    if isinstance(plain, dict):
        kind, *arguments = plain.items()
        return f"{kind[1]}({', '.join(f'{name}={each!r}' for name, each in arguments)})"
    return str(plain)
