"""Runs that were recorded: asked, corrected and executed again.

Reading order: `finding` (the runs of a folder), `handle` (what people hold), `making` (orders for each way to execute
again), `entry` (how a program is started again), `by_record` (how recorded calls are made without it), `invalidation`.
"""
