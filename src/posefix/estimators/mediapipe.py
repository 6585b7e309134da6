"""What MediaPipe's pose landmarkers return: those of its Tasks, and of the Solutions of its older versions.

Shape as in mediapipe/tasks/python/vision/pose_landmarker.py and holistic_landmarker.py of
https://github.com/google-ai-edge/mediapipe, and in python/solution_base.py of its version 0.10.21: `pose_landmarks`
holds the landmarks of several people, of one, or a message with a field `landmark`. A landmark's `x` and `y` are shares
of the photo's width and height, from edge to edge: the pixel that it is drawn at is floor(x * width), so the centre of
the top-left pixel is half a pixel from 0.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from posefix.estimators.prediction import Change, Estimator, Prediction, finite, resolve_skeleton
from posefix.skeletons import Skeleton

PIXEL_CENTRE = 0.5
"""Distance of the centre of the top-left pixel from the photo's edges, pixels."""
FIELD = "pose_landmarks"


def recognise(value: Any) -> bool:
    """Whether a value is the result of one photo."""
    return _class_of(value).__module__.split(".")[0] == "mediapipe" and hasattr(value, FIELD)


def read(result: Any, size_wh: tuple[int, int], skeleton: Skeleton | None) -> Prediction:
    """The people in the result of one photo, see `Estimator`. A place is predicted for every keypoint."""
    people = _people(getattr(result, FIELD))
    shape = (len(people), len(people[0]) if people else 0)
    layout = resolve_skeleton(skeleton, shape, {33: "blazepose33"}, "MediaPipe")
    shares = [[(landmark.x, landmark.y) for landmark in person] for person in people]
    seen = [[_visibility(landmark) for landmark in person] for person in people]
    keypoints = np.array(shares, dtype=np.float64).reshape(*shape, 2) * size_wh - PIXEL_CENTRE
    scores = np.array([[1.0 if one is None else one for one in row] for row in seen]).reshape(shape)

    def rewrite(change: Change) -> Any:
        landmarks = copy.deepcopy(getattr(result, FIELD))
        new = (change.keypoints + PIXEL_CENTRE) / size_wh
        for row, person in enumerate(_people(landmarks)):
            for index, landmark in enumerate(person):
                if change.moved[row, index]:
                    landmark.x, landmark.y = map(float, new[row, index])
                if change.rescored[row, index] and _visibility(landmark) is not None:
                    landmark.visibility = float(change.scores[row, index])
        return _with_landmarks(result, landmarks)

    return Prediction(keypoints, scores, finite(keypoints, scores), layout, rewrite)


def _class_of(value: Any) -> type:
    """Its class; the Solutions return a class of their own for each photo, with the result in its attributes."""
    return value if isinstance(value, type) else type(value)


def _people(landmarks: Any) -> list[Sequence[Any]]:
    """The landmarks of each person; the Solutions say None where there is nobody."""
    if landmarks is None:
        return []
    if hasattr(landmarks, "landmark"):
        return [landmarks.landmark]
    if landmarks and hasattr(landmarks[0], "x"):
        return [landmarks]
    return list(landmarks)


def _visibility(landmark: Any) -> float | None:
    """None where it is not set: an attribute that is None, or a field that a message has not."""
    if hasattr(landmark, "HasField") and not landmark.HasField("visibility"):
        return None
    return None if landmark.visibility is None else float(landmark.visibility)


def _with_landmarks(result: Any, landmarks: Any) -> Any:
    """A copy of a result with other landmarks."""
    if isinstance(result, type):
        return type(result.__name__, (result,), {FIELD: landmarks, "__module__": result.__module__})
    refined = copy.copy(result)
    setattr(refined, FIELD, landmarks)
    return refined


ESTIMATOR = Estimator("the result of MediaPipe's pose landmarker", recognise, read)
