"""What may happen in a running session, and which of it outdates a fingerprint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from parslish.identity.code import fingerprint
from tests.identity.scripts import Load
from tests.identity.sources import (
    ARRAY,
    ATTRIBUTE,
    CACHED,
    CLASSES,
    DEFAULTS,
    ENUM,
    MODULE_GETATTR,
    OBJECT,
    PARTIAL,
    RANDOM,
    SINGLEDISPATCH,
    TABLE,
)

# Calling these must not outdate their fingerprint: what changes is a cache, a count, a log.
STATE = {
    "dispatch table": (SINGLEDISPATCH, "a"),
    "cache of a function": (CACHED, 1),
    "class of an enum": (ENUM, 1),
    "class with an abc": (CLASSES, 1),
    "list that is appended to": ("seen = []\ndef f(x): seen.append(x)", 1),
    "dict that is written to": ("seen = {}\ndef f(x): seen[x] = seen.get(x, 0) + 1", 1),
    "dict in a dict": ("seen = {'a': {}}\ndef f(x): seen['a'][x] = 1", 1),
    "list in a dict": ("seen = {'a': []}\ndef f(x): seen['a'].append(x)", 1),
    "attribute of a function": ("def h(): pass\nh.n = 0\ndef f(x): h.n += 1", 1),
    "global that is bound": ("n = 0\ndef f(x):\n    global n\n    n += 1", 1),
    "global bound at first use": ("m = None\ndef f(x):\n    global m\n    m = m or f", 1),
    "name of an enclosing function": (
        "def make():\n    n, seen = 0, []\n    def f(x):\n        nonlocal n\n        n += 1\n        seen.append(x)\n"
        "    return f\nf = make()",
        1,
    ),
    "attribute of an object": (
        "import types\nstats = types.SimpleNamespace(n=0, step=5)\ndef f(x): stats.n += stats.step",
        1,
    ),
    "count and cache in a class": (
        "class C:\n    cache, n, items = {}, 0, []\n    def __init__(self): C.n += 1\n"
        "    def get(self, x):\n        self.items.append(x)\n        self.cache[x] = x\n"
        "    @classmethod\n    def make(cls):\n        cls.n += 1\n        return cls()\n"
        "def f(x): C.make().get(x)",
        1,
    ),
    "import inside": ("def f(x):\n    import json.decoder\n    return json.decoder", 1),
    "recursion": ("def f(x): return f(x - 1) if x else 0", 3),
}


@pytest.mark.parametrize("case", STATE)
def test_what_code_changes_itself_is_state(load: Load, case: str) -> None:
    source, argument = STATE[case]
    module = load(source)
    before = fingerprint(module.f)
    module.f(argument)
    assert before.is_current()
    assert fingerprint(module.f).digest == before.digest


# Edits beside the state of a script; they must still count.
BESIDE_STATE = [
    ("attribute of an object", "step=5", "step=6"),
    ("name of an enclosing function", "n += 1", "n += 2"),
    ("count and cache in a class", "self.cache[x] = x", "self.cache[x] = -x"),
]


@pytest.mark.parametrize(("case", "old", "new"), BESIDE_STATE)
def test_what_stands_beside_state_counts(load: Load, case: str, old: str, new: str) -> None:
    source, _ = STATE[case]
    assert old in source
    assert fingerprint(load(source).f).digest != fingerprint(load(source.replace(old, new)).f).digest


@pytest.mark.parametrize("value", ["2", "[2]"])
def test_a_first_value_in_the_class_is_a_constant_though_objects_bind_it(load: Load, value: str) -> None:
    source = (
        f"class C:\n    start = {value}\n    def set(self):\n        self.start = list(C.start)\n"
        "        self.start.append(3)\ndef f(x): return C().start"
    )
    assert fingerprint(load(source).f).digest != fingerprint(load(source.replace("2", "4")).f).digest


# What only serves to run, log or keep track: nothing that happens to it outdates a fingerprint.
MACHINERY: dict[str, tuple[str, Callable[[Any], object]]] = {
    "logger": ("import logging\nit = logging.getLogger('x')", lambda m: m.it.setLevel(10)),
    "weak table": (
        "import weakref\nit = weakref.WeakValueDictionary()\nclass C: pass\nkept = C()",
        lambda m: m.it.update(a=m.kept),
    ),
    "future": ("from concurrent.futures import Future\nit = Future()", lambda m: m.it.set_result(1)),
    "lock": ("import threading\nit = threading.Lock()", lambda m: m.it.acquire()),
    "configuration": ("from parslish import Config\nit = Config()", lambda m: setattr(m.it, "retries", 3)),
}


@pytest.mark.parametrize("case", MACHINERY)
def test_machinery_counts_by_its_type_only(load: Load, case: str) -> None:
    source, act = MACHINERY[case]
    module = load(source + "\ndef f(x): return it")
    before = fingerprint(module.f)
    act(module)
    assert before.is_current()
    assert fingerprint(module.f).digest == before.digest
    assert "opaque" in {part.kind for part in before.parts}


# What a user may do in a running session that must be noticed.
ACTIONS: dict[str, tuple[str, Callable[[Any], object]]] = {
    "helper bound anew": (CACHED, lambda m: setattr(m, "helper", len)),
    "constant bound anew": (CACHED, lambda m: setattr(m, "STEP", 5)),
    "constant bound to an equal one": (CACHED, lambda m: setattr(m, "STEP", True)),
    "constant deleted": (CACHED, lambda m: delattr(m, "STEP")),
    "method replaced": (CLASSES, lambda m: setattr(m.Derived, "method", len)),
    "method that hides another": (CLASSES, lambda m: setattr(m.Derived, "inherited", len)),
    "attribute of a function changed": (ATTRIBUTE, lambda m: m.helper.table.append(3)),
    "attribute of a function bound anew": (ATTRIBUTE, lambda m: setattr(m.helper, "table", (1, 2))),
    "table changed": (TABLE, lambda m: m.TABLE.update(a=m.b)),
    "list in an object changed": (OBJECT, lambda m: m.model.weights.append(1)),
    "array changed": (ARRAY, lambda m: m.WEIGHTS.fill(0)),
    "random numbers drawn": (RANDOM, lambda m: m.f(1)),
    "code replaced in place": (PARTIAL, lambda m: setattr(m.add, "__code__", (lambda a, b, c: a).__code__)),
    "default replaced": (DEFAULTS, lambda m: setattr(m.helper, "__defaults__", (9,))),
    "builtin hidden": ("def f(x): return len(x)", lambda m: setattr(m, "len", sum)),
    "missing name defined": ("def f(x): return later(x)", lambda m: setattr(m, "later", sum)),
    "bytes in a list exchanged": ("L = [b'a']\ndef f(x): return L", lambda m: m.L.__setitem__(0, bytearray(b"a"))),
    "missing name of a module defined": (MODULE_GETATTR, lambda m: setattr(m, "anything", sum)),
    "name added to a module that is used whole": (
        "import sys\nhere = sys.modules[__name__]\ndef f(x): return vars(here)[x]",
        lambda m: setattr(m, "new", 1),
    ),
    "list of a constant": ("L = [1, [2]]\ndef f(x): return L", lambda m: m.L[1].append(3)),
    "variable of an enclosing function": (
        "def make():\n    def helper(x): return x\n    def change():\n        nonlocal helper\n        helper = len\n"
        "    return (lambda x: helper(x)), change\nf, change = make()",
        lambda m: m.change(),
    ),
}


@pytest.mark.parametrize("case", ACTIONS)
def test_a_change_in_the_running_session_outdates_the_fingerprint(load: Load, case: str) -> None:
    source, act = ACTIONS[case]
    for looks_before in (0, 2):  # the first look is prepared differently from the others
        module = load(source)
        before = fingerprint(module.f)
        assert all(before.is_current() for _ in range(looks_before))
        act(module)
        assert not before.is_current()
        assert fingerprint(module.f).digest != before.digest
