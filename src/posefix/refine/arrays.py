"""Poses as a caller's arrays hold them, checked."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from posefix.errors import InputError
from posefix.pose.poses import LARGEST_NUMBER, FloatArray, Poses
from posefix.skeletons import Skeleton


def poses_from_arrays(keypoints: npt.ArrayLike, scores: npt.ArrayLike | None, skeleton: Skeleton) -> Poses:
    """Poses of one photo from an estimator's arrays.

    Args:
        keypoints: (N, K, 2), or (N, K, 3) with scores. A keypoint at exactly (0, 0), at NaN, or with score 0
            or NaN is missing; Infinity is a fault. An empty list is nobody.
        scores: (N, K); all 1 when neither given here nor with the keypoints.
        skeleton: The layout of the keypoints.

    Raises:
        InputError: Arrays of other shapes, or of something else than numbers, or too large numbers.
    """
    array = as_numbers("keypoints", keypoints, (0, len(skeleton), 2))
    if array.ndim != 3 or array.shape[1] != len(skeleton) or array.shape[2] not in (2, 3):
        single = array.shape in ((len(skeleton), 2), (len(skeleton), 3))
        raise InputError(
            f"keypoints: expected shape (N, {len(skeleton)}, 2 or 3) for skeleton {skeleton.name!r}, "
            f"got {array.shape}; "
            + ("pass keypoints[None] for one person" if single else "pass the skeleton of these keypoints")
        )
    places = array[..., :2]
    if scores is None:
        scores = array[..., 2] if array.shape[2] == 3 else np.ones(array.shape[:2])
    confidence = as_numbers("scores", scores, (0, len(skeleton)))
    if confidence.shape != array.shape[:2]:
        raise InputError(
            f"scores: expected shape {array.shape[:2]}, one per keypoint, got {confidence.shape}"
        )
    scored = (confidence != 0) & ~np.isnan(confidence)
    valid = ~np.isnan(places).any(axis=-1) & places.any(axis=-1) & scored
    if (faulty := valid & ~(np.abs(places) < LARGEST_NUMBER).all(axis=-1)).any():
        person, keypoint = np.argwhere(faulty)[0]
        raise InputError(
            f"keypoints: expected finite numbers below {LARGEST_NUMBER:.0e}, got {places[person, keypoint].tolist()} "
            f"for {skeleton.keypoint_names[keypoint]} of person {person}; give a missing keypoint as NaN"
        )
    return Poses(
        keypoints=np.where(valid[..., None], places, 0.0),
        scores=np.where(valid, confidence, 0.0),
        valid=valid,
        image_ids=(0,) * len(array),
        pose_scores=np.ones(len(array)),
        skeleton=skeleton,
    )


def as_numbers(name: str, values: npt.ArrayLike, nobody: tuple[int, ...]) -> FloatArray:
    """Values as an array.

    Args:
        name: What messages call them.
        values: Of each person.
        nobody: The shape of those of no person; an empty list has it.

    Raises:
        InputError: They are something else than numbers, or lists of different lengths.
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{name}: expected an array of numbers ({error})") from error
    return array.reshape(nobody) if array.shape == (0,) else array
