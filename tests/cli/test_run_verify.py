"""`parslish verify`: stored results are computed once more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli import made
from tests.cli.conftest import Call
from tests.cli.test_again import failed_run, mend, outside


def test_results_that_come_out_the_same_are_equal() -> None:
    mend()
    subprocess.run([sys.executable, made.script()], timeout=60, capture_output=True)
    done = outside("verify", "--sample", "100%")
    assert done.code == 0
    assert done.out.splitlines()[-1] == "5 results computed again, 0 not as stored"


def test_a_result_that_differs_is_told_and_ends_with_1() -> None:
    path = made.script()
    path.write_text(path.read_text().replace("x + 0.5", "x + float(open('value').read())"))
    mend()
    Path("value").write_text("0.5")
    subprocess.run([sys.executable, path], timeout=60, capture_output=True)
    Path("value").write_text("0.75")
    done = outside("verify", "--sample", "1.0", "--json")
    assert done.code == 1
    equal = {each["path"]: each["equal"] for each in done.json["results"]}
    assert len(equal) == 5 and not any(equal[f"-/f[{n}]"] for n in range(4))
    assert done.json["equal"] == sum(equal.values())
    shown = outside("verify", "000", "--sample", "100%").out
    assert "\n-/f[0] " in shown and "0.25" in shown


def test_a_sample_is_a_part_and_the_same_for_the_same_seed() -> None:
    mend()
    subprocess.run([sys.executable, made.script()], timeout=60, capture_output=True)
    first, second = (outside("verify", "000", "--sample", "40%", "--seed", "3", "--json").json for _ in range(2))
    assert first == second and len(first["results"]) == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["--sample", "0"],
            "invalid value for '--sample': '0' is no part: takes 5% or 0.05, up to 100%; see  parslish ver",
        ),
        (["--sample", "500%"], "invalid value for '--sample': '500%' is no part"),
        (["--sample", "5 percent"], "invalid value for '--sample': '5 percent' is no part"),
        (["--sample", "nan"], "invalid value for '--sample': 'nan' is no part"),
        (["--seed", "a"], "invalid value for '--seed': 'a' is not a valid integer"),
        (["3"], "there is no run '3' in 'runinfo'"),
        (["--samples", "5%"], "there is no option '--samples' (did you mean '--sample'?)"),
    ],
)
def test_mistakes_are_told_in_a_sentence(call: Call, arguments: list[str], sentence: str) -> None:
    failed_run()
    done = call("verify", *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"parslish: {sentence}"), done.err
