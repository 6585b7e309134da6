"""Detectron2's `Instances` of a keypoint model.

Shape as in detectron2/structures/instances.py and keypoints.py of https://github.com/facebookresearch/detectron2:
`pred_keypoints` is a tensor (N, K, 3) of x, y and score. Its coordinates are continuous, the centre of the top-left
pixel lies at (.5, .5): COCO's annotations get half a pixel when they are read, and the COCO export takes it off again.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from posefix.errors import InputError
from posefix.estimators.prediction import (
    COCO,
    Change,
    Estimator,
    Prediction,
    check_photo_size,
    finite,
    is_of,
    resolve_skeleton,
)
from posefix.estimators.tensors import numbers_of, replaced
from posefix.skeletons import Skeleton

PIXEL_CENTRE = 0.5
"""Where Detectron2 has the centre of the top-left pixel, in x and y."""


def recognise(value: Any) -> bool:
    """Whether a value is the `Instances` of one photo."""
    return is_of(value, "detectron2", "Instances")


def read(instances: Any, size_wh: tuple[int, int], skeleton: Skeleton | None) -> Prediction:
    """The people in the `Instances` of one photo, see `Estimator`. A place is predicted for every keypoint."""
    if not instances.has("pred_keypoints"):
        raise InputError(
            "predictions: these Detectron2 Instances have no pred_keypoints; use a keypoint model"
        )
    check_photo_size(instances.image_size, size_wh, "Detectron2")
    found = instances.get("pred_keypoints")
    numbers = numbers_of(found)
    layout = resolve_skeleton(skeleton, numbers.shape[:2], COCO, "Detectron2")

    def rewrite(change: Change) -> Any:
        values = np.concatenate([change.keypoints + PIXEL_CENTRE, change.scores[..., None]], axis=-1)
        where = np.stack([change.moved, change.moved, change.rescored], axis=-1)
        fields = {**instances.get_fields(), "pred_keypoints": replaced(found, values, where)}
        return type(instances)(instances.image_size, **fields)

    keypoints, scores = numbers[..., :2] - PIXEL_CENTRE, numbers[..., 2]
    return Prediction(keypoints, scores, finite(keypoints, scores), layout, rewrite)


ESTIMATOR = Estimator("Detectron2 Instances (outputs['instances'])", recognise, read)
