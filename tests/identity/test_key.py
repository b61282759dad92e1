"""The rules of `parslish.identity.key`: which calls are one call."""

from __future__ import annotations

import functools
import itertools
import math
import random
import re
import threading
from collections.abc import Callable
from typing import Any

import pytest

from parslish.errors import Unidentifiable, UsageError
from parslish.identity.key import KeyMaker
from parslish.identity.value import encode


def f(x: Any, y: Any = 0) -> Any:
    return x, y


def everything(a: Any, b: Any, /, c: Any, d: Any = 4, *args: Any, e: Any, f: Any = 6, **kwargs: Any) -> Any:
    return a, b, c, d, args, e, f, kwargs


def key_of(func: Callable[..., Any], *args: Any, **kwargs: Any) -> bytes:
    return KeyMaker(func, "app").key(args, kwargs)


# --------------------------------------------------------------------------------- binding


def test_a_call_has_one_key_however_it_is_spelled() -> None:
    keys = {key_of(f, 1), key_of(f, x=1), key_of(f, 1, 0), key_of(f, 1, y=0), key_of(f, y=0, x=1)}
    assert len(keys) == 1
    assert len(keys.pop()) == 32


@pytest.mark.parametrize(
    "values", [(1, 1.0, True, "1", b"1", 2), (None, 0, "", (), [], {}), (0.0, -0.0, math.nan, math.inf)]
)
def test_calls_with_different_values_have_different_keys(values: tuple[Any, ...]) -> None:
    calls = [(value, 0) for value in values] + [(7, value) for value in values] + [(values, 0)]
    assert len({key_of(f, *call) for call in calls}) == len(calls)


def test_arguments_are_not_taken_for_one_another() -> None:
    keys = {key_of(f, "ab", "c"), key_of(f, "a", "bc"), key_of(f, 1, 2), key_of(f, 2, 1), key_of(f, (1, 2))}
    assert len(keys) == 5


def test_nan_is_the_same_argument_each_time() -> None:
    assert key_of(f, float("nan")) == key_of(f, -math.nan)


def test_the_order_of_keyword_arguments_does_not_matter() -> None:
    orders = itertools.permutations([("c", 3), ("e", 5), ("z", 1), ("y", [2])])
    assert len({key_of(everything, 1, 2, **dict(order)) for order in orders}) == 1


def test_extra_arguments_count() -> None:
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((1, 2, 3, 4), {}), ((1, 2, 3, 4, 5), {}), ((1, 2, 3, 4, 5, 6), {}), ((1, 2, 3, 4, (5, 6)), {}),
        ((1, 2, 3, 4), {"z": 5}), ((1, 2, 3, 4), {"z": 6}), ((1, 2, 3, 4), {"y": 5}), ((1, 2, 3, 4), {"a": 5}),
        ((1, 2, 3, 4), {"args": 5}), ((1, 2, 3, 4), {"f": 5}),
    ]  # fmt: skip
    assert len({key_of(everything, *args, e=0, **kwargs) for args, kwargs in calls}) == len(calls)


@pytest.mark.parametrize("seed", range(3))
def test_random_calls_are_bound_as_python_binds_them(seed: int) -> None:
    print(f"seed {seed}")
    rng = random.Random(seed)
    maker = KeyMaker(everything, "app")
    by_binding: dict[str, bytes] = {}
    for _ in range(2_000):
        args = tuple(rng.choices([1, 2, [3]], k=rng.randrange(6)))
        kwargs = {name: rng.choice([1, 2, [3]]) for name in rng.sample("abcdefgh", rng.randrange(5))}
        try:
            *bound, rest = everything(*args, **kwargs)
        except TypeError as exc:
            with pytest.raises(TypeError, match=f"^{re.escape(str(exc))}$"):
                maker.key(args, kwargs)
            continue
        key = maker.key(args, kwargs)
        assert by_binding.setdefault(repr((bound, sorted(rest.items()))), key) == key
    assert len(set(by_binding.values())) == len(by_binding) > 100


@pytest.mark.parametrize(("args", "kwargs"), [((), {}), ((1, 2, 3), {}), ((1,), {"x": 1}), ((1,), {"z": 1})], ids=repr)
def test_what_does_not_fit_is_a_type_error_in_pythons_own_words(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    with pytest.raises(TypeError) as expected:
        f(*args, **kwargs)
    with pytest.raises(TypeError) as caught:
        KeyMaker(f, "app").key(args, kwargs)
    assert str(caught.value) == str(expected.value)


class Model:
    def __init__(self, rate: float) -> None:
        self.rate = rate

    def run(self, x: Any, y: Any = 0) -> Any:
        return self.rate, x, y

    def __call__(self, x: Any, y: Any = 0) -> Any:
        return self.rate, x, y

    @classmethod
    def build(cls, x: Any, y: Any = 0) -> Any:
        return cls, x, y


def test_the_object_of_a_method_or_call_is_an_argument() -> None:
    assert key_of(Model(1).run, 1) == key_of(Model(1).run, x=1, y=0) != key_of(Model(2).run, 1)
    assert key_of(Model(1), 1) == key_of(Model(1), x=1, y=0) != key_of(Model(2), 1)
    assert key_of(Model.build, 1) == key_of(Model.build, x=1)


def test_an_object_that_changes_between_calls_is_another_argument() -> None:
    model = Model(1)
    maker = KeyMaker(model, "app")
    before = maker.key((1,), {})
    model.rate = 2
    assert maker.key((1,), {}) != before


def test_what_a_partial_fixes_is_an_argument() -> None:
    assert key_of(functools.partial(f, 1), 2) == key_of(f, 1, 2) == key_of(functools.partial(f, y=2), 1)
    assert key_of(functools.partial(functools.partial(f, 1), y=3)) == key_of(f, 1, 3)


def test_a_callable_without_signature_takes_anything() -> None:
    assert key_of(max, 1, 2) != key_of(max, 2, 1)
    assert key_of(dict, a=1, b=2) == key_of(dict, b=2, a=1)


def test_a_wrapper_is_bound_by_its_own_signature() -> None:
    @functools.wraps(f)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return f(*args, **{"y": 5, **kwargs})

    assert key_of(wrapper, 1) != key_of(wrapper, 1, 0)


def test_a_default_is_the_value_it_has_at_the_call() -> None:
    start = [1]

    def app(x: Any, y: Any = start) -> Any:
        return x, y

    maker = KeyMaker(app, "app")
    before = maker.key((1,), {})
    assert before == maker.key((1, [1]), {})
    start.append(2)
    assert maker.key((1,), {}) == maker.key((1, [1, 2]), {}) != before


def test_a_changed_default_changes_only_the_calls_that_use_it() -> None:
    def make(default: Any) -> KeyMaker:
        def app(x: Any, y: Any = default) -> Any:
            return x, y

        return KeyMaker(app, "app")

    assert make(1).key((1,), {}) != make(2).key((1,), {})
    assert make(1).key((1, 5), {}) == make(2).key((1, 5), {})


def test_a_bare_object_as_default_stands_for_not_given() -> None:
    unset = object()

    def app(x: Any, y: Any = unset) -> Any:
        return x, y

    assert key_of(app, 1) == key_of(app, 1, unset) != key_of(app, 1, None)
    with pytest.raises(Unidentifiable):
        key_of(app, 1, object())


# --------------------------------------------------------------------------------- what does not count


def test_ignored_parameters_do_not_count_passed_or_not() -> None:
    maker = KeyMaker(f, "app", ignore=["y"])
    keys = {maker.key((1,), {}), maker.key((1, 2), {}), maker.key((1,), {"y": threading.Lock()})}
    assert len(keys) == 1
    assert maker.key((2,), {}) not in keys


def test_the_default_of_an_ignored_parameter_does_not_count() -> None:
    def make(default: Any) -> KeyMaker:
        def app(x: Any, verbose: Any = default) -> Any:
            return x, verbose

        return KeyMaker(app, "app", ignore=["verbose"])

    assert make(False).key((1,), {}) == make(True).key((1,), {})


def test_the_list_of_ignored_parameters_is_copied() -> None:
    ignore = ["y"]
    maker = KeyMaker(f, "app", ignore=ignore)
    ignore.append("x")
    assert maker.key((1,), {}) != maker.key((2,), {})


def test_an_unknown_parameter_to_ignore_is_an_error_with_a_near_match() -> None:
    with pytest.raises(UsageError, match=r"no parameter 'verbos' to ignore \(did you mean 'verbose'\?\)"):
        KeyMaker(lambda x, verbose: x, "app", ignore=["verbos"])


def test_names_that_only_rest_takes_may_be_ignored() -> None:
    maker = KeyMaker(everything, "app", ignore=["log"])
    assert maker.key((1, 2, 3), {"e": 5, "log": 1}) == maker.key((1, 2, 3), {"e": 5})
    assert maker.key((1, 2, 3), {"e": 5, "log": 1, "z": 1}) == maker.key((1, 2, 3), {"e": 5, "z": 1})
    assert maker.key((1, 2, 3), {"e": 5, "z": 1}) != maker.key((1, 2, 3), {"e": 5})


def test_parameters_that_speak_to_parslish_do_not_count_but_inputs_do() -> None:
    def app(x: Any, inputs: Any = (), outputs: Any = (), stdout: Any = None, label: Any = None) -> None: ...

    plain = key_of(app, 1)
    assert key_of(app, 1, outputs=[object()], stdout="a.txt", label="a") == plain
    assert key_of(app, 1, inputs=["a.txt"]) != plain


# --------------------------------------------------------------------------------- name, code, version


def test_name_and_version_and_code_count() -> None:
    makers = [
        KeyMaker(everything, "a"), KeyMaker(everything, "b"), KeyMaker(lambda *a, **k: 1, "a"),
        KeyMaker(lambda *a, **k: 2, "a"), KeyMaker(everything, "a", version="1"),
        KeyMaker(everything, "a", version="2"), KeyMaker(everything, "b", version="1"),
    ]  # fmt: skip
    assert len({maker.key((1, 2, 3), {"e": 1}) for maker in makers}) == len(makers)
    assert len({maker.code_digest for maker in makers}) == 5


def test_a_version_stands_for_the_code() -> None:
    changed = [KeyMaker(func, "a", version="1") for func in (lambda x: x + 1, lambda x: x + 2)]
    assert changed[0].key((1,), {}) == changed[1].key((1,), {})
    assert changed[0].code_digest == changed[1].code_digest
    assert changed[0].fingerprints == ()


@pytest.mark.parametrize("version", [None, "1"])
def test_another_name_gives_the_keys_that_the_app_had_under_it(version: str | None) -> None:
    new = KeyMaker(f, "new", ignore=["y"], version=version)
    old = KeyMaker(f, "old", ignore=["y"], version=version)
    assert new.other_name("old").key((1,), {"y": 5}) == old.key((1,), {}) != new.key((1,), {})


RATE = 1.0


def _using_a_constant(x: Any) -> Any:
    return x * RATE


def test_a_constant_that_is_rebound_changes_the_key_of_the_next_call(monkeypatch: pytest.MonkeyPatch) -> None:
    maker = KeyMaker(_using_a_constant, "app")
    before, digest = maker.key((1,), {}), maker.code_digest
    monkeypatch.setitem(globals(), "RATE", 2.0)
    assert maker.code_digest != digest
    assert maker.key((1,), {}) != before
    monkeypatch.undo()
    assert maker.key((1,), {}) == before


def test_code_that_is_replaced_in_place_changes_the_key_of_the_next_call() -> None:
    def app(x: Any) -> Any:
        return x + 1

    maker = KeyMaker(app, "app")
    before = maker.key((1,), {})
    app.__code__ = (lambda x, y=0: x + 2).__code__
    app.__defaults__ = (0,)
    assert maker.key((1,), {}) == maker.key((1, 0), {}) != before


# --------------------------------------------------------------------------------- no identity, known values


def test_an_argument_without_identity_is_named() -> None:
    with pytest.raises(Unidentifiable) as caught:
        key_of(f, 1, y=[threading.Lock()])
    assert caught.value.argument == "y"
    assert caught.value.kind == "lock"
    assert "argument 'y' of type lock" in str(caught.value)


def test_a_known_encoding_gives_the_same_key_as_its_value() -> None:
    part = [[1], [2]]
    maker = KeyMaker(f, "app")
    assert maker.key((part,), {}, {id(part): encode(part)}) == maker.key((part,), {})
    assert maker.key(([part],), {}, {id(part): encode([[0]])}) == maker.key(([[[0]]],), {})


def test_text_beyond_what_can_be_written_out_at_once_still_has_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(value: Any, version: int) -> bytes:
        raise ValueError("unmarshallable object")

    maker = KeyMaker(f, "app")
    usual = maker.key((1,), {})
    monkeypatch.setattr("parslish.identity.key.dumps", refuse)
    assert maker.key((1,), {}) == maker.key((1,), {}) != usual
