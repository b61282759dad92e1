"""Workflows: functions that are dispatched, run beside the program, and are asked for what they came to.

Reading order: `workflows` (what is dispatched), `programs` (how one is found again), `dispatched` (the runs that go on
here), `outcomes` (what one is told of a run), `nodes` (and of its tasks).
"""
