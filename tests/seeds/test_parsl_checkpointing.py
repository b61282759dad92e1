"""The page "Checkpointing" of Parsl's manual, sentence by sentence, with only the package's name changed."""

from __future__ import annotations

import copy
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

import parslish
from parslish import App, ConfigurationError, DataFlowKernel
from parslish.configs.local import localThreads
from parslish.utils import get_all_checkpoints, get_last_checkpoint
from tests.parsl.helpers import Counted, run_script

# Examples of the page as it has them, save for the package's name and a shorter sleep (the second argument).
CREATING = """
from parslish import *
from parslish.configs.local import localThreads as config

dfk = DataFlowKernel(config=config)

@App('python', dfk, cache=True)
def slow_double(x, sleep_dur=0.01):
    import time
    time.sleep(sleep_dur)
    open("executed", "a").write(f"{x}\\n")
    return x * 2

N = 5   # Number of calls to slow_double
d = []  # List to store the futures
for i in range(0, N):
    d.append(slow_double(i))

# Wait for the results
[i.result() for i in d]

cpt_dir = dfk.checkpoint()
print(cpt_dir)  # Prints the checkpoint dir
"""

LOADING = """
from parslish import *
from parslish.configs.local import localThreads as config
from parslish.utils import get_all_checkpoints

dfk = DataFlowKernel(config=config,
                     checkpointFiles={files})

@App('python', dfk, cache=True)
def slow_double(x, sleep_dur=0.01):
    import time
    time.sleep(sleep_dur)
    open("executed", "a").write(f"{{x}}\\n")
    return x * 2

print([f.result() for f in [slow_double(i) for i in range(0, 5)]])
"""

MODES = ["task_exit", "periodic", "dfk_exit", "manual"]


def executed() -> list[str]:
    """What bodies of apps have written down, and forget it."""
    path = Path("executed")
    lines = path.read_text().split() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


def config(mode: str | None = None, **more: Any) -> dict[str, Any]:
    """The page's dict with a mode, as the page sets it."""
    config: dict[str, Any] = copy.deepcopy(localThreads)
    if mode is not None:
        config["globals"]["checkpointMode"] = mode
    config["globals"].update(more)
    return config


def kernel(mode: str | None = None, files: list[str] | None = None, **more: Any) -> DataFlowKernel:
    return DataFlowKernel(config=config(mode, **more), checkpointFiles=[] if files is None else files)


# -- "The following example shows how manual checkpointing can be invoked in a Parsl script."


def test_the_example_of_creating_a_checkpoint_prints_the_checkpoint_dir() -> None:
    printed = run_script(CREATING).stdout.strip()
    assert Path(printed) == Path("runinfo/000/checkpoint").absolute() or Path(printed) == Path("runinfo/000/checkpoint")
    assert Path(printed).is_dir()
    assert sorted(executed()) == list("01234")


# The page spells it in both ways, the second one after nothing but the star import.
@pytest.mark.parametrize("files", ["get_all_checkpoints()", "parslish.get_all_checkpoints()"])
def test_the_example_of_loading_a_checkpoint_runs_nothing_again(files: str) -> None:
    run_script(CREATING)
    executed()
    assert run_script(LOADING.format(files=files)).stdout.strip() == "[0, 2, 4, 6, 8]"
    assert executed() == []


# -- "Checkpointing is only possible for apps which have AppCaching enabled. …"


def test_an_app_without_caching_is_not_checkpointed() -> None:
    count = Counted()
    with kernel("task_exit") as dfk:

        @App("python", dfk)
        def uncached(x: int) -> int:
            return count(x)

        uncached(1).result()
    with kernel("task_exit", get_all_checkpoints()) as dfk:
        uncached.data_flow_kernel = dfk
        uncached(1).result()
    assert len(count) == 2


@pytest.mark.parametrize("spelling", ["memoize", "appCache"])
def test_with_app_caching_disabled_checkpointing_is_an_error_that_says_so(spelling: str) -> None:
    with pytest.raises(ConfigurationError, match="memoiz"):
        DataFlowKernel(config=config("task_exit", **{spelling: False}))
    assert not Path("runinfo").exists()


# -- "… each checkpoint contains all results that have been updated since the last checkpoint."


def size(folder: str) -> int:
    return sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())


def test_checkpoints_are_incremental() -> None:
    with kernel("manual") as dfk:

        @App("python", dfk, cache=True)
        def payload(x: int) -> str:
            return f"{x}" * 10_000

        payload(1).result()
        first = size(dfk.checkpoint())
        payload(2).result()
        second = size(dfk.checkpoint())
        third = size(dfk.checkpoint())
    assert 10_000 <= first < 15_000
    assert 10_000 <= second - first < 15_000
    assert third - second < 1_000


# -- "… will use checkpointed results for any apps that have been previously executed. … use the app name, hash, and
#    input parameters to locate previously computed results."


def test_results_are_located_by_app_name_code_and_input_parameters() -> None:
    script = """
    import sys
    from parslish import *
    dfk = DataFlowKernel(config={"globals": {"checkpointMode": "task_exit"}})
    @App('python', dfk, cache=True)
    def NAME(x):
        open("executed", "a").write(f"{x}\\n")
        return x BODY
    print(NAME(int(sys.argv[1])).result())
    """

    def run(name: str, body: str, argument: str) -> str:
        return run_script(script.replace("NAME", name).replace("BODY", body), argument).stdout.strip()

    assert run("double", "* 2", "3") == "6" and executed() == ["3"]
    assert run("double", "* 2", "3") == "6" and executed() == [], "the same app and input: used"
    assert run("double", "* 2", "4") == "8" and executed() == ["4"], "another input"
    assert run("treble", "* 2", "3") == "6" and executed() == ["3"], "another name"
    assert run("double", "* 3", "3") == "9" and executed() == ["3"], "another body"


# -- "If multiple checkpoints exist for an app (with the same hash) the most recent entry will be used."


@pytest.mark.parametrize("order", ["oldest first", "newest first"])
def test_of_several_checkpoints_the_most_recent_entry_is_used(order: str) -> None:
    values = iter(["first", "second", "third"])
    folders = []

    def make(dfk: DataFlowKernel) -> Any:
        @App("python", dfk, cache=True)
        def draw() -> str:
            return next(values)

        return draw

    for _ in range(2):  # neither loads the other: both draw
        with kernel("task_exit", []) as dfk:
            make(dfk)().result()
            folders.append(dfk.checkpoint())
    assert folders == get_all_checkpoints()
    with kernel("task_exit", folders if order == "oldest first" else folders[::-1]) as dfk:
        assert make(dfk)().result() == "second"
    with kernel("task_exit", folders[:1]) as dfk:
        assert make(dfk)().result() == "first"


# -- "Checkpointing works in the following modes: …"

LIFE = """
import os, signal, sys
from parslish import *
from parslish.configs.local import localThreads as config
mode, end = sys.argv[1:]
config["globals"]["checkpointMode"] = mode
if mode == "periodic":
    config["globals"]["checkpointPeriod"] = "01:00:00"
dfk = DataFlowKernel(config=config)

@App('python', dfk, cache=True)
def double(x):
    open("executed", "a").write(f"{x}\\n")
    return x * 2

assert [f.result() for f in [double(i) for i in range(3)]] == [0, 2, 4]
if end == "checkpoint":
    dfk.checkpoint()
if end in ("kill", "checkpoint"):
    os.kill(os.getpid(), signal.SIGKILL)
if end == "terminate":
    os.kill(os.getpid(), signal.SIGTERM)
    signal.pause()
if end == "raise":
    raise RuntimeError("the workflow fails")
if end == "cleanup":
    dfk.cleanup()
"""


@pytest.mark.parametrize(
    ("mode", "end", "kept"),
    [
        # "task_exit: … a checkpoint is created each time an app completes": even SIGKILL loses nothing.
        ("task_exit", "kill", True),
        ("task_exit", "leave", True),
        # "periodic: … the interval at which all tasks are checkpointed", one hour here.
        ("periodic", "kill", False),
        ("periodic", "leave", True),
        # "dfk_exit: … premature workflow termination from exceptions, terminate signals, etc. … might be lost if the
        # workflow is terminated abruptly (machine failure, SIGKILL etc)"
        ("dfk_exit", "leave", True),
        ("dfk_exit", "cleanup", True),
        ("dfk_exit", "raise", True),
        ("dfk_exit", "terminate", True),
        ("dfk_exit", "kill", False),
        # "Manual: … by calling DataFlowKernel.checkpoint() in the workflow code."
        ("manual", "leave", False),
        ("manual", "checkpoint", True),
    ],
)
def test_what_a_mode_keeps_at_each_end(mode: str, end: str, kept: bool) -> None:
    first = run_script(LIFE, mode, end, ok=False)
    codes = {"kill": -signal.SIGKILL, "checkpoint": -signal.SIGKILL, "terminate": 128 + signal.SIGTERM, "raise": 1}
    assert first.returncode == codes.get(end, 0), first.stderr
    assert sorted(executed()) == list("012")
    assert get_all_checkpoints() == [os.path.abspath("runinfo/000/checkpoint")]
    # The same script with all checkpoints of the run folder, which is what a mode loads by itself.
    run_script(LIFE, mode, "leave")
    assert sorted(executed()) == ([] if kept else list("012"))


def test_task_exit_also_stands_for_apps_that_fail_after_their_retries() -> None:
    # "… each time an app completes or fails (after retries if enabled)": the tasks around a failure are kept.
    count = Counted()

    def make(dfk: DataFlowKernel) -> tuple[Any, Any]:
        @App("python", dfk, cache=True)
        def good(x: int) -> int:
            return count(x)

        @App("python", dfk, cache=True)
        def bad(x: int) -> int:
            count(x)
            raise ValueError("no")

        return good, bad

    for _ in range(2):
        with kernel("task_exit", get_all_checkpoints(), retries=1) as dfk:
            good, bad = make(dfk)
            good(1).result()
            with pytest.raises(ValueError, match="no"):
                bad(2).result()
    # The good one ran once; the bad one twice in each run, for a failure is no result.
    assert count.calls == [1, 2, 2, 2, 2]


def test_periodic_writes_every_period() -> None:
    script = """
    import os, signal, time
    from parslish import *
    from parslish.configs.local import localThreads as config
    config["globals"]["checkpointMode"] = 'periodic'
    config["globals"]["checkpointPeriod"] = "00:00:01"
    dfk = DataFlowKernel(config=config)

    @App('python', dfk, cache=True)
    def double(x):
        open("executed", "a").write(f"{x}\\n")
        return "x" * 100_000

    def size():
        return sum(entry.stat().st_size for entry in os.scandir(os.path.join(dfk.rundir, "checkpoint")))

    double(1).result()
    deadline = time.monotonic() + 30
    while size() < 100_000 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(os.getpid(), signal.SIGKILL)
    """
    for expected in (["1"], []):
        run_script(script, ok=False) if expected else run_script(
            script.replace("while size()", "while False and size()"), ok=False
        )
        assert executed() == expected


def test_checkpoint_can_be_called_in_any_mode_and_gives_the_folder() -> None:
    for number, mode in enumerate([*MODES, None]):
        with kernel(mode) as dfk:
            assert Path(dfk.checkpoint()).samefile(f"runinfo/{number:03d}/checkpoint")


# -- "In all cases the checkpoint is written out to the runinfo/RUN_ID/checkpoint/ directory."


@pytest.mark.parametrize("mode", MODES)
def test_the_files_are_in_the_runs_checkpoint_folder(mode: str) -> None:
    with kernel(mode) as dfk:

        @App("python", dfk, cache=True)
        def payload() -> str:
            return "x" * 10_000

        payload().result()
        dfk.checkpoint()
        assert dfk.rundir == dfk.run_dir
        assert Path(dfk.rundir).samefile("runinfo/000")
    assert size("runinfo/000/checkpoint") >= 10_000


def test_each_run_has_a_folder_of_its_own_in_order() -> None:
    for _ in range(3):
        kernel("task_exit").cleanup()
    wanted = [os.path.abspath(f"runinfo/{number:03d}/checkpoint") for number in range(3)]
    assert get_all_checkpoints() == parslish.get_all_checkpoints() == wanted
    assert get_last_checkpoint() == parslish.get_last_checkpoint() == wanted[-1:]


# -- "The desired checkpoint mode is specified in the Parsl configuration: config = {…}"


def test_the_dict_of_the_page_is_a_configuration_and_is_not_changed() -> None:
    config = {"globals": {"lazyErrors": True, "memoize": True, "checkpointMode": "dfk_exit"}}
    before = copy.deepcopy(config)
    with DataFlowKernel(config=config) as dfk:
        assert dfk.config.checkpoint_mode == "dfk_exit"
        assert dfk.config.lazy_errors is True
        assert dfk.config.app_cache is True
    assert config == before


@pytest.mark.parametrize("mode", MODES)
def test_the_mode_is_set_in_the_dict_as_the_page_does(mode: str) -> None:
    assert kernel(mode, checkpointPeriod="01:00:00").config.checkpoint_mode == mode
    assert parslish.Config.of(config(mode, checkpointPeriod="01:00:00")).period_s == 3600


# -- "there is no need for users to modify their Parsl script in any way"


@pytest.mark.parametrize("mode", ["task_exit", "dfk_exit", "periodic"])
def test_an_automated_mode_needs_no_change_of_the_script(mode: str) -> None:
    script = CREATING.replace("cpt_dir = dfk.checkpoint()", "").replace("print(cpt_dir)", "")
    Path("parslish_site.py").write_text(
        "from parslish.configs.local import localThreads\n"
        f"localThreads['globals']['checkpointMode'] = {mode!r}\n"  # the configuration alone is another
    )
    script = script.replace(
        "from parslish.configs.local import", "import parslish_site\nfrom parslish.configs.local import"
    )
    run_script(script)
    assert sorted(executed()) == list("01234")
    run_script(script)
    assert executed() == []


# -- "To load a checkpoint the user must select which checkpoint file to resume from."


def test_a_selected_checkpoint_alone_is_loaded() -> None:
    def life(argument: int, files: str) -> subprocess.CompletedProcess[str]:
        return run_script(
            CREATING.replace("range(0, N)", f"[{argument}]").replace(
                "config=config", f"config=config, checkpointFiles={files}"
            )
        )

    life(1, "[]")
    life(2, "[]")
    executed()
    life(2, "['runinfo/000/checkpoint']")
    assert executed() == ["2"], "the first run's checkpoint does not know it"
    life(2, "['runinfo/001/checkpoint']")
    assert executed() == []


def test_a_selected_checkpoint_that_is_not_there_is_an_error_that_names_it() -> None:
    with pytest.raises(parslish.BadCheckpoint, match="no/such/checkpoint"):
        kernel(None, ["no/such/checkpoint"])
