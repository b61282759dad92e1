"""Results of somebody with another key: opened with that key and not without. With two accounts: `test_accounts.py`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

import parslish
from parslish import Config, python_app, secret
from parslish.errors import ConfigurationError, UsageError
from parslish.secret import Keys

CHECKPOINT = "hers/000/checkpoint"


def squares(runs: list[int], **config: Any) -> list[int]:
    def square(x: int) -> int:
        runs.append(x)
        return x * x

    app = python_app(square, cache=True)
    with parslish.load(Config(checkpoint_mode="task_exit", **config)):
        return [app(x).result() for x in range(3)]


@pytest.fixture
def from_ada(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ada's keys in a file of ours; her run is in `hers`, and our own keys are others."""
    monkeypatch.setenv("PARSLISH_KEY_FILE", str(tmp_path / "ada"))
    squares([], run_dir="hers")
    secret.export(tmp_path / "from-ada")
    monkeypatch.setenv("PARSLISH_KEY_FILE", str(tmp_path / "key"))
    return tmp_path / "from-ada"


def test_with_her_keys_her_results_are_loaded(from_ada: Path, caplog: pytest.LogCaptureFixture) -> None:
    runs: list[int] = []
    assert squares(runs, checkpoint_files=[CHECKPOINT], trusted_keys=[from_ada]) == [0, 1, 4]
    assert runs == []
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("shared", [False, True])
def test_without_her_keys_they_are_computed_again(
    from_ada: Path, shared: bool, caplog: pytest.LogCaptureFixture
) -> None:
    runs: list[int] = []
    assert squares(runs, checkpoint_files=[CHECKPOINT], shared=shared) == [0, 1, 4]
    assert runs == [0, 1, 2]
    (warning,) = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert "not signed with a key of yours: 3 records" in warning and "trusted_keys" in warning


def test_what_we_compute_beside_is_signed_with_our_key(from_ada: Path) -> None:
    runs: list[int] = []
    squares(runs, checkpoint_files=[], trusted_keys=[from_ada])
    squares(runs)  # without hers
    assert runs == [0, 1, 2]
    assert Keys.load().signing != Keys.load([from_ada]).all()[1]


def test_a_key_file_that_is_not_there_is_told_at_the_start() -> None:
    with pytest.raises(UsageError, match=r"'gone' is not there; .*parslish key export"):
        squares([], trusted_keys=["gone"])
    assert not Path("runinfo").exists()


@pytest.mark.parametrize("wrong", ["key", b"key", 7, [7], ["a\0b"]])
def test_trusted_keys_is_a_list_of_paths(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="trusted_keys"):
        Config(trusted_keys=wrong)


def test_every_spelling_of_a_configuration_has_both_options(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('shared = true\ntrusted_keys = ["a", "b"]\n')
    for source in (tmp_path / "config.toml", {"globals": {"shared": True, "trustedKeys": ["a", "b"]}}):
        config = Config.of(source)
        assert (config.shared, list(config.trusted_keys)) == (True, ["a", "b"])
    assert (Config().shared, Config(trusted_keys=None).trusted_keys) == (False, ())  # type: ignore[arg-type]
