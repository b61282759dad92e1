"""Owns inputs from http, https and ftp servers, fetched within the task; nothing is sent to such servers."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from typing import IO
from urllib.parse import unquote, urlsplit

from parslish.files import File
from parslish.staging.base import InTaskStaging

# Of silence: a large file may take longer.
_TIMEOUT_S = 60


def fetch_http(file: File) -> None:
    """Download `file.url` to `file.local_path`.

    Raises:
        OSError: the server refused, was silent for a minute, or broke off.
    """
    import urllib.request  # 20 ms that only workers which fetch should pay

    with urllib.request.urlopen(file.url, timeout=_TIMEOUT_S) as reply, replacing(file.filepath) as copy:
        shutil.copyfileobj(reply, copy)
        # copyfileobj takes a connection that breaks off for the end of the file
        announced = reply.headers.get("Content-Length")
        if announced is not None and copy.tell() != int(announced):
            raise OSError(f"{file.url}: got {copy.tell()} of {announced} bytes")


def fetch_ftp(file: File) -> None:
    """Download `file.url` to `file.local_path`; not by urllib, which for a folder gives its listing.

    Raises:
        OSError: as `fetch_http`.
    """
    import ftplib

    url = urlsplit(file.url)
    folder, _, name = unquote(url.path).rpartition("/")
    with ftplib.FTP(timeout=_TIMEOUT_S) as server, replacing(file.filepath) as copy:
        try:
            server.connect(url.hostname or "", url.port or ftplib.FTP_PORT)
            server.login(unquote(url.username or ""), unquote(url.password or ""))
            server.cwd(folder or "/")
            server.retrbinary(f"RETR {name}", copy.write)
        except ftplib.Error as exc:
            raise OSError(f"{file.url}: {exc}") from exc


@contextlib.contextmanager
def replacing(path: str) -> Iterator[IO[bytes]]:
    """A new file that takes `path`'s place when the body ends well, and vanishes when it fails.

    Two tasks that fetch the same file at once then never see half of it.
    """
    folder = os.path.dirname(path) or "."
    os.makedirs(folder, exist_ok=True)
    # Not by tempfile: its files are private, and stay so under the final name.
    temporary = os.path.join(folder, f".staging-{uuid.uuid4().hex}")
    try:
        with open(temporary, "xb") as copy:
            yield copy
        with contextlib.suppress(FileNotFoundError):
            shutil.copymode(path, temporary)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


class HTTPInTaskStaging(InTaskStaging):
    """Inputs from http and https servers."""

    schemes = frozenset({"http", "https"})
    fetch = staticmethod(fetch_http)


class FTPInTaskStaging(InTaskStaging):
    """Inputs from ftp servers."""

    schemes = frozenset({"ftp"})
    fetch = staticmethod(fetch_ftp)
