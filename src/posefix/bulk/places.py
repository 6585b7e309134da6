"""Files at addresses: on disks and in object stores, read whole, and written whole or not at all.

On a disk a file is written under a temporary name and renamed. Object stores have no rename, but show an object only
when all of it has arrived.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from posefix.errors import InputError

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

Result = TypeVar("Result")

UNFINISHED = ".unfinished"
"""Folder within a place on a disk, in which files are written before they get their names."""
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
CONNECT_SECONDS, REQUEST_SECONDS = 10.0, 60.0
"""Of an object store: how long to wait for an answer, and for more of it."""
LONGEST_PAUSE = 30.0


@dataclass(frozen=True)
class Listed:
    """A file that a place holds.

    Attributes:
        address: Of the file.
        name: Relative to the place.
        bytes: Its size.
        changed: When it was written, in nanoseconds; what unchanged files are known by.
    """

    address: str
    name: str
    bytes: int
    changed: int


@dataclass(frozen=True)
class Patience:
    """How often something is tried that a store or a disk may refuse for a while.

    Attributes:
        attempts: In all.
        pause: Seconds before the second; each later pause is twice as long, up to `LONGEST_PAUSE`, and a little more
            at random, so that a fleet does not come back all at once.
    """

    attempts: int = 5
    pause: float = 0.5

    def __call__(self, work: Callable[[], Result]) -> Result:
        """What the work returns.

        Raises:
            FileNotFoundError: What it asks for is not there.
            OSError: It failed each time.
        """
        for attempt in range(self.attempts - 1):
            try:
                return work()
            except FileNotFoundError:
                raise
            except OSError:
                pause = min(self.pause * 2**attempt, LONGEST_PAUSE)
                time.sleep(pause * random.uniform(1.0, 1.25))
        return work()


def is_remote(address: str) -> bool:
    """Whether an address is of no disk."""
    return SCHEME.match(address) is not None and not address.startswith("file://")


def joined(address: str, name: str) -> str:
    """The address of something within a place."""
    return f"{address.rstrip('/')}/{name}"


def absolute(address: str) -> str:
    """An address that means the same wherever a program runs: a path on a disk with all its folders."""
    if is_remote(address):
        return address.rstrip("/")
    return os.path.abspath(address.removeprefix("file://"))  # noqa: PTH100 - without .., links as they are


def file_system(address: str) -> tuple[FileSystem, str]:
    """What reads an address, and the path by which it does.

    Raises:
        InputError: Nothing installed knows such addresses.
    """
    found = SCHEME.match(address)
    scheme = found.group(1).lower() if found else "file"
    path = address[found.end() :] if found else address
    if scheme in ("http", "https"):
        return _of_scheme(scheme), address
    if scheme == "s3" and not (_s3_endpoint() or os.environ.get("AWS_DEFAULT_REGION")):
        return _of_bucket(path.split("/", 1)[0]), path
    return _of_scheme(scheme), path


@cache
def _of_scheme(scheme: str) -> FileSystem:
    from pyarrow import fs

    if scheme == "file":
        return fs.LocalFileSystem()
    if scheme == "s3":
        return _s3(os.environ.get("AWS_DEFAULT_REGION") or os.environ.get("AWS_REGION") or "us-east-1")
    if scheme in ("gs", "gcs"):
        return fs.GcsFileSystem()
    import fsspec

    try:
        return fs.PyFileSystem(fs.FSSpecHandler(fsspec.filesystem(scheme)))
    except (ImportError, ValueError) as error:
        raise InputError(
            f"{scheme}://: nothing that is installed reads such addresses ({error}); install what fsspec asks for"
        ) from error


@cache
def _of_bucket(bucket: str) -> FileSystem:
    """Of Amazon's own store, which asks for each bucket's region."""
    from pyarrow import fs

    try:
        return _s3(fs.resolve_s3_region(bucket))
    except OSError as error:
        raise InputError(
            f"s3://{bucket}: cannot be asked for its region ({error}); set AWS_REGION"
        ) from error


def _s3(region: str) -> FileSystem:
    from pyarrow import fs

    endpoint = _s3_endpoint()
    scheme, _, host = endpoint.rpartition("://")
    return fs.S3FileSystem(
        region=region,
        endpoint_override=host or None,
        scheme=scheme or None,
        connect_timeout=CONNECT_SECONDS,
        request_timeout=REQUEST_SECONDS,
    )


def _s3_endpoint() -> str:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""


def read_bytes(address: str) -> bytes:
    """All bytes of a file.

    Raises:
        FileNotFoundError: There is none.
        OSError: It cannot be read.
    """
    if address.startswith(("http://", "https://")):
        return _read_web(address)
    system, path = file_system(address)
    with system.open_input_stream(path) as stream:
        return bytes(stream.read())


def _read_web(address: str) -> bytes:
    """All bytes of a file on the web, in one request: fsspec's files ask first, and take any failure for a lack."""
    import fsspec
    from aiohttp import ClientError

    try:
        return bytes(fsspec.filesystem("http").cat_file(address))
    except (ClientError, asyncio.TimeoutError) as error:
        raise OSError(f"{address}: {reason_of(error)}") from error


def list_files(address: str, *, deep: bool = True) -> Iterator[Listed]:
    """The files in a place, by name; of a place that is not there, none.

    Args:
        address: Of the place.
        deep: Whether to look into its folders.

    Raises:
        OSError: It cannot be listed.
    """
    from pyarrow import fs

    system, path = file_system(address)
    selector = fs.FileSelector(path.rstrip("/") or "/", recursive=deep, allow_not_found=True)
    found = [info for info in system.get_file_info(selector) if info.type == fs.FileType.File]
    start = len(selector.base_dir.rstrip("/")) + 1
    for info in sorted(found, key=lambda one: one.path):
        name = info.path[start:]
        yield Listed(joined(address, name), name, info.size, info.mtime_ns or 0)


def look_up(address: str) -> Listed | None:
    """A file by its address, None where there is none.

    Raises:
        OSError: Nobody may ask.
    """
    from pyarrow import fs

    system, path = file_system(address)
    info = system.get_file_info(path)
    if info.type != fs.FileType.File:
        return None
    return Listed(address, address.rstrip("/").rsplit("/", 1)[-1], info.size, info.mtime_ns or 0)


def is_folder(address: str) -> bool:
    """Whether an address is a folder's, in a store: whether anything begins with it.

    Raises:
        OSError: Nobody may ask.
    """
    from pyarrow import fs

    system, path = file_system(address)
    return bool(system.get_file_info(path.rstrip("/") or "/").type == fs.FileType.Directory)


@dataclass(frozen=True)
class Store:
    """A place that is written to.

    Attributes:
        address: Of its folder, or of the beginning of its objects.
    """

    address: str

    def at(self, name: str) -> str:
        """The address of one of its files."""
        return joined(self.address, name)

    def put(self, name: str, content: bytes) -> None:
        """Write a file, which appears whole or not at all, also if the machine loses its power.

        Raises:
            OSError: It cannot be written.
        """
        if is_remote(self.address):
            system, path = file_system(self.at(name))
            with system.open_output_stream(path) as stream:
                stream.write(content)
            return
        target = Path(self.address, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(self.address, UNFINISHED, secrets.token_hex(8))
        temporary.parent.mkdir(exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            if isinstance(error, FileNotFoundError):
                # Another run of this output began or ended, and cleared up: no lack of a file, but to be tried again.
                raise OSError(f"{temporary}: was removed by another run") from error
            raise

    def get(self, name: str) -> bytes | None:
        """The bytes of a file, None where there is none.

        Raises:
            OSError: It cannot be read.
        """
        try:
            return read_bytes(self.at(name))
        except FileNotFoundError:
            return None

    def remove(self, name: str) -> None:
        """Remove a file, if it is there.

        Raises:
            OSError: It cannot be removed.
        """
        system, path = file_system(self.at(name))
        with suppress(FileNotFoundError):
            system.delete_file(path)

    def files(self, folder: str) -> Iterator[Listed]:
        """The files of one of its folders, by name.

        Raises:
            OSError: It cannot be listed.
        """
        yield from list_files(self.at(folder))

    def clear_unfinished(self) -> None:
        """Remove what programs left behind that died while they wrote."""
        if not is_remote(self.address):
            shutil.rmtree(Path(self.address, UNFINISHED), ignore_errors=True)

    def check_writable(self) -> None:
        """Find out before the work whether anything can be written; leaves nothing behind.

        Raises:
            InputError: It cannot.
        """
        name = f"{UNFINISHED}-{secrets.token_hex(8)}"
        try:
            self.put(name, b"")
            self.remove(name)
        except OSError as error:
            raise InputError(f"{self.address}: cannot be written ({reason_of(error)})") from error


def reason_of(error: BaseException) -> str:
    """What an error says, in one line without a full stop."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split()).removesuffix(".")[:300]
