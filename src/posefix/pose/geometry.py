"""Boxes, crops, scales and flips: where pixels are. For tensors `nn/heatmaps.py` knows it, too.

Convention: coordinates are ``(x, y)`` in pixels and (0, 0) is the *centre* of the top-left pixel. Hence an image of
width W spans [-0.5, W - 0.5], mirroring is ``W - 1 - x``, and going to a grid of stride s is ``(x + 0.5) / s - 0.5``.
A crop is one affine matrix per person, applied to image and keypoints alike and inverted the same way.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

KEYPOINT_BOX_FACTOR = 1.2
"""A box drawn tightly around keypoints misses hair, hands and feet: it grows by this factor (PoseFix code)."""
CROP_FACTOR = 1.25
"""Every box grows by this factor before it is cropped, so that context is seen (PoseFix code; not in the paper)."""
FAR_OFF_RATIO = 8.0
"""A keypoint this many times the median distance away from the pose's median point does not shape the box."""
POSES_AT_ONCE = 4096
"""What is measured of poses takes several times their memory, so it is done by parts."""
LARGEST_SIDE = 32766
"""Larger pictures OpenCV 4 does not warp, in pixels."""
MINIMAL_BOX_SIDE = 16.0
"""Boxes of collapsed poses grow to this side, in pixels: below it there is nothing to see."""


def box_from_keypoints(keypoints: FloatArray, valid: BoolArray) -> FloatArray:
    """Tight box around each pose's valid keypoints, leaving out keypoints that are far off.

    A single wild miss would otherwise blow the box up until the person is a few pixels tall in the crop.

    Args:
        keypoints: (N, K, 2), any frame.
        valid: (N, K); missing keypoints are ignored.

    Returns:
        bbox_xywh (N, 4) in the same frame; zeros for a pose without any valid keypoint.
    """
    boxes = np.zeros((len(keypoints), 4))
    if keypoints.shape[1] == 0:
        return boxes
    for rows in parts(len(boxes)):
        there = valid[rows] & ~far_off(keypoints[rows], valid[rows])
        points = np.where(there[..., None], keypoints[rows], np.nan)
        points[~there.any(axis=1)] = 0.0
        low, high = np.nanmin(points, axis=1), np.nanmax(points, axis=1)
        boxes[rows] = np.concatenate([low, high - low], axis=1)
    return boxes


def parts(count: int) -> Iterator[slice]:
    """Rows of so many poses, `POSES_AT_ONCE` after another."""
    for start in range(0, count, POSES_AT_ONCE):
        yield slice(start, start + POSES_AT_ONCE)


def union(first: FloatArray, second: FloatArray) -> FloatArray:
    """The smallest boxes (N, 4) that hold both of two boxes each."""
    low = np.minimum(first[:, :2], second[:, :2])
    high = np.maximum(first[:, :2] + first[:, 2:], second[:, :2] + second[:, 2:])
    return np.concatenate([low, high - low], axis=1)


def holds(outer: FloatArray, inner: FloatArray) -> BoolArray:
    """(N,): which boxes (N, 4) hold another one; none that is NaN or has a side that is not above 0."""
    high, inner_high = outer[:, :2] + outer[:, 2:], inner[:, :2] + inner[:, 2:]
    inside = (outer[:, :2] <= inner[:, :2]).all(axis=1) & (inner_high <= high).all(axis=1)
    return np.asarray(inside & (outer[:, 2:] > 0).all(axis=1))


def far_off(keypoints: FloatArray, valid: BoolArray) -> BoolArray:
    """Which keypoints (N, K) are too far from the rest of their pose to be part of it.

    Their distance to the pose's median point is above `FAR_OFF_RATIO` times the median of these distances. True poses
    do reach half of that ratio: 1 % of LSP-Extended's people, 6 to 8 % of COCO's.

    Args:
        keypoints: (N, K, 2), any frame, K at least 1.
        valid: (N, K); missing keypoints are never far off.
    """
    points = np.where(valid[..., None], keypoints, np.nan)
    points[~valid.any(axis=1)] = 0.0
    distance = lengths(points - _median(points))
    limit = FAR_OFF_RATIO * _median(distance)
    # Where more than half of the keypoints coincide, the median distance is 0 and says nothing; of four keypoints or
    # fewer it does not say which is the odd one out.
    return np.asarray(valid & (distance > limit) & (limit > 0) & (valid.sum(axis=1, keepdims=True) > 4))


def lengths(vectors: FloatArray) -> FloatArray:
    """Lengths (...) of vectors (..., 2): those of `np.linalg.norm` to the last bit, several times faster."""
    return np.asarray(np.sqrt(vectors[..., 0] * vectors[..., 0] + vectors[..., 1] * vectors[..., 1]))


def _median(values: FloatArray) -> FloatArray:
    """Medians over axis 1 of what is not NaN; as `np.nanmedian` with `keepdims` to the last bit, and many times faster.

    NaN where all are; sorting puts NaN last.
    """
    ordered, count = np.sort(values, axis=1), (~np.isnan(values)).sum(axis=1, keepdims=True)
    low, high = (np.take_along_axis(ordered, place // 2, axis=1) for place in (count - 1, count))
    return np.asarray((low + high) / 2)


def enlarge(bbox_xywh: FloatArray, factor: float | FloatArray) -> FloatArray:
    """Grow boxes (N, 4) about their centres by one factor, or by one for each box (N, 1)."""
    centre = bbox_xywh[:, :2] + bbox_xywh[:, 2:] / 2
    size = bbox_xywh[:, 2:] * factor
    return np.concatenate([centre - size / 2, size], axis=1)


def box_iou(bbox_xywh: FloatArray) -> FloatArray:
    """Intersection over union of every pair of boxes (N, 4): (N, N), 1 on the diagonal."""
    iou = paired_iou(bbox_xywh[:, None], bbox_xywh[None])
    np.fill_diagonal(iou, 1.0)
    return iou


def paired_iou(one_xywh: FloatArray, other_xywh: FloatArray) -> FloatArray:
    """Intersection over union (...,) of each box (..., 4) with the other of its pair."""
    low = np.maximum(one_xywh[..., :2], other_xywh[..., :2])
    high = np.minimum(one_xywh[..., :2] + one_xywh[..., 2:], other_xywh[..., :2] + other_xywh[..., 2:])
    intersection = np.prod(np.maximum(high - low, 0), axis=-1)
    sizes = np.prod(one_xywh[..., 2:], axis=-1) + np.prod(other_xywh[..., 2:], axis=-1)
    return np.asarray(intersection / np.maximum(sizes - intersection, 1e-9), dtype=np.float64)


def photo_box(shape_hw: tuple[int, ...]) -> FloatArray:
    """bbox_xywh (4,) of a whole photo of this height and width; more numbers may follow."""
    return np.array([-0.5, -0.5, shape_hw[1], shape_hw[0]])


def scaled(points: FloatArray, factor: float | FloatArray) -> FloatArray:
    """Where points of a picture lie once it is made this many times as large, or smaller by a factor below 1.

    Args:
        points: (..., 2), or coordinates of one axis.
        factor: One, or one for each coordinate.
    """
    return (points + 0.5) * factor - 0.5


def crop_matrices(
    bbox_xywh: FloatArray,
    size_wh: tuple[int, int],
    *,
    rotation_degrees: FloatArray | float = 0.0,
    flip: BoolArray | bool = False,
) -> FloatArray:
    """Affine matrices that take original-image pixels to crop pixels.

    Each box is first grown, never shrunk, to the crop's aspect ratio (paper section 6), so nothing is distorted.

    Convention: pixel centres; positive rotation turns the picture clockwise on the screen; a flip mirrors the crop
    (the caller exchanges left and right keypoints).

    Args:
        bbox_xywh: (N, 4) in original-image pixels.
        size_wh: Crop width and height in pixels.
        rotation_degrees: () or (N,).
        flip: () or (N,).

    Returns:
        (N, 2, 3): ``crop = matrix[:, :2] @ original + matrix[:, 2]``.
    """
    width, height = size_wh
    centre = bbox_xywh[:, :2] + bbox_xywh[:, 2:] / 2
    sides = np.maximum(bbox_xywh[:, 2:], MINIMAL_BOX_SIDE)
    scale = np.minimum(width / sides[:, 0], height / sides[:, 1])
    angle = np.deg2rad(np.broadcast_to(np.asarray(rotation_degrees, dtype=np.float64), scale.shape))
    mirror = np.where(np.broadcast_to(np.asarray(flip), scale.shape), -1.0, 1.0)
    linear = np.empty((len(scale), 2, 2))
    linear[:, 0, 0], linear[:, 0, 1] = mirror * scale * np.cos(angle), -mirror * scale * np.sin(angle)
    linear[:, 1, 0], linear[:, 1, 1] = scale * np.sin(angle), scale * np.cos(angle)
    crop_centre = np.array([(width - 1) / 2, (height - 1) / 2])
    offset = crop_centre - np.einsum("nij,nj->ni", linear, centre)
    return np.concatenate([linear, offset[..., None]], axis=2)


def transform(matrices: FloatArray, keypoints: FloatArray) -> FloatArray:
    """Apply matrices (N, 2, 3) to keypoints (N, ..., 2)."""
    points = keypoints.reshape(len(keypoints), math.prod(keypoints.shape[1:-1]), 2)
    moved = points @ np.swapaxes(matrices[:, :, :2], 1, 2) + matrices[:, None, :, 2]
    return np.asarray(moved.reshape(keypoints.shape), dtype=np.float64)


def compose(second: FloatArray, first: FloatArray) -> FloatArray:
    """The affine matrix (2, 3), or several (N, 2, 3), that applies `first` (2, 3), then `second`."""
    linear = second[..., :2]
    offset = linear @ first[:, 2] + second[..., 2]
    return np.concatenate([linear @ first[:, :2], offset[..., None]], axis=-1)


def invert(matrices: FloatArray) -> FloatArray:
    """Inverse of affine matrices (N, 2, 3)."""
    linear = np.linalg.inv(matrices[:, :, :2])
    return np.concatenate([linear, -linear @ matrices[:, :, 2:]], axis=2)


def warp(image: npt.NDArray[np.uint8], matrix: FloatArray, size_wh: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Cut one crop out of an image by bilinear interpolation; outside the image it is black.

    A person much larger than the crop is first shrunk by a whole factor with area averaging, since bilinear
    interpolation alone would skip pixels.

    Args:
        image: (H, W, 3) uint8.
        matrix: (2, 3), original -> crop.
        size_wh: Crop width and height.

    Returns:
        (height, width, 3) uint8.
    """
    shrink = int(1.0 / np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if shrink >= 2 or max(image.shape[:2]) > LARGEST_SIDE:
        image, matrix = _shrink(image, matrix, size_wh, max(shrink, 1))
    if image.size == 0:
        return np.zeros((size_wh[1], size_wh[0], 3), dtype=np.uint8)
    return np.asarray(cv2.warpAffine(image, matrix, size_wh, flags=cv2.INTER_LINEAR), dtype=np.uint8)


def shows_photo(matrices: FloatArray, size_wh: tuple[int, int], shape_hw: tuple[int, ...]) -> BoolArray:
    """In which crops (N,) there is anything of a photo.

    Args:
        matrices: (N, 2, 3), original -> crop.
        size_wh: Crop width and height.
        shape_hw: Height and width of the photo; more numbers may follow.
    """
    footprints = _footprints(matrices, size_wh)
    low, high = footprints.min(axis=1), footprints.max(axis=1)
    return np.asarray((high > -0.5).all(axis=1) & (low < [shape_hw[1] - 0.5, shape_hw[0] - 0.5]).all(axis=1))


def _footprints(matrices: FloatArray, size_wh: tuple[int, int]) -> FloatArray:
    """Corners (N, 4, 2) of crops, a pixel around them included, in the original image."""
    width, height = size_wh
    corners = np.array([[-1, -1], [width, -1], [-1, height], [width, height]], dtype=np.float64)
    return transform(invert(matrices), np.broadcast_to(corners, (len(matrices), *corners.shape)))


def _shrink(
    image: npt.NDArray[np.uint8], matrix: FloatArray, size_wh: tuple[int, int], factor: int
) -> tuple[npt.NDArray[np.uint8], FloatArray]:
    """The part of the image that a crop shows, a whole factor smaller, and the matrix from there to the crop."""
    footprint = _footprints(matrix[None], size_wh)[0]
    limits = np.array([image.shape[1], image.shape[0]])
    low = np.clip(np.floor(footprint.min(axis=0)).astype(int) - factor, 0, limits)
    high = np.clip(np.ceil(footprint.max(axis=0)).astype(int) + factor, 0, limits)
    # Whole multiples of the factor, so that small pixels are averages of whole large ones.
    size = (high - low) // factor
    part = image[low[1] : low[1] + size[1] * factor, low[0] : low[0] + size[0] * factor]
    if part.size == 0:
        return part, matrix
    small = cv2.resize(part, (int(size[0]), int(size[1])), interpolation=cv2.INTER_AREA)
    # A small pixel i has its centre at low + (i + 0.5) * factor - 0.5 of the original.
    offset = low + (factor - 1) / 2
    linear = matrix[:, :2] * factor
    return np.asarray(small, dtype=np.uint8), np.column_stack([linear, matrix[:, :2] @ offset + matrix[:, 2]])


def flip_images(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Images (N, H, W, 3) mirrored left to right: OpenCV's, as NumPy copies backwards pixels one by one."""
    mirrored = np.empty(images.shape, dtype=np.uint8)
    for image, place in zip(np.ascontiguousarray(images), mirrored, strict=True):
        cv2.flip(image, 1, dst=place)
    return mirrored


def flip_keypoints(keypoints: FloatArray, width: int, flip_index: npt.NDArray[np.int64]) -> FloatArray:
    """Mirror keypoints (..., K, 2) in an image of this width and exchange left and right ones."""
    flipped = keypoints[..., flip_index, :].copy()
    flipped[..., 0] = width - 1 - flipped[..., 0]
    return flipped
