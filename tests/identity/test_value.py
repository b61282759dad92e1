"""The rules of `parslish.identity.value`: which values are one, which are not, and which have no identity."""

from __future__ import annotations

import array
import collections
import contextlib
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import io
import itertools
import math
import operator
import os
import pathlib
import random
import re
import socket
import struct
import subprocess
import sys
import threading
import types
import uuid
import zoneinfo
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest

from parslish.errors import Unidentifiable
from parslish.identity.value import encode, id_for_memo


@dataclasses.dataclass
class Point:
    x: float
    y: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class FrozenPoint:
    x: float
    y: float = 0.0


@attrs.define
class AttrsPoint:
    x: float
    y: float = 0.0


class Plain:
    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self, a: Any, b: Any) -> None:
        self.a, self.b = a, b


class Metres(int):
    pass


class Words(str):
    __slots__ = ()


class Bag(dict):  # type: ignore[type-arg]
    pass


class Members(set):  # type: ignore[type-arg]
    pass


class Row(collections.namedtuple("Row", "a b")):
    __slots__ = ()


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Level(enum.IntEnum):
    LOW = 1


class Bits(enum.Flag):
    A = 1
    B = 2


def helper(x: int) -> int:
    return x + 1


def other_helper(x: int) -> int:
    return x + 2


def closure(n: int) -> Callable[[int], int]:
    return lambda x: x + n


NEGATIVE_NAN = struct.unpack("<d", struct.pack("<Q", 0xFFF8_0000_0000_0001))[0]

# Each line: values that must differ from one another, across all lines too.
DIFFERENT: list[Any] = [
    None, True, False, 0, 1, -1, 255, 256, 2**31, 2**63, 10**30, 1.0, 0.0, -0.0, math.inf, -math.inf, math.nan,
    1e-323, 1j, complex(0.0, -0.0), complex(math.nan, 0), ..., NotImplemented,
    "", "1", "a", "é", "e\u0301", "\ud800", "a" * 5000, "a" * 5001, b"", b"1", b"a", b"a" * 5000, bytearray(b"a"),
    memoryview(b"a"), memoryview(bytearray(b"a")), memoryview(b"aa").cast("H"),
    (), [], {}, set(), frozenset(), (1,), [1], {1}, frozenset({1}), {1: 1}, [1.0], [True], ["1"], [[1]], [(1,)],
    [1, 2], [2, 1], [[1], 2], [1, [2]], [[1, 2]], ([],), ((),), ((), ()), [None, math.nan],
    {1: 2}, {2: 1}, {"a": {"b": 1}}, {"a": {"b": 2}}, {"ab": 1}, {("a", "b"): 1}, {1.0: 2}, {True: 2},
    ["ab", "c"], ["a", "bc"], ["abc"], [b"ab", "c"], {}.keys(), {}.values(), {}.items(), {1: 2}.keys(),
    types.MappingProxyType({1: 1}), collections.OrderedDict({1: 1}), collections.OrderedDict({1: 1, 2: 2}),
    collections.OrderedDict({2: 2, 1: 1}), collections.defaultdict(int, {1: 1}),
    collections.defaultdict(list, {1: 1}), collections.Counter({1: 1}), Bag({1: 1}),
    collections.deque([1]), collections.deque([1], maxlen=3), Metres(1), Words("a"), Members({1}),
    range(3), range(0, 3, 2), slice(3), slice(0, 3), array.array("i", [1]), array.array("d", [1]),
    int, str, type, type(None), len, abs, [1].append, "a".join, str.join, math.sin, math, os, list[int],
    datetime.date(2020, 1, 1), datetime.datetime(2020, 1, 1), datetime.datetime(2020, 1, 1, fold=1),
    datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc), datetime.time(1), datetime.timedelta(1),
    datetime.datetime(2020, 1, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Zurich")),
    datetime.timezone.utc, datetime.timezone(datetime.timedelta(hours=1)),
    pathlib.Path("a"), pathlib.Path("b"), pathlib.PurePosixPath("a"), pathlib.PureWindowsPath("a"),
    uuid.UUID(int=1), uuid.UUID(int=2), decimal.Decimal("1.0"), decimal.Decimal("1.00"), fractions.Fraction(1, 2),
    fractions.Fraction(1, 3), re.compile("a"), re.compile("a", re.IGNORECASE), re.compile(b"a"),
    Colour.RED, Colour.BLUE, Colour, Level.LOW, Bits.A, Bits.A | Bits.B,
    Point(1), Point(1.0), Point(1, 1), FrozenPoint(1), AttrsPoint(1), Point, Plain(), Plain(a=1), Plain(a=Plain()),
    Plain(b=1), Slotted(1, 2), Slotted(2, 1), Row(1, 2), (1, 2), types.SimpleNamespace(a=1),
    ValueError("a"), ValueError("b"), KeyError("a"), random.Random(1), random.Random(2),
    helper, other_helper, lambda x: x * 3, lambda x: x * 4, closure(1), closure(2),
    functools.partial(helper, 1), functools.partial(helper, 2), functools.partial(helper, x=1),
    Point(1).__repr__, Point(2).__repr__, operator.itemgetter(1), operator.itemgetter(2), io.BytesIO(b"a"),
]  # fmt: skip

# Each pair: made in different ways, one value.
SAME: list[tuple[Any, Any]] = [
    (math.nan, NEGATIVE_NAN),
    (math.nan, -math.nan),
    (complex(math.nan, 1), complex(NEGATIVE_NAN, 1)),
    ([math.nan], [NEGATIVE_NAN]),
    ({1: 2, 3: 4}, {3: 4, 1: 2}),
    ({"x": [1], "y": [2]}, {"y": [2], "x": [1]}),
    ({1, 2, 3}, {3, 2, 1}),
    ({"a", "b", "c", "d"}, {"d", "c", "b", "a"}),
    (Members(["a", "b", "c"]), Members(["c", "b", "a"])),
    (collections.Counter("aab"), collections.Counter("baa")),
    (Bag(a=1, b=2), Bag(b=2, a=1)),
    (Plain(a=1, b=2), Plain(b=2, a=1)),
    (int("7" * 40), int("7" * 40)),
    ("ab" * 3, "".join(["ababab"])),
    ([(s := "x" * 9), s], ["x" * 9, "".join(["x"] * 9)]),
    ([(part := [1]), part], [[1], [1]]),
    (Plain(a=(shared := [[]]), b=shared), Plain(a=[[]], b=[[]])),
    (closure(1), closure(1)),
    (lambda x: x * 3, lambda x: x * 3),
    (functools.partial(helper, 1), functools.partial(helper, 1)),
    (Point(1).__repr__, Point(1).__repr__),
    (pathlib.Path("a/b"), pathlib.Path("a") / "b"),
    (Point(1, 2), Point(y=2, x=1)),
    (random.Random(1), random.Random(1)),
    (memoryview(b"abcd")[::2], memoryview(b"ac")),
    (range(3), range(0, 3, 1)),
    (uuid.UUID(int=1), uuid.UUID(str(uuid.UUID(int=1)))),
    (zoneinfo.ZoneInfo("Asia/Tokyo"), zoneinfo.ZoneInfo("Asia/Tokyo")),
]


def test_values_that_differ_in_type_or_content_have_different_encodings() -> None:
    encodings: dict[bytes, Any] = {}
    for value in DIFFERENT:
        made = encode(value)
        assert made not in encodings, f"{value!r} and {encodings[made]!r} are encoded alike"
        encodings[made] = value


@pytest.mark.parametrize("pair", SAME, ids=lambda pair: repr(pair)[:50])
def test_equal_values_have_equal_encodings_however_they_were_made(pair: tuple[Any, Any]) -> None:
    assert encode(pair[0]) == encode(pair[1])


@pytest.mark.parametrize("value", DIFFERENT, ids=lambda value: repr(value)[:50])
def test_a_value_has_the_same_encoding_each_time(value: Any) -> None:
    assert encode(value) == encode(value)


def test_an_encoding_is_short_however_large_the_value() -> None:
    assert len(encode(list(range(100_000)))) == len(encode([[]])) == 33
    assert len(encode("x" * 10**6)) == 33


# --------------------------------------------------------------------------------- random values


def _random_value(rng: random.Random, depth: int) -> Any:
    atoms: list[Callable[[], Any]] = [
        lambda: None,
        lambda: rng.random() < 0.5,
        lambda: rng.randrange(-3, 3),
        lambda: rng.getrandbits(80),
        lambda: float(rng.randrange(-2, 3)),
        lambda: math.nan,
        lambda: "".join(rng.choices("ab", k=rng.randrange(3))),
        lambda: bytes(rng.choices(b"ab", k=rng.randrange(3))),
    ]
    if depth == 0 or rng.random() < 0.3:
        return rng.choice(atoms)()
    size = rng.randrange(4)
    parts = [_random_value(rng, depth - 1) for _ in range(size)]
    keys = ["".join(rng.choices("abc", k=2)) for _ in range(size)]
    makers: list[Callable[[], Any]] = [
        lambda: parts,
        lambda: tuple(parts),
        lambda: dict(zip(keys, parts, strict=True)),
        lambda: set(keys),
        lambda: Plain(**dict(zip(keys, parts, strict=True))),
    ]
    return rng.choice(makers)()


def _spelled(value: Any) -> str:
    """The value as text, injectively: what the encoding is judged by."""
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}({', '.join(map(_spelled, value))})"
    if isinstance(value, dict):
        return f"dict({sorted((_spelled(k), _spelled(v)) for k, v in value.items())})"
    if isinstance(value, set):
        return f"set({sorted(map(_spelled, value))})"
    if isinstance(value, Plain):
        return f"Plain({_spelled(value.__dict__)})"
    return f"{type(value).__name__}:{value!r}"


def _rebuilt(rng: random.Random, value: Any) -> Any:
    """An equal value of other objects, its dicts and sets filled in another order."""
    if isinstance(value, (list, tuple)):
        return type(value)(_rebuilt(rng, each) for each in value)
    if isinstance(value, dict):
        items = [(key, _rebuilt(rng, each)) for key, each in value.items()]
        return dict(rng.sample(items, len(items)))
    if isinstance(value, set):
        return set(rng.sample(sorted(value), len(value)))
    if isinstance(value, Plain):
        return Plain(**_rebuilt(rng, value.__dict__))
    return value


@pytest.mark.parametrize("seed", range(5))
def test_random_values_are_encoded_alike_exactly_when_they_are_equal(seed: int) -> None:
    print(f"seed {seed}")
    rng = random.Random(seed)
    by_encoding: dict[bytes, str] = {}
    by_spelling: dict[str, bytes] = {}
    for _ in range(2_000):
        value = _random_value(rng, 4)
        made, spelled = encode(value), _spelled(value)
        assert encode(_rebuilt(rng, value)) == made, spelled
        assert by_encoding.setdefault(made, spelled) == spelled
        assert by_spelling.setdefault(spelled, made) == made


# --------------------------------------------------------------------------------- circles and sharing


def test_a_list_that_contains_itself_has_an_identity() -> None:
    def ring(size: int) -> list[Any]:
        outermost: list[Any] = []
        innermost = outermost
        for _ in range(size - 1):
            innermost.append([])
            innermost = innermost[0]
        innermost.append(outermost)
        return outermost

    assert encode(ring(1)) == encode(ring(1))
    assert len({encode(ring(size)) for size in (1, 2, 3)}) == 3


def test_a_reference_upwards_tells_what_it_leads_to() -> None:
    def tree(up: int) -> list[Any]:
        outer: list[Any] = []
        inner: list[Any] = [outer]
        inner.append((outer, inner)[up])
        outer.append(inner)
        return outer

    assert encode(tree(0)) != encode(tree(1))


def test_objects_that_refer_to_each_other_have_an_identity() -> None:
    def family(n: int) -> Plain:
        parent = Plain(children=[])
        parent.children.extend(Plain(parent=parent, n=n + i) for i in range(50))
        return parent

    assert encode(family(0)) == encode(family(0)) != encode(family(1))


def test_what_is_shared_many_times_over_is_walked_once() -> None:
    doubled: Any = [[]]
    for _ in range(60):
        doubled = [doubled, (doubled,)]
    assert encode(doubled) == encode(doubled)


def test_a_shared_part_is_encoded_as_where_it_stands_alone() -> None:
    part = [[i] for i in range(50)]
    assert encode([part, part]) == encode([part, list(part)])


def test_a_graph_with_too_many_ways_through_it_is_refused_rather_than_walked_for_ever() -> None:
    nodes = [Plain() for _ in range(40)]
    for node in nodes:
        node.__dict__["near"] = [other for other in nodes if other is not node]
    with pytest.raises(Unidentifiable, match="too many ways"):
        encode(nodes)


def test_nesting_beyond_the_stack_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(Unidentifiable, match="nested too deeply"):
        encode(deep)
    while deep:
        deep = deep.pop()  # or its destruction overflows the stack, too


# --------------------------------------------------------------------------------- code among values


def _in_library(source: str, **names: Any) -> dict[str, Any]:
    """What a module of the standard library would hold, had it this source."""
    scope: dict[str, Any] = {"__name__": "colorsys", **names}
    exec(source, scope)
    return scope


def test_functions_that_a_library_made_are_told_apart_by_what_they_hold() -> None:
    made = _in_library("def make(n, f=None):\n    return lambda x: (f, x + n)")["make"]
    assert encode(made(1)) == encode(made(1)) != encode(made(2))
    assert encode(made(1, helper)) == encode(made(1, helper)) != encode(made(1, other_helper))
    with pytest.raises(Unidentifiable):
        encode(made(threading.Lock()))


def test_a_librarys_wrapper_is_told_apart_by_the_function_in_it() -> None:
    one, other = (contextlib.contextmanager(func) for func in (_generator, _other_generator))
    assert encode(one) == encode(contextlib.contextmanager(_generator)) != encode(other)


def test_a_class_that_a_library_made_counts_with_the_users_methods() -> None:
    make = _in_library("def make(run):\n    class Made:\n        pass\n    Made.run = run\n    return Made")["make"]
    assert encode(make(helper)) == encode(make(helper)) != encode(make(other_helper))
    assert encode(make(helper)()) != encode(make(other_helper)())


TABLE: dict[str, Any] = {}


def looks_up(x: int) -> Any:
    return TABLE["next"](x)


def test_code_and_values_may_lead_to_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TABLE, "next", helper)
    monkeypatch.setitem(TABLE, "self", looks_up)
    before = encode(looks_up)
    assert encode(looks_up) == before
    monkeypatch.setitem(TABLE, "next", other_helper)
    assert encode(looks_up) != before
    monkeypatch.setitem(TABLE, "next", helper)
    assert encode(looks_up) == before


def test_a_table_of_many_functions_that_all_read_it_is_walked_in_bounded_time() -> None:
    scope: dict[str, Any] = {"__name__": "__main__", "REGISTRY": {}}
    for i in range(30):
        exec(f"def rule_{i}(x):\n    return REGISTRY[{i}](x)", scope)
        scope["REGISTRY"][i] = scope[f"rule_{i}"]
    assert encode(scope["rule_0"]) != encode(scope["rule_1"])


def test_a_class_with_objects_of_itself_among_its_attributes_has_an_identity() -> None:
    cls = type("Unit", (Plain,), {"__module__": __name__})
    cls.ONE = cls(n=1)  # type: ignore[attr-defined]
    assert encode(cls(n=2)) == encode(cls(n=2)) != encode(cls(n=3))


# --------------------------------------------------------------------------------- known values


def test_a_known_encoding_is_used_instead_of_the_value_wherever_it_stands() -> None:
    part = [[1], [2]]
    known = {id(part): encode(part)}
    assert encode([part], known) == encode([[[1], [2]]])
    stand_in = {id(part): encode([["stand-in"]])}
    assert encode({"a": (part,)}, stand_in) == encode({"a": ([["stand-in"]],)})


def test_a_known_encoding_never_stands_for_an_atom() -> None:
    assert encode(1, {id(1): encode(2)}) == encode(1)
    assert encode([Point, 1], {id(1): encode(2)}) == encode([Point, 1])


# --------------------------------------------------------------------------------- no identity


class HoldsItsAddress:
    def __init__(self) -> None:
        self.me = id(self)


class HoldsItsRepr:
    def __init__(self) -> None:
        self.me = object.__repr__(self)


class BadKey:
    def __parslish_key__(self) -> Any:
        raise KeyError("no such thing")


class BadReduction:
    def __reduce_ex__(self, protocol: Any) -> Any:
        return 7


def _generator() -> Iterator[int]:
    yield 1


def _other_generator() -> Iterator[int]:
    yield 2


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (threading.Lock, "lock"),
        (_generator, "generator"),
        (object, "object"),
        (lambda: iter([1]), "list_iterator"),
        (itertools.count, "count"),
        (lambda: map(str, [1]), "map"),
        (threading.local, "_local"),
        (lambda: Plain(lock=threading.Lock()), "lock"),
        (lambda: [{"a": (threading.Lock(),)}], "lock"),
        (HoldsItsAddress, "HoldsItsAddress"),
        (HoldsItsRepr, "HoldsItsRepr"),
        (BadKey, "BadKey"),
        (BadReduction, "BadReduction"),
        (lambda: sys.modules[__name__], "module"),
        (lambda: sys._getframe(), "frame"),
    ],
)
def test_what_has_no_stable_identity_is_refused_by_kind(make: Callable[[], Any], kind: str) -> None:
    with pytest.raises(Unidentifiable) as caught:
        encode(make())
    assert caught.value.kind == kind
    assert caught.value.reason


def test_an_open_file_and_a_socket_are_refused(tmp_path: pathlib.Path) -> None:
    with open(tmp_path / "f", "w") as file, pytest.raises(Unidentifiable):
        encode(file)
    with socket.socket() as plug, pytest.raises(Unidentifiable):
        encode([plug])


def test_an_error_of_the_users_own_key_is_named() -> None:
    with pytest.raises(Unidentifiable, match=r"__parslish_key__ raised KeyError: 'no such thing'"):
        encode(BadKey())


# --------------------------------------------------------------------------------- the user's own ways


class Keyed:
    def __init__(self, key: Any, noise: Any) -> None:
        self.key, self.noise = key, noise

    def __parslish_key__(self) -> Any:
        return self.key


class OtherKeyed(Keyed):
    pass


def test_a_class_may_say_what_identifies_its_objects() -> None:
    assert encode(Keyed({"a": 1}, 1)) == encode(Keyed({"a": 1}, threading.Lock()))
    assert encode(Keyed(1, 1)) != encode(Keyed(2, 1))
    assert encode(Keyed(1, 1)) != encode(OtherKeyed(1, 1))
    assert encode(Keyed(1, 1)) != encode(1)


@pytest.fixture
def hooked() -> Iterator[type]:
    """A type with a hook; a new one each time, because hooks stay."""
    cls = type("Hooked", (Plain,), {"__module__": __name__})
    id_for_memo.register(cls)(lambda obj, output_ref=False: obj.said)
    yield cls


def test_a_registered_hook_goes_before_everything_else(hooked: type) -> None:
    assert encode(hooked(said=b"1", noise=1)) == encode(hooked(said=b"1", noise=2))
    assert encode(hooked(said=b"1")) != encode(hooked(said=b"2"))
    assert encode([hooked(said="é", noise=1)]) == encode([hooked(said="é", noise=2)])


def test_a_hook_serves_subclasses_and_tells_them_apart(hooked: type) -> None:
    derived = type("Derived", (hooked,), {"__module__": __name__})
    assert encode(derived(said=b"1", noise=1)) == encode(derived(said=b"1"))
    assert encode(derived(said=b"1")) != encode(hooked(said=b"1"))


def test_a_hook_registered_late_counts_from_then_on() -> None:
    cls = type("Late", (Plain,), {"__module__": __name__})
    assert encode(cls(a=1)) != encode(cls(a=2))

    @id_for_memo.register(cls)
    def _(obj: Any, output_ref: bool = False) -> bytes:
        return b"all the same"

    assert encode(cls(a=1)) == encode(cls(a=2))


def test_a_hook_that_gives_something_else_is_refused(hooked: type) -> None:
    with pytest.raises(Unidentifiable, match="gave int, not bytes or str"):
        encode(hooked(said=7))


def test_a_hook_that_raises_is_named(hooked: type) -> None:
    with pytest.raises(Unidentifiable, match="registered function raised AttributeError"):
        encode(hooked())


def test_id_for_memo_without_a_hook_gives_the_canonical_bytes() -> None:
    assert id_for_memo([1, 2]) == encode([1, 2])
    assert id_for_memo({1: 2}, output_ref=True) == encode({1: 2})


_HOOK_FOR_FLOAT = """
from parslish.identity.key import KeyMaker
from parslish.identity.value import encode, id_for_memo

@id_for_memo.register
def _(obj: float, output_ref: bool = False) -> str:
    return f"{obj:.3f}"

def f(x): pass

key = KeyMaker(f, "f").key
print(encode(1.0) == encode(1.0001) != encode(1.1), encode([1.0]) == encode([1.0001]) != encode([1.1]))
print(key((1.0,), {}) == key((1.0001,), {}) != key((1.1,), {}), encode(1) != encode(2))
"""


def test_a_hook_for_a_builtin_type_counts_in_every_place() -> None:
    assert _run(_HOOK_FOR_FLOAT).split() == ["True"] * 4


# --------------------------------------------------------------------------------- other processes

_IN_OTHER_PROCESS = """
import sys
sys.path.insert(0, sys.argv[1])
from tests.identity.test_value import DIFFERENT, SAME, encode
from blake3 import blake3
print(blake3(b"".join(map(encode, [*DIFFERENT, *SAME]))).hexdigest())
"""


def _run(script: str, hash_seed: str = "0", cwd: str | None = None, warnings: str = "error") -> str:
    root = str(pathlib.Path(__file__).parents[2])
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": path}
    command = [sys.executable, "-W", warnings, "-c", script, root]
    return subprocess.run(command, env=environment, cwd=cwd, check=True, capture_output=True, text=True).stdout


def test_encodings_are_the_same_in_every_process(tmp_path: pathlib.Path) -> None:
    here = _run(_IN_OTHER_PROCESS, "1")
    assert len(here.strip()) == 64
    assert here == _run(_IN_OTHER_PROCESS, "2", cwd=str(tmp_path))


_IN_FORKED_CHILD = """
import os, signal
from parslish.identity.value import encode
large = bytes(range(256)) * (1 << 14)
here = encode(large)  # on all cores, by threads that no child has
child = os.fork()
if child == 0:
    signal.alarm(20)
    os._exit(0 if encode(large) == here else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_child_encodes_large_values_without_waiting_for_its_parents_threads() -> None:
    assert _run(_IN_FORKED_CHILD, warnings="ignore").strip() == "0"


def test_libraries_are_not_imported_unless_a_value_is_theirs() -> None:
    script = "import sys, parslish.identity.key\nprint({'numpy', 'pandas', 'attrs'} & set(sys.modules))"
    assert _run(script).strip() == "set()"
