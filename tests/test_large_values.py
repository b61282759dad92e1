"""Large results through a kernel: in blobs, once each, in every mode; and what happens where a blob cannot be had."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import parslish
from parslish import Config, ProcessPoolExecutor, python_app
from parslish.store.blobs import SUFFIX, Blobs
from parslish.store.values import LARGE_BYTES

SIZE = LARGE_BYTES // 4  # float64: twice the size from which on a value is large
MODES = ["task_exit", "periodic", "dfk_exit", "manual"]
Runs = list[int]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def blobs_of(run: str) -> list[Path]:
    return sorted(Path("runinfo", run, "checkpoint").glob(f"*{SUFFIX}"))


def counting(runs: Runs) -> Any:
    @python_app(cache=True)
    def array(seed: int, size: int = SIZE) -> Any:
        runs.append(seed)
        return {"values": np.full(size, float(seed % 2)), "seed": 0}

    return array


@pytest.mark.parametrize("mode", MODES)
def test_a_large_result_is_a_blob_and_comes_back_without_its_task_running(mode: str) -> None:
    runs: Runs = []
    app = counting(runs)
    with parslish.load(Config(checkpoint_mode=mode)) as kernel:
        app(1).result()
        kernel.checkpoint()
    with parslish.load(Config(checkpoint_mode=mode)):
        back = app(1).result()
    assert runs == [1]
    assert np.array_equal(back["values"], np.ones(SIZE))
    assert back["values"].flags.writeable
    (blob,) = blobs_of("000")
    assert blob.stat().st_size > SIZE * 8
    assert blobs_of("001") == []


def test_equal_results_of_different_tasks_are_stored_once() -> None:
    app = counting([])
    with parslish.load(Config(checkpoint_mode="task_exit")):
        for future in [app(seed) for seed in range(20)]:
            future.result()
    assert len(blobs_of("000")) == 2


def test_a_result_of_a_process_comes_back_too() -> None:
    @python_app(cache=True)
    def array(size: int) -> Any:
        import numpy

        return numpy.arange(float(size)), "text" * size

    config = Config(executors=[ProcessPoolExecutor(max_workers=1)], checkpoint_mode="task_exit")
    with parslish.load(config):
        first = array(SIZE).result()
    with parslish.load(Config(checkpoint_mode="task_exit")):
        second = array(SIZE).result()
    assert np.array_equal(first[0], second[0])
    assert first[1] == second[1]
    assert len(blobs_of("000")) == 1


@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_a_damaged_blob_costs_its_result_alone(damage: str, caplog: pytest.LogCaptureFixture) -> None:
    runs: Runs = []
    app = counting(runs)
    with parslish.load(Config(checkpoint_mode="task_exit")):
        app(0).result()
        app(1).result()
    blob = blobs_of("000")[0]
    content = bytearray(blob.read_bytes())
    if damage == "gone":
        blob.unlink()
    else:
        content[len(content) // 2] ^= 4
        blob.write_bytes(content[: None if damage == "flip" else 1000])
    with parslish.load(Config(checkpoint_mode="task_exit")):
        for seed in (0, 1):
            assert np.array_equal(app(seed).result()["values"], np.full(SIZE, float(seed)))
    assert len(runs) == 3
    assert sum("is computed again" in record.getMessage() for record in caplog.records) == 1
    assert len(blobs_of("001")) == 1
    with parslish.load(Config(checkpoint_mode="task_exit")):
        app(0).result()
        app(1).result()
    assert len(runs) == 3


def test_where_a_blob_cannot_be_written_the_record_has_the_value(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Blobs, sections: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    runs: Runs = []
    app = counting(runs)
    with monkeypatch.context() as patch, parslish.load(Config(checkpoint_mode="task_exit")):
        patch.setattr(Blobs, "put", refuse)
        app(1).result()
    assert blobs_of("000") == []
    with parslish.load(Config(checkpoint_mode="task_exit")):
        assert np.array_equal(app(1).result()["values"], np.ones(SIZE))
    assert runs == [1]


def test_storing_and_loading_an_array_takes_no_second_one_of_memory() -> None:
    size_bytes = 256 << 20
    script = textwrap.dedent("""
        import resource, sys
        import numpy as np
        import parslish
        from parslish import Config, python_app

        @python_app(cache=True)
        def array(size):
            return np.ones(size // 8)

        with parslish.load(Config(checkpoint_mode="task_exit")):
            array(8).result()  # what is made only once
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            value = array(int(sys.argv[1])).result()
            assert value[-1] == 1
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """)
    for _ in ("stored", "loaded"):
        ran = subprocess.run([sys.executable, "-c", script, str(size_bytes)], capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        assert int(ran.stdout) * 1024 <= 1.2 * size_bytes
    assert len(blobs_of("000")) == 1
    assert blobs_of("001") == []
