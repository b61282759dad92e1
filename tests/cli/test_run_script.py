"""`parslish run`: a script under a configuration that it does not name."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

import parslish
from parslish import Config
from tests.cli import made
from tests.cli.conftest import Call
from tests.cli.test_again import computed, mend, outside
from tests.cli.test_base import start


def configuration(text: str = 'checkpoint_mode = "task_exit"\nrun_dir = "elsewhere"\n') -> None:
    Path("config.toml").write_text(text)


def test_a_script_without_a_configuration_gets_the_file() -> None:
    configuration()
    done = outside("run", "--config", "config.toml", str(made.script("")), "an", "--argument", "--help")
    assert (done.code, done.out) == (3, "printed an --argument --help\n")
    assert done.err == "parslish: run 000: failed\n"
    assert Path("elsewhere/000/checkpoint").is_dir() and not Path("runinfo").exists()


def test_a_script_that_names_a_configuration_keeps_it() -> None:
    configuration()
    assert outside("run", "--config", "config.toml", str(made.script("parslish.Config(run_dir='mine')"))).code == 3
    assert Path("mine/000").is_dir() and not Path("elsewhere").exists()


def test_without_a_configuration_a_script_runs_as_by_itself() -> None:
    done = outside("run", str(made.script("")))
    assert done.code == 3 and Path("runinfo/000").is_dir()


def test_the_file_is_found_from_wherever_the_script_goes() -> None:
    configuration('run_dir = "elsewhere"\n')
    os.mkdir("deep")
    path = made.script("")
    path.write_text("import os\nos.chdir('deep')\n" + path.read_text())
    assert outside("run", "--config", "config.toml", str(path)).code == 3
    assert Path("deep/elsewhere/000").is_dir()


def test_with_retries_it_goes_on_from_failure_until_all_is_well() -> None:
    path = made.script("parslish.Config(checkpoint_mode='task_exit')")
    path.write_text(path.read_text().replace("sys.exit(", "if bad: open('mended', 'w').close()\nsys.exit("))
    done = outside("run", "--retries", "3", str(path), "x")
    assert (done.code, done.out) == (0, "printed x\nprinted x\n")
    assert (
        done.err.splitlines()[0] == "parslish: run 000: failed, exit code 3; going on from there, 3 more times at most"
    )
    assert done.err.splitlines()[-1] == "parslish: run 001: completed"
    assert computed("001") == ["-/f[2]", "-/g[0]"]


def test_retries_come_to_an_end() -> None:
    done = outside("run", "--retries", "2", "--json", str(made.script()))
    assert done.code == 3
    assert (done.json["run"], done.json["status"], done.json["exit_code"]) == ("002", "failed", 3)
    assert done.err.count("printed") == 3


def test_under_a_configuration_retries_keep_it() -> None:
    configuration()
    done = outside("run", "--config", "config.toml", "--retries", "1", str(made.script("")))
    assert done.code == 3 and done.err.splitlines()[-1] == "parslish: run 001: failed"
    assert sorted(os.listdir("elsewhere"))[:2] == ["000", "001"]


def test_a_run_is_executed_again_under_the_configuration_that_it_had() -> None:
    configuration()
    assert outside("run", "--config", "config.toml", str(made.script(""))).code == 3
    mend()
    again = outside("resume", "--run-dir", "elsewhere")
    assert (again.code, again.err.splitlines()[-1]) == (0, "parslish: run 001: completed")
    assert Path("elsewhere/001").is_dir() and not Path("runinfo").exists()


def test_a_script_that_makes_no_run_is_none_of_our_business() -> None:
    Path("plain.py").write_text("print('no kernel')\nraise SystemExit(5)\n")
    assert outside("run", "plain.py") == (5, "no kernel\n", "")
    assert outside("run", "--json", "plain.py").json == {"run": None, "exit_code": 5}
    again = outside("run", "--retries", "1", "plain.py")
    assert (
        again.err == "parslish: no run of it is in 'runinfo', so it is not run again: name the folder with --run-dir\n"
    )


def test_signals_are_the_scripts_to_answer() -> None:
    Path("slow.py").write_text(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))\n"
        "open('begun', 'w').close()\n"
        "try:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    sys.exit(8)\n"
    )
    for number, to_group, code in ((signal.SIGTERM, False, 9), (signal.SIGINT, True, 8)):
        with start("run", "slow.py", start_new_session=True) as process:
            deadline = time.monotonic() + 30
            while not os.path.exists("begun") and time.monotonic() < deadline:
                time.sleep(0.02)
            os.killpg(process.pid, number) if to_group else os.kill(process.pid, number)
            out, err = process.communicate(timeout=60)
        assert (process.returncode, out, err) == (code, "", "")
        os.remove("begun")


def test_a_script_that_is_killed_ends_as_shells_have_it() -> None:
    Path("dies.py").write_text("import os\nos.kill(os.getpid(), 9)\n")
    assert outside("run", "dies.py").code == 128 + signal.SIGKILL


def test_the_environment_names_the_configuration_of_who_gives_none(monkeypatch: pytest.MonkeyPatch) -> None:
    configuration("retries = 7\n")
    monkeypatch.setenv("PARSLISH_CONFIG", "config.toml")
    assert Config.of().retries == 7 and Config.of(None, run_dir="x").retries == 7
    assert Config.of({}).retries == Config.of(Config()).retries == 0
    with parslish.load() as kernel:
        assert kernel.config.retries == 7
    monkeypatch.setenv("PARSLISH_CONFIG", "gone.toml")
    with pytest.raises(parslish.ConfigurationError, match=r"configuration file 'gone\.toml'"):
        parslish.load()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "missing argument 'SCRIPT'; see  parslish run --help"),
        (["scrpt.py"], "there is no script 'scrpt.py' (did you mean 'script.py'?)"),
        (["--config", "gone.toml", "script.py"], "configuration file 'gone.toml': No such file or directory"),
        (["--config", "config.toml", "script.py"], "config.toml: "),
        (
            ["--retry", "2", "script.py"],
            "there is no option '--retry' (did you mean '--retries'?); see  parslish run --h",
        ),
        (["--retries", "many", "script.py"], "invalid value for '--retries': 'many' is not a valid integer range"),
        (["."], "there is no script '.'"),
    ],
)
def test_mistakes_are_told_in_a_sentence_and_nothing_runs(call: Call, arguments: list[str], sentence: str) -> None:
    made.script()
    configuration("retires = 3\n")
    mend()
    done = call("run", *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"parslish: {sentence}"), done.err
    assert not Path("runinfo").exists()
