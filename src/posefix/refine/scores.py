"""Last step: whose scores the refined poses carry."""

from __future__ import annotations

import dataclasses
from typing import get_args

import numpy as np

from posefix.errors import InputError
from posefix.pose.poses import FloatArray, Poses
from posefix.refine.results import Refinement, Scores

LEAST_CONFIDENCE = 0.1
"""What is less likely to be right is no label."""
MOSTLY = 0.5
"""From so much trust on an estimator's own scores take part in the usual ones."""


def write_scores(refinement: Refinement, scores: Scores) -> Refinement:
    """A refinement that has the estimator's scores with the scores asked for."""
    rescored = rescore(refinement.poses, refinement.confidence, refinement.expected_oks, scores)
    report = dataclasses.replace(refinement.report, scores=scores)
    return dataclasses.replace(refinement, poses=rescored, report=report)


def usual_scores(trusted: float | None) -> Scores:
    """Whose scores poses get where nobody asked for any: those by which people are ranked best.

    These are the model's, but for estimators that are better than the model and know their people better, too: there
    they are the product (docs/refining.md has the numbers).

    Args:
        trusted: How far the estimator is trusted, see `posefix.refine.company.trust`; None of a model without a
            calibration, which has no scores.
    """
    if trusted is None:
        return "input"
    return "product" if trusted >= MOSTLY else "model"


def as_labels(refinement: Refinement) -> Refinement:
    """A refinement for a file without scores, where nothing tells a keypoint filled in from one that somebody labelled.

    One that is hardly believed to be right stays missing; the others carry the model's confidence, whatever scores were
    asked for, so that their visibility says no more than that.
    """
    confidence = np.where(refinement.filled & np.isfinite(refinement.confidence), refinement.confidence, 1.0)
    doubtful = confidence < LEAST_CONFIDENCE
    count, poses = int(doubtful.sum()), refinement.poses
    report = dataclasses.replace(
        refinement.report,
        filled_keypoints=refinement.report.filled_keypoints - count,
        doubtful_keypoints=count,
    )
    scores = np.where(refinement.filled, confidence, poses.scores)
    labels = poses.with_keypoints(poses.keypoints, valid=poses.valid & ~doubtful, scores=scores)
    return dataclasses.replace(refinement, poses=labels, filled=refinement.filled & ~doubtful, report=report)


def rescore(poses: Poses, confidence: FloatArray, expected_oks: FloatArray, scores: Scores) -> Poses:
    """The same places with the scores asked for.

    Keypoints that the model does not know, and people whom it did not see, keep the estimator's scores.

    A score below 0 is multiplied by 2 minus the factor, so that doubt lowers it, too.

    Args:
        poses: N refined poses with the estimator's scores.
        confidence: (N, K) NaN where the model says nothing.
        expected_oks: (N,) NaN where the model says nothing.
        scores: Whose scores.
    """
    if scores == "input":
        return poses
    known, seen = np.isfinite(confidence), np.isfinite(expected_oks)
    keypoint_scores, pose_scores = confidence, expected_oks
    if scores == "product":
        keypoint_scores = _lowered(poses.scores, keypoint_scores)
        pose_scores = _lowered(poses.pose_scores, pose_scores)
    return dataclasses.replace(
        poses,
        scores=np.where(known, keypoint_scores, poses.scores),
        pose_scores=np.where(seen, pose_scores, poses.pose_scores),
    )


def _lowered(scores: FloatArray, factors: FloatArray) -> FloatArray:
    """Scores, lower the further their factors, from 0 to 1, are below 1."""
    # A score below 0, a log-likelihood or the peak of a poor heatmap, would rise with doubt if it took the factor.
    return np.asarray(scores * np.where(scores < 0, 2 - factors, factors))


def check_scores(scores: Scores, has_confidence: bool) -> None:
    """Whether a model can give its poses these scores.

    Args:
        scores: As asked for.
        has_confidence: Whether the model has a calibration.

    Raises:
        InputError: Scores that the model cannot give, or of no such name.
    """
    if scores not in get_args(Scores):
        raise InputError(f"scores: expected {' or '.join(map(repr, get_args(Scores)))}, got {scores!r}")
    if scores != "input" and not has_confidence:
        raise InputError(
            f"scores: {scores!r} needs a model with a calibration, and this one has none; use scores 'input', or add "
            "one with `posefix calibrate`"
        )
