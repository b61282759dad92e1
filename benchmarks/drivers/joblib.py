"""joblib: batches of calls in processes, and the hash of its cache."""

from __future__ import annotations

import joblib

from benchmarks.drivers import arrays
from benchmarks.drivers.stdlib import f
from benchmarks.measure import PROCESSES, WARM, Figures, rate


def w2(n: int) -> Figures:
    with joblib.Parallel(n_jobs=PROCESSES) as parallel:
        parallel(joblib.delayed(f)(i) for i in range(WARM))
        return rate(n, lambda: parallel(joblib.delayed(f)(i) for i in range(n)))


def w7_digest(megabytes: int) -> Figures:
    return arrays.digest(megabytes, joblib.hash)
