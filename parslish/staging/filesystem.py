"""Owns files on whatever fsspec knows (s3, gs, sftp, …), both ways; leaves credentials to fsspec."""

from __future__ import annotations

import functools
import importlib.util
import shutil

from parslish.files import File
from parslish.staging.base import InTaskStaging
from parslish.staging.fetch import replacing


def fetch_file(file: File) -> None:
    """Copy `file.url` to `file.local_path`."""
    import fsspec

    with fsspec.open(file.url, "rb") as remote, replacing(file.filepath) as copy:
        shutil.copyfileobj(remote, copy)


def store_file(file: File) -> None:
    """Copy `file.local_path` to `file.url`."""
    import fsspec

    with open(file.filepath, "rb") as local, fsspec.open(file.url, "wb") as remote:
        shutil.copyfileobj(local, remote)


class FilesystemStaging(InTaskStaging):
    """Files under the protocols of fsspec (the extra `files`), which is imported for the first such file."""

    fetch = staticmethod(fetch_file)
    store = staticmethod(store_file)

    def can_stage_in(self, file: File) -> bool:
        return file.scheme in _protocols()

    def can_stage_out(self, file: File) -> bool:
        return file.scheme in _protocols()


@functools.cache
def _protocols() -> frozenset[str]:
    if importlib.util.find_spec("fsspec") is None:
        return frozenset()
    import fsspec

    return frozenset(fsspec.available_protocols())
