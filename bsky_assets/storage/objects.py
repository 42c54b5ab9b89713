"""A bucket of object storage, as a place of the lake.

A file is staged on the local disk, sent whole, and appears when the last byte has arrived, so
that a commit is the one request that puts its pointer. Requests are signed and retried by Arrow,
which finds credentials where Amazon's own tools find them.
What does not belong here: what is kept in a bucket, and how DuckDB is shown it.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import duckdb
import pyarrow as pa
from pyarrow import fs

from bsky_assets.errors import UserError
from bsky_assets.storage.files import StoredFile, file_of, make_folder, unfinished, unusable

_SCHEME = "s3"
REQUESTS_AT_ONCE = 32
"""Small reads that are under way together; each is mostly waiting."""

_PROBLEMS = {
    "ACCESS_DENIED": "refuses access",
    "INVALID_ACCESS_KEY_ID": "does not know the access key",
    "SIGNATURE_DOES_NOT_MATCH": "does not take the secret key",
    "EXPIRED_TOKEN": "says that the session has expired",
    "NETWORK_CONNECTION": "cannot be reached",
    "NO_SUCH_BUCKET": "has no such bucket",
}
_CREDENTIALS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"


class UnusableObjectStorage(UserError):
    """The bucket of the lake cannot be read or written to."""


@dataclass(frozen=True)
class ObjectPath:
    """A file in a bucket."""

    bucket: "Bucket"
    key: str
    """Below the prefix of the lake."""

    def __str__(self) -> str:
        return f"{self.bucket.url}/{self.key}"

    @property
    def name(self) -> str:
        """The last part."""
        return PurePosixPath(self.key).name

    @property
    def stem(self) -> str:
        """The last part without its suffix."""
        return PurePosixPath(self.key).stem

    def open(self) -> pa.NativeFile:
        """For reading at any place, by any number of threads; only for files that never change."""
        return _opened(self)


@dataclass(frozen=True)
class Bucket:
    """A bucket and, within it, the prefix of the lake; it holds no credentials.

    The methods raise `UnusableObjectStorage` where the storage refuses, fails or is not there.
    """

    url: str
    """s3://bucket/prefix"""
    endpoint: str | None
    """Where it is served; None for Amazon."""
    work: Path
    """The local folder of locks, and of files on their way."""

    def path(self, key: str) -> ObjectPath:
        return ObjectPath(self, key)

    def read(self, key: str) -> bytes:
        """What the file `key` holds now.

        Raises:
            FileNotFoundError: there is no such file.
        """
        with self._explained(), self.files.open_input_stream(self._object(key)) as stream:
            return bytes(stream.read())

    def read_all(self, keys: Iterable[str]) -> list[bytes]:
        """What the files `keys` hold now."""
        return in_parallel(self.read, keys)

    def write(self, key: str, content: bytes) -> None:
        """Put `content` at `key`, whole, in one request."""
        with self._explained(), self.files.open_output_stream(self._object(key)) as stream:
            stream.write(content)

    @contextmanager
    def staged(self, key: str) -> Iterator[Path]:
        """A local path to write to; on success it is sent to `key`, and in any case removed.

        Raises:
            UnusableDataDirectory: the local folder cannot be written to, or the disk is full.
        """
        make_folder(self.work)
        temporary = unfinished(Path(key), self.work)
        try:
            try:
                yield temporary
            except OSError as error:
                raise unusable(self.work, error) from error
            self._send(temporary, key)
        finally:
            temporary.unlink(missing_ok=True)

    def named(self, folder: str, name: str) -> list[str]:
        """The keys of the files called `name` anywhere below `folder`."""
        return [key for key, _ in self._listed(folder) if PurePosixPath(key).name == name]

    def stored(self) -> Iterator[StoredFile]:
        """Every file, and what a killed process left on its way here."""
        for key, info in self._listed(""):
            remove = partial(self.remove, key)
            yield StoredFile(self.path(key), info.size, info.mtime.timestamp(), remove)
        if self.work.is_dir():
            yield from (file_of(path) for path in self.work.glob(".*.parquet.*"))

    def attach(self, con: duckdb.DuckDBPyConnection) -> None:
        """Let `con` read the files by their URLs."""
        # fsspec is slow to import, and of no use where the lake is a folder.
        from bsky_assets.storage.object_files import ObjectFiles

        if not con.filesystem_is_registered(_SCHEME):
            con.register_filesystem(ObjectFiles(_SCHEME, self._open))

    def _open(self, url: str) -> pa.NativeFile:
        return self.path(url.removeprefix(f"{self.url}/")).open()

    @property
    def files(self) -> fs.FileSystem:
        """Arrow's file system, once it is sure that the bucket is there and lets us in."""
        return _checked(self)

    def _object(self, key: str) -> str:
        return f"{self.url.removeprefix(f'{_SCHEME}://')}/{key}"

    def remove(self, key: str) -> None:
        """Remove the file `key`, if it is there."""
        with suppress(FileNotFoundError), self._explained():
            self.files.delete_file(self._object(key))

    def _send(self, local: Path, key: str) -> None:
        with self._explained():
            fs.copy_files(
                str(local),
                self._object(key),
                source_filesystem=fs.LocalFileSystem(),
                destination_filesystem=self.files,
            )

    def _listed(self, folder: str) -> Iterator[tuple[str, fs.FileInfo]]:
        base = self._object(folder).rstrip("/")
        selector = fs.FileSelector(base, recursive=True, allow_not_found=True)
        with self._explained():
            found = self.files.get_file_info(selector)
        start = len(self._object(""))
        for info in found:
            if info.type == fs.FileType.File:
                yield info.path[start:], info

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            raise _unusable(self, error) from None


def in_parallel(function: Any, items: Iterable[Any]) -> list[Any]:
    """What `function` gives for each of `items`, in their order, many at a time."""
    with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
        return list(pool.map(function, items))


@cache
def _checked(bucket: Bucket) -> fs.FileSystem:
    files = _file_system(bucket.endpoint)
    name = urlsplit(bucket.url).netloc
    try:
        found = files.get_file_info(name)
    except OSError as error:
        raise _unusable(bucket, error) from None
    if found.type == fs.FileType.NotFound:
        raise UnusableObjectStorage(
            f"there is no bucket {name!r} at {bucket.endpoint or 'Amazon S3'}; make it, or set "
            "BSKY_LAKE_URL to one that is there"
        )
    return files


@cache
def _file_system(endpoint: str | None) -> fs.FileSystem:
    try:
        from pyarrow.fs import S3FileSystem
    except ImportError:
        raise UnusableObjectStorage(
            "this pyarrow cannot read object storage; install it with "
            "pip install -c constraints.txt -e '.[s3]', or "
            "from conda-forge as pyarrow and not as pyarrow-core"
        ) from None
    # A small file is sent when it is closed, by one request.
    return S3FileSystem(endpoint_override=endpoint, allow_delayed_open=True)


@lru_cache(maxsize=65_536)
def _opened(path: ObjectPath) -> pa.NativeFile:
    return path.bucket.files.open_input_file(str(path).removeprefix(f"{_SCHEME}://"))


def _unusable(bucket: Bucket, error: OSError) -> UnusableObjectStorage:
    """The error that says what is wrong; Arrow's has names of requests and hosts, no secrets."""
    line = str(error).splitlines()[0]
    problem = next((told for code, told in _PROBLEMS.items() if code in line), "failed")
    return UnusableObjectStorage(
        f"the object storage of {bucket.url} {problem}: {line}; see that BSKY_LAKE_URL and "
        f"BSKY_LAKE_ENDPOINT_URL are right, and that {_CREDENTIALS}, say who may use it"
    )
