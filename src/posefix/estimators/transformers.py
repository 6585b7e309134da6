"""What Hugging Face Transformers' ViTPose returns for one photo: a list with a dictionary for each person.

Shape as in transformers/models/vitpose/image_processing_vitpose.py of https://github.com/huggingface/transformers,
`post_process_pose_estimation`: tensors `keypoints` (k, 2) in pixels, `scores` (k,), and `labels` (k,), which say which
keypoints these are: with a `threshold`, the others are left out.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from posefix.errors import InputError, plural
from posefix.estimators.prediction import COCO, Change, Estimator, Prediction, finite, resolve_skeleton
from posefix.estimators.tensors import numbers_of, replaced
from posefix.skeletons import Skeleton

FIELDS = {"keypoints", "scores", "labels"}


def recognise(value: Any) -> bool:
    """Whether a value is the list of one photo; that nobody was found is an empty one."""
    return isinstance(value, list) and all(
        isinstance(person, dict)
        and set(person) >= FIELDS
        and "keypoints_scores" not in person  # torchvision's
        for person in value
    )


def read(people: Any, size_wh: tuple[int, int], skeleton: Skeleton | None) -> Prediction:
    """The people in the list of one photo, see `Estimator`.

    Without a layout the highest label that is seen must be COCO's last: fewer may be another layout, or a threshold.
    """
    labels = [numbers_of(person["labels"]).astype(np.int64) for person in people]
    layout = _layout(len(people), max((int(row.max(initial=-1)) for row in labels), default=-1) + 1, skeleton)
    keypoints = np.zeros((len(people), len(layout), 2))
    scores = np.zeros(keypoints.shape[:2])
    valid = np.zeros(keypoints.shape[:2], dtype=bool)
    for row, (person, given) in enumerate(zip(people, labels, strict=True)):
        keypoints[row, given], scores[row, given] = (
            numbers_of(person["keypoints"]),
            numbers_of(person["scores"]),
        )
        valid[row, given] = True
    valid &= finite(keypoints, scores)

    def rewrite(change: Change) -> Any:
        return [
            {
                **person,
                "keypoints": replaced(
                    person["keypoints"], change.keypoints[row, given], change.moved[row, given, None]
                ),
                "scores": replaced(person["scores"], change.scores[row, given], change.rescored[row, given]),
            }
            for row, (person, given) in enumerate(zip(people, labels, strict=True))
        ]

    return Prediction(keypoints, scores, valid, layout, rewrite)


def _layout(people: int, count: int, named: Skeleton | None) -> Skeleton:
    """The layout of so many people, whose highest label is `count` - 1."""
    if named is None:
        hint = f"the highest label is {count - 1}, and with a threshold keypoints may be left out"
        return resolve_skeleton(None, (people, count), COCO, "ViTPose", hint)
    if count > len(named):
        raise InputError(
            f"skeleton: {named.name!r} has {plural(len(named), 'keypoint')}, got the label {count - 1}; "
            "name the layout of these predictions"
        )
    return named


ESTIMATOR = Estimator("the list of dictionaries of ViTPose in Transformers (results[0])", recognise, read)
