"""Scripts that reach code in every way that Python has of reaching code; each has a function `f`."""

from __future__ import annotations

SINGLEDISPATCH = """
import functools
@functools.singledispatch
def area(x): return 0
@area.register(str)
def _(x): return 2
def f(x): return area(x)
"""
CACHED = """
import functools
STEP = 1
@functools.lru_cache(maxsize=None)
def helper(x): return x + STEP
def f(x): return helper(x)
"""
CONTEXT = """
import contextlib
@contextlib.contextmanager
def around(x): yield x + 1
def f(x):
    with around(x) as y: return y
"""
WRAPPED = """
import functools
def times(n):
    def decorate(function):
        @functools.wraps(function)
        def wrapper(*args): return function(*args) * n
        return wrapper
    return decorate
@times(2)
def helper(x): return x + 1
def f(x): return helper(x)
"""
ENUM = """
import enum
class Color(enum.Enum):
    RED = 1
    BLUE = 2
    def shout(self): return self.name + "!"
def f(x): return Color(1).shout()
"""
NAMED_TUPLES = """
from collections import namedtuple
from typing import NamedTuple
P = namedtuple("P", "x y", defaults=[1])
class Q(NamedTuple):
    a: int = 3
    def twice(self): return 2 * self.a
def f(x): return P(x), Q().twice()
"""
DATACLASS = """
from dataclasses import dataclass, field
def start(): return [1]
@dataclass(frozen=True)
class Point:
    x: int
    y: list = field(default_factory=start)
    z: float = 2.0
    def norm(self): return self.x
def f(x): return Point(x).norm()
"""
ATTRS = (
    DATACLASS.replace("from dataclasses import dataclass, field", "import attrs")
    .replace("@dataclass", "@attrs.define")
    .replace("field(default_factory", "attrs.field(factory")
)
CLASSES = """
import abc
class Meta(abc.ABCMeta):
    def __call__(cls, *args): return super().__call__(*args)
class Base(metaclass=Meta):
    def inherited(self): return 5
    @abc.abstractmethod
    def method(self): ...
class Derived(Base):
    limit = 10
    def method(self): return super().inherited() + 1
    @property
    def size(self): return 2
    @staticmethod
    def fixed(): return 3
    @classmethod
    def made(cls): return 4
def f(x): return Derived().method()
"""
TABLE = """
def a(x): return x + 1
def b(x): return x + 2
TABLE = {"a": a, "b": b}
def f(x): return TABLE["a"](x)
"""
OBJECT = """
class Model:
    def __init__(self): self.weights = [1, 2]
    def predict(self, x): return x * self.weights[0]
model = Model()
def f(x): return model.predict(x)
"""
RANDOM = """
import random
rng = random.Random(3)
def f(x): return rng.random()
"""
ARRAY = """
import numpy as np
from numpy import exp
WEIGHTS = np.arange(3.0)
def f(x): return exp(WEIGHTS) + np.float64(x)
"""
VECTORIZED = """
import numpy as np
helper = np.vectorize(lambda x: x + 1)
def f(x): return helper(x)
"""
APPS = """
from parslish import join_app, python_app
@python_app(cache=True)
def inner(x): return x + 1
@join_app
def outer(x): return inner(x)
def f(x): return outer(x)
"""
ASYNC = """
async def helper(x): return x
async def f(x): return [await helper(i) async for i in x]
"""
DEFAULTS = """
def make(k):
    def helper(x, n=k, *, m=3): return x + n + m
    return helper
helper = make(2)
def f(x): return helper(x)
"""
PARTIAL = """
import functools
def add(a, b, c): return a + b + c
helper = functools.partial(add, 1, c=2)
def f(x): return helper(x)
"""
METHOD = """
class Adder:
    def __init__(self, n): self.n = n
    def add(self, x): return x + self.n
helper = Adder(3).add
def f(x): return helper(x)
"""
ATTRIBUTE = """
def helper(x): return x
helper.table = [1, 2]
def f(x): return helper.table[0]
"""
STATIC = """
class C:
    data = [1]
    @staticmethod
    def fill(other): other.data[0] = 2
    @classmethod
    def make(cls, other): box.limit = 1
    limit = 3
class Box: pass
box = Box()
def f(x): return C.fill(x), C.make(x)
"""
MODULE_GETATTR = """
import sys
def __getattr__(name): return len
f = lambda x: here.anything(x)
here = sys.modules[__name__]
"""
