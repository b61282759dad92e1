"""`parslish config check`: what a configuration file comes to, in the words of the one validation."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

import parslish
from parslish.config import Config
from tests.cli.conftest import Call

ROOT = Path(parslish.__file__).parents[1]


def option(out: str, name: str) -> list[str]:
    (line,) = [line.split() for line in out.splitlines() if line.split()[:1] == [name]]
    return line[1:]


def test_toml_is_shown_as_what_it_comes_to(call: Call, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('checkpointMode = "task_exit"\n[[executors]]\nkind = "threads"\nmax_threads = 4\n')
    done = call("config", "check", "a.toml")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("a.toml is valid\n")
    assert option(done.out, "checkpoint_mode") == ["task_exit", "file"]
    assert option(done.out, "executors") == ["ThreadPoolExecutor(label='threads',", "max_threads=4)", "file"]
    assert option(done.out, "retries") == ["0", "default"]


def test_json_has_every_option_and_those_that_the_file_sets(call: Call, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("retries = 3\n")
    found = call("config", "check", "a.toml", "--json").json
    assert (found["file"], found["name"], found["valid"], found["set"]) == ("a.toml", None, True, ["retries"])
    assert list(found["options"]) == [each.name for each in dataclasses.fields(Config)]
    assert found["options"]["executors"] == [{"kind": "ThreadPoolExecutor", "label": "threads", "max_threads": 2}]


def test_a_python_file_holds_a_config_or_a_dict(call: Call, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("from parslish.config import Config\nconfig = Config(retries=2)\nother = {}\n")
    done = call("config", "check", "a.py")
    assert done.out.startswith("a.py is valid (config)\n")
    assert option(done.out, "retries") == ["2", "file"]
    (tmp_path / "b.py").write_text("site = {'globals': {'retries': 1, 'retryHandler': print}}\n")
    done = call("config", "check", "b.py", "--json")
    assert (done.json["name"], done.json["options"]["retry_handler"]) == ("site", "builtins.print")


def test_every_ready_site_is_valid(call: Call) -> None:
    for file in (ROOT / "configs").glob("*.py"):
        if file.name != "__init__.py":
            names = ["localThreads", "localProcesses"] if file.name == "local.py" else ["config"]
            for name in names:
                assert call("config", "check", file, "--name", name).code == 0, file


@pytest.mark.parametrize(
    ("name", "content", "options", "sentence"),
    [
        ("a.toml", "retrys = 1", [], "a.toml: retrys: there is no such field (did you mean 'retries'?)"),
        ("a.toml", "memoize = false\ncheckpointMode = 'manual'", [], "a.toml: checkpointing needs memoization: "),
        ("a.toml", "= 3", [], "configuration file 'a.toml' is not TOML: "),
        ("a.py", "config = {'retries': -1}", [], "a.py: config: retries: got -1 (int), takes a whole number >= 0"),
        ("a.py", "x = 1\n\nimport nothere", [], "a.py, line 3: ModuleNotFoundError: No module named 'nothere'"),
        ("a.py", "def f(:", [], "a.py: SyntaxError: "),
        ("a.py", "import sys\nsys.exit(5)", [], "a.py, line 2: SystemExit: 5"),
        ("a.py", "import parslish\nparslish.Config(retrys=1)", [], "a.py, line 2: retrys: there is no such field"),
        ("a.py", "a = {}\nb = {}", [], "a.py: holds a, b: say which with --name"),
        ("a.py", "alpha = {}\nb = {}", ["--name", "alpa"], "a.py: holds no Config or dict named 'alpa' (did you mean"),
        ("a.py", "x = 1", [], "a.py: holds no Config or dict named 'config'"),
    ],
)  # fmt: skip
def test_what_is_not_valid_is_one_sentence(
    call: Call, tmp_path: Path, name: str, content: str, options: list[str], sentence: str
) -> None:
    (tmp_path / name).write_text(content)
    done = call("config", "check", name, *options)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith(f"parslish: {sentence}")


@pytest.mark.parametrize("name", ["missing.toml", "missing.py"])
def test_a_file_that_is_not_there_is_wrong_usage(call: Call, name: str) -> None:
    done = call("config", "check", name)
    assert done == (2, "", f"parslish: configuration file {name!r}: No such file or directory\n")


def test_an_ignored_option_is_a_warning_in_one_line(call: Call, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("monitoring = 1\n")
    done = call("config", "check", "a.toml")
    assert done.code == 0
    assert done.err == "parslish: warning: monitoring: parslish records runs by itself; the option is ignored\n"
