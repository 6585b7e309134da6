"""Keep or move: the network's evidence for the refined place weighed against the place that was given.

The heatmap's own belief is too sure of itself, and knows nothing of how good the other keypoints of the pose look. A
calibration, fitted on people held out of training, maps the evidence to three numbers by logistic regression: how far
back from the network's place to the given one the refined place lies, since the errors of the two average out; the
expected keypoint similarity (KS) of a place to the truth, by which the refined or the given one is chosen; and the
probability that its KS is above .5, which is the keypoint's confidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from posefix.decoding import Evidence
from posefix.refine.calibration import Calibration
from posefix.refine.vocabulary import BoolArray, FloatArray, People

ALWAYS, NEVER = -1.0, 1.0
"""At this caution every keypoint goes to the network's own place, and none moves."""
RESERVE = 0.3
"""Gain in KS that a keypoint must promise to be moved where nothing is to be gained on the whole."""
RESERVE_FADE = 0.015
"""Mean gain at which this has fallen to 1/e of it. Both were chosen on the dev sets (see the model card)."""
LEAST = 1e-4
"""Evidence is taken as at least this and at most one minus this, so that its log odds stay finite."""


@dataclass(frozen=True)
class Choice:
    """What becomes of each keypoint of N people, K keypoints of the model.

    Attributes:
        keypoints: (N, K, 2) the refined place, or the given one where that is better; original-image pixels.
        confidence: (N, K) probability that KS to the truth is above .5; NaN without a calibration.
        expected_similarity: (N, K) expected KS to the truth; NaN without a calibration.
    """

    keypoints: FloatArray
    confidence: FloatArray
    expected_similarity: FloatArray

    def updated(self, other: Choice, rows: BoolArray) -> Choice:
        """The same with another choice for some people (N,)."""
        return Choice(
            np.where(rows[:, None, None], other.keypoints, self.keypoints),
            np.where(rows[:, None], other.confidence, self.confidence),
            np.where(rows[:, None], other.expected_similarity, self.expected_similarity),
        )


def hold_back(
    evidence: Evidence, people: People, calibration: Calibration | None, seen: BoolArray
) -> FloatArray:
    """Gain in KS beyond the caution that a move must bring, for each person (N,).

    Where little is to be gained on the whole, the poses are those of a good estimator, which is more often right about
    the odd keypoint than the network. The poses that are refined together are taken to be of one estimator: this fades
    with the larger of the person's mean gain and that of all people.

    Args:
        evidence: Of N people, its keypoints in original-image pixels.
        people: The same people as they were given.
        calibration: Of the model, or None.
        seen: (N,) whom the network saw.
    """
    gain = _expected_gain(evidence, people, calibration)
    promised = np.where(people.valid, np.maximum(gain, 0.0), 0.0).sum(axis=1)
    pose_gain = promised / np.maximum(people.valid.sum(axis=1), 1)
    mean_gain = pose_gain[seen].mean() if seen.any() else 0.0
    return np.asarray(RESERVE * np.exp(-np.maximum(pose_gain, mean_gain) / RESERVE_FADE))


def _expected_gain(evidence: Evidence, people: People, calibration: Calibration | None) -> FloatArray:
    """Expected KS of the refined places minus that of the given ones, (N, K)."""
    if calibration is None:
        return np.asarray(evidence.similarity - evidence.given_similarity)
    features = measure_features(evidence, people)
    return calibration.refined_similarity(features) - calibration.given_similarity(features)


def choose(
    evidence: Evidence,
    people: People,
    calibration: Calibration | None,
    caution: float,
    reserve: FloatArray | None = None,
) -> Choice:
    """Decide for each keypoint.

    Args:
        evidence: Of N people, its keypoints in original-image pixels.
        people: The same people as they were given.
        calibration: Of the model; without one the heatmap's own expected KS is compared.
        caution: Smallest expected gain in KS that a move must bring; `ALWAYS` takes the network's own places.
        reserve: (N,) what is added to it for each person, see `hold_back`; None adds nothing.
    """
    given = people.valid
    threshold = caution + (np.zeros(len(given)) if reserve is None else reserve)[:, None]
    if not ALWAYS < caution < NEVER:
        # Rounding can put a gain on or beyond the ends of its scale, where caution means never and always.
        threshold = np.full((len(given), 1), np.inf * caution)
    if calibration is None:
        nothing = np.full(given.shape, np.nan)
        moved = (evidence.similarity - evidence.given_similarity > threshold) | ~given
        return Choice(np.where(moved[..., None], evidence.keypoints, people.keypoints), nothing, nothing)
    features = measure_features(evidence, people)
    trusted = given & (caution > ALWAYS)
    trust = np.where(trusted, calibration.trust(features), 0.0)[..., None]
    refined_places = evidence.keypoints + trust * (people.keypoints - evidence.keypoints)
    similarity = calibration.refined_similarity(features)
    kept_similarity = calibration.given_similarity(features)
    moved = (similarity - kept_similarity > threshold) | ~given
    right = np.where(moved, calibration.refined_right(features), calibration.given_right(features))
    return Choice(
        np.where(moved[..., None], refined_places, people.keypoints),
        confidence=np.where(given, right, calibration.filled_right(features)),
        expected_similarity=np.where(
            given, np.where(moved, similarity, kept_similarity), calibration.filled_similarity(features)
        ),
    )


def measure_features(evidence: Evidence, people: People) -> FloatArray:
    """What the regressions see, (N, K, F) in the order of `FEATURES`.

    Log odds of the evidence; how far the network's place is from the given one, as logarithm in units of the distance
    at which KS is 1/e and as KS; and the means of these over the keypoints of the pose that were given, since errors
    come by person. Where no place was given, what concerns it is 0.
    """
    valid = people.valid
    offset = _offset(evidence.keypoints, people)
    refined, vicinity = log_odds(evidence.similarity), log_odds(evidence.vicinity)
    given, given_vicinity, distance, near = (
        np.where(valid, values, 0.0)
        for values in (
            log_odds(evidence.given_similarity),
            log_odds(evidence.given_vicinity),
            np.log1p(offset),
            np.exp(-(offset**2)),
        )
    )
    count = np.maximum(valid.sum(axis=1, keepdims=True), 1)
    means = (
        np.broadcast_to(np.where(valid, values, 0.0).sum(axis=1, keepdims=True) / count, valid.shape)
        for values in (refined, vicinity, given, distance, near)
    )
    return np.stack([refined, vicinity, given, given_vicinity, distance, near, *means], axis=-1)


def agreement(keypoints: FloatArray, people: People) -> FloatArray:
    """Mean KS (N,) between the given places of people and other places (N, K, 2), over the keypoints given."""
    similarity = np.exp(-(_offset(keypoints, people) ** 2))
    count = np.maximum(people.valid.sum(axis=1), 1)
    return np.asarray(np.where(people.valid, similarity, 0.0).sum(axis=1) / count)


def _offset(keypoints: FloatArray, people: People) -> FloatArray:
    """How far places (N, K, 2) are from the given ones, in units of the distance at which KS is 1/e: (N, K)."""
    return np.asarray(np.linalg.norm(keypoints - people.keypoints, axis=-1) / people.falloff)


def log_odds(values: npt.NDArray[Any]) -> FloatArray:
    """Log odds of probabilities, those of certainty finite."""
    share = np.clip(values.astype(np.float64), LEAST, 1 - LEAST)
    return np.asarray(np.log(share / (1 - share)), dtype=np.float64)
