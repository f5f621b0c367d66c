"""Storage of files that several machines read: a shared folder, or a bucket.

Names are relative and have slashes: `runs/x/scores.json`. A folder shows what was there before or what came after, at
every moment and after a crash. A bucket does so for each file by itself: of several files a reader may find some old
and some new, so what belongs together carries digests.

Errors are OSErrors: FileNotFoundError for a name that does not exist, BucketFailed for any other failure of a bucket.
"""

from pathlib import Path

from pipeline.errors import BadSetting
from pipeline.storage.base import Storage
from pipeline.storage.bucket import Bucket
from pipeline.storage.folder import Folder

__all__ = ["Bucket", "Folder", "Storage", "check_address", "open_storage"]

_ON_DISK = ("file", "local")


def open_storage(address: str | Path, cache: Path, *, shared: bool = False) -> Storage:
    """Return the storage at a path or URL; `cache` is a folder for files fetched from a bucket.

    A folder is `shared` where other users may read it: see `Folder`.

    Raises BadSetting for a URL that no installed package can reach. Does not access it yet.
    """
    protocol, separator, rest = str(address).partition("://")
    if not separator or protocol in _ON_DISK:
        return Folder(Path(rest or address).expanduser().resolve(), shared)
    from upath import UPath  # fsspec takes 0.2 s, which only buckets need

    return Bucket(UPath(check_address(str(address))), cache)


def check_address(address: str) -> str:
    """Return a path or URL unchanged. Raises BadSetting for a URL that no installed package can reach."""
    protocol, separator, _ = address.partition("://")
    if separator and protocol not in _ON_DISK:
        from fsspec import get_filesystem_class

        try:
            get_filesystem_class(protocol)
        except ImportError as error:
            raise BadSetting(f"no package for {protocol}:// is installed: {error}") from None
        except ValueError:
            raise BadSetting(f"{protocol}:// is unknown; name a folder, or a bucket as in s3://BUCKET/FOLDER") from None
    return address
