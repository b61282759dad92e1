"""Every file in configs/ is a configuration that loads, under both of its import names."""

from __future__ import annotations

import copy
import importlib
import pkgutil

import pytest

import parslish.configs
from parslish.config import Config

NAMES = sorted(module.name for module in pkgutil.iter_modules(parslish.configs.__path__))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "local"])
def test_a_site_file_holds_a_config(name: str) -> None:
    assert isinstance(importlib.import_module(f"parslish.configs.{name}").config, Config)


@pytest.mark.parametrize("name", NAMES)
def test_a_site_file_says_for_which_machine_it_is(name: str) -> None:
    text = importlib.import_module(f"parslish.configs.{name}").__doc__ or ""
    assert text.startswith("For ")


@pytest.mark.parametrize("name", ["localThreads", "localProcesses"])
def test_the_local_dicts_take_a_mode_as_the_tutorial_sets_it(name: str) -> None:
    config = copy.deepcopy(getattr(importlib.import_module("parslish.configs.local"), name))
    config["globals"]["checkpointMode"] = "task_exit"
    assert Config.of(config).checkpoint_mode == "task_exit"


def test_the_top_level_folder_is_the_package() -> None:
    root = importlib.import_module("pathlib").Path(__file__).parent.parent
    assert (root / "configs").resolve() == (root / "parslish" / "configs").resolve()
