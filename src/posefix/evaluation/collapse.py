"""How many poses lie on top of another one: two people, found twice in one place."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from posefix.formats.coco_annotations import AREA_OF_BOX
from posefix.pose.geometry import box_from_keypoints
from posefix.pose.poses import FloatArray, Poses, rows_by_image
from posefix.pose.similarity import keypoint_similarity

COLLAPSED_OKS = 0.7


def collapsed_pairs(poses: Poses, threshold: float = COLLAPSED_OKS) -> int:
    """Count the pairs of poses in one photo whose OKS to each other is above the threshold.

    OKS is made symmetric by measuring with the area of the smaller pose: a large person's tolerance would swallow
    every small pose in front of that person. A pose's area is .53 x that of its keypoints' box, at least a square
    pixel. Keypoints count where both poses have them and their sigma is known; without any, OKS is 0.

    Args:
        poses: of any number of photos.
        threshold: OKS above which two poses are on top of each other.
    """
    first, second = _pairs(poses)
    boxes = box_from_keypoints(poses.keypoints, poses.valid)
    area = np.maximum(AREA_OF_BOX * boxes[:, 2:].prod(axis=1), 1.0)
    known = [index for index, keypoint in enumerate(poses.skeleton.keypoints) if keypoint.sigma is not None]
    keypoints, valid = poses.keypoints[:, known], poses.valid[:, known]
    sigmas = np.array([poses.skeleton.keypoints[index].sigma for index in known], dtype=np.float64)
    squared = ((keypoints[first] - keypoints[second]) ** 2).sum(axis=-1)
    similarity = keypoint_similarity(squared, np.minimum(area[first], area[second])[:, None], sigmas)
    both = valid[first] & valid[second]
    mutual: FloatArray = (similarity * both).sum(axis=1) / np.maximum(both.sum(axis=1), 1)
    return int((mutual > threshold).sum())


def _pairs(poses: Poses) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows of the two poses (P,) of every pair in one photo."""
    first, second = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for rows in rows_by_image(poses.image_ids).values():
        one, other = np.triu_indices(len(rows), k=1)
        first.append(rows[one])
        second.append(rows[other])
    return np.concatenate(first), np.concatenate(second)
