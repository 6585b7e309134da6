"""Whose scores the refined poses carry."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np

from posefix.errors import InputError
from posefix.poses import Poses
from posefix.refine.vocabulary import FloatArray

Scores = Literal["input", "model", "product"]
"""The estimator's scores, the model's confidence and expected OKS, or the product of the two."""


def rescore(poses: Poses, confidence: FloatArray, expected_oks: FloatArray, scores: Scores) -> Poses:
    """The same places with the scores asked for.

    Keypoints that the model does not know keep the estimator's score. Of people whom the model did not see nothing is
    known, so their pose score becomes 0.

    Args:
        poses: N refined poses with the estimator's scores.
        confidence: (N, K) NaN where the model says nothing.
        expected_oks: (N,) NaN where the model says nothing.
        scores: Whose scores.
    """
    if scores == "input":
        return poses
    known = np.isfinite(confidence)
    oks = np.where(np.isfinite(expected_oks), expected_oks, 0.0)
    keypoint_factor = poses.scores if scores == "product" else 1.0
    pose_factor = poses.pose_scores if scores == "product" else 1.0
    return dataclasses.replace(
        poses,
        scores=np.where(known, keypoint_factor * np.where(known, confidence, 0.0), poses.scores),
        pose_scores=pose_factor * oks,
    )


def check_confidence(scores: Scores, has_confidence: bool) -> None:
    """Raise if scores are asked for that a model cannot give.

    Raises:
        InputError: It has no calibration.
    """
    if scores != "input" and not has_confidence:
        raise InputError(
            f"scores: {scores!r} needs a model with a calibration, and this one has none; use scores 'input', or add "
            "one with `posefix calibrate`"
        )
