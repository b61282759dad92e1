"""Staging: how a file reaches a task and leaves it, and who may stage what."""

from __future__ import annotations

import contextlib
import http.server
import importlib.util
import os
import pickle
import signal
import socketserver
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import ThreadPoolExecutor as Threads
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from parslish.errors import ConfigurationError, UsageError, ZipAuthorityError
from parslish.files import File
from parslish.staging import (
    DataManager,
    FilesystemStaging,
    FTPInTaskStaging,
    HTTPInTaskStaging,
    NoOpFileStaging,
    Staging,
    ZipFileStaging,
    default_staging,
)
from parslish.staging.zipped import store_member

ROOT = Path(__file__).parent.parent


def manager(working_dir: Path | str | None = None, providers: list[Staging] | None = None) -> DataManager:
    """The staging of a kernel with one executor, `site`."""
    site = SimpleNamespace(working_dir=working_dir and str(working_dir), storage_access=providers)
    return DataManager(SimpleNamespace(executors={"site": site}))


def read(file: File) -> bytes:
    """An app's function."""
    return Path(file).read_bytes()


def write(file: File, content: bytes) -> str:
    """Another."""
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    Path(file).write_bytes(content)
    return "written"


def take(dm: DataManager, url: str) -> bytes:
    """Run `read` as the kernel would: the input is staged in, and the function crosses to a worker."""
    copy, func = dm.stage_in("site", File(url), read)
    content: bytes = pickle.loads(pickle.dumps(func))(pickle.loads(pickle.dumps(copy)))
    return content


def give(dm: DataManager, url: str, content: bytes) -> str:
    """Run `write` as the kernel would."""
    copy, func, future = dm.stage_out("site", File(url), write, None)
    assert future is None
    result: str = pickle.loads(pickle.dumps(func))(pickle.loads(pickle.dumps(copy)), content)
    return result


# ------------------------------------------------------------------------------------- the plug


def test_a_local_file_is_left_where_it_is(tmp_path: Path) -> None:
    dm = manager(tmp_path / "elsewhere")
    assert give(dm, f"{tmp_path}/x", b"content") == "written"
    assert take(dm, f"{tmp_path}/x") == b"content"
    assert dm.stage_in("site", File(f"{tmp_path}/x"), read)[1] is read
    assert not (tmp_path / "elsewhere").exists()


def test_the_callers_file_stays_as_it_is(tmp_path: Path) -> None:
    mine = File(f"zip:{tmp_path}/a.zip/x")
    copy, _ = manager(tmp_path).stage_in("site", mine, read)
    assert isinstance(copy, File)
    assert copy.local_path == f"{tmp_path}/x"
    assert mine.local_path is None


def test_a_file_nobody_can_stage_is_an_error_that_names_executor_and_scheme() -> None:
    with pytest.raises(ConfigurationError, match=r"executor 'site' cannot stage in x-odd://host/x: .*'x-odd'"):
        manager().stage_in("site", File("x-odd://host/x"), read)
    with pytest.raises(ConfigurationError, match="cannot stage out http://host/x"):
        manager(providers=[NoOpFileStaging(), HTTPInTaskStaging()]).stage_out(
            "site", File("http://host/x"), write, None
        )
    with pytest.raises(ConfigurationError, match="cannot stage in x: "):
        manager(providers=[]).stage_in("site", File("x"), read)


def test_an_executors_own_providers_count_alone() -> None:
    class Mine(Staging):
        def can_stage_in(self, file: File) -> bool:
            return file.scheme == "mine"

        def stage_in(self, dm: DataManager, executor: str, file: File, parent_fut: Any) -> Future[Any]:
            future: Future[Any] = Future()
            file.local_path = f"{dm.working_dir(executor)}/{file.filename}"
            future.set_result(file)
            return future

    dm = manager("there", [Mine()])
    staged, func = dm.stage_in("site", File("mine://host/x"), read)
    assert isinstance(staged, Future)
    assert staged.result().local_path == "there/x"
    assert func is read
    with pytest.raises(ConfigurationError):
        dm.stage_in("site", File("x"), read)


def test_the_base_provider_stages_nothing() -> None:
    base, file = Staging(), File("x")
    assert not base.can_stage_in(file)
    assert not base.can_stage_out(file)
    assert base.stage_in(manager(), "site", file, None) is None
    assert base.stage_out(manager(), "site", file, None) is None
    assert base.replace_task(manager(), "site", file, read) is None
    assert base.replace_task_stage_out(manager(), "site", file, read) is None


def test_by_default_local_ftp_http_and_zip_are_staged() -> None:
    assert [type(each) for each in default_staging] == [
        NoOpFileStaging,
        FTPInTaskStaging,
        HTTPInTaskStaging,
        ZipFileStaging,
        FilesystemStaging,
    ]


# ------------------------------------------------------------------------------------- http and ftp


class Site(http.server.BaseHTTPRequestHandler):
    """/x is there; /short breaks off after half of what it announces; all else is missing."""

    def do_GET(self) -> None:
        bodies = {"/a/x": (7, b"content"), "/short": (1000, b"half")}
        announced, body = bodies.get(self.path, (0, b""))
        self.send_response(200 if body else 404)
        self.send_header("Content-Length", str(announced))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Not into the test's output."""


class FtpSite(socketserver.StreamRequestHandler):
    """The few words of FTP that a download needs; one file, /a/x."""

    def handle(self) -> None:
        self.wfile.write(b"220 ready\r\n")
        with contextlib.ExitStack() as opened:
            data: socketserver.TCPServer | None = None
            for line in self.rfile:
                word, _, argument = line.decode().strip().partition(" ")
                if word == "PASV":
                    data = opened.enter_context(socketserver.TCPServer(("127.0.0.1", 0), Site))
                    port = data.server_address[1]
                    self.wfile.write(b"227 (127,0,0,1,%d,%d)\r\n" % divmod(port, 256))
                elif word == "RETR" and argument == "x" and data is not None:
                    self.wfile.write(b"150 coming\r\n")
                    with data.socket.accept()[0] as connection:
                        connection.sendall(b"content")
                    self.wfile.write(b"226 done\r\n")
                else:
                    self.wfile.write({"RETR": b"550 none\r\n", "USER": b"331 and\r\n"}.get(word, b"250 ok\r\n"))


@contextlib.contextmanager
def serving(handler: type[socketserver.BaseRequestHandler]) -> Iterator[str]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True  # a client that keeps its connection must not keep the test
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


@pytest.mark.parametrize(("scheme", "handler"), [("http", Site), ("ftp", FtpSite)])
def test_a_file_of_a_server_is_fetched_into_the_working_folder(
    tmp_path: Path, scheme: str, handler: type[socketserver.BaseRequestHandler]
) -> None:
    with serving(handler) as host:
        assert take(manager(tmp_path / "w"), f"{scheme}://{host}/a/x") == b"content"
    assert os.listdir(tmp_path / "w") == ["x"]


def test_without_a_working_folder_the_workers_current_one_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with serving(Site) as host:
        assert take(manager(), f"http://{host}/a/x") == b"content"
    assert (tmp_path / "x").read_bytes() == b"content"


@pytest.mark.parametrize(
    ("scheme", "handler", "name", "says"),
    [
        ("http", Site, "missing", "404"),
        ("http", Site, "short", "got 4 of 1000 bytes"),
        ("ftp", FtpSite, "missing", "550 none"),
    ],
)
def test_a_failed_fetch_fails_the_task_and_leaves_the_old_file(
    tmp_path: Path, scheme: str, handler: type[socketserver.BaseRequestHandler], name: str, says: str
) -> None:
    (tmp_path / name).write_text("old")
    with serving(handler) as host, pytest.raises(OSError, match=says) as caught:
        take(manager(tmp_path), f"{scheme}://{host}/{name}")
    if hasattr(caught.value, "close"):
        caught.value.close()  # an HTTPError holds its connection
    assert os.listdir(tmp_path) == [name]
    assert (tmp_path / name).read_text() == "old"


# ------------------------------------------------------------------------------------- zip


def test_outputs_go_into_the_archive_and_come_back(tmp_path: Path) -> None:
    dm = manager(tmp_path / "w")
    url = f"zip:{tmp_path}/new/a.zip/in/x.txt"
    assert give(dm, url, b"content") == "written"
    assert zipfile.ZipFile(tmp_path / "new/a.zip").namelist() == ["in/x.txt"]
    assert take(manager(tmp_path / "other"), url) == b"content"
    assert (tmp_path / "other/in/x.txt").read_bytes() == b"content"


def test_a_member_written_again_is_replaced_and_others_stay(tmp_path: Path) -> None:
    dm = manager(tmp_path / "w")
    for name, content in (("x", b"old"), ("y", b"other"), ("x", b"new")):
        give(dm, f"zip:{tmp_path}/a.zip/{name}", content)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert sorted(archive.namelist()) == ["x", "y"]
        assert (archive.read("x"), archive.read("y")) == (b"new", b"other")


def test_an_archive_keeps_its_mode(tmp_path: Path) -> None:
    dm = manager(tmp_path / "w")
    give(dm, f"zip:{tmp_path}/a.zip/x", b"1")
    (tmp_path / "a.zip").chmod(0o604)
    give(dm, f"zip:{tmp_path}/a.zip/y", b"2")
    assert (tmp_path / "a.zip").stat().st_mode & 0o777 == 0o604


def test_tasks_that_write_into_one_archive_at_once_all_succeed(tmp_path: Path) -> None:
    dm = manager(tmp_path / "w")
    with Threads(8) as pool:
        list(pool.map(lambda i: give(dm, f"zip:{tmp_path}/a.zip/{i}", b"%d" % i), range(40)))
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {str(i): b"%d" % i for i in range(40)}
    assert sorted(os.listdir(tmp_path)) == ["a.zip", "w"]


def test_a_kill_while_an_archive_is_written_leaves_a_whole_one(tmp_path: Path) -> None:
    url = f"zip:{tmp_path}/a.zip/%s"
    store = "import sys; from parslish.files import File; from parslish.staging.zipped import store_member\n"
    store += "file = File(sys.argv[1]); file.local_path = sys.argv[2]\n"
    store += "print(flush=True); store_member(file)\n"
    big = tmp_path / "big"
    big.write_bytes(os.urandom(20_000_000))
    first = File(url % "first")
    first.local_path = str(big)
    store_member(first)
    process = subprocess.Popen(
        [sys.executable, "-c", store, url % "second", str(big)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with process, zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert process.stdout is not None
        process.stdout.readline()
        while not any(tmp_path.glob(".staging-*")):  # until it is in the middle of writing
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        assert archive.testzip() is None
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == ["first"]
        assert archive.testzip() is None


def test_a_zip_url_with_a_host_is_an_error_that_says_how_to_write_it() -> None:
    with pytest.raises(ZipAuthorityError, match=r"zip:/path/to\.zip/inside"):
        manager().stage_in("site", File("zip://tmp/a.zip/x"), read)
    with pytest.raises(ZipAuthorityError):
        manager().stage_out("site", File("zip://tmp/a.zip/x"), write, None)


@pytest.mark.parametrize(
    "url", ["zip:/a.zip", "zip:/a.zip/", "zip:/a/b", "zip:/a.zip/../x", "zip:/a.zip//etc/x", "zip:/a.zip/b/../../x"]
)
def test_a_zip_url_without_a_member_is_an_error(url: str) -> None:
    with pytest.raises(UsageError, match="names no member"):
        manager().stage_in("site", File(url), read)


# ------------------------------------------------------------------------------------- fsspec


@pytest.mark.skipif(importlib.util.find_spec("fsspec") is None, reason="the extra `files` is not installed")
def test_protocols_of_fsspec_are_staged_both_ways(tmp_path: Path) -> None:
    dm = manager(tmp_path)
    give(dm, "memory://bucket/x", b"content")
    (tmp_path / "x").unlink()
    assert take(dm, "memory://bucket/x") == b"content"


def test_without_fsspec_its_protocols_are_not_staged(monkeypatch: pytest.MonkeyPatch) -> None:
    find: Callable[..., Any] = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "fsspec" else find(name, *a))
    from parslish.staging import filesystem

    filesystem._protocols.cache_clear()
    try:
        with pytest.raises(ConfigurationError, match="'memory'"):
            manager().stage_in("site", File("memory://bucket/x"), read)
    finally:
        filesystem._protocols.cache_clear()
