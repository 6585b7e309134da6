"""Where photos are, and how a worker comes by those of a unit.

On a disk they are read where they lie. From a store, the web or an archive they are fetched into a folder of the
worker's own, some at a time, and refined from there: so they are decoded as files on a disk are, to the same bytes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Protocol

from posefix.bulk.archives import Archives, is_archive
from posefix.bulk.places import (
    Patience,
    absolute,
    is_folder,
    is_remote,
    joined,
    list_files,
    read_bytes,
    reason_of,
)
from posefix.errors import InputError
from posefix.photos.finding import IMAGE_SUFFIXES, ImageId, MissingPhotosError, id_matcher, image_finder

COLUMN = "column:"
"""What WHERE begins with where a column of a Parquet data set holds addresses."""
AT_ONCE = 16
"""Photos that a worker fetches at a time: waiting for a store takes no processor."""
CHUNK = 512
"""Photos that are in a worker's folder at a time, for each of its units."""
PREFIX = "posefix-bulk-"
"""Of the names of workers' folders; their process follows."""


@dataclass(frozen=True)
class Lost:
    """A photo that cannot be had.

    Attributes:
        path: The file that is not there.
        reason: One sentence.
    """

    path: Path
    reason: str


Found = dict[ImageId, Path]
"""The file of each image id."""


class Photos(Protocol):
    """Where the photos of image ids are."""

    chunk: int | None
    """So many photos are asked for at a time; None for all of a unit."""

    def files(
        self, image_ids: Sequence[ImageId], names: Mapping[ImageId, str] | None, folder: Path
    ) -> tuple[Found, list[Lost]]:
        """The file of each image id; of a photo that cannot be had, one that is not there.

        Args:
            image_ids: Of the photos.
            names: Name of each photo; by default, ids are matched to names of files.
            folder: In which files may be put.

        Raises:
            InputError: An id fits two photos.
            OSError: The store does not answer.
        """


@dataclass
class PhotoFolder:
    """Photos in a folder on a disk.

    Attributes:
        folder: The folder.
        chunk: See `Photos`.
    """

    folder: Path
    chunk: int | None = None

    @cached_property
    def _find(self) -> Callable[[Sequence[ImageId], Mapping[ImageId, str] | None], Found]:
        return image_finder(self.folder)

    def files(
        self, image_ids: Sequence[ImageId], names: Mapping[ImageId, str] | None, folder: Path
    ) -> tuple[Found, list[Lost]]:
        """See `Photos`."""
        try:
            return self._find(image_ids, names), []
        except MissingPhotosError:
            # Nobody's photo is there: that is a fault of each photo, whatever else the folder holds.
            return {one: self.folder / str((names or {}).get(one, one)) for one in image_ids}, []


@dataclass
class FetchedPhotos:
    """Photos that are read from elsewhere.

    Attributes:
        address_of: The address of a photo, by id and by name where one is known; None where there is none.
        read: The bytes at an address. Raises FileNotFoundError and OSError.
        patience: With the store.
        chunk: See `Photos`.
    """

    address_of: Callable[[ImageId, str | None], str | None]
    read: Callable[[str], bytes]
    patience: Patience
    chunk: int | None = CHUNK

    def files(
        self, image_ids: Sequence[ImageId], names: Mapping[ImageId, str] | None, folder: Path
    ) -> tuple[Found, list[Lost]]:
        """See `Photos`."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            fetched = list(pool.map(lambda one: self._fetch(one, (names or {}).get(one), folder), image_ids))
        found = {one: path for one, (path, _) in zip(image_ids, fetched, strict=True)}
        return found, [lost for _, lost in fetched if lost is not None]

    def _fetch(self, image_id: ImageId, name: str | None, folder: Path) -> tuple[Path, Lost | None]:
        told = name or str(image_id)
        address = self.address_of(image_id, name)
        # Under a name of its own: two photos of a unit may be called alike in two folders.
        mark = hashlib.sha256(f"{type(image_id)}{image_id}".encode()).hexdigest()[:32]
        path = folder / f"{mark}{PurePosixPath(address or '').suffix[:8]}"
        if address is None:
            return path, Lost(path, f"{told}: there is no such photo")
        try:
            content = self.patience(lambda: self.read(address))
        except FileNotFoundError:
            return path, Lost(path, f"{address}: there is no such photo")
        path.write_bytes(content)
        return path, None


@dataclass
class RemoteFolder:
    """Names the photos of a folder in a store or on the web.

    Attributes:
        address: Of the folder.
        patience: With the store.
    """

    address: str
    patience: Patience
    _names: dict[str, str] = field(default_factory=dict)

    def __call__(self, image_id: ImageId, name: str | None) -> str | None:
        """The address of a photo. Names with the ending of a photo are taken as they are; else the folder is listed."""
        text = name or str(image_id)
        if PurePosixPath(text).suffix.lower() in IMAGE_SUFFIXES:
            return joined(self.address, text.lstrip("/"))
        if self.address.startswith("http"):
            raise InputError(
                f"{self.address}: image id {image_id!r} is no file's name, and folders on the web cannot be listed; "
                "name the photos with an annotation file (--annotations)"
            )
        match = self._matcher(text)
        return None if match is None else joined(self.address, str(match))

    def _matcher(self, text: str) -> ImageId | None:
        return self._match(int(text) if text.isdigit() else text)

    @cached_property
    def _match(self) -> Callable[[ImageId], ImageId | None]:
        found = self.patience(lambda: list(list_files(self.address, deep=False)))
        names: dict[ImageId, str] = {
            one.name: one.name for one in found if PurePosixPath(one.name).suffix.lower() in IMAGE_SUFFIXES
        }
        return id_matcher(names)


def open_photos(where: str, patience: Patience) -> Photos:
    """What finds photos.

    Args:
        where: A folder on a disk, in a store or on the web; an archive, a folder or a glob of archives (.tar) as
            WebDataset writes them; or `column:NAME`, where image ids are addresses themselves.
        patience: With stores.

    Raises:
        InputError: There is nothing.
    """
    if where.startswith(COLUMN):
        return FetchedPhotos(lambda image_id, name: absolute(name or str(image_id)), read_bytes, patience)
    address = absolute(where)
    try:
        if is_archive(address):
            archives = Archives(address, patience)
            return FetchedPhotos(archives.address_of, archives.read, patience)
        if not is_remote(address):
            return PhotoFolder(_checked(Path(address)))
        if not address.startswith("http") and not patience(lambda: is_folder(address)):
            raise InputError(f"images: expected a folder with photos, got {where}, where nothing is")
    except OSError as error:
        raise InputError(f"images: {where}: cannot be read ({reason_of(error)})") from error
    return FetchedPhotos(RemoteFolder(address, patience), read_bytes, patience)


def _checked(folder: Path) -> Path:
    if not folder.is_dir():
        raise InputError(f"images: expected a folder with photos, got {folder}, which is not a folder")
    return folder


@contextmanager
def own_folder() -> Iterator[Path]:
    """A folder for what a worker fetches; removed at the end, or by the machine's next worker if this one dies."""
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def clear_folders() -> None:
    """Remove what workers of this machine left behind that died."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        number = folder.name.removeprefix(PREFIX).split("-")[0]
        if number.isdigit() and not _is_alive(int(number)):
            shutil.rmtree(folder, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
