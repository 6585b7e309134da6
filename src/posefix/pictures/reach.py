"""Coordinates that no photo has: told before anything is drawn by them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from posefix.errors import InputError
from posefix.formats.coco_annotations import Annotations
from posefix.pose.poses import BoolArray, FloatArray, Poses
from posefix.skeletons import Skeleton

FARTHEST = 1e6
"""Pixels: no photo is as wide or high by far."""


def check_drawable(poses: Poses, title: str | Path) -> None:
    """Refuse poses that no photo shows.

    Args:
        poses: In pixels of the photos.
        title: What messages call them; their file.

    Raises:
        InputError: A keypoint is too far off.
    """
    _check(poses.keypoints, poses.valid, poses.skeleton, f"{title}, person")


def check_drawable_people(annotations: Annotations) -> None:
    """Refuse annotated people that no photo shows.

    Raises:
        InputError: A keypoint is too far off.
    """
    people, title = annotations.people, f"{annotations.path}, annotated person"
    _check(people.keypoints, people.visibility > 0, annotations.skeleton, title)


def _check(keypoints: FloatArray, valid: BoolArray, skeleton: Skeleton, title: str) -> None:
    far = (np.abs(keypoints).max(axis=-1, initial=0.0) > FARTHEST) & valid
    if far.any():
        row, keypoint = (int(number) for number in np.argwhere(far)[0])
        raise InputError(
            f"{title} {row}: expected coordinates in pixels of the photo, got "
            f"{np.abs(keypoints[row, keypoint]).max():g} at {skeleton.keypoint_names[keypoint]}; "
            "correct it there, or say there that this keypoint is missing"
        )
