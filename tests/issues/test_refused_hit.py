"""A memoizer that refused a hit was passed over: the result was found under an earlier name of the app."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import parslish
from parslish import Config, python_app
from parslish.memoizer import BasicMemoizer


class Refuses(BasicMemoizer):
    def check_memo(self, task_record: Any) -> None:
        return None


def test_a_refused_hit_is_not_found_under_an_earlier_name(tmp_path: Path) -> None:
    def double(x: int) -> int:
        runs.append(x)
        return 2 * x

    runs: list[int] = []
    app = python_app(double, cache=True, aka=["double"], ignore_for_cache=[])
    with parslish.DataFlowKernel(Config(run_dir=str(tmp_path), memoizer=Refuses())) as kernel:
        app.data_flow_kernel = kernel
        assert app(1).result() == app(1).result() == 2
    assert runs == [1, 1]
