"""How much of a photo is kept around a person, and in how many pixels.

A context is a square about the person's true pose, cut off at the photo's edges, that holds nearly all crops which
training makes of the person: moved, scaled, turned, and around wrong poses; where crops are to lie around annotated
boxes, it holds the crop around the box as well. It is shrunk where the person is larger
than a crop shows it. Crops that reach beyond it, as those of poses do that have a keypoint on a far neighbour, show
much of the photo and little detail: for them the whole photo is kept once, small.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from posefix.errors import InputError
from posefix.pose import geometry
from posefix.pose.poses import FloatArray

Photo = npt.NDArray[np.uint8]

REACH = 1.5
"""Side of a context, relative to the longer side of the crop around the true pose and its margin."""
MARGIN = 0.3
"""How far wrong poses usually reach beyond the true one, relative to the square root of the person's area: synthesised
misses end at about .45 of it from the hips, and nearer from all other keypoints."""
OVERVIEW = 2.0
"""Longest side of the small photo, relative to the longer side of a crop."""


@dataclass(frozen=True)
class ContextOptions:
    """What is kept of each person.

    Attributes:
        size_wh: Width and height of the crops that training will make, in pixels.
        resolution: Pixels of the context for each pixel of the crop around the true pose, at most.
        quality: Of the JPEG files, 1 to 100.
        boxes: Whether crops around annotated boxes are held, too; they are then what `resolution` speaks of.
    """

    size_wh: tuple[int, int]
    resolution: float = 1.25
    quality: int = 92
    boxes: bool = False

    def __post_init__(self) -> None:
        if not 0.5 <= self.resolution <= 10:
            raise InputError(f"resolution must be from 0.5 to 10, got {self.resolution}")
        if not 1 <= self.quality <= 100:
            raise InputError(f"quality must be from 1 to 100, got {self.quality}")


@dataclass(frozen=True)
class Picture:
    """A part of a photo as it is kept.

    Attributes:
        jpeg: The file.
        scale_xy: Pixels of the picture for each pixel of the photo.
        offset_xy: Where the photo's (0, 0) lies in the picture: ``picture = scale * photo + offset``.
        size_wh: Width and height of the picture.
        whole: Whether it shows the whole photo.
    """

    jpeg: bytes
    scale_xy: FloatArray
    offset_xy: FloatArray
    size_wh: npt.NDArray[np.int64]
    whole: bool


def context_squares(
    keypoints: npt.NDArray[np.float32],
    labelled: npt.NDArray[np.bool_],
    area: npt.NDArray[np.float32],
    annotated: npt.NDArray[np.float32],
    options: ContextOptions,
) -> tuple[FloatArray, FloatArray]:
    """Where the contexts of N people lie, not yet cut off at the photo's edges.

    Args:
        keypoints: (N, K, 2) true poses in the photos' pixels.
        labelled: (N, K).
        area: (N,) of the people in square pixels.
        annotated: (N, 4) bbox_xywh of the people.
        options: How much is kept.

    Returns:
        bbox_xywh (N, 4) in the photos' pixels, oblong where a box is off the pose, and (N,) context pixels for each
        pixel of the photo.
    """
    boxes = geometry.box_from_keypoints(keypoints.astype(np.float64), labelled)
    boxes = geometry.enlarge(boxes, geometry.KEYPOINT_BOX_FACTOR * geometry.CROP_FACTOR)
    scale = geometry.crop_matrices(boxes, options.size_wh)[:, 0, 0] * options.resolution
    margin = MARGIN * np.sqrt(area.astype(np.float64))[:, None]
    boxes = np.concatenate([boxes[:, :2] - margin, boxes[:, 2:] + 2 * margin], axis=1)
    squares = _squares(boxes, options.size_wh)
    if options.boxes:
        use: npt.NDArray[np.bool_] = np.all(annotated[:, 2:] > 0, axis=1)
        wide = geometry.enlarge(annotated.astype(np.float64), geometry.CROP_FACTOR)
        both = geometry.union(squares, _squares(wide, options.size_wh))
        squares = np.where(use[:, None], both, squares)
        of_box = geometry.crop_matrices(wide, options.size_wh)[:, 0, 0] * options.resolution
        scale = np.where(use, of_box, scale)
    return squares, np.minimum(scale, 1.0)


def _squares(boxes: FloatArray, size_wh: tuple[int, int]) -> FloatArray:
    """Squares, bbox_xywh (N, 4), that hold the crops around boxes (N, 4) wherever training moves them."""
    # The crop matrix knows how a box grows to the crop's aspect ratio.
    side = REACH * max(size_wh) / geometry.crop_matrices(boxes, size_wh)[:, :1, 0]
    centre = boxes[:, :2] + boxes[:, 2:] / 2
    return np.concatenate([centre - side / 2, side, side], axis=1)


def cut_context(photo: Photo, square: FloatArray, scale: float, quality: int) -> Picture:
    """Cut a context out of a photo.

    Args:
        photo: (H, W, 3) RGB.
        square: bbox_xywh (4,) in the photo's pixels.
        scale: Pixels of the context for each pixel of the photo, at most 1.
        quality: Of the JPEG file.
    """
    limits = np.array([photo.shape[1], photo.shape[0]])
    # A person outside of the photo keeps one pixel of it: a file must hold something.
    low = np.clip(np.floor(square[:2]).astype(np.int64), 0, limits - 1)
    high = np.clip(np.ceil(square[:2] + square[2:]).astype(np.int64), low + 1, limits)
    sides = high - low
    size = np.maximum(np.round(sides * scale).astype(np.int64), 1)
    part = photo[low[1] : high[1], low[0] : high[0]]
    if (size < sides).any():
        shrunk = cv2.resize(part, (int(size[0]), int(size[1])), interpolation=cv2.INTER_AREA)
        part = np.asarray(shrunk, dtype=np.uint8)
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality]
    _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(part, cv2.COLOR_RGB2BGR), settings)
    ratio = size / sides
    offset = geometry.scaled(-low.astype(np.float64), ratio)
    return Picture(jpeg.tobytes(), ratio, offset, size, bool((sides == limits).all()))


def overview(photo: Photo, options: ContextOptions) -> Picture:
    """The whole photo (H, W, 3), small."""
    height, width = photo.shape[:2]
    scale = min(OVERVIEW * max(options.size_wh) / max(width, height), 1.0)
    return cut_context(photo, np.array([0.0, 0.0, width, height]), scale, options.quality)
