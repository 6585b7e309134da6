"""Photos: finding the one that belongs to an image id; those that decode it are at hand here, too."""

from __future__ import annotations

import difflib
import os
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from posefix.errors import InputError
from posefix.photos.pixels import Exif, ReducedPhoto, decode_image, decode_reduced, read_size
from posefix.pose.poses import ImageId

__all__ = [
    "IMAGE_SUFFIXES",
    "Absent",
    "Exif",
    "ImageId",
    "MissingPhotosError",
    "ReducedPhoto",
    "decode_image",
    "decode_reduced",
    "find_images",
    "id_matcher",
    "image_finder",
    "image_ids_of",
    "is_path",
    "photo_sizes",
]

Absent = Literal["stop", "keep"]

IMAGE_SUFFIXES = frozenset(
    {".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".jp2", ".png", ".tif", ".tiff", ".webp"}
)
IDS_SHOWN = 5
MOST_SEARCHED = 20_000
"""So many files in subfolders are looked through for a photo that is missing, no more."""


class MissingPhotosError(InputError):
    """Some image ids have no photo in the folder."""


def find_images(
    image_ids: Collection[ImageId],
    folder: str | Path,
    file_names: Mapping[ImageId, str] | None = None,
    *,
    absent: Absent = "stop",
) -> dict[ImageId, Path]:
    """Find the photo of each image id.

    Without `file_names`, an id belongs to the photo in `folder` whose file name, its stem, or the number that
    ends the stem equals the id: 36 finds `000000000036.jpg` or `im00036.png`. Subfolders are not searched, hidden files
    (`._36.jpg`, which macOS leaves on other systems' disks) are no photos.

    Ids and names that are paths, of this machine or another, find the photo at the longest end of the path that lies
    in `folder`. Where nothing fits exactly, case and URL encoding do not matter (`my%20photo.JPG`).

    Args:
        image_ids: Ids to look for; repeated ones are looked up once.
        folder: Where the photos are.
        file_names: Image id -> path relative to `folder`, as in the `images` of a COCO annotation file.
        absent: "stop" refuses ids without a photo; "keep" gives them the file that would be theirs and is not there,
            for who deals with photos that cannot be read (`posefix.Refiner.refine`, on_error). Where no id at all has
            a photo, the folder must be another one, and both refuse.

    Returns:
        Image id -> file, in the order of `image_ids`.

    Raises:
        MissingPhotosError: There are ids without a photo.
        InputError: No such folder, an id that fits two photos, or a photo that two paths fit.

    Example:
        >>> find_images([36], "photos")  # doctest: +SKIP
        {36: PosixPath('photos/000000000036.jpg')}
    """
    return _Photos(Path(folder)).find(image_ids, file_names, absent)


def image_finder(
    folder: str | Path,
) -> Callable[[Collection[ImageId], Mapping[ImageId, str] | None], dict[ImageId, Path]]:
    """`find_images` of one folder for many calls, in which the folder is listed once; its `absent` is "keep".

    Args:
        folder: Where the photos are; what comes into it later may not be found.
    """
    photos = _Photos(Path(folder))
    return lambda image_ids, file_names: photos.find(image_ids, file_names, "keep")


def photo_sizes(
    folder: str | Path, file_names: Mapping[ImageId, str] | None = None, *, exif: Exif = "apply"
) -> Callable[[ImageId], tuple[int, int]]:
    """What tells width and height in pixels of the photo of an image id; no photo is decoded.

    Args:
        folder: Where the photos are; looked at when the first size is asked for.
        file_names: As in `find_images`.
        exif: As in `decode_image`.
    """
    photos = _Photos(Path(folder))

    @cache
    def size_of(image_id: ImageId) -> tuple[int, int]:
        return read_size(photos.find([image_id], file_names)[image_id], exif=exif)

    return size_of


def image_ids_of(photo: str | Path, image_ids: Collection[ImageId]) -> set[ImageId]:
    """The image ids that belong to a photo by its file name, as in `find_images`.

    Example:
        >>> image_ids_of("im00036.jpg", [36, 37, "im00036"]) == {36, "im00036"}
        True
    """
    keys = _file_keys(Path(photo))
    loose = set(map(_loosely, keys))
    texts = {image_id: _parts(str(image_id))[-1] for image_id in image_ids}
    return {one for one, name in texts.items() if _id_key(name) in keys or _loosely(name) in loose}


def id_matcher(names: Mapping[ImageId, str]) -> Callable[[ImageId], ImageId | None]:
    """What tells which of some photos an estimator means by an id, by the rule of `find_images`.

    Where both are paths, the folders of one must end those of the other: another folder's photo is another photo.
    Ids without folders find photos in all of them.

    Args:
        names: Id -> file name, or path, of each photo.

    Returns:
        Estimator's id -> id of `names`, None where it fits no photo; raises InputError where it fits two.
    """
    ids_of: dict[Path, list[ImageId]] = {}
    for known, name in names.items():
        ids_of.setdefault(Path(*_parts(name)), []).append(known)
    index = _Index(tuple(ids_of))

    def match(image_id: ImageId) -> ImageId | None:
        meant = Path(*_parts(str(image_id)))
        fitting = [meant] if meant in ids_of else _nearest(meant, index)
        _check_one(image_id, fitting, "annotations")
        ids = ids_of[fitting[0]] if fitting else [None]
        if len(ids) > 1:
            raise InputError(
                f"annotations: image id {image_id!r} fits two photos, those of ids {ids[0]!r} and {ids[1]!r}, which "
                f"are both called {fitting[0].name}; give each a file_name of its own"
            )
        return ids[0]

    return match


def _nearest(meant: Path, index: _Index) -> list[Path]:
    """Photos that fit a path's name and contradict none of its folders; of several those of which it says most."""
    found = _agreeing(meant, index.by_key.get(_id_key(meant.name), []))
    found = found or _agreeing(meant, index.by_loose_key.get(_loosely(meant.name), []))
    nearness = [_nearness(meant, path) for path in found]
    return [path for path, near in zip(found, nearness, strict=True) if near == max(nearness)]


def _agreeing(meant: Path, paths: Iterable[Path]) -> list[Path]:
    """Those of whose folders and a path's the ones end the others, in whatever case."""
    folders = _loosely(_folders(meant))
    return [path for path in paths if _ends(folders, _loosely(_folders(path)))]


def _nearness(meant: Path, path: Path) -> tuple[bool, int, bool]:
    """What puts one of the photos that a path may mean before another: no further folder, more of its own, case."""
    whole = _loosely(meant.as_posix()) == _loosely(path.as_posix())
    return whole, min(len(meant.parts), len(path.parts)), _ends(_folders(meant), _folders(path))


def _folders(path: Path) -> str:
    """The folders of a path, each after a slash, so that no text ends another but with whole folders."""
    return "".join(f"/{part}" for part in path.parts[:-1])


def _ends(one: str, other: str) -> bool:
    """Whether one text ends the other; none at all ends each."""
    return one.endswith(other) or other.endswith(one)


@dataclass(frozen=True)
class _Index:
    """Photos by what fits their names."""

    paths: tuple[Path, ...]

    @cached_property
    def by_key(self) -> dict[str, list[Path]]:
        """By names, stems and numbers."""
        photos: dict[str, list[Path]] = {}
        for path in self.paths:
            for key in _file_keys(path):
                photos.setdefault(key, []).append(path)
        return photos

    @cached_property
    def by_loose_key(self) -> dict[str, list[Path]]:
        """The same by their loose keys; made only where a name does not fit exactly."""
        photos: dict[str, list[Path]] = {}
        for key, paths in self.by_key.items():
            known = photos.setdefault(_loosely(key), [])
            known += [path for path in paths if path not in known]
        return photos

    def fitting(self, name: str) -> list[Path]:
        """Photos that fit a name, a stem or a number."""
        return self.by_key.get(_id_key(name)) or self.by_loose_key.get(_loosely(name), [])


@dataclass(frozen=True)
class _Photos:
    """The photos of a folder, which is listed once, and so are the folders in it that paths name."""

    folder: Path
    listed: dict[Path, dict[str, list[Path]]] = field(default_factory=dict)

    @cached_property
    def index(self) -> _Index:
        """The photos that lie in the folder itself.

        Raises:
            InputError: There is no such folder, or it cannot be read.
        """
        try:
            if not self.folder.is_dir():
                raise InputError(
                    f"images: expected a folder with photos, got {self.folder}, which is not a folder"
                    f"{_folder_meant(self.folder)}"
                )
            paths = tuple(self.folder.iterdir())
        except OSError as error:
            raise InputError(f"images: the folder {self.folder} cannot be read ({error.strerror})") from error
        return _Index(tuple(filter(_is_photo, paths)))

    @cached_property
    def nested(self) -> _Index:
        """Photos in subfolders, of which only messages tell: as many as are found quickly."""
        subfolders = ((Path(folder), names) for folder, _, names in os.walk(self.folder))
        paths = (folder / name for folder, names in subfolders if folder != self.folder for name in names)
        return _Index(tuple(filter(_is_photo, islice(paths, MOST_SEARCHED))))

    def find(
        self,
        image_ids: Collection[ImageId],
        file_names: Mapping[ImageId, str] | None,
        absent: Absent = "stop",
    ) -> dict[ImageId, Path]:
        """See `find_images`."""
        wanted = list(dict.fromkeys(image_ids))
        names: Mapping[ImageId, str] = {image_id: str(image_id) for image_id in wanted}
        hint = "the photo's file name, without its ending, or the number that ends it must equal the id"
        if file_names is not None:
            names, hint = file_names, "the annotation file must name a photo in this folder for every id"
        _ = self.index
        matches = {image_id: self._fitting(names[image_id]) for image_id in wanted if image_id in names}
        found = {image_id: paths for image_id, paths in matches.items() if paths}
        missing = [image_id for image_id in wanted if image_id not in found]
        if missing and (absent == "stop" or not found):
            if not found and all(isinstance(image_id, int) for image_id in wanted):
                hint += "; if they are numbers of frames, give their video instead (--video)"
            hint = self._elsewhere(names[image_id] for image_id in missing if image_id in names) or hint
            raise MissingPhotosError(f"{self.folder}: no photo for {_listing(missing)}; {hint}")
        claims: dict[Path, str] = {}
        for image_id, paths in found.items():
            _check_one(image_id, paths, str(self.folder))
            if is_path(names[image_id]) and claims.setdefault(paths[0], names[image_id]) != names[image_id]:
                raise InputError(
                    f"{self.folder}: {claims[paths[0]]!r} and {names[image_id]!r} are two photos, and only "
                    f"{paths[0].name} is there; give the folder that their paths begin in"
                )
        lost = {
            image_id: self.folder / _parts(names.get(image_id, str(image_id)))[-1] for image_id in missing
        }
        return {image_id: lost[image_id] if image_id in lost else found[image_id][0] for image_id in wanted}

    def _elsewhere(self, names: Iterable[str]) -> str:
        """What to do where a subfolder holds one of the missing photos; nothing where none does."""
        path = next(chain.from_iterable(self.nested.fitting(_parts(name)[-1]) for name in names), None)
        if path is None:
            return ""
        return (
            f"{path.name} lies in {path.parent}, and subfolders are not searched: name that folder (--images), or "
            "bring all photos into one"
        )

    def _fitting(self, text: str) -> list[Path]:
        """Photos that fit an id or a path."""
        # Without "..", so that no file's ids reach outside of the folder.
        parts = _parts(text)
        # Only a path needs a look at the disk for each id.
        for start in range(len(parts) - 1):
            path = self.folder.joinpath(*parts[start:])
            if path.is_relative_to(self.folder) and _is_file(path):
                return [path]
        for start in range(len(parts) - 1):
            if loosely := self._fitting_loosely(parts[start:]):
                return loosely
        named = self.folder / parts[-1]  # photos may have endings that are not among the usual ones
        return self.index.fitting(parts[-1]) or ([named] if named.suffix and _is_file(named) else [])

    def _fitting_loosely(self, parts: Sequence[str]) -> list[Path]:
        """Photos at a path whose folders and name may be written in another case, and without the ending."""
        fitting = [self.folder]
        for part in parts:
            fitting = [path for folder in fitting for path in self._entries(folder).get(_loosely(part), [])]
        return [path for path in fitting if _is_file(path)]

    def _entries(self, folder: Path) -> dict[str, list[Path]]:
        """What a folder holds by loose keys, of photos the stem too; listed once, and nothing where it cannot be."""
        if folder not in self.listed:
            entries: dict[str, list[Path]] = {}
            with suppress(OSError):
                for path in folder.iterdir():
                    for key in {path.name, path.stem if _is_photo(path) else path.name}:
                        entries.setdefault(_loosely(key), []).append(path)
            self.listed[folder] = entries
        return self.listed[folder]


def _folder_meant(folder: Path) -> str:
    """For a message: the folder of nearly this name that is there."""
    if not folder.parent.is_dir():
        return ""
    close = difflib.get_close_matches(folder.name, [path.name for path in folder.parent.iterdir()], n=1)
    there = close and folder.with_name(close[0]).is_dir()
    return f"; did you mean {folder.with_name(close[0])}?" if there else ""


def _is_photo(path: Path) -> bool:
    """Whether a name is a photo's, and not hidden."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False  # a name longer than a file's may be, or a folder that may not be looked into


def _check_one(image_id: ImageId, paths: list[Path], where: str) -> None:
    if len(paths) > 1:
        first, second = sorted(paths)[:2]
        raise InputError(
            f"{where}: image id {image_id!r} fits two photos, {first.name} and {second.name}; remove "
            "one of them or give the names in an annotation file"
        )


def _id_key(text: str) -> str:
    return _without_zeros(text) if re.fullmatch("[0-9]+", text) else text


def _parts(text: str) -> list[str]:
    """Folders and name of a path of any system, the name last; none that lead elsewhere, as .. does."""
    return [part for part in re.split(r"[/\\]+", text) if part not in ("", ".", "..")] or [""]


def is_path(text: str) -> bool:
    """Whether an id or a name says a folder, in the way of any system."""
    return "/" in text or "\\" in text


def _loosely(key: str) -> str:
    """A key without URL encoding and case; letters with accents may be stored in one piece or two."""
    return unicodedata.normalize("NFC", unquote(key)).casefold()


def _file_keys(path: Path) -> set[str]:
    """Keys of the ids that a file name fits: the name, its stem, and the number that ends the stem."""
    number = re.search("[0-9]+$", path.stem)
    return {path.name, path.stem, *([_without_zeros(number.group())] if number else ())}


def _without_zeros(digits: str) -> str:
    """A number's digits without leading zeros; compared as text, since file names may hold very many."""
    return digits.lstrip("0") or "0"


def _listing(image_ids: list[ImageId]) -> str:
    shown = ", ".join(map(repr, image_ids[:IDS_SHOWN]))
    rest = len(image_ids) - IDS_SHOWN
    noun = "image id" if len(image_ids) == 1 else f"{len(image_ids)} image ids:"
    return f"{noun} {shown}" + (f" and {rest} more" if rest > 0 else "")
