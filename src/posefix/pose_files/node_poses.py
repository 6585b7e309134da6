"""What files of nodes over frames share, those of SLEAP and of NWB: a layout, and arrays with NaN where nothing is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from posefix.pose.poses import LARGEST_NUMBER, BoolArray, FloatArray, ImageId, Poses
from posefix.pose_files.layouts import check_names
from posefix.pose_files.pose_file import FormatError, Reading, numbers_to_write, rows_left_out
from posefix.skeletons import Skeleton, skeleton_from_names

Pair = tuple[str, str]


def node_layout(
    path: Path, nodes: Sequence[str], edges: Sequence[Pair], symmetries: Sequence[Pair], reading: Reading
) -> Skeleton:
    """The layout that the names of the nodes say, or the given one if it has these names in this order.

    Raises:
        FormatError: The given layout has other names.
    """
    wanted = reading.skeleton
    if wanted is None:
        # SLEAP keeps a symmetry's two nodes in no order.
        known = [pair for pair in symmetries if set(pair) <= set(nodes)]
        pairs = [(min(pair, key=nodes.index), max(pair, key=nodes.index)) for pair in known]
        return skeleton_from_names(nodes, path.name, edges, pairs or None)
    check_names(path, wanted, nodes, "nodes")
    return wanted


def poses_with_gaps(
    path: Path,
    keypoints: FloatArray,
    scores: FloatArray,
    pose_scores: FloatArray,
    image_ids: Sequence[ImageId],
    skeleton: Skeleton,
) -> Poses:
    """Poses of arrays in which NaN is a missing keypoint or score.

    Args:
        path: The file, for messages.
        keypoints: (N, K, 2), the centre of the top-left pixel at (0, 0).
        scores: (N, K); a score that is missing counts 1: somebody placed the keypoint by hand.
        pose_scores: (N,); one that is missing is the mean of the scores.
        image_ids: (N,)
        skeleton: Names the keypoints.

    Raises:
        FormatError: A coordinate is no number of a photo.
    """
    if np.any(np.abs(keypoints) >= LARGEST_NUMBER):
        raise FormatError(f"{path}: expected coordinates in pixels or NaN, got one that is no finite number.")
    valid: BoolArray = np.asarray(np.isfinite(keypoints).all(axis=-1))
    scores = np.where(np.isfinite(scores), scores, valid)
    mean = np.where(valid, scores, 0.0).sum(axis=-1) / np.maximum(valid.sum(axis=-1), 1)
    return Poses(
        keypoints=np.where(valid[..., None], keypoints, 0.0),
        scores=scores,
        valid=valid,
        image_ids=tuple(image_ids),
        pose_scores=np.where(np.isfinite(pose_scores), pose_scores, mean),
        skeleton=skeleton,
    )


def keypoints_to_write(new: Poses, old: Poses, keep: Sequence[int] | None, shift: float = 0.0) -> FloatArray:
    """(N, K, 2) coordinates as they are written: NaN for keypoints that are missing and for poses not kept.

    Args:
        new: The new poses.
        old: Those read.
        keep: As of `Rewrite`.
        shift: What the file's coordinates are larger by than posefix's.
    """
    written = numbers_to_write(old.keypoints + shift, new.keypoints + shift)
    written[~new.valid] = np.nan
    written[rows_left_out(len(old), keep)] = np.nan
    return written
