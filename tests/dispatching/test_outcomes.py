"""`get_result`: what one is told of a run that was dispatched, here and in another process."""

from __future__ import annotations

import threading
import time
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest

import parslish
from parslish import Config, UsageError, dispatch, get_result, python_app, workflow
from parslish.dispatching.dispatched import Status
from tests.dispatching.flows import divided, nested, task_0
from tests.parsl.helpers import PATIENCE_S, Gate, run_script


def result_of(run_id: str, **options: Any) -> parslish.WorkflowResult:
    return get_result(run_id, wait=True, timeout=PATIENCE_S, **options)


@python_app
def fail(x: Any) -> None:
    raise ValueError(f"{x} is refused")


@workflow
def failing(x: int) -> Any:
    good = task_0(x)
    return [good, fail(x)]


# ------------------------------------------------------------------------------- the run


def test_the_workflow_of_the_covalent_page() -> None:
    run_id = dispatch(divided)(1, 2)
    result = get_result(run_id, wait=True)
    assert f"Workflow execution status: {result.status}" == "Workflow execution status: COMPLETED"
    assert f"Workflow output: {result.result}" == "Workflow output: 1.5"


def test_a_status_is_its_name() -> None:
    assert (str(Status.LOST), f"{Status.LOST:>6}", Status.LOST == "LOST", Status("LOST")) == (
        "LOST", "  LOST", True, Status.LOST,
    )  # fmt: skip


def test_while_it_goes_on_there_is_a_status_and_no_result() -> None:
    gate = Gate()

    @workflow
    def waits(x: int) -> Any:
        first = task_0(x)
        first.result()
        gate.wait()
        return first

    run_id = dispatch(waits)(3)
    gate.await_arrival()
    found = get_result(run_id)
    assert (found.status, found.result, found.exception, found.error) == (Status.RUNNING, None, None, None)
    assert (found.inputs, found.end_time, found.parent) == (((3,), {}), None, None)
    assert found.start_time > 0
    gate.open()
    assert result_of(run_id).result == 3
    assert found.status == Status.RUNNING  # as it was when it was asked for


def test_results_of_futures_stand_in_the_containers_that_were_returned() -> None:
    assert result_of(dispatch(nested)(3, label="y")).result == {"all": [0, 1, 2], "one": (4, "y")}


def test_it_is_told_when_it_began_and_ended_which_chain_it_is_of_and_what_goes_before_it() -> None:
    before = time.time()
    found = result_of(dispatch(divided)(1, 2))
    assert found.end_time is not None
    assert before <= found.start_time <= found.end_time <= time.time()
    assert (found.run_id, found.parent, len(found.root)) == ("000", None, 32)
    assert repr(found) == "<run 000 COMPLETED>"


def test_tasks_that_the_workflow_does_not_wait_for_are_waited_for() -> None:
    @workflow
    def leaves() -> str:
        for i in range(5):
            task_0(i)
        return "done"

    found = result_of(dispatch(leaves)())
    assert found.result == "done"
    assert [node["status"] for node in found.nodes] == ["done"] * 5


@pytest.mark.parametrize("mode", [None, "manual", "dfk_exit", "periodic", "task_exit"])
def test_the_result_is_stored_whatever_the_checkpoint_mode(mode: Any) -> None:
    run_id = dispatch(divided, config=Config(checkpoint_mode=mode))(1, 2)
    assert result_of(run_id).result == 1.5
    script = "import parslish; found = parslish.get_result('000'); print(found.status, found.result, found.inputs)"
    assert run_script(script).stdout == "COMPLETED 1.5 ((1, 2), {})\n"


# ------------------------------------------------------------------------------- failures


def test_of_a_failed_workflow_the_error_is_told_as_text_and_what_was_raised_is_kept() -> None:
    found = result_of(dispatch(failing)(7))
    assert (found.status, found.result) == (Status.FAILED, None)
    assert isinstance(found.exception, ValueError)
    assert found.error is not None
    assert found.error.rstrip().endswith("ValueError: 7 is refused")
    assert found.record.reason == "ended by ValueError"


def test_another_process_is_told_the_same_of_a_failure() -> None:
    result_of(dispatch(failing)(7))
    script = """
        import parslish
        found = parslish.get_result("000")
        print(found.status, found.result, repr(found.exception), found.error.splitlines()[-1])
    """
    assert run_script(script).stdout == "FAILED None ValueError('7 is refused') ValueError: 7 is refused\n"


@pytest.mark.parametrize("exc", [KeyError("x"), SystemExit(3), CancelledError(), KeyboardInterrupt()], ids=repr)
def test_whatever_the_function_raises_is_its_failure(exc: BaseException) -> None:
    @workflow
    def raises() -> None:
        raise exc

    found = result_of(dispatch(raises)())
    assert (found.status, type(found.exception)) == (Status.FAILED, type(exc))


def test_when_the_function_raises_its_tasks_are_waited_for_and_kept() -> None:
    gate = threading.Event()

    @python_app
    def waits(x: int) -> int:
        gate.wait(PATIENCE_S)
        return x

    @workflow
    def raises() -> None:
        task_0(waits(1))
        threading.Timer(0.05, gate.set).start()
        raise KeyError("early")

    found = result_of(dispatch(raises)())
    assert [node["status"] for node in found.nodes] == ["done", "done"]


def test_an_exception_that_cannot_be_stored_is_told_as_text() -> None:
    @workflow
    def raises() -> None:
        exc = ValueError("odd")
        exc.generator = (i for i in ())  # type: ignore[attr-defined]
        raise exc

    run_id = dispatch(raises)()
    assert isinstance(result_of(run_id).exception, ValueError)  # this process still has it
    script = """
        import parslish
        found = parslish.get_result("000")
        print(found.status, found.error.splitlines()[-1])
        try:
            found.exception
        except parslish.UsageError as exc:
            print(exc)
    """
    out = run_script(script).stdout.splitlines()
    assert out[0] == "FAILED ValueError: odd"
    assert "what run 000 came to is not stored" in out[1]


def test_a_result_that_cannot_be_stored_is_had_from_memory_and_elsewhere_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @workflow
    def gives() -> Any:
        return (i for i in range(3))

    run_id = dispatch(gives)()
    assert list(result_of(run_id).result) == [0, 1, 2]
    assert "what gives came to is not stored" in caplog.text
    script = """
        import parslish
        found = parslish.get_result("000")
        try:
            print(found.status, found.result)
        except parslish.UsageError as exc:
            print(exc)
    """
    assert "what run 000 came to is not stored" in run_script(script).stdout


def test_of_a_run_that_keeps_no_record_this_process_knows_the_result() -> None:
    run_id = dispatch(divided, config=Config(record=False))(1, 2)
    found = result_of(run_id)
    assert (found.status, found.result) == (Status.COMPLETED, 1.5)
    with pytest.raises(UsageError, match="kept no record"):
        _ = found.nodes


# ------------------------------------------------------------------------------- nodes


def test_of_each_task_it_is_told_what_it_gave_and_when() -> None:
    found = result_of(dispatch(divided)(1, 2))
    node = found.get_node_result(1)
    assert dict(node) == {
        "node_id": 1, "loc": "-.N1", "path": "-/task_1[0]", "name": "task_1", "status": "done", "output": 3,
        "error": None, "origin": None, "start_time": node["start_time"], "end_time": node["end_time"],
    }  # fmt: skip
    assert found.start_time <= node["start_time"] <= node["end_time"]
    assert found.get_node_result("-.N1") == found.get_node_result("-/task_1[0]") == node
    assert [each["node_id"] for each in found.nodes] == [0, 1, 2]


def test_a_reused_task_took_no_time_and_says_where_it_was_computed() -> None:
    first = result_of(dispatch(divided)(1, 2))
    second = result_of(dispatch(divided)(1, 4))
    reused, computed = second.get_node_result(0), second.get_node_result(1)
    assert reused["start_time"] == reused["end_time"]
    assert computed["start_time"] < computed["end_time"]
    origin = first.get_node_result(0)
    assert reused["origin"] == {
        "run": "000", "task": 0, "start_time": origin["start_time"], "end_time": origin["end_time"],
    }  # fmt: skip
    assert (reused["output"], computed["origin"]) == (1, None)


def test_a_task_that_was_reused_within_the_run_says_so_too() -> None:
    @workflow
    def twice() -> Any:
        first = task_0(5).result()
        return first, task_0(5)

    found = result_of(dispatch(twice)())
    assert found.get_node_result(1)["origin"]["run"] == found.run_id
    assert found.get_node_result(1)["origin"]["start_time"] == found.get_node_result(0)["start_time"]


def test_where_the_origins_record_is_gone_its_times_are_those_of_the_store() -> None:
    result_of(dispatch(divided)(1, 2))
    second = result_of(dispatch(divided)(1, 2))
    Path("runinfo", "000", "events").rename("gone")
    origin = second.get_node_result(0)["origin"]
    assert (origin["run"], origin["task"]) == ("000", 0)
    assert 0 < origin["start_time"] <= origin["end_time"] < second.start_time


def test_a_failed_task_has_an_error_and_no_output() -> None:
    node = result_of(dispatch(failing)(7)).get_node_result("-/fail[0]")
    assert (node["status"], node["output"]) == ("failed", None)
    assert node["error"].rstrip().endswith("ValueError: 7 is refused")


def test_what_a_task_gave_is_had_from_the_record_when_it_says_all_and_else_refused() -> None:
    @python_app
    def not_stored(x: Any) -> Any:
        return x

    @workflow
    def flow() -> None:
        not_stored("short")
        not_stored(["a", "list"])

    found = result_of(dispatch(flow)())
    assert found.get_node_result(0)["output"] == "short"
    with pytest.raises(UsageError, match=r"-/not_stored\[1\] in run 000 was not stored: give its app cache=True"):
        _ = found.get_node_result(1)["output"]


class Canary:
    """Tells when it is opened."""

    def __reduce__(self) -> Any:
        return _sing, ()


songs: list[str] = []


def _sing() -> Canary:
    songs.append("sung")
    return Canary()


@workflow
def with_canaries() -> Any:
    return task_0(Canary()), Canary()


def test_nothing_is_unpickled_before_it_is_asked_for() -> None:
    run_id = dispatch(with_canaries)()
    found = result_of(run_id)
    songs.clear()
    found = result_of(run_id)
    node = found.get_node_result(0)
    described = [
        repr(found),
        repr(node),
        found.error,
        found.root,
        node["status"],
        node["path"],
        *map(repr, found.nodes),
    ]
    assert (songs, len(described)) == ([], 7)
    assert isinstance(node["output"], Canary)
    assert isinstance(found.result[1], Canary)
    assert songs


def test_an_unknown_task_is_an_error_with_what_there_is() -> None:
    found = result_of(dispatch(divided)(1, 2))
    with pytest.raises(UsageError, match=r"run 000 has no task '-/task_9\[0\]' \(did you mean '-/task_"):
        found.get_node_result("-/task_9[0]")


# ------------------------------------------------------------------------------- which run


def test_an_unknown_run_is_an_error_with_the_ids_that_there_are() -> None:
    for _ in range(2):
        result_of(dispatch(divided)(1, 2))
    with pytest.raises(UsageError, match=r"there is no run '007'.*; there are 000, 001"):
        get_result("007")
    with pytest.raises(UsageError, match="there are none: name their folder with run_dir="):
        get_result("000", run_dir="nowhere")


@pytest.mark.parametrize("spelled", ["000", "0", 0, "runinfo/000", Path("runinfo/000")], ids=str)
def test_a_run_is_named_as_people_do(spelled: Any) -> None:
    result_of(dispatch(divided)(1, 2))
    assert get_result(spelled).result == 1.5


def test_a_run_of_this_process_is_found_wherever_its_folder_is() -> None:
    run_id = dispatch(divided, run_dir="far/away")(1, 2)
    assert result_of(run_id).result == 1.5


def test_of_two_runs_with_one_id_the_one_in_the_usual_folder_is_meant_or_else_one_has_to_say() -> None:
    for folder in ("one", "two"):
        result_of(dispatch(divided, run_dir=folder)(1, 2), run_dir=folder)
    with pytest.raises(UsageError, match=r"dispatched more than once: name one of '.*one', '.*two' with run_dir="):
        get_result("000")
    assert result_of(dispatch(divided)(1, 1)).result == 2.0
    assert get_result("000", run_dir="two").result == 1.5


def test_waiting_has_an_end() -> None:
    gate = Gate()

    @workflow
    def waits() -> None:
        gate.wait()

    run_id = dispatch(waits)()
    with pytest.raises(TimeoutError, match=r"run 000 has not ended after 0\.05 s; it goes on"):
        get_result(run_id, wait=True, timeout=0.05)
    gate.open()
    assert result_of(run_id).status == Status.COMPLETED


def test_waiting_for_ones_own_script_is_refused() -> None:
    with parslish.load() as kernel:
        assert get_result(kernel.run_id).status == Status.RUNNING
        with pytest.raises(UsageError, match="is of this program, and not dispatched"):
            get_result(kernel.run_id, wait=True)


def test_a_run_of_a_script_has_a_status_and_nodes() -> None:
    with parslish.load() as kernel:
        task_0(3).result()
    found = get_result(kernel.run_id)
    assert (found.status, found.result, found.error, found.get_node_result(0)["output"]) == ("COMPLETED", None, None, 3)


def test_a_script_that_raised_has_failed() -> None:
    with pytest.raises(KeyError), parslish.load() as kernel:
        raise KeyError
    assert get_result(kernel.run_id).status == Status.FAILED
