"""How a function that a record names is found in modules and scripts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import parslish
from parslish import UsageError
from parslish.dispatching import programs
from tests.dispatching.flows import divided
from tests.parsl.helpers import run_script


@pytest.fixture(autouse=True)
def nothing_loaded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop(programs.MAIN, None)


def script(text: str, name: str = "script.py") -> str:
    path = Path(name).absolute()
    path.write_text(text)
    return str(path)


def main_of(monkeypatch: pytest.MonkeyPatch, file: str | None, **names: Any) -> ModuleType:
    running = ModuleType("__main__")
    if file is not None:
        running.__file__ = file
    vars(running).update(names)
    monkeypatch.setitem(sys.modules, "__main__", running)
    return running


def test_what_is_in_a_module_is_found_by_its_dotted_name() -> None:
    assert programs.find("tests.dispatching.flows", "divided", "") is divided
    assert programs.find("tests.dispatching.flows", "divided.bound", "").__self__ is divided
    assert programs.find("tests.dispatching.flows", "gone", "") is None


def test_what_is_in_the_running_script_is_found_there(monkeypatch: pytest.MonkeyPatch) -> None:
    file = script("thing = 'from the file'")
    main_of(monkeypatch, file, thing="as it runs")
    assert programs.find("__main__", "thing", file) == "as it runs"


def test_in_a_session_without_a_file_what_is_there_now_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    main_of(monkeypatch, None, thing=2)
    assert programs.find("__main__", "thing", "/tmp/ipykernel_1/cell.py") == 2


@pytest.mark.parametrize(
    "guard", ["if __name__ == '__main__':", 'if "__main__" == __name__:', "if (__name__ == '__main__'):"]
)
def test_another_script_is_loaded_once_without_its_main_part(guard: str) -> None:
    file = script(f"thing = object()\n{guard}\n    thing = None\nlast = 3\n")
    found = programs.find("__main__", "thing", file)
    assert type(found) is object
    assert programs.find("__main__", "thing", file) is found
    assert programs.find("__main__", "last", file) == 3


def test_a_script_is_loaded_with_its_folder_to_import_from() -> None:
    Path("lib").mkdir()
    Path("lib", "beside_the_script.py").write_text("value = 4")
    assert programs.find("__main__", "value", script("from beside_the_script import value", "lib/main.py")) == 4


def test_of_two_scripts_each_is_loaded_for_itself() -> None:
    one, two = script("thing = 1", "one.py"), script("thing = 2", "two.py")
    assert [programs.find("__main__", "thing", file) for file in (one, two, one)] == [1, 2, 1]


@pytest.mark.parametrize("text", ["1 / 0", "import sys; sys.exit(3)", "def broken(:", "import no_such_module_here"])
def test_a_script_that_cannot_be_loaded_is_an_error_that_says_why(text: str) -> None:
    with pytest.raises(UsageError, match=r"script\.py cannot be loaded: (ZeroDiv|SystemExit|SyntaxError|ModuleNotF)"):
        programs.find("__main__", "thing", script(text))
    assert programs.MAIN not in sys.modules


def test_a_module_that_raises_is_an_error_that_says_why() -> None:
    script("import not_installed_anywhere", "raises_when_imported.py")
    sys.path.insert(0, str(Path.cwd()))
    with pytest.raises(
        UsageError, match="module 'raises_when_imported' cannot be imported: it needs 'not_installed_any"
    ):
        programs.find("raises_when_imported", "x", "")


@pytest.mark.parametrize("place", [("no.such.module", ""), ("__main__", "/no/such/script.py")])
def test_what_is_nowhere_is_none(place: tuple[str, str]) -> None:
    assert programs.find(place[0], "x", place[1]) is None


def test_where_the_command_runs_a_script_has_the_place_of_main(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that its classes have the names that they have when it is run."""
    file = script("class Point: ...\nif __name__ == '__main__': raise KeyError")
    main_of(monkeypatch, str(Path(parslish.__file__).with_name("__main__.py")))
    found = programs.find("__main__", "Point", file)
    assert found.__module__ == "__main__"
    assert sys.modules["__main__"].Point is found


def test_a_script_that_cannot_be_loaded_leaves_the_command_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    running = main_of(monkeypatch, str(Path(parslish.__file__).with_name("__main__.py")))
    with pytest.raises(UsageError):
        programs.find("__main__", "Point", script("1 / 0"))
    assert sys.modules["__main__"] is running


def test_values_of_classes_of_a_script_are_the_same_arguments_when_the_command_runs_it() -> None:
    text = """
        import sys
        import parslish
        from parslish import python_app, workflow

        class Point:
            def __init__(self, x):
                self.x = x

        @python_app(cache=True)
        def double(point):
            return Point(2 * point.x)

        @workflow
        def flow(x):
            return double(Point(x)).result().x

        if __name__ == "__main__":
            run = parslish.dispatch(flow)(3)
            print(parslish.get_result(run, wait=True).result)
    """
    assert run_script(text, name="mine.py").stdout == "6\n"
    command = """
        import sys
        import parslish
        from parslish.dispatching import programs, workflows

        programs._is_ours = lambda main: True  # as the command `parslish` is
        record = parslish.get_result("000").record
        again = workflows.start(workflows.find(record.facts["entry"]), *workflows.inputs_of(record))
        again.wait()
        found = parslish.get_result(again.run_id)
        print(found.status, found.result, [node["status"] for node in found.nodes])
    """
    assert run_script(command, name="command.py").stdout == "COMPLETED 6 ['reused']\n"
