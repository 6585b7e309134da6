"""Boxes that are corners, where their format has left, top, width and height: a common slip, which no field tells."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from posefix.errors import Where
from posefix.pose.poses import BoolArray, FloatArray
from posefix.pose_files.pose_file import FormatError
from posefix.pose_files.records import report_fault

KEYPOINTS = 3
"""Somebody with fewer tells nothing of a box."""
PEOPLE = 3
"""So many must tell that boxes are corners."""
INSIDE = 0.8
"""Share of the people whose keypoints lie within the corners: some are guessed far away."""
MARGIN = 0.1
"""Of a box's side: as far outside keypoints may lie."""
FAR = 1 / 4
"""A person of whom left is so much of right, and top of bottom, would fill but a part of the other box."""


def check_sides(path: Path, boxes: FloatArray, keypoints: FloatArray, valid: BoolArray) -> None:
    """Refuse boxes that can be nothing but corners.

    Args:
        path: The file, for the message.
        boxes: As of `are_corners`.
        keypoints: The same.
        valid: The same.

    Raises:
        FormatError: They are.
    """
    if are_corners(boxes, keypoints, valid):
        problem = (
            "expected boxes of left, top, width and height, got left, top, right and bottom, between which the "
            "keypoints lie; take left and top off the others, or leave the boxes out"
        )
        report_fault(FormatError.at(Where(path), problem))


def are_corners(boxes: FloatArray, keypoints: FloatArray, valid: BoolArray) -> bool:
    """Whether boxes must be left, top, right and bottom.

    As such all of them have sides above 0 and hold the keypoints, and of some people, who stand far from the photo's
    first corner, the boxes with these numbers as sides would reach far beyond the keypoints.

    Args:
        boxes: (N, 4) as left, top, width and height; NaN where there is none.
        keypoints: (N, K, 2) of the same people.
        valid: (N, K) which are there.
    """
    known = np.isfinite(boxes).all(axis=1) & (valid.sum(axis=1) >= KEYPOINTS)
    low, high = boxes[known, :2], boxes[known, 2:]
    if len(low) < PEOPLE or (high <= low).any():
        return False
    places, there = keypoints[known], valid[known, :, None]
    slack = MARGIN * (high - low)[:, None]
    held = ((places >= low[:, None] - slack) & (places <= high[:, None] + slack)) | ~there
    inside = held.all(axis=(1, 2))
    telling = inside & (low >= FAR * high).all(axis=1)
    return bool(inside.mean() >= INSIDE and telling.sum() >= PEOPLE)
