"""The keywords of a call: `inputs`, `outputs`, `stdout`, `stderr`, `walltime`, `label` (behaviours 7, 10 and 12)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import parslish
from parslish import AUTO_LOGNAME, Config, File, bash_app, python_app
from tests.faults.executor import InlineExecutor
from tests.parsl.helpers import PATIENCE_S, Counted

pytestmark = pytest.mark.usefixtures("loaded")


# -- call keywords


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("outputs", [File("out.txt")]),
        ("stdout", "out.log"),
        ("stderr", "err.log"),
        ("walltime", 60),
        ("parsl_resource_specification", {}),
        ("label", "the first"),
    ],
)
def test_a_call_keyword_needs_no_parameter_of_its_name(keyword: str, value: Any) -> None:
    assert python_app(lambda x: x)(5, **{keyword: value}).result() == 5


def test_inputs_go_to_the_function_which_must_name_them() -> None:
    @python_app
    def total(inputs: Any = ()) -> int:
        return sum(inputs)

    assert total(inputs=[1, 2, python_app(lambda: 3)()]).result() == 6


def test_a_call_keyword_reaches_a_function_that_names_it() -> None:
    @python_app
    def seen(outputs: Any = (), stdout: Any = None, stderr: Any = None, walltime: Any = None) -> Any:
        return [str(o) for o in outputs], stdout, stderr, walltime

    future = seen(outputs=[File("a.txt")], stdout="o.txt", stderr=("e.txt", "w"), walltime=60)
    assert future.result() == (["a.txt"], "o.txt", ("e.txt", "w"), 60)
    assert (future.stdout, future.stderr) == ("o.txt", ("e.txt", "w"))


def test_call_keywords_count_as_defaults_in_the_signature() -> None:
    @bash_app
    def shout(outputs: Any = ("made.txt",), stdout: Any = "default.out", stderr: Any = "default.err") -> str:
        return f"echo to stdout; echo to stderr >&2; touch {outputs[0]}"

    future = shout()
    assert future.result() == 0
    assert (future.stdout, future.stderr) == ("default.out", "default.err")
    assert [each.filepath for each in future.outputs] == ["made.txt"]
    assert Path("default.out").read_text() == "to stdout\n"
    assert Path("default.err").read_text() == "to stderr\n"


def test_what_a_call_says_goes_before_the_default() -> None:
    @bash_app
    def shout(stdout: Any = "default.out") -> str:
        return "echo hello"

    assert shout(stdout="said.out").result() == 0
    assert not Path("default.out").exists()
    assert Path("said.out").read_text() == "hello\n"


def test_12_a_default_walltime_counts() -> None:
    @python_app
    def long(walltime: float = 0.05) -> None:
        import threading

        threading.Event().wait(0.5)

    @bash_app
    def sleeps(walltime: float = 0.05) -> str:
        return "sleep 60"

    for app in (long, sleeps):
        with pytest.raises(parslish.AppTimeout, match="walltime"):
            app().result(PATIENCE_S)


def test_12_futures_in_default_inputs_are_resolved() -> None:
    three = python_app(lambda: 3)()

    @python_app
    def total(inputs: Any = (1, three)) -> int:
        return sum(inputs)

    assert total().result() == 4


def test_12_a_future_as_any_default_is_resolved() -> None:
    three = python_app(lambda: 3)()

    @python_app
    def plus(x: int, inputs: Any = [three]) -> int:  # noqa: B006
        return x + inputs[0]

    assert plus(1).result() == 4
    assert plus(1, inputs=[10]).result() == 11


@pytest.mark.parametrize(
    "wrong",
    [
        {"stdout": 5},
        {"stderr": ("x",)},
        {"stdout": ("x", "w", "y")},
        {"stdout": (5, "w")},
        {"stderr": ("x", "no mode")},
        {"stdout": ("x", "r")},
        {"stdout": ["x", "w"]},
        {"walltime": "long"},
        {"walltime": -1},
        {"parsl_resource_specification": "all"},
    ],
)
@pytest.mark.parametrize("decorator", [python_app, bash_app])
def test_10_a_call_keyword_with_a_bad_value_is_a_type_error_at_the_call(decorator: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=next(iter(wrong))):
        decorator(lambda: "true")(**wrong)


def test_a_bad_stdout_has_the_exception_that_parsl_scripts_catch() -> None:
    with pytest.raises(parslish.BadStdStreamFile):
        bash_app(lambda: "true")(stdout=17)


def test_10_an_unknown_keyword_of_the_function_is_a_type_error() -> None:
    for cache in (False, True):
        with pytest.raises(TypeError, match="colour"):
            python_app(lambda x: x, cache=cache)(1, colour="red").result()


def test_an_unknown_resource_is_told_through_the_future() -> None:
    future = python_app(lambda: 1)(parsl_resource_specification={"unicorns": 1})
    with pytest.raises(parslish.InvalidResourceSpecification) as caught:
        future.result()
    assert caught.value.invalid_keys == {"unicorns"}


def test_resources_reach_a_users_own_executor() -> None:
    seen: list[Any] = []

    class Noting(InlineExecutor):
        def submit(self, func: Any, resource_specification: Any, *args: Any, **kwargs: Any) -> Any:
            seen.append(resource_specification)
            return super().submit(func, resource_specification, *args, **kwargs)

    kernel = parslish.DataFlowKernel(executors=[Noting("noting")])
    app = python_app(lambda: 1, data_flow_kernel=kernel)
    app(parsl_resource_specification={"cores": 2}).result()
    app().result()
    kernel.cleanup()
    assert seen[0] == {"cores": 2}
    assert not seen[1]


def test_a_label_is_part_of_the_tasks_path_and_not_of_its_key() -> None:
    count = Counted()
    app = python_app(count, cache=True)
    futures = [app(1, label=label) for label in ("one", "two")]
    assert [f.result() for f in futures] == [1, 1]
    assert [f.task_record.path for f in futures] == ["-/Counted[one]", "-/Counted[two]"]


# -- AUTO_LOGNAME


def test_auto_logname_gives_each_task_a_file_in_the_runs_folder(loaded: Any) -> None:
    futures = [bash_app(lambda i: f"echo {i}")(i, stdout=AUTO_LOGNAME, stderr=AUTO_LOGNAME) for i in range(3)]
    assert [f.result() for f in futures] == [0, 0, 0]
    assert [Path(f.stdout).read_text() for f in futures] == ["0\n", "1\n", "2\n"]
    names = {f.stdout for f in futures} | {f.stderr for f in futures}
    assert len(names) == 6
    assert all(Path(loaded.run_dir).resolve() in Path(name).resolve().parents for name in names)


def test_auto_logname_carries_the_label() -> None:
    assert "my_label" in bash_app(lambda: "true")(stdout=AUTO_LOGNAME, label="my label").stdout


@pytest.mark.parametrize("named", [True, False])
def test_auto_logname_is_kept_out_of_the_key(named: bool) -> None:
    def with_parameters(x: int, stdout: Any = AUTO_LOGNAME, stderr: Any = AUTO_LOGNAME) -> str:
        return f"echo {x} >> ran"

    app = bash_app(with_parameters if named else (lambda x: f"echo {x} >> ran"), cache=True)
    for _ in range(3):
        app(1, stdout=AUTO_LOGNAME, stderr=AUTO_LOGNAME).result()
    assert Path("ran").read_text() == "1\n"


def test_std_autopath_chooses_where_auto_logname_goes() -> None:
    parslish.dfk().cleanup()

    def autopath(task: Any, kind: str) -> Any:
        return f"logs/{task['func_name']}.{task['id']}.{kind}", "w"

    with parslish.load(Config(std_autopath=autopath)):
        future = bash_app(lambda: "echo hello")(stdout=AUTO_LOGNAME)
        future.result()
        assert Path("logs/<lambda>.0.stdout").read_text() == "hello\n"


def test_7_a_std_autopath_that_fails_raises_at_the_call() -> None:
    parslish.dfk().cleanup()

    def autopath(task: Any, kind: str) -> str:
        raise LookupError("no path today")

    with parslish.load(Config(std_autopath=autopath)) as dfk:
        with pytest.raises(LookupError, match="no path today"):
            bash_app(lambda: "true")(stdout=AUTO_LOGNAME)
        assert dict(dfk.tasks) == {}
        assert bash_app(lambda: "true")().result() == 0
