"""Owns what is measured: the workloads, their figures, and one row for each way in which a peer runs one.

A peer that is slow gets a smaller N, so that a row takes seconds; what is compared are rates, and the report
names each N. The reference of a figure always has the same N as ours.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Workload:
    """One of W1 to W10.

    Args:
        title: what is done.
        n: how many tasks, where the row says nothing else.
        smoke: how many in a smoke run.
    """

    title: str
    n: int
    smoke: int


@dataclass(frozen=True, slots=True)
class Figure:
    """One number that a workload yields.

    Args:
        more_is_better: or less is.
        reference: the label of the row that others are compared to.
        heading: its title in the picture; none, and it is not there.
    """

    title: str
    unit: str
    more_is_better: bool
    reference: str | None = None
    heading: str = ""

    @property
    def pictured(self) -> bool:
        return bool(self.heading)


@dataclass(frozen=True, slots=True)
class Row:
    """One peer's way of running a workload.

    Args:
        call: module and function in `drivers`.
        variant: what tells it from other rows of the peer.
        n: how many tasks at most; None for the workload's number.
        arguments: what else the function is given.
        prepare: a function that is run once, before the rounds, in the folder `../prepared`.
    """

    workload: str
    peer: str
    call: str
    variant: str = ""
    n: int | None = None
    arguments: tuple[str, ...] = ()
    prepare: str | None = None

    @property
    def label(self) -> str:
        """Its name in the report."""
        return f"{self.peer} {self.variant}".strip()

    def size(self, wanted: int | None = None) -> int:
        """How many tasks it runs, when `--n` says `wanted`."""
        if self.n is None:
            return wanted or WORKLOADS[self.workload].n
        return min(self.n, wanted or self.n)


WORKLOADS = {
    "W1": Workload("Independent tasks, 2 threads; ours cached and recorded", 100_000, 200),
    "W2": Workload("Independent tasks, 2 warm processes; ours cached and recorded", 100_000, 200),
    "W3": Workload("A chain, each task takes the previous future; raw pools: submit and wait", 100_000, 100),
    "W4": Workload("W1 with every result on its way to the disk before its future resolves (task_exit)", 100_000, 200),
    "W5": Workload("Resuming from N records in a fresh process", 100_000, 200),
    "W6": Workload("Memory", 100_000, 500),
    "W7": Workload("Large arrays", 1000, 1),
    "W8": Workload("Starting", 7, 1),
    "W9": Workload("Size: time per task at N over that at 1,000", 100_000, 300),
    "W10": Workload("The store alone: results of 1 KiB by key", 100_000, 200),
}

RAW_W4 = "threads without results on disk"

FIGURES = {
    ("W1", "rate"): Figure("rate", "tasks/s", True, "threads", heading="Independent tasks, two threads"),
    ("W2", "rate"): Figure("rate", "tasks/s", True, "loky", heading="Independent tasks, two processes"),
    ("W3", "thread_link"): Figure("a link, threads", "µs", False, "threads", heading="A link of a chain, threads"),
    ("W3", "process_link"): Figure("a link, processes", "µs", False, "loky", heading="A link of a chain, processes"),
    ("W4", "rate"): Figure("rate", "tasks/s", True, RAW_W4, heading="Tasks, results on disk"),
    ("W5", "open"): Figure("opening", "s", False),
    ("W5", "replay"): Figure("replay", "tasks/s", True, heading="Replay after a restart"),
    ("W5", "disk"): Figure("disk, a record", "B", False),
    ("W5", "peak"): Figure("peak memory of the process", "MB", False),
    ("W5", "memory"): Figure("memory that opening takes, a record", "B", False),
    ("W6", "future"): Figure("memory, a kept future", "B", False, "threads", heading="Memory of a kept future"),
    ("W6", "growth"): Figure("growth from a quarter of the tasks to the end, 1,000 futures held", "%", False),
    ("W7", "digest"): Figure("digest", "GB/s", True, "joblib 1 GB", heading="Digest of a large array"),
    ("W7", "trip"): Figure("to a process and back", "s", False, "loky 100 MB"),
    ("W7", "write"): Figure("made and on the disk", "GB/s", True, "numpy 100 MB"),
    ("W8", "import"): Figure("import, beyond bare Python", "ms", False),
    ("W8", "first"): Figure("first result", "ms", False, heading="From the start of Python to a result"),
    ("W9", "growth"): Figure("time per task over that at 1,000", "×", False, "threads independent"),
    ("W9", "task"): Figure("time per task at N", "µs", False, "threads independent"),
    ("W10", "append"): Figure("appended, and on the disk in the end", "results/s", True, "sqlite"),
    ("W10", "opened"): Figure("opening", "s", False),
    ("W10", "found"): Figure("found", "results/s", True),
    ("W10", "size"): Figure("disk, a result", "B", False),
    ("W10", "held"): Figure("memory that opening takes, a result", "B", False),
}

IMPORTS = {
    "parslish": "from parslish import Config, ProcessPoolExecutor, python_app",
    "threads": "from concurrent.futures import ThreadPoolExecutor",
    "processes": "from concurrent.futures import ProcessPoolExecutor",
    "loky": "import loky",
    "parsl": "import parsl",
    "dask": "import dask.distributed",
    "ray": "import ray",
    "redun": "import redun",
}

ROWS = [
    Row("W1", "parslish", "parslish.w1"),
    Row("W1", "threads", "stdlib.w1"),
    Row("W1", "parsl", "parsl.w1", "threads", 20_000),
    Row("W1", "parsl", "parsl.w1_quiet", "threads, logging off", 20_000),
    Row("W1", "dask", "dask.w1_delayed", "delayed, threads", 20_000),
    Row("W1", "dask", "dask.w1_distributed", "distributed, threads", 3_000),
    Row("W1", "redun", "redun.w1", "threads", 1_000),
    Row("W2", "parslish", "parslish.w2"),
    Row("W2", "loky", "loky.w2"),
    Row("W2", "processes", "stdlib.w2"),
    Row("W2", "joblib", "joblib.w2"),
    Row("W2", "parsl", "parsl.w2", "HTEX", 5_000),
    Row("W2", "ray", "ray.w2", n=20_000),
    Row("W2", "dask", "dask.w2", "distributed, processes", 3_000),
    Row("W2", "redun", "redun.w2", "processes", 1_000),
    Row("W3", "parslish", "parslish.w3_threads", "threads"),
    Row("W3", "parslish", "parslish.w3_threads_cached", "threads, cached"),
    Row("W3", "threads", "stdlib.w3_threads"),
    Row("W3", "parsl", "parsl.w3_threads", "threads", 10_000),
    Row("W3", "parslish", "parslish.w3_processes", "processes"),
    Row("W3", "parslish", "parslish.w3_processes_cached", "processes, cached"),
    Row("W3", "loky", "loky.w3"),
    Row("W3", "processes", "stdlib.w3_processes"),
    Row("W3", "parsl", "parsl.w3_htex", "HTEX", 3_000),
    Row("W3", "ray", "ray.w3", n=5_000),
    Row("W3", "dask", "dask.w3", "distributed, processes", 1_000),
    Row("W4", "parslish", "parslish.w4"),
    Row("W4", "parslish", "parslish.w1", "without checkpoint"),
    Row("W4", "threads", "stdlib.w1", "without results on disk"),
    Row("W4", "parsl", "parsl.w4", "task_exit", 20_000),
    Row("W4", "parsl", "parsl.w4_quiet", "task_exit, logging off", 20_000),
    Row("W4", "diskcache", "diskcache.w4", n=20_000),
    Row("W4", "joblib.Memory", "joblib_memory.w4", n=5_000),
    Row("W4", "redun", "redun.w4", "threads", 1_000),
    Row("W5", "parslish", "parslish.w5", prepare="parslish.w5_prepare"),
    Row("W5", "parslish", "parslish.w5_torn", "after SIGKILL", prepare="parslish.w5_prepare"),
    Row("W5", "parslish", "parslish.w5_memory", prepare="parslish.w5_prepare"),
    Row("W5", "parslish", "parslish.w5", "10⁶", 1_000_000, prepare="parslish.w5_prepare"),
    Row("W5", "parslish", "parslish.w5_torn", "10⁶, after SIGKILL", 1_000_000, prepare="parslish.w5_prepare"),
    Row("W5", "parsl", "parsl.w5", prepare="parsl.w5_prepare"),
    Row("W5", "joblib.Memory", "joblib_memory.w5", n=10_000, prepare="joblib_memory.w5_prepare"),
    Row("W5", "diskcache", "diskcache.w5", prepare="diskcache.w5_prepare"),
    Row("W5", "redun", "redun.w5", n=2_000, prepare="redun.w5_prepare"),
    Row("W6", "parslish", "parslish.w6"),
    Row("W6", "parslish", "parslish.w6_cached", "cached"),
    Row("W6", "threads", "stdlib.w6"),
    Row("W6", "parsl", "parsl.w6", "threads", 20_000),
    Row("W6", "ray", "ray.w6", n=20_000),
    Row("W6", "dask", "dask.w6", "distributed, processes", 5_000),
    Row("W6", "parslish", "parslish.w6_window", "cached, 10⁶", 1_000_000),
    Row("W7", "parslish", "parslish_arrays.w7_digest", "1 GB"),
    Row("W7", "joblib", "joblib.w7_digest", "1 GB"),
    Row("W7", "parslish", "parslish_arrays.w7_processes", "100 MB", 100),
    Row("W7", "parslish", "parslish_arrays.w7_processes_cached", "100 MB, cached", 100),
    Row("W7", "loky", "loky.w7_processes", "100 MB", 100),
    Row("W7", "parslish", "parslish_arrays.w7_checkpoint", "100 MB, task_exit", 100),
    Row("W7", "numpy", "arrays.w7_save", "100 MB", 100),
    Row("W7", "parslish", "parslish_arrays.w7_checkpoint", "1 GB, task_exit"),
    Row("W7", "numpy", "arrays.w7_save", "1 GB"),
    *[Row("W8", peer, "start.importing", n=7, arguments=(line,)) for peer, line in IMPORTS.items()],
    Row("W8", "parslish", "start.importing", "kernel included", 7, ("from parslish import DataFlowKernel",)),
    Row("W8", "parslish", "start.first", "threads", 7, ("parslish_threads",)),
    Row("W8", "threads", "start.first", n=7, arguments=("stdlib_threads",)),
    Row("W8", "parsl", "start.first", "threads", 5, ("parsl_threads",)),
    Row("W8", "dask", "start.first", "delayed", 5, ("dask_delayed",)),
    Row("W8", "redun", "start.first", "threads", 5, ("redun_threads",)),
    Row("W8", "parslish", "start.first", "processes", 7, ("parslish_processes",)),
    Row("W8", "processes", "start.first", n=7, arguments=("stdlib_processes",)),
    Row("W8", "loky", "start.first", n=7, arguments=("loky_processes",)),
    Row("W8", "parsl", "start.first", "HTEX", 1, ("parsl_htex",)),
    Row("W8", "dask", "start.first", "distributed", 3, ("dask_distributed",)),
    Row("W8", "ray", "start.first", n=3, arguments=("ray_processes",)),
    Row("W9", "parslish", "parslish.w9_chain", "chain"),
    Row("W9", "parslish", "parslish.w9_fan_in", "fan-in"),
    Row("W9", "parslish", "parslish.w9_independent", "independent", 1_000_000),
    Row("W9", "threads", "stdlib.w9_independent", "independent", 1_000_000),
    Row("W10", "parslish", "parslish_store.append", "batch", arguments=("batch",)),
    Row("W10", "parslish", "parslish_store.append", "manual", arguments=("manual",)),
    Row("W10", "sqlite", "stores.sqlite"),
    Row("W10", "lmdb", "lmdb.append"),
    Row("W10", "pickle", "stores.stream"),
    Row("W10", "files", "stores.files"),
    Row("W10", "parslish", "parslish_store.synced", "each synced", 2_000),
    Row("W10", "sqlite", "stores.sqlite_synced", "each synced", 2_000),
    Row("W10", "lmdb", "lmdb.synced", "each synced", 2_000),
    Row("W10", "pickle", "stores.stream_synced", "each synced", 2_000),
    Row("W10", "files", "stores.files_synced", "each synced", 2_000),
    *[
        Row("W10", peer, f"{module}.{call}", f"{variant}, {title}".strip(", "), n, prepare=f"{module}.{prepare}")
        for n, title in ((10_000, "10⁴"), (100_000, "10⁵"), (1_000_000, "10⁶"))
        for peer, module, call, prepare, variant in (
            ("parslish", "parslish_store", "find", "prepare", ""),
            ("parslish", "parslish_store", "find_torn", "prepare", "after SIGKILL"),
            ("sqlite", "stores", "sqlite_find", "sqlite_prepare", ""),
            ("lmdb", "lmdb", "find", "prepare", ""),
            ("pickle", "stores", "stream_find", "stream_prepare", ""),
            ("files", "stores", "files_find", "files_prepare", ""),
        )
        if n <= 100_000 or peer != "files"  # 10⁶ inodes are no measurement but an accident
    ],
]
