"""One module a peer, each imported in that peer's environment only; a function per workload returns its figures.

What several of them run alike is in `arrays` and `futures`.
"""
