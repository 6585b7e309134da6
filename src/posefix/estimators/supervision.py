"""supervision's `KeyPoints`, which RF-DETR returns, too.

Shape as in supervision/key_points/core.py of https://github.com/roboflow/supervision: `xy` (N, K, 2) in pixels, and
maybe `keypoint_confidence` (N, K), which was called `confidence` before 0.29. It names no keypoints, and takes pixels
from every library as they are, half-pixel rules included.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from posefix.estimators.prediction import (
    Change,
    Estimator,
    Prediction,
    is_of,
    present,
    resolve_skeleton,
)
from posefix.estimators.tensors import numbers_of, replaced
from posefix.skeletons import Skeleton


def recognise(value: Any) -> bool:
    """Whether a value is the `KeyPoints` of one photo."""
    return is_of(value, "supervision", "KeyPoints")


def read(key_points: Any, size_wh: tuple[int, int], skeleton: Skeleton | None) -> Prediction:
    """The people in the `KeyPoints` of one photo, see `Estimator`; the layout must be named."""
    # The old name is looked at only where there is no new one: reading it warns.
    name = "keypoint_confidence" if hasattr(key_points, "keypoint_confidence") else "confidence"
    confidence = getattr(key_points, name)
    keypoints = numbers_of(key_points.xy)
    layout = resolve_skeleton(skeleton, keypoints.shape[:2], {}, "supervision.KeyPoints")
    scores = np.ones(keypoints.shape[:2]) if confidence is None else numbers_of(confidence)

    def rewrite(change: Change) -> Any:
        refined = copy.copy(key_points)
        refined.xy = replaced(key_points.xy, change.keypoints, change.moved[..., None])
        if confidence is not None:
            setattr(refined, name, replaced(confidence, change.scores, change.rescored))
        return refined

    return Prediction(keypoints, scores, present(keypoints, scores), layout, rewrite)


ESTIMATOR = Estimator("supervision.KeyPoints", recognise, read)
