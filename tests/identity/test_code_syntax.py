"""What the canonical forms of code keep and what they let go, as syntax and as bytecode."""

from __future__ import annotations

import ast
import inspect
import random
import tarfile
import typing
from types import CodeType, ModuleType
from typing import Any

import pytest

from parslish.identity.bytecode import canonical_code
from parslish.identity.syntax import canonical_function

SAME = {
    "name": ("def f(x): return x", "def g(x): return x"),
    "comment": ("def f(x): return x", "def f(x):\n    # why\n    return x"),
    "docstring": ("def f(x):\n    'a'\n    return x", "def f(x):\n    return x"),
    "docstring of an inner function": (
        "def f(x):\n    def g():\n        'a'\n        return x\n    return g",
        "def f(x):\n    def g():\n        'b'\n        return x\n    return g",
    ),
    "only a docstring": ("def f(x):\n    'a'", "def f(x):\n    'b'"),
    "quotes": ("def f(x): return 'a'", 'def f(x): return "a"'),
    "parentheses": ("def f(x): return x + 1", "def f(x): return (x + (1))"),
    "line breaks": ("def f(x): return x if x else 1", "def f(x):\n    return (\n        x if x\n        else 1\n    )"),
    "trailing comma": ("def f(x): return g(x, 1)", "def f(x): return g(x, 1,)"),
    "number spelled otherwise": ("def f(x): return 255, 1000.0", "def f(x): return 0xff, 1_0e2"),
    "joined strings": ("def f(x): return 'ab'", "def f(x): return 'a' 'b'"),
    "u prefix": ("def f(x): return u'a'", "def f(x): return 'a'"),
    "annotations": ("def f(x): return x", "def f(x: 'A') -> 'B': return x"),
    "annotation of a variable": ("def f(x):\n    y = x", "def f(x):\n    y: int = x"),
    "annotations of an inner function": (
        "def f(x):\n    def g(y): return y\n    return g",
        "def f(x):\n    def g(y: int) -> int: return y\n    return g",
    ),
    "defaults, which are values": ("def f(x, y=1, *, z=2): return x", "def f(x, y=3, *, z=4): return x"),
    "decorators, which stand outside": ("def f(x): return x", "@d\ndef f(x): return x"),
}
DIFFERENT = {
    "name of a parameter": ("def f(x): return x", "def f(y): return y"),
    "kind of a parameter": ("def f(x, y): return x", "def f(x, *, y): return x"),
    "position only": ("def f(x, y): return x", "def f(x, /, y): return x"),
    "stars": ("def f(*x): return x", "def f(**x): return x"),
    "type of a number": ("def f(x): return 1", "def f(x): return 1.0"),
    "truth value": ("def f(x): return 1", "def f(x): return True"),
    "negative zero": ("def f(x): return 0.0", "def f(x): return -0.0"),
    "bytes": ("def f(x): return 'a'", "def f(x): return b'a'"),
    "operator": ("def f(x): return x + 1", "def f(x): return x - 1"),
    "grouping": ("def f(x): return (x + 1) * 2", "def f(x): return x + 1 * 2"),
    "order": ("def f(x): return x, 1", "def f(x): return 1, x"),
    "keyword of a call": ("def f(x): return g(x, a=1)", "def f(x): return g(x, b=1)"),
    "order of keywords": ("def f(x): return g(a=x, b=1)", "def f(x): return g(b=x, a=1)"),
    "list or tuple": ("def f(x): return [x, x]", "def f(x): return (x, x)"),
    "comparison": ("def f(x): return x < 1", "def f(x): return x <= 1"),
    "none": ("def f(x): return None, x", "def f(x): return ..., x"),
    "global name": ("def f(x): return g(x)", "def f(x): return h(x)"),
    "attribute": ("def f(x): return x.a", "def f(x): return x.b"),
    "default of an inner function": (
        "def f(x): return lambda y=1: y",
        "def f(x): return lambda y=2: y",
    ),
    "which keyword has the default": (
        "def f(x): return lambda *, y=1, z: y",
        "def f(x): return lambda *, y, z=1: y",
    ),
    "decorator of an inner function": (
        "def f(x):\n    @g\n    def h(): return x\n    return h",
        "def f(x):\n    def h(): return x\n    return h",
    ),
    "annotation in an inner class": (
        "def f(x):\n    class C:\n        y: int = 1\n    return C",
        "def f(x):\n    class C:\n        y: str = 1\n    return C",
    ),
    "what is tried": (
        "def f(x):\n    try:\n        a()\n        b()\n    except E:\n        pass",
        "def f(x):\n    a()\n    try:\n        b()\n    except E:\n        pass",
    ),
    "what else does": (
        "def f(x):\n    for i in x:\n        if i: break\n    else:\n        b()",
        "def f(x):\n    for i in x:\n        if i: break\n    b()",
    ),
    "format of a string": ("def f(x): return f'{x!r}'", "def f(x): return f'{x!s}'"),
    "indentation": ("def f(x):\n    if x:\n        a()\n    b()", "def f(x):\n    if x:\n        a()\n        b()"),
    "generator": ("def f(x): return [i for i in x]", "def f(x): return (i for i in x)"),
    "async": ("def f(x): return x", "async def f(x): return x"),
}


def syntax(source: str, **options: Any) -> bytes:
    node = ast.parse(source).body[0]
    assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    return canonical_function(node, **options)


def bytecode(source: str, **options: Any) -> bytes:
    module = compile(source, "<test>", "exec", dont_inherit=True)
    return canonical_code(next(each for each in module.co_consts if isinstance(each, CodeType)), **options)


@pytest.mark.parametrize("case", SAME)
def test_what_changes_nothing_is_not_in_the_canonical_syntax(case: str) -> None:
    one, other = SAME[case]
    assert syntax(one) == syntax(other)


@pytest.mark.parametrize("form", [syntax, bytecode])
@pytest.mark.parametrize("case", DIFFERENT)
def test_what_changes_something_is_in_the_canonical_form(case: str, form: Any) -> None:
    one, other = DIFFERENT[case]
    assert form(one) != form(other)


IN_BYTECODE = sorted(SAME.keys() - {"annotations of an inner function"})  # which are evaluated


@pytest.mark.parametrize("case", IN_BYTECODE)
def test_without_source_layout_changes_nothing_either(case: str) -> None:
    one, other = SAME[case]
    assert bytecode("\n\n" + one) == bytecode(other)


@pytest.mark.parametrize("form", [syntax, bytecode])
def test_the_own_name_of_a_function_that_calls_itself_is_let_go(form: Any) -> None:
    one, other = "def f(n): return n.f + f(n - 1)", "def g(n): return n.f + g(n - 1)"
    assert form(one) != form(other)
    assert form(one, own_name="f") == form(other, own_name="g")
    assert form(one, own_name="f") != form(one.replace("n.f", "n.g"), own_name="f")


@pytest.mark.parametrize("module", [inspect, random, tarfile, typing])
def test_the_code_of_every_function_has_a_canonical_form_without_its_source(module: ModuleType) -> None:
    def functions(source: str) -> list[bytes]:
        codes, every = [compile(source, "<test>", "exec", dont_inherit=True)], []
        for code in codes:
            inner = [each for each in code.co_consts if isinstance(each, CodeType)]
            codes += inner
            every += map(canonical_code, inner)
        return every

    source = inspect.getsource(module)
    assert functions(source) == functions("\n\n" + source)


def test_decorators_that_count_make_annotations_count() -> None:
    def decorated(source: str) -> bytes:
        node = ast.parse(source).body[0]
        assert isinstance(node, ast.FunctionDef)
        return canonical_function(node, decorators=node.decorator_list)

    sources = ["@d(1)\ndef f(x: int): pass", "@d(2)\ndef f(x: int): pass", "@d(1)\ndef f(x: str): pass"]
    assert len({decorated(source) for source in sources}) == 3


def test_a_sum_of_a_thousand_terms_does_not_recurse() -> None:
    total: ast.expr = ast.Name("x")
    for _ in range(5000):
        total = ast.BinOp(total, ast.Add(), ast.Name("x"))
    assert canonical_function(ast.Lambda(ast.arguments([], [], None, [], [], None, []), total))


@pytest.mark.parametrize("module", [inspect, random, tarfile, typing])
def test_printing_code_anew_does_not_change_its_canonical_form(module: ModuleType) -> None:
    """`ast.unparse` drops layout and comments as a formatter may, and lets nothing else go."""
    tree = ast.parse(inspect.getsource(module))
    again = ast.parse(ast.unparse(tree))
    pairs = [
        (one, other)
        for one, other in zip(ast.walk(tree), ast.walk(again), strict=True)
        if isinstance(one, (ast.FunctionDef, ast.Lambda)) and isinstance(other, (ast.FunctionDef, ast.Lambda))
    ]
    assert len(pairs) > 20
    assert all(canonical_function(one) == canonical_function(other) for one, other in pairs)


@pytest.mark.parametrize("seed", range(4))
def test_any_one_change_of_a_tree_changes_its_canonical_form(seed: int) -> None:
    print("seed", seed)
    rng = random.Random(seed)
    nodes = [each for each in ast.walk(ast.parse(inspect.getsource(tarfile))) if isinstance(each, ast.FunctionDef)]
    for node in rng.sample(nodes, 60):
        before = canonical_function(node)
        docstring = getattr(node.body[0], "value", None)
        inner = [each for statement in node.body for each in ast.walk(statement) if each is not docstring]
        leaves = [each for each in inner if isinstance(each, (ast.Name, ast.Constant, ast.Attribute))]
        if leaves:
            changed = rng.choice(leaves)
            field = {"Name": "id", "Constant": "value", "Attribute": "attr"}[type(changed).__name__]
            setattr(changed, field, "changed_in_the_test")
            assert canonical_function(node) != before
