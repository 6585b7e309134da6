"""What torchvision's keypoint R-CNN returns for one photo: a dictionary of tensors.

Shape as in torchvision/models/detection/keypoint_rcnn.py of https://github.com/pytorch/vision: `boxes` (N, 4: left,
top, right, bottom), `labels`, `scores` (N,), `keypoints` (N, K, 3: x, y and a 1) and `keypoints_scores` (N, K), which
are the heatmaps' logits. It learns the numbers of COCO's annotations as they are: there is no half pixel to take off.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from posefix.estimators.prediction import COCO, Change, Estimator, Prediction, finite, resolve_skeleton
from posefix.estimators.tensors import numbers_of, replaced
from posefix.skeletons import Skeleton

FIELDS = {"boxes", "labels", "scores", "keypoints", "keypoints_scores"}


def recognise(value: Any) -> bool:
    """Whether a value is the dictionary of one photo."""
    return isinstance(value, dict) and set(value) >= FIELDS


def read(output: Any, size_wh: tuple[int, int], skeleton: Skeleton | None) -> Prediction:
    """The people in the dictionary of one photo, see `Estimator`. A place is predicted for every keypoint."""
    numbers = numbers_of(output["keypoints"])
    layout = resolve_skeleton(skeleton, numbers.shape[:2], COCO, "torchvision")
    keypoints, scores = numbers[..., :2], numbers_of(output["keypoints_scores"])

    def rewrite(change: Change) -> Any:
        seen = numbers[..., 2:]  # the third number is no score; it stays
        values = np.concatenate([change.keypoints, seen], axis=-1)
        return {
            **output,
            "keypoints": replaced(output["keypoints"], values, change.moved[..., None]),
            "keypoints_scores": replaced(output["keypoints_scores"], change.scores, change.rescored),
        }

    return Prediction(keypoints, scores, finite(keypoints, scores), layout, rewrite)


ESTIMATOR = Estimator("the dictionary of torchvision's keypoint R-CNN (one of the list)", recognise, read)
