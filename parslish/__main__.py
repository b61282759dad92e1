"""`python -m parslish`: the command line, where the script `parslish` is not on the path."""

from __future__ import annotations

import sys

from parslish.cli import main

if __name__ == "__main__":
    sys.exit(main())
