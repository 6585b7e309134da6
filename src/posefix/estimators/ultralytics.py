"""Ultralytics' `Results` of a pose model.

Shape as in ultralytics/engine/results.py of https://github.com/ultralytics/ultralytics: `keypoints.data` is an array
or tensor (N, K, 2 or 3) of x, y and confidence in pixels of the original photo, `names` the names of the classes. Its
models learn the numbers of COCO's annotations as they are, so there is no half pixel to take off.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from posefix.errors import InputError
from posefix.estimators.prediction import (
    COCO,
    Change,
    Estimator,
    Prediction,
    check_photo_size,
    is_of,
    present,
    resolve_skeleton,
)
from posefix.estimators.tensors import numbers_of, replaced
from posefix.skeletons import Skeleton


def recognise(value: Any) -> bool:
    """Whether a value is the `Results` of one photo."""
    return is_of(value, "ultralytics", "Results")


def read(results: Any, size_wh: tuple[int, int], skeleton: Skeleton | None) -> Prediction:
    """The people in the `Results` of one photo, see `Estimator`.

    COCO's layout is taken for granted only where the model knows people alone: some animals have seventeen keypoints.
    Where nobody was found, older versions give (1, 0, 51).
    """
    found = results.keypoints
    if found is None:
        raise InputError("predictions: these Ultralytics Results hold no keypoints; use a pose model (-pose)")
    check_photo_size(results.orig_shape, size_wh, "Ultralytics")
    numbers = numbers_of(found.data)
    people_only = set(dict(results.names).values()) == {"person"}
    layout = resolve_skeleton(skeleton, numbers.shape[:2], COCO if people_only else {}, "Ultralytics")
    keypoints = numbers[..., :2]
    scores = numbers[..., 2] if numbers.shape[2] == 3 else np.ones(numbers.shape[:2])

    def rewrite(change: Change) -> Any:
        values, where = numbers.copy(), np.zeros(numbers.shape, dtype=bool)
        values[..., :2], where[..., :2] = change.keypoints, change.moved[..., None]
        if numbers.shape[2] == 3:
            values[..., 2], where[..., 2] = change.scores, change.rescored
        refined = copy.copy(results)
        # A new object, because the old one caches what it derives from its data.
        refined.keypoints = type(found)(replaced(found.data, values, where), found.orig_shape)
        return refined

    return Prediction(keypoints, scores, present(keypoints, scores), layout, rewrite)


ESTIMATOR = Estimator("Ultralytics Results (one of the list)", recognise, read)
