"""Owns how files reach a worker and leave it.

Read `base`, the contract, then `plug`, which the kernel calls:
plug → fetch (http, ftp), zipped (zip), filesystem (fsspec) → base.
"""

from parslish.staging.base import NoOpFileStaging, Staging
from parslish.staging.fetch import FTPInTaskStaging, HTTPInTaskStaging
from parslish.staging.filesystem import FilesystemStaging
from parslish.staging.plug import DataManager, default_staging
from parslish.staging.zipped import ZipFileStaging

__all__ = [
    "DataManager",
    "FTPInTaskStaging",
    "FilesystemStaging",
    "HTTPInTaskStaging",
    "NoOpFileStaging",
    "Staging",
    "ZipFileStaging",
    "default_staging",
]
