"""`@workflow` and `dispatch`: what is run, with which inputs, and how both are found again."""

from __future__ import annotations

import json
import logging
import sys
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

import parslish
from parslish import Config, UsageError, dispatch, get_result, workflow
from parslish.dispatching import workflows
from parslish.history import entry
from parslish.history.record import RunRecord
from parslish.secret import Keys
from tests.dispatching.flows import divided, nested, slow, task_0
from tests.faults.executor import InlineExecutor
from tests.parsl.helpers import PATIENCE_S, Gate, run_script


def result_of(run_id: str, **options: Any) -> Any:
    return get_result(run_id, wait=True, timeout=PATIENCE_S, **options)


def record_of(run_id: str, run_dir: str = "runinfo") -> RunRecord:
    result_of(run_id, run_dir=run_dir)
    return RunRecord(Path(run_dir, run_id), Keys.load())


# ------------------------------------------------------------------------------- the function


def test_called_directly_it_is_the_plain_function_under_the_loaded_kernel() -> None:
    with parslish.load() as kernel:
        assert divided(1, 2).result() == 1.5
        assert kernel.task_state_counts[parslish.States.exec_done] == 3


def test_it_keeps_its_name_and_doc() -> None:
    assert (divided.__name__, divided.__doc__) == ("divided", "The workflow of Covalent's page on re-execution.")
    assert repr(divided) == "<workflow divided>"


def test_with_parentheses_it_takes_a_name_and_a_configuration() -> None:
    @workflow(name="my flow", config={"run_dir": "mine", "retries": 3})
    def flow() -> int:
        return parslish.dfk().config.retries

    run_id = dispatch(flow)()
    found = result_of(run_id)
    assert (found.result, found.path.parent.name) == (3, "mine")
    assert found.record.facts["entry"]["name"] == "my flow"


@pytest.mark.parametrize("wrong", [3, "name", None])
def test_only_a_function_can_be_a_workflow(wrong: Any) -> None:
    with pytest.raises(TypeError, match="a workflow is made of a plain function"):
        workflows.Workflow(wrong)


def test_a_coroutine_function_is_refused() -> None:
    async def flow() -> None: ...

    with pytest.raises(TypeError, match="plain function"):
        workflow(flow)


@pytest.mark.parametrize("wrong", [task_0, len, "divided"], ids=str)
def test_only_a_workflow_can_be_dispatched(wrong: Any) -> None:
    with pytest.raises(UsageError, match="a function with @workflow is needed"):
        dispatch(wrong)


# ------------------------------------------------------------------------------- inputs


@pytest.mark.parametrize(
    ("args", "kwargs", "words"),
    [
        ((1,), {}, r"divided\(\) missing 1 required positional argument: 'b'"),
        ((1, 2, 3), {}, r"divided\(\) takes 2 positional arguments but 3 were given"),
        ((1,), {"c": 2}, r"divided\(\) got an unexpected keyword argument 'c'"),
    ],
)
def test_inputs_that_do_not_fit_are_told_at_once_in_pythons_words_and_nothing_begins(
    args: Any, kwargs: Any, words: str
) -> None:
    with pytest.raises(TypeError, match=words):
        dispatch(divided)(*args, **kwargs)
    assert not Path("runinfo").exists()


def test_inputs_are_recorded_positional_and_by_keyword_as_they_were_given() -> None:
    run_id = dispatch(nested)(2, label="y")
    assert result_of(run_id).inputs == ((2,), {"label": "y"})
    assert workflows.inputs_of(record_of(run_id)) == ((2,), {"label": "y"})


def test_the_record_says_what_was_run_and_the_card_shows_it_without_the_inputs_themselves() -> None:
    run_id = dispatch(nested)(2)
    facts = record_of(run_id).facts["entry"]
    assert {name: facts[name] for name in ("kind", "module", "name", "file")} == {
        "kind": entry.WORKFLOW,
        "module": "tests.dispatching.flows",
        "name": "nested",
        "file": nested.func.__code__.co_filename,
    }
    assert facts["shown"] == {"n": 2, "label": "x"}
    assert isinstance(facts["inputs"], bytes)
    card = json.loads(Path("runinfo", run_id, "run.json").read_text())["entry"]
    assert card == {name: fact for name, fact in facts.items() if name != "inputs"}


def test_inputs_are_recorded_as_they_were_when_it_was_dispatched() -> None:
    gate = Gate()

    @workflow
    def changes(numbers: list[int]) -> list[int]:
        gate.wait()
        numbers.append(3)
        return numbers

    given = [1]
    run_id = dispatch(changes)(given)
    gate.open()
    assert result_of(run_id).result == [1, 3]
    assert result_of(run_id).inputs == (([1],), {})


def test_large_inputs_are_stored_beside_the_results() -> None:
    large = b"x" * (2 * workflows.LARGE_BYTES)
    run_id = dispatch(nested)(1, label=large)  # type: ignore[arg-type]
    facts = record_of(run_id).facts["entry"]
    assert facts["inputs"] is None
    assert len(str(facts)) < 2_000
    assert result_of(run_id).inputs == ((1,), {"label": large})


def test_inputs_that_cannot_be_kept_are_warned_of_and_the_workflow_runs(caplog: pytest.LogCaptureFixture) -> None:
    @workflow
    def counts(numbers: Any) -> int:
        return sum(1 for _ in numbers)

    with caplog.at_level(logging.WARNING, "parslish"):
        run_id = dispatch(counts)(i for i in range(3))
    assert "the inputs of workflow counts cannot be kept" in caplog.text
    assert result_of(run_id).result == 3
    with pytest.raises(UsageError, match="were not kept"):
        _ = result_of(run_id).inputs


def test_a_future_among_the_inputs_is_used_and_not_kept(caplog: pytest.LogCaptureFixture) -> None:
    given: Future[int] = Future()
    given.set_result(4)
    run_id = dispatch(divided)(given, 2)
    assert result_of(run_id).result == 3.0
    assert "there are futures among them" in caplog.text


def test_without_previews_no_input_is_kept_or_shown() -> None:
    run_id = dispatch(nested, config=Config(previews=False))(1, label="secret")
    facts = record_of(run_id).facts["entry"]
    assert (facts["inputs"], facts["shown"]) == (None, {})
    with pytest.raises(UsageError, match="previews=False; give new ones"):
        _ = result_of(run_id).inputs


def test_a_script_has_no_inputs() -> None:
    with parslish.load() as kernel:
        pass
    with pytest.raises(UsageError, match="is of no workflow"):
        workflows.inputs_of(RunRecord(Path(kernel.run_dir), Keys.load()))


# ------------------------------------------------------------------------------- the kernel


def test_by_default_each_result_is_stored_as_its_task_ends() -> None:
    @workflow
    def mode() -> Any:
        return parslish.dfk().config.checkpoint_mode, parslish.dfk().run_id

    run_id = dispatch(mode)()
    assert result_of(run_id).result == ("task_exit", run_id)


def test_the_configuration_of_the_dispatch_goes_before_that_of_the_workflow_and_its_folder_before_both() -> None:
    @workflow(config={"retries": 1})
    def retries() -> int:
        return parslish.dfk().config.retries

    run_id = dispatch(retries, config={"retries": 2, "run_dir": "ignored"}, run_dir="there")()
    assert result_of(run_id, run_dir="there").result == 2
    assert not Path("ignored").exists()


def test_a_loaded_kernel_is_not_touched() -> None:
    with parslish.load(Config(run_dir="loaded")) as kernel:
        assert result_of(dispatch(divided)(1, 2)).result == 1.5
        assert not sum(kernel.task_state_counts.values())
        assert parslish.dfk() is kernel


def test_each_dispatch_begins_a_lineage_even_beside_one_that_goes_on() -> None:
    gate = Gate()

    @workflow
    def waits() -> None:
        gate.wait()

    first = dispatch(waits)()
    gate.await_arrival()
    second = result_of(dispatch(divided)(1, 2))
    gate.open()
    assert second.parent is None
    assert result_of(first).root != second.root


@pytest.mark.parametrize("make", [parslish.ThreadPoolExecutor, parslish.ProcessPoolExecutor])
def test_one_configuration_serves_two_dispatches_at_once(make: Any) -> None:
    config = Config(executors=[make()], checkpoint_files=[])
    gate = Gate()

    @workflow(config=config)
    def waits(x: int) -> Any:
        first = task_0(x).result()
        gate.wait()
        return first, task_1_of(first)

    def task_1_of(x: int) -> Any:
        return task_0(x + 10)

    runs = [dispatch(waits)(i) for i in range(2)]
    for _ in runs:
        gate.await_arrival()
    gate.open()
    assert [result_of(run).result for run in runs] == [(0, 10), (1, 11)]


def test_an_executor_that_cannot_be_copied_is_not_shared() -> None:
    config = Config(executors=[InlineExecutor()])
    with parslish.load(config), pytest.raises(UsageError, match="InlineExecutor has no copy"):
        dispatch(divided, config=config)(1, 2)


def test_a_memoizer_serves_one_kernel_at_a_time() -> None:
    config = Config(memoizer=parslish.BasicMemoizer())
    with parslish.load(config), pytest.raises(UsageError, match=r"config\.memoizer serves another kernel"):
        dispatch(divided, config=config)(1, 2)


def test_a_configuration_is_used_as_it_is_when_nobody_else_uses_it() -> None:
    executor = parslish.ThreadPoolExecutor()
    config = Config(executors=[executor])

    @workflow
    def own() -> bool:
        return parslish.dfk().executors["threads"] is executor

    for _ in range(2):
        assert result_of(dispatch(own, config=config)()).result is True


# ------------------------------------------------------------------------------- found again


def facts_of(flow: workflows.Workflow) -> dict[str, Any]:
    return flow.entry()


def test_a_workflow_of_a_module_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = facts_of(divided)
    monkeypatch.delitem(sys.modules, "tests.dispatching.flows")
    monkeypatch.setattr(workflows, "_known", {})
    found = workflows.find(facts)
    assert isinstance(found, workflows.Workflow)
    assert (found.name, found is divided) == ("divided", False)


def test_a_workflow_of_a_module_that_is_not_on_the_path_is_found_by_its_file(tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere" / "pkg"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "flows.py").write_text("from parslish import workflow\n@workflow\ndef far():\n    return 1\n")
    facts = {"module": "pkg.flows", "name": "far", "file": str(folder / "flows.py")}
    try:
        assert workflows.find(facts)() == 1
    finally:
        for name in ("pkg", "pkg.flows"):
            sys.modules.pop(name, None)
        sys.path.remove(str(folder.parent))


def test_a_workflow_within_a_function_is_found_while_its_process_lives() -> None:
    @workflow
    def local() -> int:
        return 5

    assert workflows.find(facts_of(local)) is local


def test_the_last_definition_of_a_workflow_counts() -> None:
    def make(value: int) -> workflows.Workflow:
        @workflow
        def again() -> int:
            return value

        return again

    first, second = make(1), make(2)
    assert workflows.find(facts_of(first)) is second


@pytest.mark.parametrize(
    "facts",
    [
        {"module": "tests.dispatching.flows", "name": "no_such_flow", "file": ""},
        {"module": "tests.dispatching.flows", "name": "task_0", "file": ""},
        {"module": "no_such_module_at_all", "name": "flow", "file": "/no/such/file.py"},
        {"module": "__main__", "name": "flow", "file": "/no/such/script.py"},
        {"module": "tests.dispatching.flows", "name": "gone.<locals>.flow", "file": ""},
    ],
)
def test_a_workflow_that_is_not_there_is_an_error_that_says_where_it_should_be(facts: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"workflow '.*' of module '.*' is not there.*top of a module or script"):
        workflows.find(facts)


def test_a_run_is_started_once_more_with_what_was_recorded() -> None:
    record = record_of(dispatch(divided)(1, b=2))
    again = workflows.start(workflows.find(record.facts["entry"]), *workflows.inputs_of(record))
    assert again.wait(PATIENCE_S)
    assert result_of(again.run_id).result == 1.5
    assert result_of(again.run_id).inputs == ((1,), {"b": 2})


SCRIPT = """
    import parslish
    from parslish import python_app, workflow

    class Point:
        def __init__(self, x):
            self.x = x

    @python_app(cache=True)
    def double(point):
        return Point(2 * point.x)

    @workflow
    def flow(x, *, by=1):
        return double(Point(x * by))

    if __name__ == "__main__":
        run = parslish.dispatch(flow)(3, by=5)
        print(run, parslish.get_result(run, wait=True).result.x, parslish.get_result(run).inputs)
"""


def test_a_workflow_of_a_script_is_found_in_the_script_that_runs() -> None:
    text = f"""{SCRIPT}
        from parslish.dispatching import workflows
        print(workflows.find(parslish.get_result(run).record.facts['entry']) is flow)
"""
    assert run_script(text).stdout == "000 30 ((3,), {'by': 5})\nTrue\n"


def test_a_workflow_of_a_script_is_found_by_another_process_without_running_its_main_part() -> None:
    run_script(SCRIPT, name="mine.py")
    other = """
        import parslish, sys
        from parslish.dispatching import workflows
        record = parslish.get_result("000").record
        found = workflows.find(record.facts["entry"])
        print(found.module, workflows.inputs_of(record), sys.modules["__main__"].__file__)
        again = workflows.start(found, *workflows.inputs_of(record))
        again.wait()
        print(parslish.get_result(again.run_id).status, parslish.get_result(again.run_id).result.x)
    """
    out = run_script(other, name="other.py").stdout.splitlines()
    assert out[0] == f"__parslish_main__ ((3,), {{'by': 5}}) {Path('other.py').absolute()}"
    assert out[1] == "COMPLETED 30"


def test_two_scripts_with_a_workflow_of_the_same_name_are_told_apart() -> None:
    run_script(SCRIPT, name="mine.py")
    other = """
        import parslish
        from parslish import workflow
        from parslish.dispatching import workflows

        @workflow
        def flow(x):
            return "another"

        found = workflows.find(parslish.get_result("000").record.facts["entry"])
        print(found is flow, found.entry()["file"].endswith("mine.py"))
    """
    assert run_script(other, name="other.py").stdout == "False True\n"


def test_a_script_that_dispatches_whenever_it_is_loaded_is_told_to_guard_that() -> None:
    run_script(SCRIPT.replace('if __name__ == "__main__":', "if True:"), name="mine.py")
    other = """
        import parslish
        from parslish.dispatching import workflows

        try:
            workflows.find(parslish.get_result("000").record.facts["entry"])
        except parslish.UsageError as exc:
            print(exc)
    """
    said = run_script(other, name="other.py").stdout
    assert "mine.py cannot be loaded" in said
    assert "put that under  if __name__ == '__main__':" in said
    assert not Path("runinfo", "001").exists()


def test_slow_workflows_are_dispatched_without_waiting() -> None:
    run_id = dispatch(slow)(1, 0.3)
    assert get_result(run_id).status == "RUNNING"
    assert result_of(run_id).result == [0.3]


def test_a_method_may_be_a_workflow_to_be_called() -> None:
    class Model:
        factor = 3

        @workflow
        def run(self, x: int) -> Any:
            return task_0(self.factor * x)

    with parslish.load():
        assert Model().run(2).result() == 6
