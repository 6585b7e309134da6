"""Keep or move: the network's evidence for the refined place weighed against the place that was given.

The heatmap's own belief is too sure of itself, and knows nothing of how good the other keypoints of the pose look. A
calibration, fitted on people held out of training, maps the evidence to two numbers by logistic regression: the
expected keypoint similarity (KS) of a place to the truth, by which the refined or the given one is chosen, and the
probability that its KS is above .5, which is the keypoint's confidence.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from posefix.network.decoding import Evidence
from posefix.pose import geometry
from posefix.pose.poses import BoolArray, FloatArray, Rows
from posefix.refine.calibration import KEYPOINT_FEATURES, MEANS, Calibration
from posefix.refine.vocabulary import CroppedPeople

ALWAYS, NEVER = -1.0, 1.0
"""At this caution every keypoint goes to the network's own place, and none moves."""
RESERVE = 0.5
"""Gain in KS that a keypoint must promise to be moved where nothing is to be gained on the whole."""
RESERVE_FADE = 0.017
"""Mean gain at which this has fallen to 1/e of it. Both were chosen on the dev sets (see the model card)."""
STRANGERS = 4
"""So many people who have nothing to gain are taken to be in the company: of a single photo's one can't be sure."""
PEOPLE_AT_ONCE = 2048
"""What is measured of people takes several times the memory of what is known of them, so it is done by parts."""
LEAST = 1e-4
"""Evidence is taken as at least this and at most one minus this, so that its log odds stay finite."""


@dataclass(frozen=True)
class Choice:
    """What becomes of each keypoint of N people, K keypoints of the model.

    Attributes:
        keypoints: (N, K, 2) the refined place, or the given one where that is better; original-image pixels.
        confidence: (N, K) probability that KS to the truth is above .5; NaN without a calibration.
        expected_similarity: (N, K) expected KS to the truth; NaN without a calibration.
        reserve: Gain in KS beyond the caution that a move had to promise, see `hold_back`.
    """

    keypoints: FloatArray
    confidence: FloatArray
    expected_similarity: FloatArray
    reserve: float = 0.0

    def of(self, rows: BoolArray) -> Choice:
        """That for some of the people (N,)."""
        return Choice(self.keypoints[rows], self.confidence[rows], self.expected_similarity[rows])

    def take(self, rows: Rows, other: Choice) -> None:
        """Replace what was chosen for some people by another choice for them."""
        self.keypoints[rows] = other.keypoints
        self.confidence[rows] = other.confidence
        self.expected_similarity[rows] = other.expected_similarity


def hold_back(
    evidence: Evidence,
    people: CroppedPeople,
    calibration: Calibration | None,
    seen: BoolArray,
    company: FloatArray | None = None,
) -> float:
    """Gain in KS beyond the caution that a move must bring.

    Where little is to be gained on the whole, the poses are those of a good estimator, which is more often right about
    the odd keypoint than the network. The poses that are refined together are taken to be of one estimator: this fades
    with the mean gain of all people.

    Args:
        evidence: Of N people, its keypoints in original-image pixels.
        people: The same people as they were given.
        calibration: Of the model, or None.
        seen: (N,) whom the network saw; of nobody nothing is known, and nothing held back.
        company: See `measure_features`.
    """
    if not seen.any():
        return 0.0
    pose_gain = np.zeros(len(seen))
    for rows, part, some, others in _parts(evidence, people, company):
        pose_gain[rows] = _promised_gain(part, some, calibration, others)
    mean_gain = pose_gain[seen].sum() / (seen.sum() + STRANGERS)
    return float(RESERVE * np.exp(-((mean_gain / RESERVE_FADE) ** 2)))


def _promised_gain(
    evidence: Evidence, people: CroppedPeople, calibration: Calibration | None, company: FloatArray | None
) -> FloatArray:
    """Mean gain in KS (N,) of moving the keypoints that gain."""
    gain = _expected_gain(evidence, people, calibration, company)
    promised = np.where(people.valid, np.maximum(gain, 0.0), 0.0).sum(axis=1)
    return np.asarray(promised / np.maximum(people.valid.sum(axis=1), 1))


def _expected_gain(
    evidence: Evidence, people: CroppedPeople, calibration: Calibration | None, company: FloatArray | None
) -> FloatArray:
    """Expected KS of the refined places minus that of the given ones, (N, K)."""
    if calibration is None:
        return np.asarray(np.subtract(evidence.similarity, evidence.given_similarity, dtype=np.float64))
    features = measure_features(evidence, people, company)
    return calibration.refined_similarity(features) - calibration.given_similarity(features)


def _parts(
    evidence: Evidence, people: CroppedPeople, company: FloatArray | None = None
) -> Iterator[tuple[Rows, Evidence, CroppedPeople, FloatArray | None]]:
    """`PEOPLE_AT_ONCE` people after another: their rows, and what is known of them and their company."""
    everyone = np.arange(len(people.valid))
    for rows in np.split(everyone, everyone[PEOPLE_AT_ONCE::PEOPLE_AT_ONCE]):
        known = (getattr(evidence, field.name)[rows] for field in dataclasses.fields(evidence))
        yield rows, Evidence(*known), people.of(rows), None if company is None else company[rows]


def choose(
    evidence: Evidence,
    people: CroppedPeople,
    calibration: Calibration | None,
    caution: float,
    reserve: float = 0.0,
    company: FloatArray | None = None,
) -> Choice:
    """Decide for each keypoint.

    Args:
        evidence: Of N people, its keypoints in original-image pixels.
        people: The same people as they were given.
        calibration: Of the model; without one the heatmap's own expected KS is compared.
        caution: Smallest expected gain in KS that a move must bring; `ALWAYS` takes the network's own places.
        reserve: What is added to it, see `hold_back`, but for keypoints far off the rest of their pose.
        company: See `measure_features`.
    """
    if not ALWAYS < caution < NEVER:
        # Rounding can put a gain on or beyond the ends of its scale, where caution means never and always.
        caution, reserve = np.inf * caution, 0.0
    nothing = np.full(people.valid.shape, np.nan)
    choice = Choice(people.keypoints.copy(), nothing, nothing.copy(), reserve)
    for rows, part, some, others in _parts(evidence, people, company):
        # A keypoint far off the rest of its pose is no estimator's considered place: nothing speaks for keeping it.
        held = np.where(geometry.far_off(some.keypoints, some.valid), 0.0, reserve)
        choice.take(rows, _choose(part, some, calibration, caution + held, others))
    return choice


def _choose(
    evidence: Evidence,
    people: CroppedPeople,
    calibration: Calibration | None,
    threshold: FloatArray,
    company: FloatArray | None,
) -> Choice:
    """Decide for each keypoint, which moves where its gain is above its threshold (N, K)."""
    given = people.valid
    if calibration is None:
        nothing = np.full(given.shape, np.nan)
        moved = (_expected_gain(evidence, people, None, company) > threshold) | ~given
        return Choice(np.where(moved[..., None], evidence.keypoints, people.keypoints), nothing, nothing)
    features = measure_features(evidence, people, company)
    similarity = calibration.refined_similarity(features)
    kept_similarity = calibration.given_similarity(features)
    moved = (similarity - kept_similarity > threshold) | ~given
    right = np.where(moved, calibration.refined_right(features), calibration.given_right(features))
    return Choice(
        np.where(moved[..., None], evidence.keypoints, people.keypoints),
        confidence=np.where(given, right, calibration.filled_right(features)),
        expected_similarity=np.where(
            given, np.where(moved, similarity, kept_similarity), calibration.filled_similarity(features)
        ),
    )


def measure_features(
    evidence: Evidence, people: CroppedPeople, company: FloatArray | None = None
) -> FloatArray:
    """What the regressions see, (N, K, F) in the order of `FEATURES`.

    Log odds of the evidence; how far the network's place is from the given one, as logarithm in units of the distance
    at which KS is 1/e and as KS; the means of these over the keypoints of the pose that were given, since errors
    come by person; and the means of those over the people who are refined together, since estimators differ. Where no
    place was given, what concerns it is 0.

    Args:
        evidence: Of N people, its keypoints in original-image pixels.
        people: The same people as they were given.
        company: Of each person, see `measure_company`; None takes everyone to be alone.
    """
    valid, single = people.valid, _measure_keypoints(evidence, people)
    means = _pose_means(single, valid)
    pair = np.concatenate([means, means if company is None else company], axis=1)
    spread = np.broadcast_to(pair[:, None], (*valid.shape, pair.shape[1]))
    return np.concatenate([single, spread], axis=-1)


def measure_poses(evidence: Evidence, people: CroppedPeople) -> FloatArray:
    """Means (N, len(`MEANS`)) of what the regressions see of single keypoints, over those that were given."""
    means = np.zeros((len(people.valid), len(MEANS)))
    for rows, part, some, _ in _parts(evidence, people):
        means[rows] = _pose_means(_measure_keypoints(part, some), some.valid)
    return means


def _pose_means(single: FloatArray, valid: BoolArray) -> FloatArray:
    averaged = single[..., [KEYPOINT_FEATURES.index(name) for name in MEANS]]
    count = np.maximum(valid.sum(axis=1, keepdims=True), 1)
    return np.asarray(np.where(valid[..., None], averaged, 0.0).sum(axis=1) / count)


def measure_company(poses: FloatArray, calls: npt.NDArray[np.int64]) -> FloatArray:
    """Means (N, len(`MEANS`)) over the people who are refined together.

    Args:
        poses: Of N people at the first look, see `measure_poses`.
        calls: (N,) number of each person's call; below 0 for people whom the network did not see, who get 0.
    """
    company = np.zeros_like(poses)
    for call in np.unique(calls[calls >= 0]):
        company[calls == call] = poses[calls == call].mean(axis=0)
    return company


def _measure_keypoints(evidence: Evidence, people: CroppedPeople) -> FloatArray:
    """(N, K, F) in the order of `KEYPOINT_FEATURES`."""
    offset = _offset(evidence.keypoints, people)
    given = (
        log_odds(evidence.given_similarity),
        log_odds(evidence.given_vicinity),
        np.log1p(offset),
        np.exp(-(offset**2)),
    )
    seen = (log_odds(evidence.similarity), log_odds(evidence.vicinity))
    return np.stack([*seen, *(np.where(people.valid, values, 0.0) for values in given)], axis=-1)


def agreement(keypoints: FloatArray, people: CroppedPeople) -> FloatArray:
    """Mean KS (N,) between the given places of people and other places (N, K, 2), over the keypoints given."""
    similarity = np.exp(-(_offset(keypoints, people) ** 2))
    count = np.maximum(people.valid.sum(axis=1), 1)
    return np.asarray(np.where(people.valid, similarity, 0.0).sum(axis=1) / count)


def _offset(keypoints: FloatArray, people: CroppedPeople) -> FloatArray:
    """How far places (N, K, 2) are from the given ones, in units of the distance at which KS is 1/e: (N, K)."""
    return np.asarray(np.linalg.norm(keypoints - people.keypoints, axis=-1) / people.falloff)


def log_odds(values: npt.NDArray[Any]) -> FloatArray:
    """Log odds of probabilities, those of certainty finite."""
    share = np.clip(values.astype(np.float64), LEAST, 1 - LEAST)
    return np.asarray(np.log(share / (1 - share)), dtype=np.float64)
