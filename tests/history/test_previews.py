"""Previews are short, run nobody's code, and are made of whatever there is."""

from __future__ import annotations

import collections
import contextlib
import datetime
import decimal
import enum
import fractions
import random
import threading
import uuid
import zoneinfo
from pathlib import Path, PurePosixPath
from typing import Any

import msgpack
import numpy
import pandas
import pytest

from parslish import graph
from parslish.files import File
from parslish.history import event, previews
from parslish.history.event import Kind
from tests.history import evil

ROOM = previews.WHOLE + 20


class Unit(enum.Enum):
    KCAL = "kcal/mol"


class Plain:
    pass


def work(x: int) -> int:
    return x


DTYPE = numpy.dtype({"names": ["a"], "formats": ["i4"], "titles": [(1, "a title")]})
TOLD: list[tuple[Any, Any]] = [
    (1, 1),
    (1.5, 1.5),
    (True, True),
    (None, None),
    ("text", "text"),
    (b"bytes", b"bytes"),
    (2**63, {"repr": "an integer of 64 bits"}),
    (-(2**63), -(2**63)),
    (10**10_000, {"repr": "an integer of 33,220 bits"}),
    ("x" * 1000, {"repr": f"'{'x' * 50}'… (1,000 characters)"}),
    (b"x" * 101, {"repr": f"b'{'x' * 50}'… (101 bytes)"}),
    (bytearray(b"ab"), {"repr": "bytearray(b'ab')"}),
    (1j, {"repr": "1j"}),
    (range(3), {"repr": "range(0, 3)"}),
    (range(0, 10**5000, 2), {"repr": "range(0, an integer of 16,610 bits, 2)"}),
    (slice(1, None), {"repr": "slice(1, None, None)"}),
    (..., {"repr": "Ellipsis"}),
    ([], {"repr": "[]"}),
    ((1,), {"repr": "(1,)"}),
    (set(), {"repr": "set()"}),
    (frozenset({1}), {"repr": "frozenset({1})"}),
    ({"a": [1, (2, {3})]}, {"repr": "{'a': [1, (2, {…})]}"}),
    (list(range(1000)), {"repr": "[0, 1, 2, 3, 4, 5, … 1,000 in all]"}),
    (Unit.KCAL, {"repr": "Unit.KCAL"}),
    (int, {"repr": "<class int>"}),
    (Plain, {"repr": f"<class {__name__}.Plain>"}),
    (Plain(), {"repr": f"<{__name__}.Plain>"}),
    (collections.OrderedDict(a=1), {"repr": "<collections.OrderedDict>"}),
    (work, {"repr": "<function work>"}),
    (list[int], {"repr": "<types.GenericAlias>"}),
    (Path("a/b"), {"file": "a/b"}),
    (PurePosixPath("a"), {"file": "a"}),
    (File("http://host/a"), {"file": "http://host/a"}),
    ([Path("a"), File("b")], {"repr": "['a', 'b']"}),
    (datetime.date(2020, 1, 2), {"repr": "datetime.date(2020, 1, 2)"}),
    (datetime.datetime(2020, 1, 2), {"repr": "datetime.datetime(2020, 1, 2, 0, 0)"}),
    (datetime.datetime(2020, 1, 2, tzinfo=datetime.timezone.utc), {"repr": "<2020-01-02T00:00:00+00:00>"}),
    (datetime.timedelta(1), {"repr": "datetime.timedelta(days=1)"}),
    (decimal.Decimal("1.5"), {"repr": "Decimal('1.5')"}),
    (fractions.Fraction(1, 3), {"repr": "Fraction(1, 3)"}),
    (fractions.Fraction(1, 10**5000), {"repr": "Fraction(1, an integer of 16,610 bits)"}),
    (uuid.UUID(int=1), {"repr": "UUID('00000000-0000-0000-0000-000000000001')"}),
    (numpy.zeros((3, 4)), {"repr": "array(float64, shape (3, 4))"}),
    (numpy.array(1.5), {"repr": "array(float64, 1.5)"}),
    (numpy.array([evil.Loud()]), {"repr": "array(object, shape (1,))"}),
    (numpy.array(evil.Loud(), dtype=object), {"repr": "array(object, shape ())"}),
    (numpy.zeros(2, dtype=DTYPE), {"repr": "array(void32, shape (2,))"}),
    (numpy.str_("x" * 200), {"repr": f"'{'x' * 50}'… (200 characters)"}),
    (numpy.float64, {"repr": "<class numpy.float64>"}),
    (pandas.DataFrame({"a": [1, 2]}), {"repr": "DataFrame(2 rows, 1 columns)"}),
    (pandas.Series([1, 2]), {"repr": "Series(2 values)"}),
]  # fmt: skip


@pytest.mark.parametrize(("value", "told"), TOLD, ids=lambda each: previews.shown(each)[:30])
def test_what_is_told_of_a_value(value: Any, told: Any) -> None:
    assert previews.of(value) == told
    assert type(previews.of(value)) is type(told)


@pytest.mark.parametrize("kind", ["int8", "uint64", "float16", "float32", "complex64", "bool_", "longdouble"])
def test_a_number_of_numpy_is_told_in_full(kind: str) -> None:
    assert "1" in previews.shown(getattr(numpy, kind)(1)) or "True" in previews.shown(getattr(numpy, kind)(1))


def test_a_zone_of_the_time_zone_database_is_named_and_not_asked() -> None:
    here = datetime.datetime(2020, 1, 2, tzinfo=zoneinfo.ZoneInfo("UTC"))
    assert previews.shown(here) == "datetime.datetime(2020, 1, 2, 0, 0) of zoneinfo.ZoneInfo"


@pytest.mark.parametrize("name", [name for name, _ in evil.values()])
def test_nobodys_code_runs(name: str) -> None:
    value = dict(evil.values())[name]  # not a parameter of the test: pytest looks at those
    evil.called.clear()
    found = previews.of(value)
    assert isinstance(found, dict) and len(found["repr"]) <= previews.WHOLE
    assert previews.of([value]) and previews.of({"a": value}) and previews.of_other(value)
    assert evil.called == []


def test_the_evil_values_would_tell() -> None:
    """Else their silence would prove nothing."""
    silent = set()
    for name, value in evil.values():
        evil.called.clear()
        for look in (repr, lambda each: isinstance(each, Path), lambda each: f"{each.__module__}"):
            with contextlib.suppress(Exception):
                look(value)
        if not evil.called:
            silent.add(name)
    assert silent <= {"uuid", "function", "fraction", "false module"}, "which not all of Python's own texts ask"


def test_deep_nesting_and_a_value_inside_itself_are_no_trouble() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert previews.of(deep) == {"repr": "[[[[…]]]]"}
    inside: dict[str, Any] = {}
    inside["a"] = inside
    assert previews.shown(inside) == "{'a': {'a': {'a': {…}}}}"
    while deep:  # not to be taken apart by recursion
        deep = deep[0]


@pytest.mark.parametrize("changing", [{1, 2}, {1: 2, 3: 4}])
def test_what_another_thread_changes_is_told_as_far_as_it_goes(changing: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    show = previews._integer

    def meanwhile(value: int) -> str:
        changing.update({10 + len(changing): 5})
        return show(value)

    monkeypatch.setattr(previews, "_SHOWN", {**previews._SHOWN, int: meanwhile})
    assert previews.shown(changing) in ("{1, …}", "{1: 2, …}")


def test_a_preview_has_an_end_however_much_there_is() -> None:
    text = "\0" * previews.TEXT  # four characters each, as Python writes it
    many = [[[text] * 9] * 9] * 9
    assert len(previews.of(many)["repr"]) == previews.WHOLE  # type: ignore[index,call-overload]
    assert previews.of(many)["repr"].endswith("…")  # type: ignore[index,call-overload]


def test_a_class_that_calls_itself_numpys_is_not_taken_for_it() -> None:
    false = type("ndarray", (), {"__module__": "numpy"})()
    assert previews.shown(false) == "<numpy.ndarray>"


def test_a_library_that_fails_costs_the_text_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pandas.DataFrame, "index", property(lambda self: 1 / 0))
    assert previews.of(pandas.DataFrame()) == {"repr": f"<{pandas.DataFrame.__module__}.DataFrame>"}


@pytest.mark.parametrize(
    ("preview", "text"),
    [
        (1, "1"),
        ("a", "'a'"),
        ({"task": 3}, "task 3"),
        ({"task": 3, "of": "['a']"}, "task 3['a']"),
        ({"file": "a/b"}, "a/b"),
        ({"repr": "[1]"}, "[1]"),
        ({"task": "3"}, "{'task': '3'}"),
        ({"of": [1]}, "{'of': [1]}"),
        ({}, "{}"),
        ((1, 2), "(1, 2)"),
    ],
)
def test_previews_as_people_read_them_whatever_was_written(preview: Any, text: str) -> None:
    assert previews.text(preview) == text


def test_of_many_arguments_the_first_are_told_and_how_many_more_there_are() -> None:
    found = previews.of_each(range(10_000), previews.of)
    assert found[:2] == (0, 1) and found[-1] == {"repr": "… 9,744 more"} and len(found) == previews.ARGUMENTS + 1
    assert previews.of_each([1, 2], previews.of) == (1, 2)


# ------------------------------------------------------------------------------------- packing


def any_atoms(rng: random.Random) -> list[Any]:
    return [
        None, True, rng.randrange(-9, 9), rng.getrandbits(rng.choice((63, 64, 65, 20_000))), -(2**63), 1e308 * 10,
        rng.random(), -0.0, float("nan"), "", "ä" * rng.choice((3, 99, 101, 10_000)), "\udcff\ud800", "\0\x1b[31m",
        bytes(rng.choice((0, 100, 101, 100_000))), bytearray(3), 1j, range(10 ** rng.choice((1, 5_000))), ...,
        slice(None), int, Plain, Plain(), Unit.KCAL, work, print, Path("a\udcff"), File("a"), object(),
        numpy.arange(rng.randrange(5)), numpy.float32(1), numpy.array(object()), datetime.datetime.now(),
        memoryview(b"a"), *[value for _, value in evil.values()],
    ]  # fmt: skip


def any_value(rng: random.Random, atoms: list[Any], depth: int = 3) -> Any:
    if depth == 0 or rng.random() < 0.5:
        return rng.choice(atoms)
    parts = [any_value(rng, atoms, depth - 1) for _ in range(rng.choice((0, 1, 3, 10)))]
    return rng.choice((list, tuple, lambda each: dict(enumerate(each)), collections.deque))(parts)


@pytest.mark.parametrize("seed", range(200))
def test_packing_never_fails_and_what_is_packed_is_small(seed: int) -> None:
    rng = random.Random(seed)
    print("seed", seed)
    atoms = any_atoms(rng)
    arguments = [any_value(rng, atoms) for _ in range(rng.choice((0, 1, 2, 300)))]
    plain = tuple(each for each in arguments if type(each) in graph.ATOMS)
    result = any_value(rng, atoms)
    evil.called.clear()
    events = [
        (int(Kind.SUBMIT), 0, 1.5, 0, -1, 0, 0, None, (), plain, None, -1),
        (
            int(Kind.SUBMIT),
            1,
            1.5,
            0,
            -1,
            0,
            0,
            None,
            (),
            previews.of_each(arguments, previews.of),
            None,
            -1,
            (),
            (),
            b"",
        ),
        (int(Kind.END), 0, 1.5, None, None, 1.5, 0.5, 0.0, 0, previews.of(result)),
        (int(Kind.REUSE), 1, 1.5, None, None, 0, previews.of(result)),
    ]
    packed = event.pack(events)
    assert evil.called == []
    assert len(packed) <= 2 * (min(len(arguments), previews.ARGUMENTS) + 4) * (4 * ROOM) + event.CALL_BYTES
    found = event.rows(packed)
    assert [each[:2] for each in found] == [each[:2] for each in events]
    assert repr(found[1][9:]) == repr(events[1][9:]), "what was described is told as it is"
    for told in (*found[0][9], *found[1][9], found[2][9], found[3][6]):
        assert msgpack.packb(previews.read(told), unicode_errors="surrogatepass"), "what is read is a preview"
        assert len(previews.text(told)) <= previews.PATH


@pytest.mark.parametrize(
    "arguments", [("x" * 101, 2, None, 1.5, b"\xff" * 200, True), ("\udcff" * 200,), tuple(range(1000)), ("x" * 4000,)]
)
def test_a_plain_call_whose_previews_are_not_all_is_kept_to_be_made_again(arguments: tuple[Any, ...]) -> None:
    submit = (int(Kind.SUBMIT), 0, 1.5, 0, -1, 0, 0, None, (), arguments, None, -1)
    (found,) = event.rows(event.pack([submit]))
    assert event.plain_arguments(found[-1]) == arguments


@pytest.mark.parametrize("arguments", [("x" * 5000,), (2**70,), (1j,), (Plain,), ("x" * 3000, "x" * 3000)])
def test_of_a_plain_call_that_is_large_or_has_no_plain_form_only_previews_are_kept(arguments: tuple[Any, ...]) -> None:
    submit = (int(Kind.SUBMIT), 0, 1.5, 0, -1, 0, 0, None, (), arguments, None, -1)
    (found,) = event.unpack(event.pack([submit]))
    assert found.get("call") is None and all(isinstance(each, dict) for each in found["arguments"])


def test_two_runs_may_pack_at_the_same_time() -> None:
    """A packer that both shared would mix their events up, as it runs Python for what it does not know."""
    wrong: list[Any] = []

    def pack(name: str) -> None:
        for i in range(300):
            events = [(int(Kind.RUN_START), 1.5, {"name": name, "other": [Plain()] * 20, "i": i})]
            (found,) = event.rows(event.pack(events))
            if found[2]["name"] != name or found[2]["i"] != i:
                wrong.append(found)

    threads = [threading.Thread(target=pack, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
