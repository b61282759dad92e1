"""How expressions are read and written."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from parslish.errors import UsageError
from parslish.history.selection import parse
from parslish.history.selection.expression import (
    ALL,
    And,
    Argument,
    At,
    Call,
    Ends,
    Everything,
    Expression,
    Filter,
    Not,
    Or,
    Value,
    Walk,
    both,
    union,
)

SEED = int(os.environ.get("PARSLISH_SEED", "20261121"))
SOAK = int(os.environ.get("PARSLISH_SOAK", "1"))
X, Y, Z = Call("x"), Call("y"), Call("z")

READ: list[tuple[str, Expression]] = [
    ("x", X),
    (" x ", X),
    ("*", Everything()),
    ("x*", Walk(0, X, ALL)),
    ("*x", Walk(ALL, X, 0)),
    ("*x*", Walk(ALL, X, ALL)),
    ("+x", Walk(1, X, 0)),
    ("x++", Walk(0, X, 2)),
    ("2+x+3", Walk(2, X, 3)),
    ("+++x", Walk(3, X, 0)),
    ("* x *", Walk(ALL, X, ALL)),
    ("x, y*", Or((X, Walk(0, Y, ALL)))),
    ("x or y, z", Or((X, Y, Z))),
    ("x or x", X),
    ("x and y or z", Or((And((X, Y)), Z))),
    ("x and (y or z)", And((X, Or((Y, Z))))),
    ("not x and y", And((Not(X), Y))),
    ("not (x and y)", Not(And((X, Y)))),
    ("not not x", Not(Not(X))),
    ("not x*", Not(Walk(0, X, ALL))),
    ("NOT x AND y OR z", Or((And((Not(X), Y)), Z))),
    ("(x or y)*", Walk(0, Or((X, Y)), ALL)),
    ("* and x", And((Everything(), X))),
    ("not *", Not(Everything())),
    ("(*)+", Walk(0, Everything(), 1)),
    ("roots()", Ends("roots")),
    ("sinks(x*)", Ends("sinks", Walk(0, X, ALL))),
    ("+roots ( x )", Walk(1, Ends("roots", X), 0)),
    ("roots", Call("roots")),
    ("name", Call("name")),
    ("x[3]", Call("x", "3")),
    ("x[Si 2, a]*", Walk(0, Call("x", "Si 2, a"), ALL)),
    ('x["a]b"]', Call("x", "a]b")),
    ('"<lambda>"[1]', Call("<lambda>", "1")),
    ('"and"', Call("and")),
    ("straße", Call("straße")),
    ('name:"x*"', Filter("name", ("x*",))),
    ("name:x", X),
    ("name:x*", Walk(0, X, ALL)),
    ('name:"x*"*', Walk(0, Filter("name", ("x*",)), ALL)),
    ('name:x|"y*"', Or((X, Filter("name", ("y*",))))),
    ("-/scan[2]/relax[Si]", At("-/scan[2]/relax[Si]")),
    ("-/scan[2]/relax[Si]*", Walk(0, At("-/scan[2]/relax[Si]"), ALL)),
    ("2+-/x[0]+2", Walk(2, At("-/x[0]"), 2)),
    ("-/scan[a b]/**", Filter("path", ("-/scan[a b]/**",))),
    ("path:-/scan[2]/**", Filter("path", ("-/scan[2]/**",))),
    ("path:-/scan[2]/*", Filter("path", ("-/scan[2]/*",))),
    ('path:"**/relax[*]"*', Walk(0, Filter("path", ("**/relax[*]",)), ALL)),
    ("path:-/x[0]", At("-/x[0]")),
    ('"-/x[a*b]"', At("-/x[a*b]")),
    ("-.N3.N5+2", Walk(0, At("-.N3.N5"), 2)),
    ("loc:-.N3.N5", At("-.N3.N5")),
    ("id:17|18", Filter("id", ("17", "18"))),
    ("status:failed|lost", Filter("status", ("failed", "lost"))),
    ("*status:failed", Walk(ALL, Filter("status", ("failed",)), 0)),
    ("arg:seed=7", Argument("seed", "=", (Value("7"),))),
    ("arg:seed==7", Argument("seed", "=", (Value("7"),))),
    ("arg:seed!=7|8", Argument("seed", "!=", (Value("7"), Value("8")))),
    ("arg:x<=-1.5e+3", Argument("x", "<=", (Value("-1.5e+3"),))),
    ("arg:x>1+2", Walk(0, Argument("x", ">", (Value("1"),)), 2)),
    ('arg:x="7"', Argument("x", "=", (Value("7", True),))),
    ("arg:x='a|b'|c", Argument("x", "=", (Value("a|b", True), Value("c")))),
    ("arg:*0=1", Argument("*0", "=", (Value("1"),))),
    ("duration:>1h30m", Filter("duration", ("1h30m",), ">")),
    ("duration:<=250ms*", Walk(0, Filter("duration", ("250ms",), "<="), ALL)),
    ("after:2026-11-21T10:00:00+01:00", Filter("after", ("2026-11-21T10:00:00+01:00",))),
    ('before:"2026-11-21 10:00"', Filter("before", ("2026-11-21 10:00",))),
    ("after:-/x[0]|-.N3", Filter("after", ("-/x[0]", "-.N3"))),
    ("worker:node7:4242:threads-0", Filter("worker", ("node7:4242:threads-0",))),
    ("(status:failed)and(x)", And((Filter("status", ("failed",)), X))),
    ("x,(y)", Or((X, Y))),
]  # fmt: skip


@pytest.mark.parametrize(("text", "meant"), READ, ids=[text for text, _ in READ])
def test_it_is_read_so_and_written_so_that_it_is_read_the_same(text: str, meant: Expression) -> None:
    assert parse(text) == meant
    assert parse(str(meant)) == meant, str(meant)


def test_several_are_a_union() -> None:
    assert parse(["x", "y and z", "x"]) == Or((X, And((Y, Z))))
    assert parse(iter(["x"])) == X
    assert parse(X) is X


WRONG = [
    # what, where, and what is said of it
    ("x y", 2, "found 'y'"),
    ("x and", 5, "found the end"),
    ("(x or y", 7, "expected ',', 'and', 'or' or )"),
    ("x)", 1, "found ')'"),
    ("and x", 0, "found 'and'"),
    ("x,", 2, "found the end"),
    ("**x", 1, "found '*x'"),
    ("x*+", 2, "found '+'"),
    ("0+x", 0, "found '0+x'"),
    ("17", 0, "id:17"),
    ("x[]", 2, "an occurrence or a label"),
    ("x[3", 3, "expected ]"),
    ("x['3]", 2, "a quote is opened"),
    ("'x", 0, "a quote is opened"),
    ("-x", 0, "expected an app"),
    ("-.3", 0, "'-.3' is no loc"),
    ("loc:17", 4, "'17' is no loc"),
    ("status:", 7, "expected"),
    ("status: failed", 8, "expected"),
    ("status:fialed", 7, "did you mean 'failed'?"),
    ("status:done|fialed", 12, "did you mean 'failed'?"),
    ("x or statsu:failed", 5, "did you mean 'status'?"),
    ("kind:jion", 5, "did you mean 'join'?"),
    ("code:chagned", 5, "did you mean 'changed'?"),
    ("id:one", 3, "no id"),
    ("path:scan/x", 5, "begins with -/"),
    ("duration:10m", 9, "expected <"),
    ("duration:=10m", 9, "expected <"),
    ("duration:>10 min", 10, "'10' is no length of time"),
    ("duration:>1m|2m", 12, "takes one value"),
    ("after:yesterday", 6, "'yesterday' is no time"),
    ("arg:=7", 4, "the name of an argument"),
    ("arg:seed", 8, "expected ="),
    ("arg:seed=", 9, "expected a value"),
    ("arg:seed<1|2", 10, "takes one value"),
    ("roots(x", 7, "expected"),
    ("x\n  y", 4, "found 'y'"),
]


@pytest.mark.parametrize(("text", "at", "said"), WRONG, ids=[text for text, _, _ in WRONG])
def test_what_is_not_understood_is_shown_where_it_stands(text: str, at: int, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    sentence, line, caret = str(caught.value).split("\n")
    assert said in sentence
    assert line == "    " + text.replace("\n", " ")
    assert caret == " " * (4 + at) + "^"


def test_of_a_long_expression_the_part_with_the_error_is_shown() -> None:
    text = " or ".join(f"app_{n}" for n in range(1000)) + " or status:fialed or " + "x" * 1000
    with pytest.raises(UsageError) as caught:
        parse(text)
    _, line, caret = str(caught.value).split("\n")
    assert len(line) < 120 and line[caret.index("^") :].startswith("fialed")


@pytest.mark.parametrize("empty", ["", "  ", [], ["x", ""]])
def test_an_empty_expression_is_an_error_that_says_how_to_mean_all(empty: str | list[str]) -> None:
    with pytest.raises(UsageError, match=r"empty selection.*\* for all"):
        parse(empty)


@pytest.mark.parametrize("wrong", [3, None, [None], ["x", 3]])
def test_what_is_no_text_is_an_error(wrong: object) -> None:
    with pytest.raises(UsageError, match="a text or a list of texts"):
        parse(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["(" * 5000 + "x" + ")" * 5000, "not " * 5000 + "x", "roots(" * 5000])
def test_what_is_nested_too_deeply_is_an_error_and_no_overflow(text: str) -> None:
    with pytest.raises(UsageError, match="inside of each other"):
        parse(text)


def test_a_union_of_very_many_is_read() -> None:
    many = parse([f"-/x[{n}]" for n in range(20_000)])
    assert isinstance(many, Or) and len(many.of) == 20_000
    assert parse(str(many)) == many


def test_every_expression_in_the_tables_of_the_documentation_is_read() -> None:
    text = (Path(__file__).parents[3] / "docs" / "selection.md").read_text()
    columns = [re.split(r"(?<!\\)\|", line)[1] for line in text.splitlines() if line.startswith("| `")]
    expressions = [each.replace("\\|", "|") for column in columns for each in re.findall(r"`([^`]+)`", column)]
    assert len(expressions) > 50
    for each in expressions:
        parse(["relax", "total*"] if each.startswith('["') else each.replace("…", "2026-11-21"))


# ------------------------------------------------------------------------------------- random expressions

_SIGNS = "ab[]\"'\\*?+|,()/ .-:=<>0é\n"


def _text(rng: random.Random) -> str:
    return "".join(rng.choice(_SIGNS) for _ in range(rng.randint(1, 6)))


def _call(rng: random.Random) -> Expression:
    name = rng.choice(("x", "roots", "not", "status", "x" + _text(rng)))
    return Call(name, rng.choice((None, "3", "Si", _text(rng))))


def _at(rng: random.Random) -> Expression:
    return At(rng.choice(("-.N3.N51", "-/x[0]", "-/scan[a b]/x[Si]", "-/" + _text(rng))))


def _filter(rng: random.Random) -> Expression:
    kind = rng.choice(("label", "scope", "tag", "host", "worker", "exc"))
    return rng.choice((
        Filter(kind, tuple(_text(rng) for _ in range(rng.randint(1, 3)))),
        Filter("name", (_text(rng) + "*",)),
        Filter("path", ("-/" + _text(rng) + "?",)),
        Filter("status", ("failed", "lost")),
        Filter("duration", ("1.5h",), rng.choice(("<", ">="))),
        Filter("after", ("2026-11-21T10:00:00+01:00", "-/x[0]")),
    ))  # fmt: skip


def _argument(rng: random.Random) -> Expression:
    plain = Value(rng.choice(("7", "-1.5", "1e5", "1e", "2.E", "1e+3", "text", "True", "a:b", "[a b]", "x=y")))
    values = [rng.choice((plain, Value(_text(rng), True))) for _ in range(rng.randint(1, 2))]
    operator = rng.choice(("=", "!=", "<", ">="))
    return Argument(rng.choice(("seed", "*0")), operator, tuple(values if operator in ("=", "!=") else values[:1]))


def _expression(rng: random.Random, depth: int) -> Expression:
    if depth == 0:
        atoms: tuple[Callable[[random.Random], Expression], ...] = (_call, _at, _filter, _argument)
        return Everything() if rng.random() < 0.1 else rng.choice(atoms)(rng)
    one, other = _expression(rng, depth - 1), _expression(rng, rng.randrange(depth))
    up, down = rng.choice(((0, 1), (1, 0), (ALL, 0), (0, ALL), (2, 3), (17, 2), (0, 4)))
    return rng.choice((
        one, Walk(up, one, down), Not(one), union((one, other)), both((one, other)), Ends("roots", one), Ends("sinks"),
    ))  # fmt: skip


def test_what_is_written_is_read_as_the_same() -> None:
    print(f"PARSLISH_SEED={SEED}")
    for case in range(3000 * SOAK):
        meant = _expression(random.Random(f"{SEED} {case}"), case % 5)
        assert parse(str(meant)) == meant, f"case {case}: {meant}"


def test_whatever_is_given_is_read_or_refused_with_a_sentence() -> None:
    print(f"PARSLISH_SEED={SEED}")
    pieces = [*_SIGNS, "x", "and", " or ", "not ", "status:", "arg:x", "roots(", "-/x[0]", "-.N3", "2+", "name:", "1e"]
    refused = 0
    for case in range(3000 * SOAK):
        rng = random.Random(f"{SEED} {case} any")
        text = "".join(rng.choice(pieces) for _ in range(rng.randint(1, 9)))
        try:
            found = parse(text)
        except UsageError as error:
            refused += 1
            assert text.strip() == "" or "^" in str(error), f"case {case}: {text}"
        else:
            assert parse(str(found)) == found, f"case {case}: {text}"
    assert 0 < refused < 3000 * SOAK
