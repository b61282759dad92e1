"""Owns the comparison with peers: the same workloads on each, in turn; `python -m benchmarks` runs it."""
