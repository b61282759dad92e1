"""The page "Re-executing a Workflow" of Covalent's manual, cell by cell, with the names that its things have here."""

import parslish as ct
from parslish import python_app


def note(task):
    with open("executed", "a") as file:
        file.write(f"{task}\n")


@python_app(cache=True)
def task_0(a):
    note("task_0")
    return a


@python_app(cache=True)
def task_1(a, b):
    note("task_1")
    return a + b


@python_app(cache=True)
def task_2(a, b):
    note("task_2")
    return a / b


# For demonstrating redispatch
@python_app(cache=True)
def task_2_redefined(a, b):
    note("task_2_redefined")
    return a * b


@ct.workflow
def workflow(a, b):
    res_0 = task_0(a)
    res_1 = task_1(res_0, b)
    return task_2(res_1, b)


if __name__ == "__main__":
    dispatch_id = ct.dispatch(workflow)(1, 2)  # Input parameters are a=1, b=2
    print(f"Dispatch id: {dispatch_id}")
    result = ct.get_result(dispatch_id, wait=True)
    print(f"Workflow execution status: {result.status}")
    print(f"Workflow output: {result.result}")

    # 1. Using the previous input parameters
    redispatch_id = ct.redispatch(dispatch_id, replace={"task_2": task_2_redefined})()
    print(f"Redispatch id: {redispatch_id}")
    result = ct.get_result(redispatch_id, wait=True)
    print(f"Redispatched workflow execution status: {result.status}")
    print(f"Redispatched workflow output: {result.result}")

    # 2: Reusing the previous task results
    redispatch_id = ct.redispatch(dispatch_id, replace={"task_2": task_2_redefined}, reuse_previous_results=True)()
    print(f"Redispatch id: {redispatch_id}")
    result = ct.get_result(redispatch_id, wait=True)
    print(f"Redispatched workflow execution status: {result.status}")
    print(f"Redispatched workflow output: {result.result}")

    # If previous results were reused to compute res_0 and res_1, execution time of the tasks should be 0
    # and the following two statements should be `True`.
    print(result.get_node_result(0)["start_time"] == result.get_node_result(0)["end_time"])
    print(result.get_node_result(1)["start_time"] == result.get_node_result(1)["end_time"])

    # 3. Using new input parameters
    redispatch_id = ct.redispatch(
        dispatch_id,
        replace={"task_2": task_2_redefined},
        reuse_previous_results=True,
    )(1, 4)  # Input parameters are a=1 (same as before), b=4 (different)

    print(f"Redispatch id: {redispatch_id}")
    result = ct.get_result(redispatch_id, wait=True)
    print(f"Redispatched workflow execution status: {result.status}")
    print(f"Redispatched workflow output: {result.result}")

    # res_0 was reused; res_1 was recomputed since the value of b changed.
    print(result.get_node_result(0)["start_time"] == result.get_node_result(0)["end_time"])
    print(result.get_node_result(1)["start_time"] == result.get_node_result(1)["end_time"])
