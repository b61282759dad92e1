"""The key stays in its file and in the process that read it; signatures are compared in constant time."""

from __future__ import annotations

import ast
import base64
import re
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

import parslish
from parslish import Config, ProcessPoolExecutor, ThreadPoolExecutor, python_app
from parslish.errors import UsageError
from parslish.secret import Keys, key_file

PACKAGE = Path(parslish.__file__).parent


def spellings() -> list[bytes]:
    """Ways in which a key could turn up."""
    found = []
    for key in Keys.load().all():
        plain = [key, key.hex().encode(), key.hex().upper().encode(), base64.b64encode(key), key[::-1]]
        # As a list of numbers, and the halves of all: a line may be folded.
        found += [*plain, repr(list(key))[1:-1].encode(), repr(key)[2:-1].encode()]
    return found + [half for each in found for half in (each[: len(each) // 2], each[len(each) // 2 :])]


def holds_key(content: bytes) -> bool:
    return any(each in content for each in spellings())


def test_a_key_would_be_found() -> None:
    """Else not finding it would prove nothing."""
    for key in Keys.load().all():
        for content in (key, key.hex().encode(), f"Keys({key!r})".encode(), str(list(key)).encode()):
            assert holds_key(b"before " + content + b" after")
    assert not holds_key(repr(Keys.load()).encode())


def test_no_key_is_in_what_a_run_writes_nor_in_its_workers(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    keys = Keys.load()

    @python_app(cache=True, executors=["processes"])
    def surroundings(number: int) -> list[bytes]:
        from pathlib import Path

        return [Path("/proc/self", name).read_bytes() for name in ("cmdline", "environ")]

    @python_app(cache=True, executors=["threads"])
    def fail(argument: str) -> None:
        raise RuntimeError(f"{argument} {keys!r}")

    for _ in range(2):
        executors = [ProcessPoolExecutor("processes", max_workers=1), ThreadPoolExecutor("threads")]
        with parslish.load(Config(executors=executors, checkpoint_mode="task_exit")) as kernel:
            seen = surroundings(1).result()
            assert isinstance(fail("told").exception(), RuntimeError)
            said = repr(kernel) + repr(kernel.config) + repr(vars(kernel))
        Path("runinfo/000/checkpoint/no.seg").write_bytes(b"garbage")  # so that the second run warns
    assert all(seen) and str(key_file()).encode() in seen[1]
    written = [path for path in Path("runinfo").rglob("*") if path.is_file()]
    assert {path.suffix for path in written} >= {".seg", ".json", ".log"}
    told = "".join([*capfd.readouterr(), caplog.text, said]).encode()
    for content in (*seen, told, *(path.read_bytes() for path in written)):
        assert not holds_key(content)


def test_no_key_is_in_an_error_about_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hexed = Keys.load().signing.hex()
    texts = (hexed[:-2], hexed + "\n" + hexed[:-1] + "x", hexed.replace("a", "ä"), hexed + hexed, '"' + hexed + '"')
    for text in texts:
        (tmp_path / "broken").write_text(text)
        (tmp_path / "broken").chmod(0o600)
        with monkeypatch.context() as patch:
            patch.setenv("PARSLISH_KEY_FILE", str(tmp_path / "broken"))
            with pytest.raises(UsageError) as caught:
                Keys.load()
        told = "".join(traceback.format_exception(caught.value))
        assert not holds_key(told.encode())
        assert hexed[:16] not in told


# ------------------------------------------------------------------------------------- constant time


def comparisons(tree: ast.AST) -> Iterator[ast.expr]:
    """Both sides of every comparison."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            yield from (node.left, *node.comparators)


def test_no_signature_and_no_key_is_compared_but_in_constant_time() -> None:
    compared = {
        f"{path.name}: {ast.unparse(side)}"
        for path in PACKAGE.rglob("*.py")
        for side in comparisons(ast.parse(path.read_text()))
        if not isinstance(side, ast.Constant)
    }
    suspicious = [each for each in compared if re.search(r"\bsign\w*\(|\bsignature\b|\bsigning\b", each)]
    assert [each for each in suspicious if "inspect.signature(" not in each] == []


def test_the_comparison_is_that_of_hmac() -> None:
    (function,) = [
        node
        for node in ast.walk(ast.parse((PACKAGE / "store" / "frame.py").read_text()))
        if isinstance(node, ast.FunctionDef) and node.name == "is_signed"
    ]
    assert "hmac.compare_digest(" in ast.unparse(function)
    assert not list(comparisons(function))
