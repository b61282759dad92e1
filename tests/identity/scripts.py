"""Scripts as users write them, loaded as modules of their own."""

from __future__ import annotations

import itertools
import sys
import textwrap
import types
from collections.abc import Callable
from pathlib import Path

_numbers = itertools.count()


class Scripts:
    """Loads source texts as modules, each from a file of its own; forgets them in `close`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: set[str] = set()

    def load(self, source: str, name: str = "user_script") -> types.ModuleType:
        """Run a source text as the module `name`."""
        file = self._folder / f"{name}_{next(_numbers)}.py"
        file.write_text(textwrap.dedent(source))
        module = types.ModuleType(name)
        module.__file__ = str(file)
        sys.modules[name] = module
        self._names.add(name)
        exec(compile(file.read_text(), str(file), "exec", dont_inherit=True), vars(module))
        return module

    def close(self) -> None:
        for name in self._names:
            del sys.modules[name]


Load = Callable[..., types.ModuleType]
