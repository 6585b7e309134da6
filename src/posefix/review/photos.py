"""Photos as the page gets them: scaled down where they are large, and sharp around the person who is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from posefix.photos.finding import Exif, decode_image
from posefix.pictures.drawing import Image
from posefix.pose import geometry
from posefix.pose.poses import BoolArray, FloatArray

LONGEST_SIDE = 1800
"""Pixels that a whole photo and a close-up are sent with at most, along the longer side."""
CLOSE_UP_FACTOR = 2.0
"""How much larger than the person a close-up is."""
JPEG_QUALITY = 90
DECODED_PHOTOS = 3
"""How many decoded photos are kept: this person's, the next one's and the one's before."""


@dataclass(frozen=True)
class Part:
    """A part of a photo: left, top, width and height in whole pixels."""

    left: int
    top: int
    width: int
    height: int


@lru_cache(maxsize=DECODED_PHOTOS)
def decoded(path: Path, exif: Exif) -> Image:
    """A photo, (H, W, 3) uint8 RGB; the last few are kept.

    Raises:
        InputError: It cannot be read.
    """
    return decode_image(path, exif=exif)


def jpeg(image: Image, part: Part | None = None) -> bytes:
    """A photo, or a part of it, as JPEG with at most `LONGEST_SIDE` pixels along its longer side.

    Args:
        image: (H, W, 3) uint8 RGB.
        part: Which part; the whole photo by default.
    """
    if part is not None:
        image = image[part.top : part.top + part.height, part.left : part.left + part.width]
    scale = LONGEST_SIDE / max(image.shape[:2])
    if scale < 1:
        size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    shown = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", shown, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return encoded.tobytes()


def close_up(size_wh: tuple[int, int], keypoints: FloatArray, valid: BoolArray) -> Part | None:
    """The part of a large photo that is sent sharply, besides the whole.

    Args:
        size_wh: Width and height of the photo.
        keypoints: (N, K, 2) poses of the person, in pixels of the photo.
        valid: (N, K).

    Returns:
        The part around the person; None where the whole photo is sharp, or the person is outside it.
    """
    if max(size_wh) <= LONGEST_SIDE or not valid.any():
        return None
    points = np.clip(keypoints[valid], 0, np.array(size_wh) - 1.0)
    tight = np.concatenate([points.min(axis=0), np.ptp(points, axis=0)])[None]
    left, top, width, height = geometry.enlarge(tight, CLOSE_UP_FACTOR)[0]
    low = np.clip(np.floor([left, top]), 0, size_wh).astype(int)
    high = np.clip(np.ceil([left + width, top + height]), 0, size_wh).astype(int)
    if (high - low).min() < 1:
        return None
    return Part(int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1]))
