"""Photos: finding the one that belongs to an image id, and decoding it."""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from posefix.errors import InputError

ImageId = int | str
Exif = Literal["apply", "ignore"]

IMAGE_SUFFIXES = frozenset(
    {".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".jp2", ".png", ".tif", ".tiff", ".webp"}
)
IDS_SHOWN = 5
ORIENTATION_TAG = 0x0112

# EXIF orientation -> what turns the stored picture upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What Pillow's readers raise on damaged files.
_DECODING_ERRORS = (
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def decode_image(source: str | Path | bytes, *, exif: Exif = "apply") -> npt.NDArray[np.uint8]:
    """Decode a photo to 8-bit RGB, whatever it is: grey, palette, CMYK, with alpha, 16-bit.

    Alpha is dropped and 16 bits are cut to the upper 8, as estimators that read with OpenCV see the photo.

    Args:
        source: A file, or the bytes of one.
        exif: "apply" turns the photo upright as its EXIF orientation says; "ignore" leaves it as stored.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        InputError: The file cannot be opened, is not an image, or is damaged or truncated.
    """
    name = "image" if isinstance(source, bytes) else str(source)
    # Pillow, not OpenCV: OpenCV 4 fills the missing part of a truncated JPEG with grey and says nothing,
    # Pillow raises. Their pixels of intact COCO photos are equal; Pillow takes 2.5 ms instead of 2, behind
    # the network.
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as photo:
            upright = _UPRIGHT.get(_orientation(photo)) if exif == "apply" else None
            rgb = _to_rgb(photo, name)
        return np.array(rgb.transpose(upright) if upright is not None else rgb)
    except InputError:
        raise
    except _DECODING_ERRORS as error:
        raise InputError(f"{name}: cannot be read as a photo ({error}); replace the file") from error


def find_images(
    image_ids: Collection[ImageId], folder: str | Path, file_names: Mapping[ImageId, str] | None = None
) -> dict[ImageId, Path]:
    """Find the photo of each image id.

    Without `file_names`, an id belongs to the photo in `folder` whose file name, its stem, or the number that
    ends the stem equals the id: 36 finds `000000000036.jpg` or `im00036.png`. Subfolders are not searched, hidden files
    (`._36.jpg`, which macOS leaves on other systems' disks) are no photos.

    Args:
        image_ids: Ids to look for; repeated ones are looked up once.
        folder: Where the photos are.
        file_names: Image id -> path relative to `folder`, as in the `images` of a COCO annotation file.

    Returns:
        Image id -> file, in the order of `image_ids`.

    Raises:
        InputError: No such folder, ids without a photo, or an id that fits two photos.

    Example:
        >>> find_images([36], "photos")  # doctest: +SKIP
        {36: PosixPath('photos/000000000036.jpg')}
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"images: expected a folder with photos, got {folder}, which is not a folder")
    wanted = list(dict.fromkeys(image_ids))
    if file_names is None:
        matches = _match_by_name(wanted, folder)
        hint = "the photo's file name, without its ending, or the number that ends it must equal the id"
    else:
        matches = _match_by_list(wanted, folder, file_names)
        hint = "the annotation file must name a photo in this folder for every id"
    missing = [image_id for image_id in wanted if not matches[image_id]]
    if missing:
        raise InputError(f"{folder}: no photo for {_listing(missing)}; {hint}")
    for image_id, paths in matches.items():
        if len(paths) > 1:
            first, second = sorted(paths)[:2]
            raise InputError(
                f"{folder}: image id {image_id!r} fits two photos, {first.name} and {second.name}; remove "
                "one of them or give the names in an annotation file"
            )
    return {image_id: matches[image_id][0] for image_id in wanted}


def image_ids_of(photo: str | Path, image_ids: Collection[ImageId]) -> set[ImageId]:
    """The image ids that belong to a photo by its file name, as in `find_images`.

    Example:
        >>> image_ids_of("im00036.jpg", [36, 37, "im00036"]) == {36, "im00036"}
        True
    """
    keys = _file_keys(Path(photo))
    return {image_id for image_id in image_ids if _id_key(image_id) in keys}


def _orientation(photo: Image.Image) -> int:
    try:
        return int(photo.getexif().get(ORIENTATION_TAG, 1))
    except (*_DECODING_ERRORS, TypeError):
        return 1  # A damaged EXIF block says nothing about orientation; viewers show such photos as stored.


def _to_rgb(photo: Image.Image, name: str) -> Image.Image:
    if photo.mode == "F":
        raise InputError(
            f"{name}: pixels are floating-point numbers, expected 8 or 16 bits; convert the photo"
        )
    if photo.mode == "P":
        return photo.convert("RGBA").convert("RGB")  # at once, Pillow warns of lost transparency
    if not photo.mode.startswith("I"):
        return photo.convert("RGB")
    grey = np.asarray(photo).astype(np.int64)  # I;16 and I: Pillow's own conversion would clip at 255
    if grey.size and not 0 <= grey.min() <= grey.max() <= np.iinfo(np.uint16).max:
        raise InputError(f"{name}: pixels have 32 bits, expected 8 or 16; convert the photo")
    return Image.fromarray((grey >> 8).astype(np.uint8)).convert("RGB")


def _match_by_name(image_ids: list[ImageId], folder: Path) -> dict[ImageId, list[Path]]:
    by_key: dict[str, list[ImageId]] = defaultdict(list)
    for image_id in image_ids:
        by_key[_id_key(image_id)].append(image_id)
    matches: dict[ImageId, list[Path]] = {image_id: [] for image_id in image_ids}
    for path in folder.iterdir():
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith("."):
            for image_id in (image_id for key in _file_keys(path) for image_id in by_key.get(key, ())):
                matches[image_id].append(path)
    return matches


def _match_by_list(
    image_ids: list[ImageId], folder: Path, file_names: Mapping[ImageId, str]
) -> dict[ImageId, list[Path]]:
    matches: dict[ImageId, list[Path]] = {}
    for image_id in image_ids:
        path = folder / file_names[image_id] if image_id in file_names else None
        matches[image_id] = [path] if path is not None and path.is_file() else []
    return matches


def _id_key(image_id: ImageId) -> str:
    return _without_zeros(str(image_id)) if re.fullmatch("[0-9]+", str(image_id)) else str(image_id)


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
