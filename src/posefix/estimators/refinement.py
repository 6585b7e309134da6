"""Refining what a pose library returns, in one call."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from posefix.errors import InputError
from posefix.estimators import detectron2, mediapipe, supervision, torchvision, transformers, ultralytics
from posefix.estimators.prediction import NEXT_TO_NOTHING, Change, Estimator, Prediction
from posefix.photos.finding import decode_image
from posefix.pose.poses import FloatArray
from posefix.refine.merge import Missing
from posefix.refine.refiner import Refiner
from posefix.skeletons import Skeleton, load_skeleton

ESTIMATORS: tuple[Estimator, ...] = (
    ultralytics.ESTIMATOR,
    detectron2.ESTIMATOR,
    mediapipe.ESTIMATOR,
    supervision.ESTIMATOR,
    torchvision.ESTIMATOR,
    transformers.ESTIMATOR,
)


def refine_predictions(
    refiner: Refiner,
    image: npt.NDArray[np.uint8] | str | Path,
    predictions: Any,
    *,
    skeleton: Skeleton | str | None = None,
    missing: Missing = "fill",
) -> Any:
    """Refine what a pose library returned for one photo.

    Known are Ultralytics `Results`, Detectron2 `Instances`, the results of MediaPipe's pose landmarkers,
    `supervision.KeyPoints`, and what torchvision's keypoint R-CNN and ViTPose in Transformers return
    (docs/estimators/README.md). The libraries themselves are not imported.

    Example:
        >>> result = YOLO("yolo11n-pose.pt")("photo.jpg")[0]  # doctest: +SKIP
        >>> refined = refine_predictions(refiner, "photo.jpg", result)  # doctest: +SKIP

    Args:
        refiner: Moves the keypoints. Scores stay the estimator's unless it was made with `scores`; a keypoint that was
            filled in gets the smallest of its person.
        image: The photo: (H, W, 3) RGB uint8, or its file.
        predictions: The library's object for this photo; it is not changed.
        skeleton: Layout of the keypoints, or its name; needed where the library has more than one and does not say
            which.
        missing: As in `Refiner`.

    Returns:
        The same kind of object with other coordinates (and scores); whatever else is in it is the original's.

    Raises:
        InputError: An object of no known kind or without keypoints, a layout that must be named, or a photo that is not
            that of the predictions.
    """
    photo = decode_image(image) if isinstance(image, str | Path) else np.asarray(image)
    if photo.ndim != 3:
        raise InputError(f"image: expected (H, W, 3) RGB or a file, got an array of shape {photo.shape}")
    named = load_skeleton(skeleton) if isinstance(skeleton, str) else skeleton
    prediction = _estimator_of(predictions).read(predictions, (photo.shape[1], photo.shape[0]), named)
    return prediction.rewrite(_change(refiner, photo, prediction, missing))


def _estimator_of(value: Any) -> Estimator:
    """The library that returned something."""
    for estimator in ESTIMATORS:
        if estimator.recognise(value):
            return estimator
    expected = f"predictions: expected one of {'; '.join(known.described for known in ESTIMATORS)}"
    got = f"{type(value).__module__}.{type(value).__qualname__}"
    if isinstance(value, list | tuple) and value and any(known.recognise(value[0]) for known in ESTIMATORS):
        raise InputError(
            f"predictions: expected those of one photo, got a {type(value).__name__} of {len(value)}; refine each "
            "with its photo"
        )
    raise InputError(
        f"{expected}; got {got}; arrays go to the refiner itself: refiner(image, keypoints, scores, skeleton=...)"
    )


def _change(
    refiner: Refiner, photo: npt.NDArray[np.uint8], prediction: Prediction, missing: Missing
) -> Change:
    """What the refiner makes of the people."""
    valid, whose = prediction.valid, refiner.scores or "input"
    if valid.size == 0:
        return Change(prediction.keypoints, valid, prediction.scores, valid)
    scores = np.where(valid & (prediction.scores == 0), NEXT_TO_NOTHING, prediction.scores)
    refined = dataclasses.replace(refiner, scores=whose)(
        photo,
        _marked(prediction),
        np.where(valid, scores, 0.0),
        skeleton=prediction.skeleton,
        missing=missing,
    )
    return Change(
        keypoints=refined.keypoints,
        moved=refined.moved | refined.filled,
        scores=refined.scores,
        rescored=refined.valid & (refined.filled | (refined.scores != scores)),
    )


def _marked(prediction: Prediction) -> FloatArray:
    """The keypoints as the refiner takes them, missing ones NaN."""
    at_origin = (prediction.keypoints == 0).all(axis=-1, keepdims=True)
    keypoints = np.where(at_origin, NEXT_TO_NOTHING, prediction.keypoints)
    return np.where(prediction.valid[..., None], keypoints, np.nan)
