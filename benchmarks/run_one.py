"""One measurement in a process of its own: `python -m benchmarks.run_one ENVIRONMENT CALL N [ARGUMENT…]`.

Runs in a peer's environment and in an empty folder, where it leaves `figures.json`.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path


def main(environment: str, call: str, n: str, *arguments: str) -> None:
    module, function = call.rsplit(".", 1)
    figures = getattr(importlib.import_module(f"benchmarks.drivers.{module}"), function)(int(n), *arguments)
    Path("figures.json").write_text(json.dumps({"figures": figures or {}, "versions": _versions(environment)}))


def _versions(environment: str) -> dict[str, str]:
    """What was asked for when the environment was made; looked up at the end, when memory is measured no more."""
    from importlib import metadata

    from benchmarks.peers import distributions

    installed = {"python": sys.version.split()[0]}
    for name in distributions(environment):
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return installed


if __name__ == "__main__":
    main(*sys.argv[1:])
