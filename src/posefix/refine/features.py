"""What a calibration's regressions see of keypoints in a look (`posefix.refine.calibration.FEATURES`)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from posefix.pose.poses import BoolArray, FloatArray
from posefix.refine.calibration import KEYPOINT_FEATURES, MEANS, Calibration
from posefix.refine.look import Look

LEAST = 1e-4
"""Evidence is taken as at least this and at most one minus this, so that its log odds stay finite."""


def expected_gain(look: Look, calibration: Calibration | None, company: FloatArray) -> FloatArray:
    """Expected KS of the refined places minus that of the given ones, (N, K).

    Args:
        look: At N people with their pose.
        calibration: Of the model; without one the heatmap's own expected KS is taken.
        company: See `measure_features`.
    """
    if calibration is None:
        evidence = look.evidence
        return np.asarray(np.subtract(evidence.similarity, evidence.given_similarity, dtype=np.float64))
    features = measure_features(look, company)
    return calibration.refined_similarity(features) - calibration.given_similarity(features)


def measure_features(look: Look, company: FloatArray) -> FloatArray:
    """What the regressions see, (N, K, F) in the order of `FEATURES`.

    Log odds of the evidence; how far the network's place is from the given one, as logarithm in units of the distance
    at which KS is 1/e and as KS; the means of these over the keypoints of the pose that were given, since errors
    come by person; and the means of those over the people who are refined together, since estimators differ. Where no
    place was given, what concerns it is 0.

    Args:
        look: At N people with their pose.
        company: Means over the people who are refined together, (len(`MEANS`),), or (N, len(`MEANS`)) where each of
            them has others (`posefix.refine.company`).
    """
    valid, single = look.people.valid, _measure_keypoints(look)
    means = _pose_means(single, valid)
    pair = np.concatenate([means, np.broadcast_to(company, means.shape)], axis=1)
    spread = np.broadcast_to(pair[:, None], (*valid.shape, pair.shape[1]))
    return np.concatenate([single, spread], axis=-1)


def measure_poses(look: Look) -> FloatArray:
    """Means (N, len(`MEANS`)) of what the regressions see of single keypoints, over those that were given."""
    means = np.zeros((len(look.seen), len(MEANS)))
    for places, part in look.parts():
        means[places] = _pose_means(_measure_keypoints(part), part.people.valid)
    return means


def _pose_means(single: FloatArray, valid: BoolArray) -> FloatArray:
    averaged = single[..., [KEYPOINT_FEATURES.index(name) for name in MEANS]]
    count = np.maximum(valid.sum(axis=1, keepdims=True), 1)
    return np.asarray(np.where(valid[..., None], averaged, 0.0).sum(axis=1) / count)


def _measure_keypoints(look: Look) -> FloatArray:
    """(N, K, F) in the order of `KEYPOINT_FEATURES`."""
    evidence, people = look.evidence, look.people
    offset = people.offset(evidence.keypoints)
    given = (
        log_odds(evidence.given_similarity),
        log_odds(evidence.given_vicinity),
        np.log1p(offset),
        np.exp(-(offset**2)),
    )
    seen = (log_odds(evidence.similarity), log_odds(evidence.vicinity))
    return np.stack([*seen, *(np.where(people.valid, values, 0.0) for values in given)], axis=-1)


def log_odds(values: npt.NDArray[Any]) -> FloatArray:
    """Log odds of probabilities, those of certainty finite."""
    share = np.clip(values.astype(np.float64), LEAST, 1 - LEAST)
    return np.asarray(np.log(share / (1 - share)), dtype=np.float64)
