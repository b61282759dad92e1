"""Config: three spellings, one validation, and errors that name field, value, and what is taken."""

from __future__ import annotations

import copy
import inspect
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from parslish.config import Config
from parslish.config_dict import KINDS
from parslish.errors import ConfigurationError, ConfigurationTypeError
from parslish.executors.threads import ThreadPoolExecutor


def settings(config: Config) -> dict[str, Any]:
    """What a Config says, executors as what they are made of."""
    plain = {name: getattr(config, name) for name in inspect.signature(Config).parameters}
    plain["executors"] = [(type(each), each.label, vars(each).get("max_threads")) for each in config.executors]
    return plain


# ------------------------------------------------------------------------------------- defaults


def test_without_arguments_there_is_one_thread_pool_and_no_checkpoint() -> None:
    config = Config()
    assert [(type(each), each.label) for each in config.executors] == [(ThreadPoolExecutor, "threads")]
    assert (config.checkpoint_mode, config.run_dir, config.retries) == (None, "runinfo", 0)
    assert config.period_s == 1800


def test_two_configs_share_no_default_executor() -> None:
    assert Config().executors[0] is not Config().executors[0]


def test_the_signature_names_every_option() -> None:
    assert {"executors", "checkpoint_mode", "max_pending"} <= set(inspect.signature(Config).parameters)


def test_options_of_parsl_without_meaning_here_are_taken_in_silence() -> None:
    Config(strategy="simple", strategy_period=5, max_idletime=120.0, usage_tracking=0, project_name="p")


def test_monitoring_is_taken_with_a_warning_at_the_callers_line() -> None:
    with pytest.warns(UserWarning, match="monitoring: .*ignored") as caught:
        Config(monitoring=object())
    assert caught[0].filename == __file__


# ------------------------------------------------------------------------------------- what is refused

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"checkpoint_mode": "task_exits"}, r"checkpoint_mode: got 'task_exits' .*'task_exit'.*did you mean"),
    ({"checkpoint_mode": True}, r"checkpoint_mode: got True \(bool\), takes one of 'task_exit'"),
    ({"exit_mode": "clean"}, r"exit_mode: got 'clean'"),
    ({"checkpoint_period": "30 min"}, r"checkpoint_period: got '30 min' .*HH:MM:SS"),
    ({"checkpoint_period": "00:60:00"}, "HH:MM:SS"),
    ({"checkpoint_period": "00:00:00"}, "longer than zero"),
    ({"checkpoint_period": "1:2:3"}, "HH:MM:SS"),
    ({"checkpoint_period": -5}, "longer than zero"),
    ({"checkpoint_period": float("nan")}, "HH:MM:SS"),
    ({"checkpoint_period": float("inf")}, "HH:MM:SS"),
    ({"checkpoint_period": True}, "HH:MM:SS"),
    ({"checkpoint_files": "runinfo/000/checkpoint"}, "checkpoint_files: .* takes a list"),
    ({"checkpoint_files": [7]}, r"checkpoint_files\[0\]: got 7 \(int\)"),
    ({"retries": -1}, r"retries: got -1 \(int\), takes a whole number >= 0"),
    ({"retries": True}, "retries: got True"),
    ({"retries": 1.5}, "retries: got 1.5"),
    ({"retries": "2"}, r"retries: got '2' \(str\)"),
    ({"worker_retries": None}, "worker_retries: got None"),
    ({"max_pending": 0}, "max_pending: got 0 .*>= 1"),
    ({"internal_tasks_max_threads": 0}, "internal_tasks_max_threads"),
    ({"app_cache": "yes"}, r"app_cache: got 'yes' \(str\), takes True or False"),
    ({"lazy_errors": 0}, "lazy_errors: got 0"),
    ({"retry_handler": 3}, "retry_handler: got 3 .*a function"),
    ({"std_autopath": "logs"}, "std_autopath"),
    ({"memoizer": object()}, "memoizer: .* takes a BasicMemoizer"),
    ({"run_dir": ""}, "run_dir: got ''"),
    ({"run_dir": 7}, "run_dir: got 7"),
    ({"run_dir": b"runs"}, "run_dir: got b'runs'"),
    ({"run_dir": "a\0b"}, "run_dir"),
    ({"sync": "never"}, "sync: got 'never'"),
    ({"on_store_error": "ignore"}, "on_store_error"),
    ({"executors": ThreadPoolExecutor}, "executors: .* takes a list of executors"),
    ({"executors": "threads"}, "executors: got 'threads'"),
    ({"executors": [ThreadPoolExecutor]}, r"executors\[0\]: got <class"),
    ({"executors": [{"label": "x"}]}, r"executors\[0\]: the field kind is missing"),
    ({"executors": [{"kind": "thread"}]}, r"executors\[0\]\.kind: got 'thread' .*did you mean 'threads'"),
    ({"executors": [{"kind": "threads", "max_thread": 2}]}, r"executors\[0\]\.max_thread: .*'max_threads'"),
    ({"executors": [{"kind": "threads", "max_threads": 0}]}, r"executors\[0\]\.max_threads: got 0"),
    ({"checkpointmode": "manual"}, r"checkpointmode: there is no such field .did you mean 'checkpoint_mode'"),
    ({"zzz": 1}, "zzz: there is no such field; known are app_cache, checkpoint_files"),
]


@pytest.mark.parametrize(("options", "says"), WRONG, ids=lambda value: str(value)[:60])
def test_a_wrong_value_is_a_type_error_that_names_field_value_and_choice(options: dict[str, Any], says: str) -> None:
    error = ConfigurationError if "missing" in says else ConfigurationTypeError
    with pytest.raises(error, match=says):
        Config(**options)


@pytest.mark.parametrize(("options", "says"), WRONG, ids=lambda value: str(value)[:60])
def test_an_assignment_is_checked_like_an_argument(options: dict[str, Any], says: str) -> None:
    config = Config()
    before = settings(config)
    ((name, value),) = options.items()
    with pytest.raises(ConfigurationError, match=says):
        setattr(config, name, value)
    assert settings(config) == before


def test_an_empty_list_of_executors_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="executors: the list is empty"):
        Config(executors=[])


def test_two_executors_with_one_label_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="two executors have the label 'threads'"):
        Config(executors=[ThreadPoolExecutor(), ThreadPoolExecutor()])


@pytest.mark.parametrize("name", ["app_cache", "appCache", "memoize"])
def test_a_checkpoint_mode_without_memoization_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="checkpointing needs memoization"):
        Config.from_dict({"globals": {name: False, "checkpointMode": "manual"}})


def test_a_contradiction_by_assignments_is_found_when_the_config_is_used() -> None:
    config = Config(checkpoint_mode="manual")
    config.app_cache = False
    with pytest.raises(ConfigurationError, match="checkpointing needs memoization"):
        Config.of(config)
    config.checkpoint_mode = None
    assert Config.of(config) is config


def test_an_executor_appended_to_the_list_is_checked_when_the_config_is_used() -> None:
    config = Config()
    config.executors.append(ThreadPoolExecutor())
    with pytest.raises(ConfigurationError, match="two executors"):
        Config.of(config)


def test_a_value_whose_repr_fails_or_is_huge_still_gives_a_sentence() -> None:
    class Rude:
        def __repr__(self) -> str:
            raise RuntimeError("no repr")

    with pytest.raises(ConfigurationError, match=r"retries: got an object \(Rude\)"):
        Config(retries=Rude())  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError) as caught:
        Config(retries=[0] * 10_000)  # type: ignore[arg-type]
    assert len(str(caught.value)) < 200


# ------------------------------------------------------------------------------------- what is taken


@pytest.mark.parametrize(
    ("period", "seconds"), [("00:00:01", 1), ("01:30:05", 5405), ("100:00:00", 360_000), (2, 2), (0.5, 0.5)]
)
def test_a_period_is_a_clock_time_or_seconds(period: Any, seconds: float) -> None:
    assert Config(checkpoint_period=period).period_s == seconds


def test_none_means_the_default_where_a_value_is_needed() -> None:
    config = Config(executors=None, checkpoint_period=None)  # type: ignore[arg-type]
    assert config.period_s == 1800
    assert config.executors[0].label == "threads"


def test_paths_may_be_path_objects(tmp_path: Path) -> None:
    config = Config(run_dir=tmp_path, checkpoint_files=(tmp_path / "a", "b"))  # type: ignore[arg-type]
    assert config.run_dir == str(tmp_path)
    assert config.checkpoint_files == [str(tmp_path / "a"), "b"]


def test_the_users_list_is_not_the_configs() -> None:
    mine = [ThreadPoolExecutor()]
    Config(executors=mine).executors.append(ThreadPoolExecutor(label="other"))
    assert len(mine) == 1


def test_a_copy_is_checked_too() -> None:
    copied = copy.copy(Config(retries=3))
    assert copied.retries == 3
    with pytest.raises(ConfigurationError):
        copied.retries = -1


def test_the_repr_shows_what_differs_from_the_defaults() -> None:
    shown = repr(Config(retries=3))
    assert "retries=3" in shown
    assert "run_dir" not in shown


def test_the_errors_survive_pickling() -> None:
    with pytest.raises(ConfigurationTypeError) as caught:
        Config(retries=-1)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


# ------------------------------------------------------------------------------------- the spellings

SEED = {
    "sites": [
        {
            "site": "Local_Threads",
            "auth": {"channel": None},
            "execution": {"executor": "threads", "maxThreads": 4, "provider": None, "block": {"nodes": 1}},
        }
    ],
    "globals": {
        "lazyErrors": False,
        "memoize": True,
        "checkpointMode": "periodic",
        "checkpointPeriod": "01:00:00",
        "checkpointFiles": [],
        "runDir": "runs",
        "retries": 1,
        "usageTracking": False,
    },
    "controller": {"publicIp": "1.2.3.4"},
}
PLAIN = {
    "executors": [{"kind": "threads", "label": "Local_Threads", "max_threads": 4}],
    "lazy_errors": False,
    "app_cache": True,
    "checkpoint_mode": "periodic",
    "checkpoint_period": "01:00:00",
    "checkpoint_files": [],
    "run_dir": "runs",
    "retries": 1,
    "usage_tracking": False,
}
TOML = """
lazy_errors = false
app_cache = true
checkpoint_mode = "periodic"
checkpoint_period = "01:00:00"
checkpoint_files = []
run_dir = "runs"
retries = 1
usage_tracking = false

[[executors]]
kind = "threads"
label = "Local_Threads"
max_threads = 4
"""


def test_all_spellings_mean_the_same(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(TOML)
    keywords = Config(**{**PLAIN, "executors": [ThreadPoolExecutor("Local_Threads", max_threads=4)]})  # type: ignore[arg-type]
    for source in (SEED, PLAIN, path, str(path), keywords):
        assert settings(Config.of(source)) == settings(keywords)  # type: ignore[arg-type]


def test_a_users_dict_is_not_changed() -> None:
    for config in (SEED, PLAIN):
        before = copy.deepcopy(config)
        Config.of(config)
        assert config == before


def test_globals_alone_are_a_config() -> None:
    config = Config.of({"globals": {"lazyErrors": True, "memoize": True, "checkpointMode": "dfk_exit"}})
    assert config.checkpoint_mode == "dfk_exit"
    assert config.executors[0].label == "threads"


def test_nothing_is_a_config_of_defaults() -> None:
    assert settings(Config.of(None)) == settings(Config.of({})) == settings(Config())


def site(**execution: Any) -> dict[str, Any]:
    return {"sites": [{"site": "s", "execution": execution}]}


NESTED: list[tuple[dict[str, Any], str]] = [
    ({"globals": {"checkpointmode": "manual"}}, r"globals\.checkpointmode: there is no .*'checkpointMode'"),
    ({"globals": {"checkpointMode": "never"}}, r"globals\.checkpointMode: got 'never'"),
    ({"globals": {"memoize": 1}}, r"globals\.memoize: got 1 \(int\), takes True or False"),
    (
        {"globals": {"memoize": True, "appCache": True}},
        r"globals\.appCache: means the same as globals\.memoize",
    ),
    ({"globals": []}, r"globals: got \[\] \(list\), takes a table"),
    ({"globals": {}, "retries": 1}, "retries: there is no such field; known are controller, globals, sites"),
    ({"globals": {7: 1}}, r"globals\.7: there is no such field"),
    ({"sites": {}}, "sites: got {}"),
    ({"sites": []}, "sites: the list is empty"),
    ({"sites": ["local"]}, r"sites\[0\]: got 'local'"),
    ({"sites": [{"site": "s"}]}, r"sites\[0\]\.execution: got None"),
    ({"sites": [{"sight": "s"}]}, r"sites\[0\]\.sight: .*did you mean 'site'"),
    (site(), r"sites\[0\]\.execution\.executor: got None"),
    (site(executor="thread"), r"execution\.executor: got 'thread' .*did you mean 'threads'"),
    (site(executor="threads", maxthreads=4), r"execution\.maxthreads: .*did you mean 'maxThreads'"),
    (site(executor="threads", maxThreads="4"), r"execution\.maxThreads: got '4' \(str\)"),
    (site(executor="ipp", provider="slurm"), r"execution\.provider: got 'slurm' .*runs on this machine"),
    ({"sites": SEED["sites"] * 2}, "two executors have the label 'Local_Threads'"),  # type: ignore[operator]
    ({"retrys": 1}, "retrys: there is no such field .did you mean 'retries'"),
]


@pytest.mark.parametrize(("config", "says"), NESTED, ids=lambda value: str(value)[:60])
def test_an_error_in_a_dict_names_the_place(config: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        Config.from_dict(config)


@pytest.mark.parametrize("source", [7, object(), ["threads"]])
def test_a_config_of_another_kind_is_refused(source: Any) -> None:
    with pytest.raises(TypeError, match=r"config: got .* takes a Config, a dict, the path"):
        Config.of(source)


def test_fields_set_on_top_make_a_copy_under_any_spelling() -> None:
    config = Config(retries=1)
    changed = Config.of(config, checkpointFiles=["a"], app_cache=True, rundir="elsewhere")
    assert (changed.checkpoint_files, changed.run_dir, changed.retries) == (["a"], "elsewhere", 1)
    assert (config.checkpoint_files, config.run_dir) == (None, "runinfo")
    assert changed.executors[0] is config.executors[0]
    with pytest.raises(ConfigurationError, match=r"checkpointFile: there is no .*'checkpoint_files'"):
        Config.of(config, checkpointFile=["a"])


@pytest.mark.parametrize("spelled", ["processes", "ipp"])
def test_sites_with_processes_become_process_pools(spelled: str) -> None:
    config = Config.of(site(executor=spelled, maxWorkers=3))
    assert type(config.executors[0]).__name__ == KINDS["processes"].cls
    assert config.executors[0].label == "s"


def test_an_executor_that_is_replaced_says_so_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="parslish"):
        Config.of(site(executor="ipp"))
    assert "'ipp' is run by parslish's own processes executor" in caplog.text


# ------------------------------------------------------------------------------------- TOML


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.toml': No such file"):
        Config.from_toml(tmp_path / "none.toml")
    with pytest.raises(ConfigurationError, match="Is a directory"):
        Config.of(str(tmp_path))


def test_a_syntax_error_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text("retries = 1\nrun_dir = runs\n")
    with pytest.raises(ConfigurationError, match=r"site\.toml' is not TOML: .*line 2"):
        Config.from_toml(path)


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_bytes(b"retries = 1 # \xff\n")
    with pytest.raises(ConfigurationError, match=r"site\.toml' is not TOML"):
        Config.from_toml(path)


def test_a_wrong_field_in_a_file_is_named_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text("[[executors]]\nkind = 'threads'\nmax_threads = 'four'\n")
    with pytest.raises(ConfigurationError, match=r"site\.toml: executors\[0\]\.max_threads: got 'four'"):
        Config.from_toml(path)


# ------------------------------------------------------------------------------------- imports


def test_a_configuration_of_threads_never_imports_loky() -> None:
    check = "import sys; from parslish.config import Config; Config(); sys.exit('loky' in sys.modules)"
    root = Path(__file__).parent.parent
    subprocess.run([sys.executable, "-c", check], check=True, cwd=root, env={**os.environ, "PYTHONPATH": "."})
