"""Owns who is compared: each peer, the environment it runs in, and what is installed there.

Which workloads a peer runs is in `rows`; how it runs them, in `drivers`.
"""

from __future__ import annotations

from dataclasses import dataclass

OURS = "parslish"

NUMPY = ('numpy==2.2.6; python_version < "3.11"', 'numpy==2.4.6; python_version >= "3.11"')


@dataclass(frozen=True, slots=True)
class Peer:
    """One name that `./scripts/bench` takes.

    Args:
        environment: the folder in `.bench` it runs in; peers may share one.
        title: what it is, in the report.
        smoke: it also runs in an environment in which parslish is tested, so a smoke run includes it.
    """

    environment: str
    title: str
    smoke: bool = False


PEERS = {
    OURS: Peer("parslish", "parslish, default configuration, run record on", smoke=True),
    "threads": Peer("stdlib", "concurrent.futures.ThreadPoolExecutor", smoke=True),
    "processes": Peer("stdlib", "concurrent.futures.ProcessPoolExecutor", smoke=True),
    "loky": Peer("loky", "loky.ProcessPoolExecutor", smoke=True),
    "joblib": Peer("joblib", "joblib.Parallel: batches, no futures; joblib.hash"),
    "joblib.Memory": Peer("joblib", "joblib.Memory: plain memoized function"),
    "parsl": Peer("parsl", "Parsl, as installed unless a row says otherwise"),
    "dask": Peer("dask", "dask.delayed, and dask.distributed on one machine"),
    "ray": Peer("ray", "Ray on one machine"),
    "redun": Peer("redun", "redun, local executor"),
    "diskcache": Peer("diskcache", "diskcache.Cache.memoize: plain memoized function"),
    "numpy": Peer("numpy", "numpy.save and fsync", smoke=True),
    "sqlite": Peer("stdlib", "sqlite3, write-ahead log, one transaction a result", smoke=True),
    "lmdb": Peer("lmdb", "LMDB, one transaction a result"),
    "pickle": Peer("stdlib", "a stream of pickles, flushed after each", smoke=True),
    "files": Peer("stdlib", "a file for each result", smoke=True),
}

#: What is installed in each environment. "." brings what parslish needs; the package itself is taken from the working
#: copy, by PYTHONPATH: an editable installation would start slower than a user's.
REQUIREMENTS: dict[str, tuple[str, ...]] = {
    "parslish": (".", *NUMPY),
    "stdlib": (),
    "loky": ("loky==3.7.0", *NUMPY),
    "joblib": ("joblib==1.6.0", *NUMPY),
    "parsl": ("parsl==2026.10.26",),
    "dask": ("dask==2026.8.0", "distributed==2026.8.0"),
    "ray": ("ray==2.60.0",),
    "redun": ("redun==0.44.1",),
    "diskcache": ("diskcache==5.6.3",),
    "numpy": NUMPY,
    "lmdb": ("lmdb==3.0.0",),
}


def distributions(environment: str) -> list[str]:
    """Whose versions the report names: what was asked for, without what came with it."""
    names = [requirement.partition("==")[0] for requirement in REQUIREMENTS[environment]]
    return list(dict.fromkeys(OURS if name == "." else name for name in names))
