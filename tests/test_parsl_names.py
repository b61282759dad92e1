"""Every name that a Parsl script imports is there under `parslish`, and is what its name says."""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import sys
from concurrent.futures import Future
from pathlib import Path

import pytest

import parslish
from tests.parsl.helpers import run_script


def _words(text: str) -> list[str]:
    return text.split()


NAMES = _words("""
load clear dfk wait_for_current_tasks Config DataFlowKernel App python_app bash_app join_app File DataFuture AppFuture
AUTO_LOGNAME ThreadPoolExecutor ProcessPoolExecutor DaskExecutor Executor set_stream_logger set_file_logger
get_all_checkpoints get_last_checkpoint BasicMemoizer id_for_memo States DEEP_DEPENDENCY_RESOLVER
SHALLOW_DEPENDENCY_RESOLVER Staging NoOpFileStaging ZipFileStaging FTPInTaskStaging default_staging ParslPoolExecutor
__version__
""")

EXCEPTIONS = _words("""
AppException AppBadFormatting AppTimeout BashExitFailure BashAppNoReturn MissingOutputs BadStdStreamFile DependencyError
JoinError BadCheckpoint NoDataFlowKernelError ConfigurationError InvalidResourceSpecification SerializationError
ZipAuthorityError
""")

MODULES = {
    "config": ["Config"],
    "utils": ["get_all_checkpoints", "get_last_checkpoint"],
    "configs.local": ["localThreads", "localProcesses"],
    "configs.local_threads": ["config"],
}

STATES = _words("unsched pending running exec_done failed dep_fail launched fail_retryable memo_done joining")


@pytest.mark.parametrize("name", NAMES + EXCEPTIONS)
def test_a_parsl_name_is_flat_in_parslish(name: str) -> None:
    assert getattr(parslish, name) is not None
    assert name in parslish.__all__
    assert name in dir(parslish)


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_an_exception_is_one_and_belongs_to_the_one_tree(name: str) -> None:
    assert issubclass(getattr(parslish, name), parslish.ParslishError)


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in MODULES.items() for name in names])
def test_a_module_that_scripts_name_can_be_imported(module: str, name: str) -> None:
    assert hasattr(importlib.import_module(f"parslish.{module}"), name)


def test_all_is_complete_unique_and_honest() -> None:
    assert len(set(parslish.__all__)) == len(parslish.__all__)
    for name in parslish.__all__:
        getattr(parslish, name)


def test_a_name_that_is_not_there_is_an_attribute_error_that_names_it() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = parslish.no_such_name  # type: ignore[attr-defined]


def test_a_star_import_gives_the_whole_list_and_nothing_else() -> None:
    script = """
        before = {"before", *globals()}
        from parslish import *
        got = globals().keys() - before
        assert got == set(parslish.__all__), got ^ set(parslish.__all__)
        print(parslish.get_all_checkpoints())
    """
    assert run_script(script).stdout == "[]\n"


def test_the_star_import_does_not_hide_what_scripts_have_of_their_own() -> None:
    theirs = {*dir(builtins), *sys.stdlib_module_names, "np", "pd", "config"}
    assert theirs & set(parslish.__all__) == set()


def test_the_futures_are_real_ones() -> None:
    assert issubclass(parslish.AppFuture, Future)
    assert issubclass(parslish.DataFuture, Future)


@pytest.mark.parametrize("state", STATES)
def test_states_has_the_states_of_parsl(state: str) -> None:
    assert parslish.States[state].name == state


@pytest.mark.parametrize("name", ["python_app", "bash_app", "join_app"])
def test_the_decorators_take_the_four_options_by_the_names_that_scripts_use(name: str) -> None:
    taken = set(inspect.signature(getattr(parslish, name)).parameters)
    wanted = {"function", "data_flow_kernel", "cache", "executors", "ignore_for_cache"}
    assert wanted - taken == ({"executors"} if name == "join_app" else set())


def test_the_version_is_a_text_that_begins_with_a_number() -> None:
    assert parslish.__version__.split(".")[0].isdecimal()


def test_importing_parslish_starts_nothing_and_imports_no_heavy_package() -> None:
    script = """
        import sys, threading
        import parslish
        heavy = {"numpy", "pandas", "loky", "distributed", "dask", "dill", "cloudpickle", "fsspec"}
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
        assert threading.active_count() == 1
        import os
        assert not os.path.exists("runinfo")
    """
    run_script(script)


def test_the_reading_order_in_the_docstring_names_modules_that_exist() -> None:
    tree = ast.parse(Path(parslish.__file__).read_text())
    docstring = ast.get_docstring(tree) or ""
    named = docstring.partition("Reading order:")[2].split("`")[1::2]
    assert named
    for module in named:
        importlib.import_module(f"parslish.{module}")
