"""Owns the fingerprint of code: a function or class, and all of the user's own code that it uses.

Where the code is found and how it is written down is left to `follow`; values that stand in it to `value`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from parslish.identity.project import is_project_module

__all__ = ["Fingerprint", "Part", "fingerprint", "is_project_module"]


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that a fingerprint is made of.

    Attributes:
        kind: "function", "class", "constant", "closure" (a variable of an enclosing function), "default"
            (of a parameter), "attribute" (of a class); or what is only known by name: "state" (changed by the code
            that reads it, so not part of what the code is), "opaque" (without identity), "missing" (not defined).
        name: where it stands, `module.name`.
        digest: 32 bytes that stand for it alone, without what it uses.
        text: its source, or the value of a number; "" where there is neither.
    """

    kind: str
    name: str
    digest: bytes
    text: str = ""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The identity of code, and of what it uses.

    Attributes:
        digest: 32 bytes, the same wherever the same code runs.
        parts: what it is made of, in the order found; the code itself first.
        is_current: called without arguments, says whether nothing it was made of has changed since.
    """

    digest: bytes
    parts: tuple[Part, ...]
    is_current: Callable[[], bool]


def fingerprint(obj: Any) -> Fingerprint:
    """The fingerprint of a function, method, partial, class or callable object.

    It covers, transitively, the user's own functions, classes and modules that the code names, variables of enclosing
    functions, defaults, and global constants; libraries count by name. Layout, comments, docstrings and annotations
    change nothing. What the code itself changes is its state, and left out.

    Args:
        obj: what is called. Its own name and decorators do not count: neither changes what it does.
    """
    # Here, not above: values hold code, so `follow` needs `value`, which needs this module.
    from parslish.identity.follow import Walk

    return Walk().fingerprint(obj)
