"""What the coordinates of a pose file are: pixels of the photo, or shares of its width and height."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from posefix.errors import InputError, Where
from posefix.pose.poses import BoolArray, FloatArray, ImageId, Poses
from posefix.pose_files.pose_file import (
    DECIMALS,
    FormatError,
    NewFile,
    PhotoSize,
    boxes_to_write,
    triples_to_write,
)
from posefix.pose_files.records import report_fault

SHARE_DECIMALS = 7
"""Of shares that are written: a thousandth of a pixel in photos of 10,000."""
LARGEST_SHARE = 2.0
"""Shares of a photo stay below this even where a keypoint lies outside of it; pixels do not."""
KEYPOINTS_OF_A_SCALE = 5
"""So many keypoints of a person within the first two pixels of a photo are no chance: they are shares."""
SHARES_OF_A_FILE = 0.9
"""Where so many of a file's keypoints are shares, all are; estimators guess some far outside of the photo."""


class UnknownSizesError(FormatError):
    """Coordinates are shares of photos that nobody has shown."""


@dataclass(frozen=True, eq=False)
class Unit:
    """How the numbers of a file become pixels: number * scale + origin.

    Attributes:
        scale: (N, 1, 2) or (1, 1, 2) pixels, for x and y.
        origin: As `scale`: the pixel at which the number 0 lies.
        decimals: How many a number gets that is written.
    """

    scale: FloatArray
    origin: FloatArray
    decimals: int

    def to_pixels(self, numbers: FloatArray) -> FloatArray:
        """Points (N, K, 2) of the file in pixels."""
        return numbers * self.scale + self.origin

    def to_numbers(self, points: FloatArray) -> FloatArray:
        """Points (N, K, 2) in pixels as the file has them."""
        return np.round((points - self.origin) / self.scale, self.decimals)

    def to_numbers_of(self, points: FloatArray, present: BoolArray) -> FloatArray:
        """The same of keypoints: none that is there (N, K) comes to lie at pixel 0, 0, as missing ones do."""
        numbers = self.to_numbers(points)
        lost = present & (self.to_pixels(numbers) == 0).all(axis=-1)
        numbers[lost, 0] += 10.0**-self.decimals
        return numbers


PIXELS = Unit(np.ones((1, 1, 2)), np.zeros((1, 1, 2)), DECIMALS)


def shares(full: FloatArray, origin: FloatArray | None = None) -> Unit:
    """The unit in which 1 is a number of pixels (N, 2), and 0 the pixel 0 or another one (N, 2)."""
    scale = np.maximum(full, 1.0)[:, None]  # the shares of a photo one pixel wide would be divided by zero
    return Unit(scale, np.zeros_like(scale) if origin is None else origin[:, None], SHARE_DECIMALS)


def sizes_of_photos(path: Path, photo_size: PhotoSize | None, image_ids: Sequence[ImageId]) -> FloatArray:
    """(N, 2) width and height in pixels of each pose's photo.

    Args:
        path: The file whose coordinates are shares, for the message.
        photo_size: Knows the photos; None where there are none.
        image_ids: Photo of each pose.

    Raises:
        InputError: Nobody knows the photos, or one is not there.
    """
    if photo_size is None:
        raise UnknownSizesError(
            f"{path}: its coordinates are shares of the photo's width and height, which only the photos tell; "
            "name their folder (--images)."
        )
    sizes: dict[ImageId, tuple[int, int]] = {}
    for image_id in dict.fromkeys(image_ids):
        try:
            sizes[image_id] = photo_size(image_id)
        except InputError as error:
            report_fault(error)
            sizes[image_id] = (1, 1)
    return np.array([sizes[image_id] for image_id in image_ids], dtype=np.float64).reshape(-1, 2)


def are_shares(numbers: FloatArray, present: BoolArray) -> tuple[bool, BoolArray]:
    """Whether the coordinates of a file are so small that they are shares of the photo.

    Args:
        numbers: (N, K, 2) x and y as the file has them.
        present: (N, K) which keypoints are there.

    Returns:
        Whether they are shares, those of all people; and (N,) the people whose many keypoints are shares where those
        of somebody else are pixels, nobody in a file of one unit.
    """
    small = present & _are_small(numbers)
    if not present.any() or small.sum() >= SHARES_OF_A_FILE * present.sum():
        return bool(present.any()), np.zeros(len(present), dtype=np.bool_)
    whole = (small == present).all(axis=1) & (present.sum(axis=1) >= KEYPOINTS_OF_A_SCALE)
    return False, np.asarray(whole)


def _are_small(numbers: FloatArray) -> BoolArray:
    """(N, K) which of the coordinates (N, K, 2) may be shares of a photo, x and y."""
    small = np.abs(numbers) <= LARGEST_SHARE
    return np.asarray(small[..., 0] & small[..., 1])  # many times faster than to reduce an axis of two


def are_stray_shares(keypoints: FloatArray, valid: BoolArray) -> bool:
    """Whether what should be pixels are shares of the photo: nearly all keypoints, or all of most people.

    Args:
        keypoints: (N, K, 2) x and y.
        valid: (N, K) which are there.
    """
    if valid.sum() < KEYPOINTS_OF_A_SCALE:
        return False
    all_shares, _ = are_shares(keypoints, valid)
    seen = valid.any(axis=1)
    small = _are_small(keypoints) | ~valid
    people = seen & small.all(axis=1)  # of an animal with three keypoints, most people tell it, not one
    enough = valid[people].sum() >= KEYPOINTS_OF_A_SCALE
    return all_shares or bool(enough and 2 * people.sum() > seen.sum())


def check_pixels(path: Path, keypoints: FloatArray, valid: BoolArray) -> None:
    """Refuse coordinates that must be shares of the photo, in a format that has pixels.

    Args:
        path: The file, for the message.
        keypoints: As of `are_stray_shares`.
        valid: The same.

    Raises:
        FormatError: All, or nearly all, lie in -2 to 2.
    """
    if not are_stray_shares(keypoints, valid):
        return
    count = "all" if (np.abs(keypoints[valid]) <= LARGEST_SHARE).all() else "nearly all"
    problem = (
        f"expected pixels, got coordinates that {count} lie in {-LARGEST_SHARE:g} to {LARGEST_SHARE:g}, as shares of "
        "the photo do; multiply them by its width and height"
    )
    report_fault(FormatError.at(Where(path), problem))


def triples_in_unit(poses: Poses, before: Poses, numbers: FloatArray, unit: Unit) -> FloatArray:
    """(N, K, 3) x, y, score as a file gets them, see `posefix.pose_files.pose_file.triples_to_write`.

    What changed is found out in pixels, so a share is not written anew for less than half a thousandth of a pixel.

    Args:
        poses: The new poses.
        before: The poses that were read.
        numbers: (N, K, 3) what the file holds of them.
        unit: Of the file's coordinates.
    """
    old = np.concatenate([before.keypoints, before.scores[..., None]], axis=-1)
    new = triples_to_write(poses, old, before.valid)
    written = np.concatenate([unit.to_numbers_of(new[..., :2], poses.valid), new[..., 2:]], axis=-1)
    filled_in = poses.valid & ~before.valid  # the file may hold NaN or -1 where the old pose has zeros
    as_before = (new == old) & ~filled_in[..., None]
    return np.where(as_before, numbers, written)


def new_triples(poses: Poses, unit: Unit = PIXELS) -> FloatArray:
    """(N, K, 3) x, y, score for a new file: coordinates rounded, scores in full, missing keypoints at pixel 0, 0."""
    nothing = np.zeros((*poses.valid.shape, 3))
    triples = triples_to_write(poses, nothing, np.zeros_like(poses.valid))
    scores = np.where(poses.valid & (poses.scores != 0), poses.scores, triples[..., 2])
    return np.concatenate([unit.to_numbers_of(triples[..., :2], poses.valid), scores[..., None]], axis=-1)


def new_boxes(new: NewFile, sizes_wh: FloatArray | None = None) -> FloatArray:
    """bbox_xywh (N, 4) in pixels for a new file that must have boxes: around the keypoints where none is known.

    Args:
        new: The people.
        sizes_wh: As of `posefix.pose_files.pose_file.boxes_to_write`.
    """
    around = boxes_to_write(new.poses, sizes_wh)
    if new.boxes is None:
        return around
    return np.where(np.isfinite(new.boxes).all(axis=1, keepdims=True), new.boxes, around)


def check_reach(*places: FloatArray) -> None:
    """Refuse keypoints and boxes so far outside of the photo that they are no shares of it.

    Raises:
        FormatError: There are some.
    """
    beyond = np.any([(np.abs(one) > LARGEST_SHARE).any(axis=(1, 2)) for one in places], axis=0)
    if beyond.any():
        raise FormatError(
            f"label files have no place for person {int(beyond.argmax())}, a part of whom lies more than "
            f"{LARGEST_SHARE:g} widths or heights of the photo away; leave the person out, or choose another format."
        )
