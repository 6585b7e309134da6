"""Non-maximum suppression of poses by object keypoint similarity (OKS)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from posefix.pose.geometry import box_from_keypoints
from posefix.pose.poses import Poses, rows_by_image
from posefix.pose.similarity import oks


def oks_nms(poses: Poses, threshold: float = 0.9) -> npt.NDArray[np.int64]:
    """Find the poses to keep where several describe one person.

    In each photo, best pose score first, a pose drops all weaker ones whose OKS to it is above the threshold; a
    keypoint that they lack is like none of its. Its area is that of its keypoints' box, at least a square pixel.

    Args:
        poses: Of any number of photos.
        threshold: OKS above which two poses are one; PoseFix uses .9.

    Returns:
        Rows to keep, ascending.

    Raises:
        InputError: A keypoint of the skeleton has no sigma.
    """
    sigmas = poses.skeleton.sigmas
    area = np.maximum(box_from_keypoints(poses.keypoints, poses.valid)[:, 2:].prod(axis=1), 1.0)
    found = np.where(poses.valid[..., None], poses.keypoints, np.inf)
    kept: list[int] = []
    for people in rows_by_image(poses.image_ids).values():
        # Stable, so that the first of two equal scores wins on every machine.
        rows = people[np.argsort(-poses.pose_scores[people], kind="stable")]
        while rows.size:
            best, rest = rows[0], rows[1:]
            kept.append(int(best))
            similarity = oks(found[rest], poses.keypoints[[best]], poses.valid[[best]], area[[best]], sigmas)
            rows = rest[similarity[:, 0] <= threshold]
    return np.array(sorted(kept), dtype=np.int64)
