"""The pixels of a photo: decoded to RGB, upright, and smaller where no more is needed."""

from __future__ import annotations

import io
import stat
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from posefix.errors import InputError

Exif = Literal["apply", "ignore"]
Turn = tuple[bool, int, int]
"""Whether width and height change places, and the steps, 1 or -1, in which the stored rows and columns are found in the
upright picture after that."""

_ORIENTATION_TAG = 0x0112

# By EXIF orientation.
_TURNS = {
    2: (False, 1, -1),
    3: (False, -1, -1),
    4: (False, -1, 1),
    5: (True, 1, 1),
    6: (True, -1, 1),
    7: (True, -1, -1),
    8: (True, 1, -1),
}
_AS_STORED = (False, 1, 1)
_UNDONE_BY = {6: 8, 8: 6}
"""The orientations that turn a picture back; the others undo themselves."""
_TURNED_BY_PILLOW = ("TIFF",)
"""Formats that Pillow turns upright itself when it loads them; the size it gives before is, as a rule, that of then."""
REDUCTIONS = (8, 4, 2)
"""How many times smaller a JPEG can be decoded: libjpeg then computes 1, 2 or 4 pixels of each 8 by 8 block's side."""
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "AVIF", "JPEG2000", "HEIF")
"""What photos are, as Pillow calls it; HEIF where somebody registered a reader of it. Pillow reads much else,
whatever a file is called, and starts Ghostscript for an EPS."""
OTHER_THINGS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
"""What may have a photo's name, and is not to be waited for."""
LEAST_SIDE = 8
"""No side of a reduced photo is shorter, in pixels; from there on Pillow's rounding never picks another reduction."""
STRIP_PIXELS = 2**20
"""So many pixels are made RGB and handed from Pillow to NumPy at once: all at once would hold the photo thrice more."""
HUGE_PIXELS = 50_000_000
"""Photos with more are averaged to a smaller size in every format, not in JPEG alone, where no more is needed."""
# What Pillow's readers raise on damaged files, and on huge ones; of large ones it warns, which may be an error.
_DECODING_ERRORS = (
    OSError,
    EOFError,
    MemoryError,
    RuntimeError,
    SyntaxError,
    ValueError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


@dataclass(frozen=True)
class ReducedPhoto:
    """A photo that was decoded a whole number of times smaller, or as it is.

    Attributes:
        pixels: (h, w, 3) uint8 RGB, each pixel the photo's `factor` by `factor` pixels around the same place; what
            is left over at the photo's borders, less than a pixel, is cut off.
        factor: How many times smaller: 8, 4, 2 or 1.
        to_photo: (2, 3), pixels here -> pixels of the photo.
    """

    pixels: npt.NDArray[np.uint8]
    factor: int
    to_photo: npt.NDArray[np.float64]


def decode_image(source: str | Path | bytes, *, exif: Exif = "apply") -> npt.NDArray[np.uint8]:
    """Decode a photo to 8-bit RGB, whatever it is: grey, palette, CMYK, with alpha, 16-bit.

    Alpha is dropped and 16 bits are cut to the upper 8, as estimators that read with OpenCV see the photo.

    Args:
        source: A file, or the bytes of one.
        exif: "apply" turns the photo upright as its EXIF orientation says; "ignore" leaves it as stored.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        InputError: There is no such file, it cannot be opened, is not an image, or is damaged or truncated.
    """
    return decode_reduced(source, 1, exif=exif).pixels


def decode_reduced(source: str | Path | bytes, most: float, *, exif: Exif = "apply") -> ReducedPhoto:
    """Decode a photo as `decode_image` does, but smaller where that is cheaper and no more is needed.

    JPEG files, the format of large photos, get smaller: their pixels are computed for each block from its lowest
    frequencies. 12 megapixels take two fifths of the time and a third of the memory at half the size, a quarter of the
    time and a twentieth of the memory at an eighth. In other formats only huge photos do, by means over blocks.

    Args:
        source: As in `decode_image`.
        most: How many times smaller the photo may be; the largest of 8, 4 and 2 that is not above it is taken.
        exif: As in `decode_image`.

    Raises:
        InputError: As in `decode_image`.
    """
    # Pillow, not OpenCV: OpenCV 4 fills the missing part of a truncated JPEG with grey and says nothing,
    # Pillow raises. Their pixels of intact COCO photos are equal; Pillow takes 2.5 ms instead of 2, behind
    # the network.
    with _opened(source) as photo:
        turn = _turn(photo, exif)
        if photo.format in _TURNED_BY_PILLOW:
            photo.load()
        size_wh = photo.size
        factor = _reduction(size_wh, most)
        drafted = _draft(photo, factor)
        if not drafted and size_wh[0] * size_wh[1] <= HUGE_PIXELS:
            factor = 1
        cut_wh = size_wh[0] // factor, size_wh[1] // factor
        pixels = _upright(photo, _name(source), cut_wh, 1 if drafted else factor, turn)
    return ReducedPhoto(pixels, factor, _to_photo(size_wh, factor, turn))


def read_size(path: str | Path, *, exif: Exif = "apply") -> tuple[int, int]:
    """Width and height of a photo in pixels, which is not decoded.

    Args:
        path: The file.
        exif: As in `decode_image`.

    Raises:
        InputError: There is no such file, it cannot be opened or is not an image.
    """
    with _opened(path) as photo:
        sideways, _, _ = _turn(photo, exif)
        return photo.size[::-1] if sideways else photo.size


def pixels_to_decode(path: str | Path, most: float = 1.0) -> int:
    """How many pixels of a photo are in memory while `decode_reduced` decodes it.

    Raises:
        InputError: As in `read_size`.
    """
    with _opened(path) as photo:
        width, height = photo.size
        return width * height // (_reduction(photo.size, most) ** 2 if photo.format == "JPEG" else 1)


@contextmanager
def _opened(source: str | Path | bytes) -> Iterator[Image.Image]:
    """A photo, not decoded yet; whatever Pillow raises of it is told as a fault of the file.

    Raises:
        InputError: It is no photo, or damaged.
    """
    try:
        with _open(source) as photo:
            yield photo
    except InputError:
        raise
    except _DECODING_ERRORS as error:
        raise _unreadable(_name(source), error) from error


def _name(source: str | Path | bytes) -> str:
    return "image" if isinstance(source, bytes) else str(source)


def _open(source: str | Path | bytes) -> Image.Image:
    """A photo that is not decoded yet.

    Raises:
        InputError: It is no file at all.
    """
    if isinstance(source, bytes):
        return Image.open(io.BytesIO(source), formats=_formats())
    mode = Path(source).stat().st_mode
    if not stat.S_ISREG(mode):
        kind = next((name for is_one, name in OTHER_THINGS if is_one(mode)), "something else")
        raise InputError(f"{source}: expected a photo, got {kind}; replace it")
    return Image.open(source, formats=_formats())


def _formats() -> tuple[str, ...]:
    """Those of `FORMATS` that Pillow reads here, which it asks for."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _unreadable(name: str, error: Exception) -> InputError:
    """What to tell of a photo that is not there or cannot be read."""
    if isinstance(error, FileNotFoundError):
        return InputError(f"{name}: there is no such photo; add it")
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return InputError(
            f"{name}: has more pixels than Pillow is allowed to decode; make the photo smaller, or from Python, if you "
            "trust it, set PIL.Image.MAX_IMAGE_PIXELS to None"
        )
    return InputError(f"{name}: cannot be read as a photo ({error}); replace the file")


def _turn(photo: Image.Image, exif: Exif) -> Turn:
    """What is left to be done to a photo as Pillow loads it; to be asked before it is loaded."""
    turned = photo.format in _TURNED_BY_PILLOW
    if (exif == "apply") == turned:
        return _AS_STORED
    try:
        orientation = int(photo.getexif().get(_ORIENTATION_TAG, 1))
    except (*_DECODING_ERRORS, TypeError):
        # A damaged EXIF block says nothing about orientation; viewers show such photos as stored.
        return _AS_STORED
    return _TURNS.get(_UNDONE_BY.get(orientation, orientation) if turned else orientation, _AS_STORED)


def _reduction(size_wh: tuple[int, int], most: float) -> int:
    """How many times smaller a photo is decoded, if it can be."""
    fitting = (one for one in REDUCTIONS if one <= most and min(size_wh) // one >= LEAST_SIDE)
    return next(fitting, 1)


def _draft(photo: Image.Image, factor: int) -> bool:
    """Have a photo decoded so many times smaller, if its format can: whether it will be."""
    return factor > 1 and bool(photo.draft(None, (photo.width // factor, photo.height // factor)))


def _upright(
    photo: Image.Image, name: str, size_wh: tuple[int, int], mean_of: int, turn: Turn
) -> npt.NDArray[np.uint8]:
    """The first columns and rows of a stored picture in RGB, turned upright.

    Args:
        photo: As stored.
        name: For messages.
        size_wh: Columns and rows that are left.
        mean_of: Each pixel is the mean of a block of so many by so many.
        turn: See `Turn`.
    """
    sideways, step_y, step_x = turn
    width, height = size_wh
    upright = np.empty((width, height, 3) if sideways else (height, width, 3), dtype=np.uint8)
    stored = (upright.swapaxes(0, 1) if sideways else upright)[::step_y, ::step_x]
    rows = max(1, STRIP_PIXELS // max(1, width * mean_of**2))
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        box = (0, top * mean_of, width * mean_of, bottom * mean_of)
        stored[top:bottom] = np.asarray(_to_rgb(photo.crop(box), name).reduce(mean_of))
    return upright


def _to_photo(size_wh: tuple[int, int], factor: int, turn: Turn) -> npt.NDArray[np.float64]:
    """Upright reduced pixels -> upright pixels of a photo of this stored size, (2, 3)."""
    sideways, step_y, step_x = turn
    # A small pixel i has its centre at (i + 0.5) * factor - 0.5. What was cut off at the right or at the bottom is
    # missing on the left or at the top when the picture is mirrored.
    left_over = [
        side % factor if step < 0 else 0 for side, step in zip(size_wh, (step_x, step_y), strict=True)
    ]
    offset = (factor - 1) / 2 + np.array(left_over[::-1] if sideways else left_over)
    return np.column_stack([np.eye(2) * factor, offset])


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
