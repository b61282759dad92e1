"""File and staging: paths and URLs as Parsl scripts use them, and who sees which copy (behaviour 14)."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

import parslish
from parslish import (
    Config,
    File,
    NoOpFileStaging,
    Staging,
    ThreadPoolExecutor,
    ZipFileStaging,
    bash_app,
    default_staging,
    python_app,
)
from tests.parsl.helpers import PATIENCE_S

pytestmark = pytest.mark.usefixtures("loaded")


@python_app
def read(inputs: Any = ()) -> list[str]:
    return [Path(each).read_text() for each in inputs]


@python_app
def write(text: str, outputs: Any = ()) -> None:
    for each in outputs:
        Path(each).parent.mkdir(parents=True, exist_ok=True)
        Path(each).write_text(text)


@pytest.mark.parametrize(
    ("url", "scheme", "netloc", "path", "filename"),
    [
        ("a/b.txt", "file", "", "a/b.txt", "b.txt"),
        ("/abs/b.txt", "file", "", "/abs/b.txt", "b.txt"),
        ("file:///abs/b.txt", "file", "", "/abs/b.txt", "b.txt"),
        ("http://host:80/x/b.txt", "http", "host:80", "/x/b.txt", "b.txt"),
        ("ftp://host/b.txt", "ftp", "host", "/b.txt", "b.txt"),
        ("zip:/a.zip/in/b.txt", "zip", "", "/a.zip/in/b.txt", "b.txt"),
    ],
)
def test_a_file_has_the_parts_of_its_url(url: str, scheme: str, netloc: str, path: str, filename: str) -> None:
    file = File(url)
    assert (file.url, file.scheme, file.netloc, file.path, file.filename) == (url, scheme, netloc, path, filename)
    assert file.local_path is None
    if scheme == "file":
        assert file.filepath == str(file) == os.fspath(file) == path


def test_a_local_file_can_be_opened_as_it_is() -> None:
    Path("a.txt").write_text("hello")
    with open(File("a.txt")) as opened:
        assert opened.read() == "hello"
    assert f"{File('a.txt')}" == "a.txt"


def test_a_remote_file_has_no_local_path_before_it_is_staged() -> None:
    with pytest.raises(ValueError, match="not staged"):
        _ = File("http://host/x").filepath
    with pytest.raises(ValueError, match="not staged"):
        os.fspath(File("http://host/x"))


def test_a_file_of_a_path_object() -> None:
    assert File(Path("a") / "b").filepath == "a/b"


# -- 14


class Fetching(Staging):
    """A provider as users write them: in-task, with `local_path` set on the file that it gets."""

    def can_stage_in(self, file: File) -> bool:
        return file.scheme == "memo"

    can_stage_out = can_stage_in

    def stage_in(self, dm: Any, executor: str, file: File, parent_fut: Any) -> None:
        file.local_path = f"staged-{file.filename}"

    stage_out = stage_in

    def replace_task(self, dm: Any, executor: str, file: File, func: Any) -> Any:
        def run(*args: Any, **kwargs: Any) -> Any:
            Path(file.filepath).write_text(f"content of {file.url}")
            return func(*args, **kwargs)

        return run

    def replace_task_stage_out(self, dm: Any, executor: str, file: File, func: Any) -> Any:
        def run(*args: Any, **kwargs: Any) -> Any:
            result = func(*args, **kwargs)
            Path(f"stored-{file.filename}").write_text(Path(file.filepath).read_text())
            return result

        return run


@pytest.fixture
def fetching(loaded: Any) -> Any:
    loaded.cleanup()
    executor = ThreadPoolExecutor(storage_access=[Fetching(), NoOpFileStaging()])
    with parslish.load(Config(executors=[executor])) as kernel:
        yield kernel


def test_14_files_are_copied_before_staging_so_the_callers_local_path_stays_none(fetching: Any) -> None:
    mine, out = File("memo:/in.txt"), File("memo:/out.txt")
    assert read(inputs=[mine, mine]).result(PATIENCE_S) == ["content of memo:/in.txt"] * 2
    task = write("hello", outputs=[out])
    assert task.outputs[0].result(PATIENCE_S) is out
    assert Path("stored-out.txt").read_text() == "hello"
    assert mine.local_path is None and out.local_path is None


def test_14_a_staged_output_is_staged_in_again_for_the_task_that_takes_it(fetching: Any) -> None:
    out = write("hello", outputs=[File("memo:/out.txt")]).outputs[0]
    assert read(inputs=[out]).result(PATIENCE_S) == ["content of memo:/out.txt"]


@python_app
def read_one(a: Any, b: Any = None) -> list[str]:
    return [Path(each).read_text() for each in (a, b) if each is not None]


def test_files_are_staged_as_any_argument(fetching: Any) -> None:
    assert read_one(File("memo:/x"), b=File("memo:/y")).result(PATIENCE_S) == [
        "content of memo:/x",
        "content of memo:/y",
    ]


def test_a_file_that_nobody_can_stage_is_an_error_at_the_call_that_names_it() -> None:
    with pytest.raises(parslish.ConfigurationError, match="quux:/a"):
        read(inputs=[File("quux:/a")])


def test_default_staging_is_a_list_that_users_extend() -> None:
    assert isinstance(default_staging, list)
    assert any(isinstance(each, NoOpFileStaging) for each in default_staging)
    assert any(isinstance(each, ZipFileStaging) for each in default_staging)
    assert any(isinstance(each, parslish.FTPInTaskStaging) for each in default_staging)


def test_zip_members_go_out_and_come_in(tmp_path: Path) -> None:
    archive = tmp_path / "results.zip"
    out = write("packed", outputs=[File(f"zip:{archive}/inner/a.txt")]).outputs[0]
    assert out.result(PATIENCE_S).local_path is None
    with zipfile.ZipFile(archive) as opened:
        assert opened.read("inner/a.txt") == b"packed"
    assert read(inputs=[out, File(f"zip:{archive}/inner/a.txt")]).result(PATIENCE_S) == ["packed", "packed"]


def test_zip_with_a_host_is_an_error() -> None:
    with pytest.raises(parslish.ZipAuthorityError):
        read(inputs=[File("zip://host/a.zip/b")])


def test_the_executors_working_dir_is_where_staged_files_lie(loaded: Any) -> None:
    loaded.cleanup()
    archive = Path("a.zip").absolute()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("inner.txt", "hello")
    with parslish.load(Config(executors=[ThreadPoolExecutor(working_dir="work")])):
        where = python_app(lambda f: os.fspath(f))(File(f"zip:{archive}/inner.txt"))
        assert Path(where.result(PATIENCE_S)).parts[0] == "work"
        assert Path(where.result()).read_text() == "hello"


# -- bash apps and files


@bash_app
def cat(inputs: Any = (), outputs: Any = (), stdout: Any = None, stderr: Any = None) -> str:
    return f"cat {' '.join(map(str, inputs))} > {outputs[0]}" if outputs else f"cat {' '.join(map(str, inputs))}"


def test_14_stdout_as_a_string_appends_and_a_pair_truncates_and_folders_are_created() -> None:
    Path("in.txt").write_text("line\n")
    for _ in range(2):
        cat(inputs=[File("in.txt")], stdout="deep/er/out.txt").result(PATIENCE_S)
    assert Path("deep/er/out.txt").read_text() == "line\nline\n"
    for _ in range(2):
        cat(inputs=[File("in.txt")], stdout=("deep/er/out.txt", "w")).result(PATIENCE_S)
    assert Path("deep/er/out.txt").read_text() == "line\n"


@pytest.mark.parametrize("spelled", [lambda p: Path(p), lambda p: File(p), lambda p: (Path(p), "a")])
def test_14_stdout_may_be_a_path_object_or_a_file(spelled: Any) -> None:
    Path("in.txt").write_text("line\n")
    cat(inputs=[File("in.txt")], stdout=spelled("out.txt")).result(PATIENCE_S)
    assert Path("out.txt").read_text() == "line\n"


def test_a_pipeline_of_files() -> None:
    Path("0.txt").write_text("x")
    last: Any = File("0.txt")
    for i in range(1, 6):
        last = cat(inputs=[last, last], outputs=[File(f"{i}.txt")]).outputs[0]
    assert Path(last.result(PATIENCE_S)).read_text() == "x" * 32


def test_outputs_may_be_given_as_text() -> None:
    Path("in.txt").write_text("line\n")
    task = cat(inputs=["in.txt"], outputs=["out.txt"])
    assert task.outputs[0].result(PATIENCE_S).filepath == "out.txt"
    assert Path("out.txt").read_text() == "line\n"
