"""One module a peer, each imported in that peer's environment only; a function per workload returns its figures."""
